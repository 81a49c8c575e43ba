//! The memory for keys of a gang unit: that of a rank, times the ranks.
//!
//! It decides how many key ranges there are, which is never changed afterwards. A later world of
//! another size resolves the same ranges, in more or fewer rounds.

use thresher_domain::RegisterRequest;

use crate::plan::Limits;

/// The ranks of a gang unit, and the memory for keys of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyWorld {
    pub(crate) ranks: u32,
    pub(crate) bytes_per_rank: u64,
}

impl KeyWorld {
    /// What is assumed of a worker that says nothing.
    pub(crate) const UNKNOWN: Self = Self { ranks: 1, bytes_per_rank: 1 << 30 };

    /// Returns the world of a gang unit that this worker leads.
    pub(crate) fn of(request: &RegisterRequest) -> Self {
        let bytes_per_rank = match request.key_memory_bytes {
            0 => Self::UNKNOWN.bytes_per_rank,
            bytes => bytes,
        };
        Self { ranks: request.gang_ranks.max(1), bytes_per_rank }
    }

    /// Returns the same world with the memory that the job file sets, if it does.
    pub(crate) fn with(self, limits: &Limits) -> Self {
        let bytes_per_rank = limits.key_memory_bytes.unwrap_or(self.bytes_per_rank);
        Self { bytes_per_rank, ..self }
    }

    /// Returns the memory of all ranks together.
    pub(crate) fn bytes(self) -> u64 {
        self.bytes_per_rank.saturating_mul(self.ranks.into())
    }
}
