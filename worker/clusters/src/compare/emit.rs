//! Writes the decisions about the clusters of a component.

use std::io::Write;
use std::rc::Rc;

use super::component::Members;
use super::rule::{Counts, Fate};
use super::tally::CompareTally;
use super::{CompareError, group_of};
use crate::decision::{Decision, Outcome, Removal};
use crate::member::Head;
use crate::runs::RunWriter;

/// Writes decisions by group of units, and counts them.
pub(super) struct Emitter<W: Write> {
    runs: RunWriter<W>,
    group_units: u32,
    tally: CompareTally,
    payload: Vec<u8>,
}

impl<W: Write> Emitter<W> {
    pub(super) fn new(runs: RunWriter<W>, group_units: u32) -> Self {
        Self { runs, group_units, tally: CompareTally::default(), payload: Vec::new() }
    }

    /// Writes the decisions about all members of clusters with at least two of them.
    pub(super) fn component(
        &mut self,
        members: &mut Members,
        fates: &[Fate],
        counts: Counts,
    ) -> Result<(), CompareError> {
        self.tally.component(members.count(), counts);
        let mut sizes = vec![0_u32; fates.len()];
        fates.iter().for_each(|fate| sizes[fate.witness as usize] += 1);
        for (at, fate) in (0..).zip(fates) {
            let cluster_size = sizes[fate.witness as usize];
            if cluster_size < 2 {
                continue;
            }
            let head = members.head(at)?;
            let outcome = if fate.witness == at {
                Outcome::Kept { near_duplicates: cluster_size - 1 }
            } else {
                Outcome::Removed(removal(&*members.head(fate.witness)?, *fate))
            };
            self.decision(&head, cluster_size, outcome)?;
        }
        Ok(())
    }

    /// Writes the file and returns the sink with what was counted.
    pub(super) fn finish(self) -> Result<(W, CompareTally), CompareError> {
        Ok((self.runs.finish()?, self.tally))
    }

    fn decision(
        &mut self,
        head: &Rc<Head>,
        cluster_size: u32,
        outcome: Outcome,
    ) -> Result<(), CompareError> {
        let Head { document, source, ref dump, ref id, .. } = **head;
        let decision = Decision { document, source, dump: dump.clone(), cluster_size, outcome };
        self.tally.decision(&decision, id);
        self.payload.clear();
        decision.put_payload(&mut self.payload);
        let group = group_of(document.unit, self.group_units);
        Ok(self.runs.push(group, &decision.key(), &self.payload)?)
    }
}

fn removal(witness: &Head, fate: Fate) -> Removal {
    Removal {
        witness: witness.document,
        witness_id: witness.id.clone(),
        witness_source: witness.source,
        witness_dump: witness.dump.clone(),
        similarity: fate.similarity,
        band: fate.band,
    }
}
