//! A communicator for tests, whose rank is killed in the middle of a unit.
//!
//! `THRESHER_GANG_FAULT=<rank>:<file>` kills that rank by SIGKILL after keys and before verdicts
//! are sent, if it can remove the file. So it happens once for each time that the test makes the
//! file.

use std::path::PathBuf;

use anyhow::Context;
use thresher_dedup::comm::{CommError, Communicator};

use crate::watch::end_now;
use crate::world::World;

/// The exchange of verdicts follows that of keys.
const EXCHANGE: u32 = 2;

pub(crate) struct Faulty<'w> {
    world: &'w mut World,
    rank: usize,
    token: PathBuf,
    exchanges: u32,
}

impl<'w> Faulty<'w> {
    pub(crate) fn from_environment(world: &'w mut World) -> anyhow::Result<Option<Self>> {
        let Ok(text) = std::env::var("THRESHER_GANG_FAULT") else { return Ok(None) };
        let (rank, token) = text.split_once(':').context("THRESHER_GANG_FAULT has no `:`")?;
        let rank = rank.parse().context("THRESHER_GANG_FAULT names no rank")?;
        Ok(Some(Self { world, rank, token: token.into(), exchanges: 0 }))
    }
}

impl Communicator for Faulty<'_> {
    fn rank(&self) -> usize {
        Communicator::rank(self.world)
    }

    fn size(&self) -> usize {
        Communicator::size(self.world)
    }

    fn barrier(&mut self) -> Result<(), CommError> {
        self.world.barrier()
    }

    fn all_to_all(
        &mut self,
        sends: &mut [Vec<u8>],
        receives: &mut [Vec<u8>],
    ) -> Result<(), CommError> {
        self.exchanges += 1;
        let here = self.exchanges == EXCHANGE && self.rank() == self.rank;
        if here && std::fs::remove_file(&self.token).is_ok() {
            end_now("a test wants it");
        }
        self.world.all_to_all(sends, receives)
    }

    fn all_reduce_sum(&mut self, value: u64) -> Result<u64, CommError> {
        self.world.all_reduce_sum(value)
    }

    fn all_reduce_max(&mut self, value: u64) -> Result<u64, CommError> {
        self.world.all_reduce_max(value)
    }
}
