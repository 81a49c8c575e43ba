//! How many ranks the next step has, after what became of the ones before. Pure.
//!
//! A step that failed is tried once more as it was, since most likely somebody killed it; after
//! that with half as many ranks, since part of the nodes may be gone. A launcher that cannot even
//! start two is given up. What was learned holds for the later units of this worker too.

/// Tries in a row with the same number of ranks.
const TRIES: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fallback {
    /// 0: given up.
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
            // One rank is what a thread does as well.
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
    fn a_step_is_tried_again_then_smaller_then_not_at_all() {
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
    fn a_success_forgets_the_failure_before_it_but_keeps_the_number() {
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
    fn a_mismatch_is_not_tried_again() {
        let mut fallback = Fallback::new(8);
        fallback.give_up();
        assert_eq!(fallback.ranks(), None);
    }
}
