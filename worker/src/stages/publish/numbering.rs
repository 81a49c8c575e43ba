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
            !summary.is_withdrawn && drops.reason(*place).is_none()
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
