//! A unit's life: its states, and which step leads from which state to which.
//!
//! What happened to the few units that had trouble is kept aside ([`Trouble`]), so that a unit
//! without any stays small. Invariant: a unit leaves `Done` only by `Reopen`.

use crate::Timestamp;

/// Longer error texts of workers are cut.
pub(crate) const MAX_ERROR_BYTES: usize = 2000;
/// How many of a unit's latest failures are remembered.
const REMEMBERED_FAILURES: usize = 3;
/// From so many crashes on, a unit runs alone.
const SUSPECT_CRASHES: u32 = 2;

/// One unit, in 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) state: UnitState,
    /// Of the newest lease; 0 when it was never leased.
    pub(crate) attempt: u32,
}

/// Where a unit is.
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
    SetAside,
    Skipped,
}

/// What moves a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A worker gets it, or turns out to hold it.
    Lease { worker_id: u32, since: Timestamp },
    /// Its lease ends without a result.
    Release,
    /// A result came, from whichever attempt.
    Finish { digest: u64 },
    /// It won't be tried again.
    SetAside,
    /// What it wrote is damaged.
    Reopen,
    /// The job doesn't need it.
    Skip,
    /// It was set aside, and is tried again after all.
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
            | (Self::SetAside, Step::Retry) => Self::Waiting,
            (Self::Waiting | Self::Leased { .. }, Step::Finish { digest }) => Self::Done { digest },
            (Self::Waiting | Self::Leased { .. }, Step::SetAside) => Self::SetAside,
            (Self::Waiting, Step::Skip) => Self::Skipped,
            (
                Self::Waiting
                | Self::Leased { .. }
                | Self::Done { .. }
                | Self::SetAside
                | Self::Skipped,
                Step::Lease { .. }
                | Step::Release
                | Step::Finish { .. }
                | Step::SetAside
                | Step::Reopen
                | Step::Skip
                | Step::Retry,
            ) => panic!("no step {step:?} leads on from {self:?}"),
        }
    }
}

/// What went wrong with a unit so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Attempts that failed and may be repeated.
    pub(crate) failures: u32,
    /// Workers that were lost while they held it.
    pub(crate) crashes: u32,
    /// Those of them that held nothing else.
    pub(crate) crashes_alone: u32,
    /// Times that it ran again because what it wrote was damaged.
    pub(crate) repairs: u32,
    /// What its first result was, once it has been reopened: its totals are counted already.
    pub(crate) counted_digest: Option<u64>,
    /// Attempts up to this one wrote what was found damaged.
    pub(crate) damaged_attempt: u32,
    /// When it was last done again.
    pub(crate) repaired: Option<Timestamp>,
    /// The newest attempt that told its own failure: whoever says to hold it repeats old news.
    pub(crate) failed_attempt: u32,
    /// The attempt whose crash was counted last, in case its worker comes back.
    pub(crate) crashed_attempt: Option<u32>,
    /// The latest failures, oldest first.
    pub(crate) failed: Vec<FailedAttempt>,
    /// Why it was set aside.
    pub(crate) set_aside: Option<String>,
}

/// One attempt that gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedAttempt {
    pub(crate) attempt: u32,
    pub(crate) error: String,
}

impl Trouble {
    /// Whether it may be the unit that kills its workers: it then runs alone.
    pub(crate) fn is_suspect(&self) -> bool {
        self.crashes >= SUSPECT_CRASHES
    }

    pub(crate) fn remember(&mut self, attempt: u32, error: String) {
        if self.failed.len() == REMEMBERED_FAILURES {
            self.failed.remove(0);
        }
        self.failed.push(FailedAttempt { attempt, error });
    }

    /// Counts anew: what was the cause may be mended. What is known of attempts stays.
    pub(crate) fn forgive(&mut self) {
        self.failures = 0;
        self.crashes = 0;
        self.crashes_alone = 0;
        self.crashed_attempt = None;
        self.repairs = 0;
        self.set_aside = None;
    }

    /// Counts the loss of the worker that ran `attempt`.
    pub(crate) fn crash(&mut self, attempt: u32) {
        if self.is_suspect() {
            self.crashes_alone += 1;
        }
        self.crashes += 1;
        self.crashed_attempt = Some(attempt);
    }

    /// Takes a crash back: the worker that ran `attempt` lives after all.
    pub(crate) fn survive(&mut self, attempt: u32) {
        if self.crashed_attempt != Some(attempt) {
            return;
        }
        self.crashed_attempt = None;
        self.crashes -= 1;
        if self.is_suspect() {
            self.crashes_alone -= 1;
        }
    }
}

/// The text, cut to what is kept of a worker's error.
pub(crate) fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_ERROR_BYTES)].to_owned()
}

/// The 8 bytes of a digest that are kept.
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
        for step in [Step::Release, Step::SetAside, Step::Skip, Step::Finish { digest: 7 }] {
            assert!(std::panic::catch_unwind(|| done.after(step)).is_err(), "{step:?}");
        }
    }

    #[test]
    fn a_crash_is_taken_back_when_the_worker_lives() {
        let mut trouble = Trouble::default();
        for attempt in 1..=3 {
            trouble.crash(attempt);
        }
        assert_eq!((trouble.crashes, trouble.crashes_alone), (3, 1));
        trouble.survive(2);
        assert_eq!((trouble.crashes, trouble.crashes_alone), (3, 1), "that was not the last one");
        trouble.survive(3);
        assert_eq!((trouble.crashes, trouble.crashes_alone), (2, 0));
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let text = "é".repeat(MAX_ERROR_BYTES);
        assert_eq!(bounded(&text).len(), MAX_ERROR_BYTES);
        assert_eq!(bounded("short"), "short");
    }
}
