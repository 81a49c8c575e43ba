//! An all-to-all of messages of any length, built from messages of limited counts: those of MPI are
//! below 2^31.
//!
//! ```text
//! lengths to everybody ── for each batch of shifts k: rank r sends to r+k, receives from r-k
//! ```
//! A message goes directly from the sender's buffer into the receiver's, in pieces of at most the
//! limit; a rank's own share is moved without a copy. The [`Wire`] sends the messages.
//!
//! Invariant: all ranks go through the same batches of shifts in the same order, so the pieces that
//! a rank waits for are always sent by ranks that do not wait for a later batch.

use super::CommError;

/// Number of shifts in progress at a time: enough to keep a link busy, and far fewer requests than
/// a large world has ranks.
pub const SHIFTS_AT_A_TIME: usize = 16;
/// The longest piece: a power of two below 2^31, so that a long buffer stays aligned.
pub const LONGEST_PIECE: usize = 1 << 30;

/// A piece, and the rank that it is sent to.
pub type Outgoing<'a> = (usize, &'a [u8]);
/// The rank that a piece comes from, and the buffer for it.
pub type Incoming<'a> = (usize, &'a mut [u8]);

/// The operations of a message-passing library that the all-to-all needs.
pub trait Wire {
    /// Returns this rank's number.
    fn rank(&self) -> usize;

    /// Returns the number of ranks.
    fn size(&self) -> usize;

    /// Sends one number to each rank, and returns the number received from each.
    fn all_to_all_lengths(&mut self, lengths: &[u64]) -> Result<Vec<u64>, CommError>;

    /// Sends and receives all these pieces, and returns when all have arrived. Any order is
    /// allowed, except that two pieces between the same ranks keep theirs.
    fn transfer(
        &mut self,
        sends: &[Outgoing<'_>],
        receives: &mut [Incoming<'_>],
    ) -> Result<(), CommError>;
}

/// Does [`super::Communicator::all_to_all`] over a wire, in pieces of at most `limit` bytes.
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
        // Receives are in the order of the shifts: rank - first, rank - first - 1, ….
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

/// Resizes the buffer. Bytes of an earlier message are not cleared, because all are overwritten.
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
