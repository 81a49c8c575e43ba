//! Applies the rule of survival to the members of one component.
//!
//! The rules are those of `thresher-near`; this file gives them band groups and measures pairs.

use std::rc::Rc;

use thresher_near::similarity::{self, Similarity};
use thresher_near::stars::Stars;
use thresher_near::witness::{Verdict, Witnesses};

use super::component::Members;
use super::groups::Groups;
use super::{Settings, Survivors, Verify};
use crate::member::Evidence;
use crate::scratch::ScratchError;

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    /// The number of the kept member of its cluster, which may be itself.
    pub(super) witness: u32,
    /// The similarity of the two, if it was measured.
    pub(super) similarity: Option<Similarity>,
    /// The first band that has both.
    pub(super) band: Option<u16>,
}

impl Fate {
    fn kept(at: u32) -> Self {
        Self { witness: at, similarity: None, band: None }
    }
}

/// What was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) comparisons: u64,
    pub(super) dissimilar: u64,
    pub(super) not_compared: u64,
}

/// Decides about all members; returns the fate of each. Those of sources from `kept_from` on are
/// kept, and others are removed because of them.
pub(super) fn decide(
    members: &mut Members,
    settings: &Settings,
    kept_from: u32,
) -> Result<(Vec<Fate>, Counts), ScratchError> {
    match (settings.survivors, settings.verify) {
        (Survivors::Witness, verify) => {
            by_witness(members, (settings.first_kept, kept_from), verify)
        }
        (Survivors::Components, Verify::None) => {
            let first = vec![0; members.count() as usize];
            Ok((fates_of(members, &first, kept_from, Verify::None)?, Counts::default()))
        }
        (Survivors::Components, verify) => {
            by_stars(members, (settings.first_kept, kept_from), verify)
        }
    }
}

fn by_witness(
    members: &mut Members,
    (first_kept, kept_from): (u32, u32),
    verify: Verify,
) -> Result<(Vec<Fate>, Counts), ScratchError> {
    let groups = Groups::find(members)?;
    let mut witnesses = Witnesses::new(first_kept);
    let mut fates = Vec::with_capacity(members.count() as usize);
    let mut own_groups = Vec::new();
    let mut dissimilar = 0;
    for at in 0..members.count() {
        let head = members.head(at)?;
        groups.of_member(&head, &mut own_groups);
        if head.source >= kept_from {
            witnesses.keep(at, &own_groups);
            fates.push(Fate::kept(at));
            continue;
        }
        let mut pairs = Pairs { members: &mut *members, verify, at, evidence: None };
        let verdict = witnesses.decide(at, &own_groups, |kept| {
            let similarity = pairs.measure(kept)?;
            dissimilar += u64::from(similarity.is_none());
            Ok::<_, ScratchError>(similarity)
        })?;
        fates.push(match verdict {
            Verdict::Kept => Fate::kept(at),
            Verdict::Removed { witness, similarity, band } => {
                Fate { witness, similarity, band: Some(band) }
            }
        });
    }
    let comparisons = witnesses.comparisons();
    Ok((fates, Counts { comparisons, dissimilar, not_compared: witnesses.not_compared() }))
}

fn by_stars(
    members: &mut Members,
    (most_stars, kept_from): (u32, u32),
    verify: Verify,
) -> Result<(Vec<Fate>, Counts), ScratchError> {
    let groups = Groups::find(members)?;
    let mut stars = Stars::new(most_stars);
    let mut own_groups = Vec::new();
    let mut dissimilar = 0;
    for at in 0..members.count() {
        let head = members.head(at)?;
        groups.of_member(&head, &mut own_groups);
        if head.source >= kept_from {
            stars.keep(&own_groups);
            continue;
        }
        let mut pairs = Pairs { members: &mut *members, verify, at, evidence: None };
        stars.add(&own_groups, |center| {
            let is_similar = pairs.measure(center)?.is_some();
            dissimilar += u64::from(!is_similar);
            Ok::<_, ScratchError>(is_similar)
        })?;
    }
    let (comparisons, not_compared) = (stars.comparisons(), stars.not_compared());
    let fates = fates_of(members, &stars.survivors(), kept_from, verify)?;
    Ok((fates, Counts { comparisons, dissimilar, not_compared }))
}

/// Measures each member against the survivor of its cluster.
fn fates_of(
    members: &mut Members,
    survivors: &[u32],
    kept_from: u32,
    verify: Verify,
) -> Result<Vec<Fate>, ScratchError> {
    let mut fates = Vec::with_capacity(survivors.len());
    for (at, &survivor) in (0..).zip(survivors) {
        if at == survivor || members.head(at)?.source >= kept_from {
            fates.push(Fate::kept(at));
            continue;
        }
        let band = members.head(at)?.common_band(&*members.head(survivor)?);
        let similarity = match verify {
            Verify::None => None,
            Verify::Jaccard(_) | Verify::Containment => {
                let evidence = (members.evidence(at)?, members.evidence(survivor)?);
                Some(jaccard(&evidence.0, &evidence.1))
            }
        };
        fates.push(Fate { witness: survivor, similarity, band });
    }
    Ok(fates)
}

/// The pairs of one member with earlier ones.
struct Pairs<'a> {
    members: &'a mut Members,
    verify: Verify,
    at: u32,
    /// The evidence of the member, once it was needed.
    evidence: Option<Rc<Evidence>>,
}

impl Pairs<'_> {
    /// Compares the member with an earlier one. Returns none if they are not similar, and otherwise
    /// their similarity, if it is measured.
    fn measure(&mut self, earlier: u32) -> Result<Option<Option<Similarity>>, ScratchError> {
        let threshold = match self.verify {
            Verify::None => return Ok(Some(None)),
            Verify::Jaccard(threshold) => Some(threshold),
            Verify::Containment => None,
        };
        let own = match &self.evidence {
            Some(evidence) => Rc::clone(evidence),
            None => Rc::clone(self.evidence.insert(self.members.evidence(self.at)?)),
        };
        let other = self.members.evidence(earlier)?;
        let measured = match (&*own, &*other, threshold) {
            (Evidence::Shingles(own), Evidence::Shingles(other), Some(threshold)) => {
                similarity::jaccard_at_least(own, other, threshold)
            }
            (Evidence::Text(member), Evidence::Text(kept), None) => {
                similarity::is_contained(&member.contained(), &kept.contained())
                    .then(|| jaccard(&own, &other))
            }
            // `compare` refuses members without the evidence that it reads.
            (Evidence::None | Evidence::Shingles(_) | Evidence::Text(_), ..) => None,
        };
        Ok(measured.map(Some))
    }
}

/// Returns the Jaccard similarity of shingles, or of runs of three tokens.
fn jaccard(left: &Evidence, right: &Evidence) -> Similarity {
    similarity::jaccard(set_of(left), set_of(right))
}

fn set_of(evidence: &Evidence) -> &[u64] {
    match evidence {
        Evidence::None => &[],
        Evidence::Shingles(shingles) => shingles,
        Evidence::Text(text) => &text.trigrams,
    }
}
