//! What is counted while components are compared, for the report.
//!
//! **Invariant:** tallies of parts can be added in any order and grouping, with the same result.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rule::Counts;
use crate::decision::{Decision, Outcome, Removal};
use crate::document::Document;

/// Number of clusters that are listed.
const MOST_CLUSTERS: usize = 100;
/// Number of removed documents that are listed for each.
const MOST_REMOVED: usize = 3;

/// Counts of one part, or of several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareTally {
    /// Number of components of candidates.
    pub components: u64,
    /// Number of members of the largest component.
    pub largest_component: u64,
    /// Number of members of all components.
    pub members: u64,
    /// Number of pairs that were compared. Without verification, these are the pairs that a member
    /// was removed for.
    pub comparisons: u64,
    /// Number of these pairs that are not similar enough.
    pub dissimilar: u64,
    /// Number of documents that were kept without a comparison with all earlier ones of their band
    /// groups, because a group has more than R of them.
    pub not_compared: u64,
    /// Number of clusters of at least two documents.
    pub clusters: u64,
    /// Number of documents that are removed.
    pub removed: u64,
    /// Documents removed, by their source and the source of their witness.
    pub removed_by_source: BTreeMap<u32, BTreeMap<u32, u64>>,
    /// Documents removed, by their dump and the dump of their witness.
    pub removed_by_dump: BTreeMap<String, BTreeMap<String, u64>>,
    /// Number of clusters by the exponent of the largest power of two that is not above their size.
    pub cluster_sizes: BTreeMap<u32, u64>,
    /// The largest clusters, the largest first; of equal ones, the smallest document first.
    pub largest_clusters: Vec<LargeCluster>,
}

/// One of the largest clusters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeCluster {
    /// Number of documents, with the kept one.
    pub size: u32,
    /// The kept document.
    pub document: Document,
    /// Its identifier.
    pub id: String,
    /// Identifiers of the first removed documents, in the order of survival.
    pub removed_ids: Vec<String>,
}

impl LargeCluster {
    fn place(&self) -> (Reverse<u32>, Document) {
        (Reverse(self.size), self.document)
    }
}

impl CompareTally {
    /// Adds the counts of other parts.
    pub fn add(&mut self, other: Self) {
        self.components += other.components;
        self.largest_component = self.largest_component.max(other.largest_component);
        self.members += other.members;
        self.comparisons += other.comparisons;
        self.dissimilar += other.dissimilar;
        self.not_compared += other.not_compared;
        self.clusters += other.clusters;
        self.removed += other.removed;
        add_pairs(&mut self.removed_by_source, other.removed_by_source);
        add_pairs(&mut self.removed_by_dump, other.removed_by_dump);
        add_counts(&mut self.cluster_sizes, other.cluster_sizes);
        self.largest_clusters.extend(other.largest_clusters);
        self.largest_clusters.sort_by_key(LargeCluster::place);
        self.largest_clusters.truncate(MOST_CLUSTERS);
    }

    pub(super) fn component(&mut self, members: u32, counts: Counts) {
        self.components += 1;
        self.largest_component = self.largest_component.max(members.into());
        self.members += u64::from(members);
        self.comparisons += counts.comparisons;
        self.dissimilar += counts.dissimilar;
        self.not_compared += counts.not_compared;
    }

    /// Counts a decision about the document with this identifier. The kept document of a cluster
    /// comes before the removed ones.
    pub(super) fn decision(&mut self, decision: &Decision, id: &str) {
        match &decision.outcome {
            Outcome::Kept { .. } => self.cluster(decision, id),
            Outcome::Removed(removal) => self.removal(decision, removal, id),
        }
    }

    fn cluster(&mut self, kept: &Decision, id: &str) {
        self.clusters += 1;
        let exponent = kept.cluster_size.checked_ilog2().unwrap_or_default();
        *self.cluster_sizes.entry(exponent).or_default() += 1;
        let place = (Reverse(kept.cluster_size), kept.document);
        let Err(at) = self.find(place) else { return };
        if at < MOST_CLUSTERS {
            self.largest_clusters.truncate(MOST_CLUSTERS - 1);
            let cluster = LargeCluster {
                size: kept.cluster_size,
                document: kept.document,
                id: id.to_owned(),
                removed_ids: Vec::new(),
            };
            self.largest_clusters.insert(at, cluster);
        }
    }

    fn removal(&mut self, removed: &Decision, removal: &Removal, id: &str) {
        self.removed += 1;
        let by_witness = self.removed_by_source.entry(removed.source).or_default();
        *by_witness.entry(removal.witness_source).or_default() += 1;
        count_pair(&mut self.removed_by_dump, &removed.dump, &removal.witness_dump);
        if let Ok(at) = self.find((Reverse(removed.cluster_size), removal.witness)) {
            let ids = &mut self.largest_clusters[at].removed_ids;
            if ids.len() < MOST_REMOVED {
                ids.push(id.to_owned());
            }
        }
    }

