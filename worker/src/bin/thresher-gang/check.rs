//! `thresher-gang check`: sends messages of known content through MPI, in pieces of a chosen size.
//!
//! Invariant: success means that every byte of every message arrived, in every turn.

use std::io::Write;

use anyhow::ensure;
use thresher_dedup::comm::Communicator;

use crate::world::{World, library};

const TURNS: usize = 20;
/// Lengths around the limits at which MPI libraries change their protocol.
const LENGTHS: [usize; 8] = [0, 1, 7, 1000, 4095, 65_537, 12, 300_001];

pub(crate) fn run(piece: usize) -> anyhow::Result<()> {
    let mut world = World::start(piece)?;
    let (rank, size) = (Communicator::rank(&world), Communicator::size(&world));
    let mut sends = vec![Vec::new(); size];
    let mut receives = vec![b"old".to_vec(); size];
    for turn in 0..TURNS {
        for (to, send) in sends.iter_mut().enumerate() {
            ensure!(send.is_empty(), "a buffer was not emptied");
            send.extend(message(rank, to, turn, piece));
        }
        world.all_to_all(&mut sends, &mut receives)?;
        for (from, receive) in receives.iter().enumerate() {
            let whole = receive.iter().copied().eq(message(from, rank, turn, piece));
            ensure!(whole, "the message from rank `{from}` is not what was sent, turn `{turn}`");
        }
        let sum = world.all_reduce_sum((rank + turn) as u64)?;
        ensure!(sum as usize == size * (size - 1) / 2 + size * turn, "a sum is wrong: `{sum}`");
        let largest = world.all_reduce_max(rank as u64)?;
        ensure!(largest as usize == size - 1, "a maximum is wrong: `{largest}`");
        world.barrier()?;
    }
    if rank == 0 {
        writeln!(std::io::stdout(), "{size} ranks, pieces of {piece}: as sent ({})", library())?;
    }
    Ok(())
}

/// Limits the length of messages if pieces are small, or there would be millions of them.
fn message(from: usize, to: usize, turn: usize, piece: usize) -> impl Iterator<Item = u8> {
    let length = LENGTHS[(from * 3 + to * 5 + turn) % LENGTHS.len()].min(piece.saturating_mul(500));
    (0..length).map(move |at| (at * 31 + from * 7 + to * 3 + turn) as u8)
}
