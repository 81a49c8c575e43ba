//! The band groups of a component: the keys that at least two members have, numbered in their
//! order.
//!
//! Most keys of a large component belong to one member and are never needed. They are found in
//! slices of the range of keys, so that one slice of all keys fits into memory at a time.
//! Memory afterwards: 8 to 12 bytes for each group.

use thresher_near::witness::BandGroup;

use super::component::Members;
use crate::member::Head;
use crate::scratch::ScratchError;

/// Fewer keys than these are sorted at once whatever the memory.
const MIN_SLICE_KEYS: usize = 1024;
const KEY_BYTES: usize = 8;

/// The numbers of band groups.
#[derive(Debug)]
pub(super) struct Groups {
    /// The keys of the groups, ascending.
    keys: Vec<u64>,
    /// For each value of the top bits, the first key that has it or a larger one.
    starts: Vec<u32>,
    top_bits: u32,
}

impl Groups {
    /// Finds the groups of a component.
    pub(super) fn find(members: &mut Members) -> Result<Self, ScratchError> {
        let most = (members.memory_bytes() / 2 / KEY_BYTES).max(MIN_SLICE_KEYS);
        let slices = members.keys().div_ceil(most as u64).max(1);
        let mut shared = Vec::new();
        for slice in 0..slices {
            let mut keys = SliceKeys { keys: Vec::new(), most };
            for at in 0..members.count() {
                let head = members.head(at)?;
                let slice_of = |key: u64| (u128::from(key) * u128::from(slices)) >> 64;
                let own = head.keys.iter().filter(|key| slice_of(**key) == u128::from(slice));
                own.for_each(|key| keys.push(*key));
            }
            keys.append_shared(&mut shared);
        }
        shared.shrink_to_fit();
        Ok(Self::of_keys(shared))
    }

    fn of_keys(keys: Vec<u64>) -> Self {
        let top_bits = keys.len().checked_ilog2().unwrap_or_default();
        let mut starts = Vec::with_capacity((1 << top_bits) + 1);
        for (at, key) in (0_u32..).zip(&keys) {
            let top = top_of(*key, top_bits);
            if starts.len() <= top {
                starts.resize(top + 1, at);
            }
        }
        starts.resize((1 << top_bits) + 1, keys.len() as u32);
        Self { keys, starts, top_bits }
    }

    /// Fills `groups` with the groups that a member belongs to.
    pub(super) fn of_member(&self, head: &Head, groups: &mut Vec<BandGroup>) {
        groups.clear();
        let keys = (0..=u16::MAX).zip(&head.keys);
        groups.extend(keys.filter_map(|(band, key)| {
            let group = self.group(*key)?;
            Some(BandGroup { band, group })
        }));
    }

    fn group(&self, key: u64) -> Option<u32> {
        let top = top_of(key, self.top_bits);
        let (start, end) = (self.starts[top], self.starts[top + 1]);
        let at = self.keys[start as usize..end as usize].binary_search(&key).ok()?;
        Some(start + at as u32)
    }
}

fn top_of(key: u64, top_bits: u32) -> usize {
    key.checked_shr(u64::BITS - top_bits).unwrap_or_default() as usize
}

/// The keys of one slice, at most two copies of each after they are sorted.
struct SliceKeys {
    keys: Vec<u64>,
    most: usize,
}

impl SliceKeys {
    fn push(&mut self, key: u64) {
        if self.keys.len() >= self.most {
            self.compact();
            self.most = self.most.max(2 * self.keys.len());
        }
        self.keys.push(key);
    }

    fn compact(&mut self) {
        self.keys.sort_unstable();
        let mut copies = 0;
        let mut previous = None;
        self.keys.retain(|key| {
            copies = if previous == Some(*key) { copies + 1 } else { 1 };
            previous = Some(*key);
            copies <= 2
        });
    }

    fn append_shared(mut self, shared: &mut Vec<u64>) {
        self.compact();
        shared.extend(self.keys.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::component::Component;
    use super::*;
    use crate::document::Document;
    use crate::member::{Evidence, Member};

    fn member(place: u32, keys: &[u64]) -> Member {
        let document = Document { unit: 0, place };
        let (dump, id) = (String::new(), String::new());
        let head = Head { document, source: 0, dump, id, keys: keys.to_vec() };
        let component = Document { unit: 0, place: 0 };
        Member { component, rank: Vec::new(), head, evidence: Evidence::None }
    }

    proptest! {
        #[test]
        fn a_group_has_a_key_of_at_least_two_members(
            keys in prop::collection::vec(
                prop::collection::vec(prop_oneof![0_u64..40, any::<u64>(), u64::MAX - 9..], 0..9),
                0..800,
            ),
            memory_bytes in prop_oneof![Just(0), Just(usize::MAX)],
        ) {
            let folder = tempfile::tempdir().unwrap();
            let label = Document { unit: 0, place: 0 };
            let mut component = Component::new(label, memory_bytes, folder.path());
            let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
            for (place, keys) in (0..).zip(&keys) {
                component.push(member(place, keys)).unwrap();
                keys.iter().for_each(|key| *counts.entry(*key).or_default() += 1);
            }
            let groups = Groups::find(&mut component.finish().unwrap()).unwrap();
            counts.retain(|_, count| *count > 1);
            let numbers: BTreeMap<u64, u32> = counts.into_keys().zip(0..).collect();
            let expected: BTreeSet<u64> = numbers.keys().copied().collect();
            prop_assert_eq!(groups.keys.iter().copied().collect::<BTreeSet<_>>(), expected);
            for (place, keys) in (0..).zip(&keys) {
                let mut found = Vec::new();
                groups.of_member(&member(place, keys).head, &mut found);
                let expected: Vec<BandGroup> = (0_u16..).zip(keys)
                    .filter_map(|(band, key)| {
                        numbers.get(key).map(|&group| BandGroup { band, group })
                    })
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
