//! The rules by their definitions, over the whole corpus at once: no components, no files.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use thresher_near::{Similarity, components, similarity};

use super::world::{Known, World};
use super::*;
use crate::decision::{Decision, Outcome, Removal};

/// The documents in the order of survival, and for each the kept one of its cluster.
pub(super) struct Oracle<'a> {
    order: Vec<&'a Known>,
    settings: Settings,
    survivors: Vec<usize>,
    /// For the witness rule: the first band that has both.
    bands: Vec<Option<u16>>,
    not_compared: Option<u64>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(world: &'a World, settings: &Settings) -> Self {
        let mut order: Vec<&Known> = world.documents.iter().collect();
        order.sort_by_key(|known| (&known.rank, known.head.document));
        let count = order.len();
        let mut oracle = Self {
            order,
            settings: *settings,
            survivors: (0..count).collect(),
            bands: vec![None; count],
            not_compared: None,
        };
        match settings.survivors {
            Survivors::Witness => oracle.query_and_insert(),
            Survivors::Components => oracle.join_stars(),
        }
        oracle
    }

    /// Queries the index with each document, and inserts it if it is new.
    fn query_and_insert(&mut self) {
        let mut index: HashMap<u64, Vec<usize>> = HashMap::new();
        let first_kept = self.settings.first_kept as usize;
        let mut not_compared = 0;
        for (at, known) in self.order.iter().enumerate() {
            let none = Vec::new();
            let keys = known.head.keys.iter();
            let groups: Vec<&Vec<usize>> =
                keys.map(|key| index.get(key).unwrap_or(&none)).collect();
            let candidates: BTreeSet<usize> =
                groups.iter().flat_map(|group| group.iter().take(first_kept)).copied().collect();
            let witness = candidates.into_iter().find(|other| self.are_similar(at, *other));
            if let Some(witness) = witness {
                self.survivors[at] = witness;
                let has =
                    |group: &&Vec<usize>| group.iter().take(first_kept).any(|m| *m == witness);
                self.bands[at] = groups.iter().position(has).map(|band| band as u16);
                continue;
            }
            not_compared += u64::from(groups.iter().any(|group| group.len() > first_kept));
            for key in BTreeSet::from_iter(&known.head.keys) {
                index.entry(*key).or_default().push(at);
            }
        }
        self.not_compared = Some(not_compared);
    }

    /// Makes the stars of each band group, one after the other, and joins what they share.
    fn join_stars(&mut self) {
        let mut groups: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        for (at, known) in self.order.iter().enumerate() {
            known.head.keys.iter().for_each(|key| {
                groups.entry(*key).or_default().insert(at);
            });
        }
        let mut edges = Vec::new();
        for group in groups.into_values() {
            let mut left: Vec<usize> = group.into_iter().collect();
            for _ in 0..self.settings.first_kept {
                let Some(&center) = left.first() else { break };
                let joins = |at: &usize| *at == center || self.are_similar(*at, center);
                let (star, others): (Vec<usize>, Vec<usize>) =
                    left.iter().partition(|at| joins(at));
                edges.extend(star.iter().map(|at| (center as u64, *at as u64)));
                left = others;
            }
        }
        for (at, survivor) in components::of_edges(&edges) {
            self.survivors[at as usize] = survivor as usize;
        }
    }

    fn are_similar(&self, later: usize, earlier: usize) -> bool {
        let (later, earlier) = (&self.order[later].text, &self.order[earlier].text);
        match self.settings.verify {
            Verify::None => true,
            Verify::Containment => {
                similarity::is_contained(&later.contained(), &earlier.contained())
            }
            Verify::Jaccard(threshold) => {
                let (left, right): (BTreeSet<_>, BTreeSet<_>) =
                    (later.trigrams.iter().collect(), earlier.trigrams.iter().collect());
                let common = left.intersection(&right).count() as u64;
                let union = left.union(&right).count() as u64;
                common * 1_000_000 >= union * u64::from(threshold.millionths())
            }
        }
    }

    fn similarity(&self, left: usize, right: usize) -> Option<Similarity> {
        let set = |at: usize| &self.order[at].text.trigrams[..];
        match self.settings.verify {
            Verify::None => None,
            Verify::Jaccard(_) | Verify::Containment => {
                Some(similarity::jaccard(set(left), set(right)))
            }
        }
    }

    fn band(&self, at: usize, survivor: usize) -> Option<u16> {
        let (left, right) = (&self.order[at].head.keys, &self.order[survivor].head.keys);
        match self.settings.survivors {
            Survivors::Witness => self.bands[at],
            Survivors::Components => {
                left.iter().zip(right).position(|(a, b)| a == b).map(|band| band as u16)
            }
        }
    }

    fn sizes(&self) -> BTreeMap<usize, u32> {
        let mut sizes = BTreeMap::new();
        self.survivors.iter().for_each(|survivor| *sizes.entry(*survivor).or_default() += 1);
        sizes
    }

    /// Returns the decision about each document of a cluster.
    pub(super) fn decisions(&self) -> BTreeMap<Document, Decision> {
        let sizes = self.sizes();
        let mut decisions = BTreeMap::new();
        for (at, &survivor) in self.survivors.iter().enumerate() {
            let (head, witness) = (&self.order[at].head, &self.order[survivor].head);
            let outcome = if at == survivor {
                Outcome::Kept { near_duplicates: sizes[&survivor] - 1 }
            } else {
                Outcome::Removed(Removal {
                    witness: witness.document,
                    witness_id: witness.id.clone(),
                    witness_source: witness.source,
                    witness_dump: witness.dump.clone(),
                    similarity: self.similarity(at, survivor),
                    band: self.band(at, survivor),
                })
            };
            let decision = Decision {
                document: head.document,
                source: head.source,
                dump: head.dump.clone(),
                cluster_size: sizes[&survivor],
                outcome,
            };
            if decision.cluster_size > 1 {
                decisions.insert(head.document, decision);
            }
        }
        decisions
    }

    /// Compares what was counted with what the decisions say.
    pub(super) fn check_tally(&self, tally: &CompareTally, context: &str) {
        let clusters: Vec<(usize, u32)> =
            self.sizes().into_iter().filter(|(_, size)| *size > 1).collect();
        let removed = clusters.iter().map(|(_, size)| u64::from(*size) - 1).sum::<u64>();
        assert_eq!((tally.clusters, tally.removed), (clusters.len() as u64, removed), "{context}");
        let pairs = tally.removed_by_dump.values().flat_map(BTreeMap::values).sum::<u64>();
        assert_eq!(pairs, removed, "{context}");
        let mut by_source: BTreeMap<u32, BTreeMap<u32, u64>> = BTreeMap::new();
        for (at, &survivor) in self.survivors.iter().enumerate().filter(|(at, s)| at != *s) {
            let (own, other) = (self.order[at].head.source, self.order[survivor].head.source);
            *by_source.entry(own).or_default().entry(other).or_default() += 1;
        }
        assert_eq!(tally.removed_by_source, by_source, "{context}");
        let mut largest: Vec<(Reverse<u32>, Document)> = clusters
            .iter()
            .map(|(survivor, size)| (Reverse(*size), self.order[*survivor].head.document))
            .collect();
        largest.sort_unstable();
        let found = tally.largest_clusters.iter();
        let found: Vec<_> =
            found.map(|cluster| (Reverse(cluster.size), cluster.document)).collect();
        assert_eq!(found, largest[..largest.len().min(100)], "{context}");
        for cluster in &tally.largest_clusters {
            let ids = self.order.iter().enumerate().filter(|(at, known)| {
                let survivor = &self.order[self.survivors[*at]].head;
                survivor.document == cluster.document && known.head.document != cluster.document
            });
            let ids: Vec<&String> = ids.map(|(_, known)| &known.head.id).take(3).collect();
            assert_eq!(cluster.removed_ids.iter().collect::<Vec<_>>(), ids, "{context}");
        }
        if let Some(not_compared) = self.not_compared {
            assert_eq!(tally.not_compared, not_compared, "{context}");
        }
    }
}
