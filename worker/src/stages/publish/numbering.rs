//! Numbers the published documents of each input, for schemas that name a document after its number
//! in its input.
//!
//! **Invariant:** a number depends on which documents of the input are published, not on where
//! shards are cut.

use crate::stages::drops::UnitDrops;
use thresher_unit::staging::DocumentSummary;

/// Counts the published documents of the input that is being written.
pub(super) struct Numbering {
    next: u64,
}

impl Numbering {
    /// Starts at place `first` of a unit, which may be within an input.
    pub(super) fn start(first: u32, summaries: &[DocumentSummary], drops: &UnitDrops<'_>) -> Self {
        let before = &summaries[..summaries.len().min(first as usize)];
        let start = before.iter().rposition(|summary| summary.starts_input).unwrap_or(0);
        let published = |(place, summary): &(u32, &DocumentSummary)| {
            !summary.is_withdrawn && drops.reason(*place, summary).is_none()
        };
        let next = (start as u32..).zip(&before[start..]).filter(published).count() as u64;
        Self { next }
    }

    /// Moves to the next place. It must be called for each place before its number is requested.
    pub(super) fn enter(&mut self, summary: &DocumentSummary) {
        if summary.starts_input {
            self.next = 0;
        }
    }

    /// Returns the number of the next published document.
    pub(super) fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_depend_on_where_shards_are_cut() {
        // Two inputs: places 0 to 4, of which one is a duplicate and one withdrawn, and 5 to 7,
        // of which the first is a duplicate.
        let mut summaries = [DocumentSummary::default(); 8];
        (summaries[0].starts_input, summaries[5].starts_input) = (true, true);
        summaries[3].is_withdrawn = true;
        let drops = UnitDrops::of_places(&[1, 5]);
        let numbers = |first: u32| -> Vec<(u32, u64)> {
            let mut numbering = Numbering::start(first, &summaries, &drops);
            let mut found = Vec::new();
            for place in first..8 {
                let summary = &summaries[place as usize];
                numbering.enter(summary);
                if !summary.is_withdrawn && drops.reason(place, summary).is_none() {
                    found.push((place, numbering.number()));
                }
            }
            found
        };
        let all = numbers(0);
        assert_eq!(all, [(0, 0), (2, 1), (4, 2), (6, 0), (7, 1)]);
        for first in 1..=8 {
            let rest: Vec<_> = all.iter().copied().filter(|(place, _)| *place >= first).collect();
            assert_eq!(numbers(first), rest, "{first}");
        }
    }
}
