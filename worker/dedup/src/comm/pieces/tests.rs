//! Messages of any length arrive whole and in order, for any limit of a piece.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// A world whose messages are sent through channels, one for each pair of ranks.
struct Channels {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
    /// Length of the longest piece that was sent.
    // Largest number of pieces in one transfer.
    longest: usize,
    most: usize,
}

fn world(size: usize) -> Vec<Channels> {
    let mut ranks: Vec<Channels> = (0..size)
        .map(|rank| Channels { rank, to: Vec::new(), from: Vec::new(), longest: 0, most: 0 })
        .collect();
    for from in 0..size {
        for to in 0..size {
            let (sender, receiver) = channel();
            ranks[from].to.push(sender);
            ranks[to].from.push(receiver);
        }
    }
    ranks
}

impl Wire for Channels {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn all_to_all_lengths(&mut self, lengths: &[u64]) -> Result<Vec<u64>, CommError> {
        for (to, length) in self.to.iter().zip(lengths) {
            to.send(length.to_le_bytes().to_vec()).map_err(|_| gone())?;
        }
        let receive = |from: &Receiver<Vec<u8>>| from.recv().unwrap().try_into().unwrap();
        Ok(self.from.iter().map(|from| u64::from_le_bytes(receive(from))).collect())
    }

    fn transfer(
        &mut self,
        sends: &[Outgoing<'_>],
        receives: &mut [Incoming<'_>],
    ) -> Result<(), CommError> {
        self.most = self.most.max(sends.len());
        for (to, piece) in sends {
            assert_ne!(*to, self.rank);
            self.longest = self.longest.max(piece.len());
            self.to[*to].send(piece.to_vec()).map_err(|_| gone())?;
        }
        for (from, room) in receives {
            // Panics if the piece has another length.
            room.copy_from_slice(&self.from[*from].recv().map_err(|_| gone())?);
        }
        Ok(())
    }
}

fn message(from: usize, to: usize, turn: usize) -> Vec<u8> {
    let length = [0, 1, 6, 7, 8, 14, 63, 500][(from * 5 + to * 3 + turn) % 8];
    (0..length).map(|at| (at * 31 + from * 7 + to * 3 + turn) as u8).collect()
}

#[test]
fn messages_arrive_whole_whatever_the_limit_of_a_piece() {
    for size in [1, 2, 3, 4, 7, 40] {
        for limit in [1, 7, 64, LONGEST_PIECE] {
            std::thread::scope(|scope| {
                for mut wire in world(size) {
                    scope.spawn(move || {
                        let rank = wire.rank;
                        let mut sends = vec![Vec::new(); size];
                        let mut receives = vec![b"old".to_vec(); size];
                        for turn in 0..9 {
                            for (to, send) in sends.iter_mut().enumerate() {
                                assert!(send.is_empty());
                                send.extend(message(rank, to, turn));
                            }
                            all_to_all(&mut wire, limit, &mut sends, &mut receives).unwrap();
                            for (from, receive) in receives.iter().enumerate() {
                                assert_eq!(*receive, message(from, rank, turn), "{size} {limit}");
                            }
                        }
                        assert!(wire.longest <= limit);
                        if limit == LONGEST_PIECE {
                            assert!(wire.most <= SHIFTS_AT_A_TIME);
                        }
                    });
                }
            });
        }
    }
}

#[test]
fn a_length_that_exceeds_memory_is_an_error_with_its_sender() {
    let mut buffer = vec![1, 2, 3];
    let refused = resize(&mut buffer, 5, u64::MAX / 2).unwrap_err();
    assert_eq!(refused, CommError::Memory { from: 5, bytes: u64::MAX / 2 });
    resize(&mut buffer, 5, 2).unwrap();
    assert_eq!(buffer.len(), 2);
}

#[test]
fn a_wrong_number_of_buffers_is_refused_before_anything_is_sent() {
    let mut ranks = world(2);
    let refused = all_to_all(&mut ranks[0], 8, &mut [Vec::new()], &mut [Vec::new(), Vec::new()]);
    assert_eq!(refused, Err(CommError::BufferCount { size: 2, buffers: 1 }));
}

fn gone() -> CommError {
    CommError::RankLost { rank: 0, why: "its channel is closed".to_owned() }
}
