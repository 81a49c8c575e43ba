//! What was found in the groups of a key range, for the report.

use serde::{Deserialize, Serialize};
use thresher_dedup::ResolveError;
use thresher_dedup::comm::Communicator;

use crate::document::Document;

/// Number of groups above the limit that are listed; the others are counted.
pub const MAX_LARGE_GROUPS: usize = 100;

/// The counts of a range over all ranks; the same on each rank, and in every world.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeTally {
    /// Number of entries in key files.
    pub keys: u64,
    /// Number of groups, which have at least two documents.
    pub groups: u64,
    /// Number of members of all groups.
    pub members: u64,
    /// Number of edges of all groups. One that several bands have counts for each.
    pub edges: u64,
    /// Number of documents of the largest group.
    pub largest_group: u64,
    /// Number of groups above the limit of the task.
    pub large_groups: u64,
    /// The largest of these, the largest first, at most [`MAX_LARGE_GROUPS`].
    pub listed: Vec<LargeGroup>,
}

/// A group above the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeGroup {
    /// The key of the band.
    pub key: u64,
    /// Number of documents.
    pub size: u64,
    /// The smallest document.
    pub smallest: Document,
}

impl LargeGroup {
    const BYTES: usize = 24;

    fn encode(self, bytes: &mut Vec<u8>) {
        for number in [self.key, self.size, self.smallest.to_u64()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let mut numbers = bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk));
        let mut next = || numbers.next().unwrap_or_default();
        Self { key: next(), size: next(), smallest: Document::from_u64(next()) }
    }
}

impl EdgeTally {
    /// Adds the counts of another key range.
    pub fn merge(&mut self, other: &Self) {
        self.keys += other.keys;
        self.groups += other.groups;
        self.members += other.members;
        self.edges += other.edges;
        self.largest_group = self.largest_group.max(other.largest_group);
        self.large_groups += other.large_groups;
        self.listed.extend_from_slice(&other.listed);
        self.keep_largest();
    }

    /// Counts a group, if it has at least two documents.
    pub(super) fn add_group(&mut self, key: u64, size: u64, smallest: Document, limit: u64) {
        if size < 2 {
            return;
        }
        self.groups += 1;
        self.members += size;
        self.edges += size - 1;
        self.largest_group = self.largest_group.max(size);
        if size > limit {
            self.large_groups += 1;
            self.listed.push(LargeGroup { key, size, smallest });
            if self.listed.len() >= 2 * MAX_LARGE_GROUPS {
                self.keep_largest();
            }
        }
    }

    /// Adds up the counts of all ranks.
    pub(super) fn add_up(
        &mut self,
        comm: &mut (impl Communicator + ?Sized),
        keys: u64,
    ) -> Result<(), ResolveError> {
        self.keys = keys;
        for count in [&mut self.groups, &mut self.members, &mut self.edges, &mut self.large_groups]
        {
            *count = comm.all_reduce_sum(*count)?;
        }
        self.largest_group = comm.all_reduce_max(self.largest_group)?;
        self.keep_largest();
        let mut own = Vec::new();
        self.listed.drain(..).for_each(|group| group.encode(&mut own));
        let mut sends = vec![own; comm.size()];
        let mut receives = vec![Vec::new(); comm.size()];
        comm.all_to_all(&mut sends, &mut receives)?;
        for (from, message) in receives.iter().enumerate() {
            let (groups, odd) = message.as_chunks::<{ LargeGroup::BYTES }>();
            if !odd.is_empty() {
                return Err(ResolveError::Message { from });
            }
            self.listed.extend(groups.iter().map(LargeGroup::decode));
        }
        self.keep_largest();
        Ok(())
    }

    fn keep_largest(&mut self) {
        self.listed.sort_unstable_by_key(|group| (u64::MAX - group.size, group.key));
        self.listed.truncate(MAX_LARGE_GROUPS);
    }
}
