//! The counts of a comparison, as they grow.

use std::collections::BTreeMap;

use super::join::Event;
use super::listing::{Instead, Listing};
use super::read::Label;
use super::spill::Entry;
use super::{CorpusDiff, ELSEWHERE, Found, OtherReason, SourceDiff, UNKNOWN};

/// The counts, as they grow.
pub(super) struct Counting<'a> {
    labels: &'a [Label],
    sources: BTreeMap<String, SourceDiff>,
    /// By side, source and what the other side has.
    only: BTreeMap<(u8, String, String), u64>,
    other_reasons: BTreeMap<(String, String, String), u64>,
    listing: Option<&'a Listing>,
}

impl<'a> Counting<'a> {
    pub(super) fn new(labels: &'a [Label], listing: Option<&'a Listing>) -> Self {
        Self {
            labels,
            sources: BTreeMap::new(),
            only: BTreeMap::new(),
            other_reasons: BTreeMap::new(),
            listing,
        }
    }

    fn label(&self, entry: &Entry) -> &Label {
        &self.labels[entry.label as usize]
    }

    fn source(&mut self, entry: &Entry) -> &mut SourceDiff {
        let source = self.label(entry).source.clone();
        self.sources
            .entry(source.clone())
            .or_insert_with(|| SourceDiff { source, ..SourceDiff::default() })
    }

    /// Counts what is known. A document that the other side has no record of is counted when its
    /// text was searched.
    pub(super) fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        match event {
            Event::Same(entry) => self.source(entry).same += 1,
            Event::Changed([a, b]) => {
                self.source(a).changed += 1;
                if let Some(listing) = self.listing {
                    listing.push(a, Instead::Text)?;
                    listing.push(b, Instead::Text)?;
                }
            }
            Event::Lost { kept, lost } => self.only(kept, Instead::Reason(lost.label))?,
            Event::Unknown(_) => {}
            Event::Neither([a, b]) => {
                let reason = |entry| self.label(entry).reason.clone().unwrap_or_default();
                let (first, second) = (reason(a), reason(b));
                if first != second {
                    let key = (self.label(a).source.clone(), first, second);
                    *self.other_reasons.entry(key).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    /// Counts a document that only one side has.
    pub(super) fn only(&mut self, entry: &Entry, instead: Instead) -> anyhow::Result<()> {
        let source = self.source(entry);
        match entry.side {
            0 => source.only_in_a += 1,
            _ => source.only_in_b += 1,
        }
        let other = match instead {
            Instead::Text => String::new(),
            Instead::Reason(label) => {
                self.labels[label as usize].reason.clone().unwrap_or_default()
            }
            Instead::OtherName => ELSEWHERE.to_owned(),
            Instead::Nothing => UNKNOWN.to_owned(),
        };
        let key = (entry.side, self.label(entry).source.clone(), other);
        *self.only.entry(key).or_default() += 1;
        self.listing.map_or(Ok(()), |listing| listing.push(entry, instead))
    }

    pub(super) fn finish(self) -> CorpusDiff {
        let mut only = [Vec::new(), Vec::new()];
        for ((side, source, other), documents) in self.only {
            only[usize::from(side)].push(Found { source, other, documents });
        }
        let [only_in_a, only_in_b] = only;
        let sources: Vec<SourceDiff> = self.sources.into_values().collect();
        let both = |it: &SourceDiff| it.same + it.changed;
        CorpusDiff {
            equal: sources.iter().all(|it| it.changed + it.only_in_a + it.only_in_b == 0),
            documents_a: sources.iter().map(|it| both(it) + it.only_in_a).sum(),
            documents_b: sources.iter().map(|it| both(it) + it.only_in_b).sum(),
            sources,
            only_in_a,
            only_in_b,
            other_reasons: self
                .other_reasons
                .into_iter()
                .map(|((source, a, b), records)| OtherReason { source, a, b, records })
                .collect(),
        }
    }
}
