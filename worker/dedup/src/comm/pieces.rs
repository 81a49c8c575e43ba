//! An all-to-all of messages of any length, out of messages whose counts are limited: MPI's are
//! below 2^31.
//!
//! ```text
//! lengths to everybody ── for each batch of shifts k: rank r sends to r+k, receives from r-k
//! ```
//! A message goes straight from the sender's buffer into the receiver's, in pieces of at most the
//! limit; one's own share changes hands without a copy. What a message is, is the [`Wire`]'s.
//!
//! Invariant: all ranks go through the same batches of shifts in the same order, so the pieces that
//! a rank waits for are always sent by ranks that wait for nothing later.

use super::CommError;

/// Shifts that are under way at a time: enough to keep a link busy, and far fewer requests than a
/// large world has ranks.
pub const SHIFTS_AT_A_TIME: usize = 16;
/// The longest piece. A power of two below 2^31, so that a long buffer stays aligned.
pub const LONGEST_PIECE: usize = 1 << 30;

/// A piece that goes to a rank.
pub type Outgoing<'a> = (usize, &'a [u8]);
/// The room for a piece that comes from a rank.
pub type Incoming<'a> = (usize, &'a mut [u8]);

/// What a message-passing library must do for the all-to-all.
pub trait Wire {
    /// This rank's number.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Tells each rank one number, and learns one from each.
    fn all_to_all_lengths(&mut self, lengths: &[u64]) -> Result<Vec<u64>, CommError>;

    /// Sends and receives all these pieces, in any order but that two pieces between the same ranks
    /// keep theirs; returns when all have arrived.
    fn transfer(
        &mut self,
        sends: &[Outgoing<'_>],
        receives: &mut [Incoming<'_>],
    ) -> Result<(), CommError>;
}

/// [`super::Communicator::all_to_all`] over a wire, in pieces of at most `limit` bytes.
pub fn all_to_all(
    wire: &mut impl Wire,
    limit: usize,
    sends: &mut [Vec<u8>],
    receives: &mut [Vec<u8>],
) -> Result<(), CommError> {
    let (rank, size) = (wire.rank(), wire.size());
    for buffers in [sends.len(), receives.len()] {
        if buffers != size {
            return Err(CommError::BufferCount { size, buffers });
        }
    }
    let lengths: Vec<u64> = sends.iter().map(|send| send.len() as u64).collect();
    let incoming = wire.all_to_all_lengths(&lengths)?;
    for (from, (receive, bytes)) in receives.iter_mut().zip(&incoming).enumerate() {
        if from != rank {
            resize(receive, from, *bytes)?;
        }
    }
    std::mem::swap(&mut sends[rank], &mut receives[rank]);
    let mut first = 1;
    while first < size {
        let shifts = first..size.min(first + SHIFTS_AT_A_TIME);
        first = shifts.end;
        let mut outgoing = Vec::new();
        for shift in shifts.clone() {
            let to = (rank + shift) % size;
            outgoing.extend(sends[to].chunks(limit).map(|piece| (to, piece)));
        }
        // The order of the receives is the order of the shifts: rank - first, rank - first - 1, ….
        let mut rooms: Vec<(usize, usize, &mut [u8])> = Vec::new();
        for (from, receive) in receives.iter_mut().enumerate() {
            let shift = (rank + size - from) % size;
            if shifts.contains(&shift) {
                rooms.extend(receive.chunks_mut(limit).map(|room| (shift, from, room)));
            }
        }
        rooms.sort_by_key(|(shift, ..)| *shift);
        let mut rooms: Vec<Incoming<'_>> =
            rooms.into_iter().map(|(_, from, room)| (from, room)).collect();
        wire.transfer(&outgoing, &mut rooms)?;
    }
    for send in sends {
        send.clear();
    }
    Ok(())
}

/// Makes the buffer so long. Bytes of an earlier message are not cleared: all are overwritten.
fn resize(receive: &mut Vec<u8>, from: usize, bytes: u64) -> Result<(), CommError> {
    let fail = || CommError::Memory { from, bytes };
    let length = usize::try_from(bytes).map_err(|_| fail())?;
    let more = length.saturating_sub(receive.len());
    receive.try_reserve_exact(more).map_err(|_| fail())?;
    receive.resize(length, 0);
    Ok(())
}

#[cfg(test)]
mod tests;