    fn find(&self, place: (Reverse<u32>, Document)) -> Result<usize, usize> {
        self.largest_clusters.binary_search_by_key(&place, LargeCluster::place)
    }
}

/// Counts a pair of names, and allocates only for a new one.
fn count_pair(counts: &mut BTreeMap<String, BTreeMap<String, u64>>, left: &str, right: &str) {
    if let Some(count) = counts.get_mut(left).and_then(|counts| counts.get_mut(right)) {
        *count += 1;
    } else {
        counts.entry(left.to_owned()).or_default().insert(right.to_owned(), 1);
    }
}

fn add_pairs<K: Ord>(
    counts: &mut BTreeMap<K, BTreeMap<K, u64>>,
    others: BTreeMap<K, BTreeMap<K, u64>>,
) {
    for (key, others) in others {
        add_counts(counts.entry(key).or_default(), others);
    }
}

fn add_counts<K: Ord>(counts: &mut BTreeMap<K, u64>, others: BTreeMap<K, u64>) {
    for (key, count) in others {
        *counts.entry(key).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::SliceRandom};

    use super::*;

    fn part(random: &mut SmallRng, unit: u32) -> CompareTally {
        let mut tally = CompareTally::default();
        for place in 0..random.random_range(0..120) {
            let cluster_size = random.random_range(2..9);
            let kept = Decision {
                document: Document { unit, place: place * 10 },
                source: random.random_range(0..3),
                dump: format!("dump-{}", random.random_range(0..3)),
                cluster_size,
                outcome: Outcome::Kept { near_duplicates: cluster_size - 1 },
            };
            tally
                .component(cluster_size, Counts { comparisons: 3, dissimilar: 1, not_compared: 1 });
            tally.decision(&kept, &format!("kept-{unit}-{place}"));
            for number in 1..cluster_size {
                let removal = Removal {
                    witness: kept.document,
                    witness_id: format!("kept-{unit}-{place}"),
                    witness_source: kept.source,
                    witness_dump: kept.dump.clone(),
                    similarity: None,
                    band: None,
                };
                let removed = Decision {
                    document: Document { unit, place: place * 10 + number },
                    source: random.random_range(0..3),
                    dump: format!("dump-{}", random.random_range(0..3)),
                    cluster_size,
                    outcome: Outcome::Removed(removal),
                };
                tally.decision(&removed, &format!("removed-{unit}-{place}-{number}"));
            }
        }
        tally
    }

    #[test]
    fn tallies_add_up_in_any_order_and_grouping() {
        let seed = rand::random();
        let mut random = SmallRng::seed_from_u64(seed);
        let parts: Vec<CompareTally> = (0..7).map(|unit| part(&mut random, unit)).collect();
        let sum = |parts: &[CompareTally]| {
            let mut sum = CompareTally::default();
            parts.iter().for_each(|part| sum.add(part.clone()));
            sum
        };
        let expected = sum(&parts);
        assert_eq!(expected.largest_clusters.len(), MOST_CLUSTERS, "seed {seed}");
        assert_eq!(expected.clusters, parts.iter().map(|part| part.clusters).sum::<u64>());
        assert_eq!(expected.cluster_sizes.values().sum::<u64>(), expected.clusters);
        let by_source = expected.removed_by_source.values().flat_map(BTreeMap::values);
        assert_eq!(by_source.sum::<u64>(), expected.removed);
        for _ in 0..10 {
            let mut shuffled = parts.clone();
            shuffled.shuffle(&mut random);
            let cut = random.random_range(0..=7);
            let grouped = sum(&[sum(&shuffled[..cut]), sum(&shuffled[cut..])]);
            assert_eq!(grouped, expected, "seed {seed}");
        }
        let json = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<CompareTally>(&json).unwrap(), expected);
    }

    #[test]
    fn the_largest_clusters_name_their_first_removed_documents() {
        let mut random = SmallRng::seed_from_u64(7);
        let tally = part(&mut random, 3);
        assert!(!tally.largest_clusters.is_empty());
        for cluster in &tally.largest_clusters {
            let place = cluster.document.place / 10;
            let numbers = 1..cluster.size.min(4);
            let expected: Vec<String> =
                numbers.map(|number| format!("removed-3-{place}-{number}")).collect();
            assert_eq!(cluster.removed_ids, expected);
        }
        assert!(tally.largest_clusters.is_sorted_by_key(|cluster| Reverse(cluster.size)));
    }
}
