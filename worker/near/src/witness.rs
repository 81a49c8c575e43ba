//! The witness rule: a document is removed only because of one kept document that it resembles.
//!
//! Documents come in the order of their positions. One is removed if, in one of its band groups,
//! one of the first R *kept* earlier members is verified similar; its witness is the smallest such
//! member over all its groups. Otherwise it is kept. This is the program "query the index, insert
//! if new": no chain of similar pairs can remove a document that resembles no kept one.
//!
//! A decision depends on smaller positions alone, so by induction the answer is unique, and any
//! program that keeps to the rule gives the same one.
//!
//! **Invariant:** a band group remembers at most R members, whatever its size.

use std::collections::HashMap;

use crate::similarity::Similarity;

/// The decision about a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No kept earlier document was verified similar.
    Kept,
    /// The witness was verified similar.
    Removed {
        /// Position of the smallest kept document that is similar.
        witness: u64,
        /// The measured similarity of the two.
        similarity: Similarity,
        /// The first of the document's bands that has the witness.
        band: usize,
    },
}

/// The kept documents that later ones are compared with.
#[derive(Debug, Clone)]
pub struct Witnesses {
    first_kept: usize,
    groups: HashMap<u64, Vec<u64>>,
    comparisons: u64,
}

impl Witnesses {
    /// Starts without documents. `first_kept` is R, the number of kept members of each band group
    /// that later members are compared with.
    pub fn new(first_kept: usize) -> Self {
        Self { first_kept, groups: HashMap::new(), comparisons: 0 }
    }

    /// Decides about the document at `position`, which is larger than all before it. `keys` has one
    /// key per band; `similarity` measures it against a kept position, and returns none below the
    /// threshold. A pair is measured at most once.
    pub fn decide(
        &mut self,
        position: u64,
        keys: &[u64],
        mut similarity: impl FnMut(u64) -> Option<Similarity>,
    ) -> Verdict {
        let mut best: Option<(u64, Similarity, usize)> = None;
        let mut dissimilar = Vec::new();
        for (band, key) in keys.iter().enumerate() {
            let Some(members) = self.groups.get(key) else { continue };
            for &member in members {
                // Members ascend, so the rest of the group has no smaller witness.
                if best.is_some_and(|(witness, ..)| member >= witness) {
                    break;
                }
                if dissimilar.contains(&member) {
                    continue;
                }
                self.comparisons += 1;
                match similarity(member) {
                    Some(measured) => best = Some((member, measured, band)),
                    None => dissimilar.push(member),
                }
            }
        }
        match best {
            Some((witness, similarity, band)) => Verdict::Removed { witness, similarity, band },
            None => {
                self.keep(position, keys);
                Verdict::Kept
            }
        }
    }

    /// Adds a document that is kept whatever it resembles, such as one of an earlier output. Its
    /// position is larger than all before it.
    pub fn keep(&mut self, position: u64, keys: &[u64]) {
        for key in keys {
            let members = self.groups.entry(*key).or_default();
            if members.len() < self.first_kept && members.last() != Some(&position) {
                members.push(position);
            }
        }
    }

    /// Returns the number of pairs that were measured.
    pub fn comparisons(&self) -> u64 {
        self.comparisons
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    use super::*;

    /// A relation that says nothing else: symmetric, and true for a share of all pairs.
    fn are_similar(left: u64, right: u64, share: f64) -> bool {
        let pair = [left.min(right).to_le_bytes(), left.max(right).to_le_bytes()].concat();
        let hash = blake3::hash(&pair);
        let drawn = u32::from_le_bytes(hash.as_bytes()[..4].try_into().unwrap());
        f64::from(drawn) < share * f64::from(u32::MAX)
    }

    struct World {
        groups: Vec<Vec<u64>>,
        share: f64,
        first_kept: usize,
    }

    /// The rule by its definition: for each document, look at all earlier ones.
    fn by_definition(world: &World) -> BTreeMap<u64, u64> {
        let mut witnesses = BTreeMap::new();
        for (at, groups) in world.groups.iter().enumerate() {
            let position = at as u64;
            let mut candidates = Vec::new();
            for group in groups {
                let kept_members = (0..position).filter(|member| {
                    !witnesses.contains_key(member)
                        && world.groups[*member as usize].contains(group)
                });
                candidates.extend(kept_members.take(world.first_kept));
            }
            candidates.retain(|member| are_similar(position, *member, world.share));
            if let Some(witness) = candidates.into_iter().min() {
                witnesses.insert(position, witness);
            }
        }
        witnesses
    }

    fn by_index(world: &World) -> BTreeMap<u64, u64> {
        let mut index = Witnesses::new(world.first_kept);
        let mut found = BTreeMap::new();
        for (position, groups) in (0..).zip(&world.groups) {
            let verdict = index.decide(position, groups, |member| {
                are_similar(position, member, world.share).then_some(Similarity(7))
            });
            if let Verdict::Removed { witness, band, .. } = verdict {
                assert!(world.groups[witness as usize].contains(&groups[band]));
                found.insert(position, witness);
            }
        }
        found
    }

    #[test]
    fn the_index_decides_as_the_definition() {
        let seed = rand::random();
        let mut random = SmallRng::seed_from_u64(seed);
        let worlds = [
            (600, 14, 120, 0.6, 4),
            (600, 14, 900, 0.9, 8),
            (900, 26, 600, 0.3, 3),
            (900, 9, 15, 0.05, 64),
            (300, 3, 2, 0.0, 5),
        ];
        for (documents, bands, groups_per_band, share, first_kept) in worlds {
            let key = |random: &mut SmallRng, band: u64| {
                band * 1_000_000 + random.random_range(0..groups_per_band)
            };
            let mut groups = || (0..bands).map(|band| key(&mut random, band)).collect();
            let groups = (0..documents).map(|_| groups()).collect();
            let world = World { groups, share, first_kept };
            let expected = by_definition(&world);
            assert_eq!(by_index(&world), expected, "seed {seed}");
            assert_eq!(expected.is_empty(), share == 0.0, "seed {seed}");
        }
    }

    #[test]
    fn a_removed_document_is_no_witness() {
        // Each is similar to its neighbours alone: of a chain, every second one is removed.
        let mut index = Witnesses::new(64);
        let verdicts = (0..6_u64).map(|position| {
            index.decide(position, &[1], |member| (position - member == 1).then_some(Similarity(9)))
        });
        let kept: Vec<bool> = verdicts.map(|verdict| verdict == Verdict::Kept).collect();
        assert_eq!(kept, [true, false, true, false, true, false]);
    }

    #[test]
    fn a_pair_is_measured_once_and_a_group_remembers_its_first_members_alone() {
        let mut index = Witnesses::new(2);
        for position in 0..10 {
            assert_eq!(index.decide(position, &[1, 2, 3], |_| None), Verdict::Kept);
        }
        // Two members after the first two documents, compared once though in three groups.
        assert_eq!(index.comparisons(), 1 + 8 * 2);
        let mut measured = Vec::new();
        index.decide(10, &[3], |member| {
            measured.push(member);
            None
        });
        assert_eq!(measured, [0, 1]);
    }

    #[test]
    fn a_protected_document_removes_and_is_never_removed() {
        let mut index = Witnesses::new(4);
        index.keep(0, &[5]);
        index.keep(1, &[5]);
        let verdict = index.decide(2, &[4, 5], |_| Some(Similarity::EQUAL));
        let removed = Verdict::Removed { witness: 0, similarity: Similarity::EQUAL, band: 1 };
        assert_eq!(verdict, removed);
    }
}
