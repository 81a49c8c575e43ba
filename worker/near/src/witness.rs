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

use crate::first_members::FirstMembers;

/// One band of a document, and its band group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandGroup {
    /// Number of the band.
    pub band: u16,
    /// Number of the group. Groups are numbered from zero without large gaps.
    pub group: u32,
}

/// The decision about a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<S> {
    /// No kept earlier document was verified similar.
    Kept,
    /// The witness was verified similar.
    Removed {
        /// Position of the smallest kept document that is similar.
        witness: u32,
        /// What was measured of the two.
        similarity: S,
        /// The first of the document's bands that has the witness.
        band: u16,
    },
}

/// The kept documents that later ones are compared with.
#[derive(Debug, Clone)]
pub struct Witnesses {
    kept: FirstMembers,
    comparisons: u64,
    not_compared: u64,
    candidates: Vec<(u32, u16)>,
}

impl Witnesses {
    /// Starts without documents. `first_kept` is R, the number of kept members of each band group
    /// that later members are compared with.
    pub fn new(first_kept: u32) -> Self {
        let kept = FirstMembers::new(first_kept);
        Self { kept, comparisons: 0, not_compared: 0, candidates: Vec::new() }
    }

    /// Decides about the document at `position`, which is larger than all before it. `groups` has
    /// its band groups; `similarity` measures it against a kept position, and returns none below
    /// the threshold. A pair is measured at most once, in the order of positions, and none after
    /// the witness.
    pub fn decide<S, E>(
        &mut self,
        position: u32,
        groups: &[BandGroup],
        mut similarity: impl FnMut(u32) -> Result<Option<S>, E>,
    ) -> Result<Verdict<S>, E> {
        self.candidates.clear();
        for &BandGroup { band, group } in groups {
            self.candidates.extend(self.kept.of(group).map(|member| (member, band)));
        }
        self.candidates.sort_unstable();
        self.candidates.dedup_by_key(|(member, _)| *member);
        for &(witness, band) in &self.candidates {
            self.comparisons += 1;
            if let Some(similarity) = similarity(witness)? {
                return Ok(Verdict::Removed { witness, similarity, band });
            }
        }
        let has_more = groups.iter().any(|band| self.kept.has_more(band.group));
        self.not_compared += u64::from(has_more);
        self.keep(position, groups);
        Ok(Verdict::Kept)
    }

    /// Adds a document that is kept whatever it resembles, such as one of an earlier output. Its
    /// position is larger than all before it.
    pub fn keep(&mut self, position: u32, groups: &[BandGroup]) {
        for band in groups {
            self.kept.push(band.group, position);
        }
    }

    /// Returns the number of pairs that were measured.
    pub fn comparisons(&self) -> u64 {
        self.comparisons
    }

    /// Returns the number of documents that were kept although one of their groups has kept members
    /// that they were not compared with, because these are not among the first R.
    pub fn not_compared(&self) -> u64 {
        self.not_compared
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    use super::*;
    use crate::similarity::Similarity;

    fn decide(
        index: &mut Witnesses,
        position: u32,
        groups: &[BandGroup],
        mut similarity: impl FnMut(u32) -> Option<Similarity>,
    ) -> Verdict<Similarity> {
        let measured =
            index.decide(position, groups, |member| Ok::<_, Infallible>(similarity(member)));
        measured.unwrap_or_else(|never| match never {})
    }

    fn bands(groups: &[u32]) -> Vec<BandGroup> {
        (0..).zip(groups).map(|(band, &group)| BandGroup { band, group }).collect()
    }

    /// A relation that says nothing else: symmetric, and true for a share of all pairs.
    fn are_similar(left: u32, right: u32, share: f64) -> bool {
        let pair = [left.min(right).to_le_bytes(), left.max(right).to_le_bytes()].concat();
        let hash = blake3::hash(&pair);
        let drawn = u32::from_le_bytes(hash.as_bytes()[..4].try_into().unwrap());
        f64::from(drawn) < share * f64::from(u32::MAX)
    }

    struct World {
        groups: Vec<Vec<u32>>,
        share: f64,
        first_kept: u32,
    }

    /// The rule by its definition: for each document, look at all earlier ones.
    fn by_definition(world: &World) -> BTreeMap<u32, u32> {
        let mut witnesses = BTreeMap::new();
        for (at, groups) in world.groups.iter().enumerate() {
            let position = at as u32;
            let mut candidates = Vec::new();
            for group in groups {
                let kept_members = (0..position).filter(|member| {
                    !witnesses.contains_key(member)
                        && world.groups[*member as usize].contains(group)
                });
                candidates.extend(kept_members.take(world.first_kept as usize));
            }
            candidates.retain(|member| are_similar(position, *member, world.share));
            if let Some(witness) = candidates.into_iter().min() {
                witnesses.insert(position, witness);
            }
        }
        witnesses
    }

    fn by_index(world: &World) -> BTreeMap<u32, u32> {
        let mut index = Witnesses::new(world.first_kept);
        let mut found = BTreeMap::new();
        for (position, groups) in (0..).zip(&world.groups) {
            let verdict = decide(&mut index, position, &bands(groups), |member| {
                are_similar(position, member, world.share).then_some(Similarity(7))
            });
            if let Verdict::Removed { witness, band, .. } = verdict {
                assert!(world.groups[witness as usize].contains(&groups[band as usize]));
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
            let key = |random: &mut SmallRng, band: u32| {
                band * groups_per_band + random.random_range(0..groups_per_band)
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
        let verdicts = (0..6).map(|position| {
            decide(&mut index, position, &bands(&[1]), |member| {
                (position - member == 1).then_some(Similarity(9))
            })
        });
        let kept: Vec<bool> = verdicts.map(|verdict| verdict == Verdict::Kept).collect();
        assert_eq!(kept, [true, false, true, false, true, false]);
    }

    #[test]
    fn a_pair_is_measured_once_and_a_group_remembers_its_first_members_alone() {
        let mut index = Witnesses::new(2);
        for position in 0..10 {
            let verdict = decide(&mut index, position, &bands(&[1, 2, 3]), |_| None);
            assert_eq!(verdict, Verdict::Kept);
        }
        // Two members after the first two documents, compared once though in three groups.
        assert_eq!(index.comparisons(), 1 + 8 * 2);
        // The fourth document is the first that has a kept member beyond those.
        assert_eq!(index.not_compared(), 7);
        let mut measured = Vec::new();
        decide(&mut index, 10, &bands(&[3]), |member| {
            measured.push(member);
            None
        });
        assert_eq!(measured, [0, 1]);
    }

    #[test]
    fn a_protected_document_removes_and_is_never_removed() {
        let mut index = Witnesses::new(4);
        index.keep(0, &bands(&[5]));
        index.keep(1, &bands(&[5]));
        let verdict = decide(&mut index, 2, &bands(&[4, 5]), |_| Some(Similarity::EQUAL));
        let removed = Verdict::Removed { witness: 0, similarity: Similarity::EQUAL, band: 1 };
        assert_eq!(verdict, removed);
    }
}
