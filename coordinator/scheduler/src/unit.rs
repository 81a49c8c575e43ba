//! The states of a unit, and the steps between them.
//!
//! Invariant: a unit leaves `Done` only by `Reopen`.

use thresher_domain::Timestamp;

/// Longer error texts of workers are cut.
pub(crate) const MAX_ERROR_BYTES: usize = 2000;

/// One unit, in 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) state: UnitState,
    /// Number of its newest attempt; 0 if it was never leased.
    pub(crate) attempt: u32,
}

/// The state of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnitState {
    Waiting,
    Leased {
        worker_id: u32,
        since: Timestamp,
    },
    /// With 8 bytes of the digest of what it wrote.
    Done {
        digest: u64,
    },
    Failed,
    Skipped,
}

/// A change of a unit's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A worker leases it, or turns out to hold it.
    Lease { worker_id: u32, since: Timestamp },
    /// Its lease ends without a result.
    Release,
    /// A result came, from whichever attempt.
    Finish { digest: u64 },
    /// It is not tried again.
    Fail,
    /// Its output is damaged.
    Reopen,
    /// The job does not need it.
    Skip,
    /// It failed permanently, and is tried again after all.
    Retry,
}

impl UnitState {
    /// The state after a step.
    ///
    /// # Panics
    /// When the step can't be taken from here: callers look before they step.
    pub(crate) fn after(self, step: Step) -> Self {
        match (self, step) {
            (Self::Waiting | Self::Leased { .. }, Step::Lease { worker_id, since }) => {
                Self::Leased { worker_id, since }
            }
            (Self::Leased { .. }, Step::Release)
            | (Self::Done { .. }, Step::Reopen)
            | (Self::Failed, Step::Retry) => Self::Waiting,
            (Self::Waiting | Self::Leased { .. }, Step::Finish { digest }) => Self::Done { digest },
            (Self::Waiting | Self::Leased { .. }, Step::Fail) => Self::Failed,
            (Self::Waiting, Step::Skip) => Self::Skipped,
            (
                Self::Waiting
                | Self::Leased { .. }
                | Self::Done { .. }
                | Self::Failed
                | Self::Skipped,
                Step::Lease { .. }
                | Step::Release
                | Step::Finish { .. }
                | Step::Fail
                | Step::Reopen
                | Step::Skip
                | Step::Retry,
            ) => panic!("no step {step:?} leads on from {self:?}"),
        }
    }
}

/// Returns the text, cut to the length that is kept of a worker's error.
pub(crate) fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_ERROR_BYTES)].to_owned()
}

/// Returns the 8 bytes of a digest that are kept.
pub(crate) fn short_digest(digest: &[u8]) -> u64 {
    let mut kept = [0; 8];
    let length = digest.len().min(kept.len());
    kept[..length].copy_from_slice(&digest[..length]);
    u64::from_le_bytes(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_small() {
        assert!(size_of::<Unit>() <= 24);
    }

    #[test]
    fn a_done_unit_only_leaves_by_being_reopened() {
        let done = UnitState::Done { digest: 7 };
        assert_eq!(done.after(Step::Reopen), UnitState::Waiting);
        for step in [Step::Release, Step::Fail, Step::Skip, Step::Finish { digest: 7 }] {
            assert!(std::panic::catch_unwind(|| done.after(step)).is_err(), "{step:?}");
        }
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let text = "é".repeat(MAX_ERROR_BYTES);
        assert_eq!(bounded(&text).len(), MAX_ERROR_BYTES);
        assert_eq!(bounded("short"), "short");
    }
}
