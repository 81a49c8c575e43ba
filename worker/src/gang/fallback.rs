//! Chooses the number of ranks of the next step from the results of earlier ones. It is pure.
//!
//! A failed step is tried again once with the same number of ranks, because most likely it was
//! killed from outside; after that with half of them, because part of the nodes may be gone. If a
//! step with two ranks fails too, no further step is started. The number also holds for later units
//! of this worker.

/// Number of attempts in a row with the same number of ranks.
const TRIES: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fallback {
    /// Number of ranks of the next step; 0 if no further step is started.
    ranks: u32,
    failures: u32,
}

impl Fallback {
    pub(super) fn new(ranks: u32) -> Self {
        Self { ranks, failures: 0 }
    }

    pub(super) fn ranks(&self) -> Option<u32> {
        (self.ranks > 0).then_some(self.ranks)
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    pub(super) fn failed(&mut self) {
        self.failures += 1;
        if self.failures >= TRIES {
            self.failures = 0;
            // One rank would be no faster than a thread.
            self.ranks = if self.ranks >= 4 { self.ranks / 2 } else { 0 };
        }
    }

    pub(super) fn give_up(&mut self) {
        self.ranks = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_repeated_then_halved_then_abandoned() {
        let mut fallback = Fallback::new(9);
        let mut tried = Vec::new();
        while let Some(ranks) = fallback.ranks() {
            tried.push(ranks);
            fallback.failed();
        }
        assert_eq!(tried, [9, 9, 4, 4, 2, 2]);
        assert_eq!(Fallback::new(1).ranks(), Some(1));
    }

    #[test]
    fn a_success_resets_the_failures_and_keeps_the_number_of_ranks() {
        let mut fallback = Fallback::new(8);
        for _ in 0..5 {
            fallback.failed();
            fallback.succeeded();
        }
        assert_eq!(fallback.ranks(), Some(8));
        fallback.failed();
        fallback.failed();
        fallback.succeeded();
        assert_eq!(fallback.ranks(), Some(4));
    }

    #[test]
    fn a_mismatch_is_not_retried() {
        let mut fallback = Fallback::new(8);
        fallback.give_up();
        assert_eq!(fallback.ranks(), None);
    }
}
