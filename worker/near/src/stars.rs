//! Clusters of verified pairs: what published programs mean by duplicates, with each pair checked.
//!
//! Documents come in the order of their positions. In each band group, the first document is the
//! centre of a star. A later one joins the first star of the group whose centre is verified similar
//! to it; if there is none, it is the centre of a new star, up to R stars in a group. A document
//! and the centres of its stars are in one cluster, and clusters that share a document are the
//! same. The smallest position of a cluster survives.
//!
//! Unlike the witness rule, a chain of similar pairs is one cluster, so its ends may differ.
//!
//! **Invariant:** a band group remembers at most R members, whatever its size.

use std::collections::HashMap;

use crate::first_members::FirstMembers;
use crate::witness::BandGroup;

/// The stars of each band group, and the clusters that they make.
#[derive(Debug, Clone)]
pub struct Stars {
    centers: FirstMembers,
    parents: Vec<u32>,
    /// What was measured of the present document.
    measured: HashMap<u32, bool>,
    comparisons: u64,
    not_compared: u64,
}

impl Stars {
    /// Starts without documents. `most_stars` is R, the number of stars of each band group.
    pub fn new(most_stars: u32) -> Self {
        Self {
            centers: FirstMembers::new(most_stars),
            parents: Vec::new(),
            measured: HashMap::new(),
            comparisons: 0,
            not_compared: 0,
        }
    }

    /// Adds the next document with its band groups; the first has position 0. `is_similar` compares
    /// it with an earlier position. A pair is measured at most once.
    pub fn add<E>(
        &mut self,
        groups: &[BandGroup],
        mut is_similar: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<(), E> {
        let position = self.parents.len() as u32;
        self.parents.push(position);
        self.measured.clear();
        let mut found_full = false;
        for BandGroup { group, .. } in groups {
            let mut center = None;
            for member in self.centers.of(*group).take_while(|member| *member != position) {
                let is_similar = match self.measured.get(&member) {
                    Some(known) => *known,
                    None => {
                        self.comparisons += 1;
                        let is_similar = is_similar(member)?;
                        self.measured.insert(member, is_similar);
                        is_similar
                    }
                };
                if is_similar {
                    center = Some(member);
                    break;
                }
            }
            match center {
                Some(center) => self.join(center, position),
                None => {
                    found_full |= self.centers.is_full(*group);
                    self.centers.push(*group, position);
                }
            }
        }
        self.not_compared += u64::from(found_full);
        Ok(())
    }

    /// Adds the next document as the centre of a star in each of its groups, whatever it resembles,
    /// such as one of an earlier output.
    pub fn keep(&mut self, groups: &[BandGroup]) {
        let position = self.parents.len() as u32;
        self.parents.push(position);
        for BandGroup { group, .. } in groups {
            self.centers.push(*group, position);
        }
    }

    /// Returns the number of pairs that were measured.
    pub fn comparisons(&self) -> u64 {
        self.comparisons
    }

    /// Returns the number of documents that resemble no centre of a group with all of its R stars.
    /// Later members of the group were not compared with them.
    pub fn not_compared(&self) -> u64 {
        self.not_compared
    }

    /// Returns the smallest position of the cluster of each position.
    pub fn survivors(mut self) -> Vec<u32> {
        for position in 0..self.parents.len() {
            // A parent is smaller than its child, so it has its root already.
            self.parents[position] = self.parents[self.parents[position] as usize];
        }
        self.parents
    }

    fn join(&mut self, left: u32, right: u32) {
        let (left, right) = (self.root(left), self.root(right));
        self.parents[left.max(right) as usize] = left.min(right);
    }

    fn root(&mut self, mut at: u32) -> u32 {
        while self.parents[at as usize] != at {
            let parent = self.parents[at as usize];
            self.parents[at as usize] = self.parents[parent as usize];
            at = parent;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    use super::*;
    use crate::components;

    fn survivors(
        documents: &[Vec<u32>],
        most_stars: u32,
        is_similar: impl Fn(u32, u32) -> bool,
    ) -> Vec<u32> {
        let mut stars = Stars::new(most_stars);
        for (position, groups) in (0..).zip(documents) {
            let groups: Vec<BandGroup> =
                groups.iter().map(|&group| BandGroup { band: 0, group }).collect();
            let added =
                stars.add(&groups, |other| Ok::<_, Infallible>(is_similar(other, position)));
            added.unwrap_or_else(|never| match never {});
        }
        stars.survivors()
    }

    /// The rule by its definition: one group after the other, one star after the other.
    fn by_definition(
        documents: &[Vec<u32>],
        most_stars: u32,
        is_similar: impl Fn(u32, u32) -> bool,
    ) -> Vec<u32> {
        let groups = documents.iter().flatten().max().map_or(0, |group| group + 1);
        let mut edges = Vec::new();
        for group in 0..groups {
            let mut left: Vec<u32> = (0..documents.len() as u32)
                .filter(|member| documents[*member as usize].contains(&group))
                .collect();
            for _ in 0..most_stars {
                let Some(&center) = left.first() else { break };
                let joins = |&member: &u32| member == center || is_similar(center, member);
                let (star, others): (Vec<u32>, Vec<u32>) = left.iter().partition(|m| joins(m));
                edges.extend(star.iter().map(|&member| (center.into(), member.into())));
                left = others;
            }
        }
        let mut survivors: Vec<u32> = (0..documents.len() as u32).collect();
        for (position, survivor) in components::of_edges(&edges) {
            survivors[position as usize] = survivor as u32;
        }
        survivors
    }

    #[test]
    fn one_sweep_makes_the_stars_of_the_definition() {
        let seed = rand::random();
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..60 {
            let groups = random.random_range(1..60);
            let most_stars = random.random_range(1..6);
            let share = random.random_range(1..60);
            let documents: Vec<Vec<u32>> = (0..120)
                .map(|_| (0..4).map(|_| random.random_range(0..groups)).collect())
                .collect();
            let is_similar = |left: u32, right: u32| {
                left == right || (left.min(right) * 7919 + left.max(right) * 104_729) % 60 < share
            };
            assert_eq!(
                survivors(&documents, most_stars, is_similar),
                by_definition(&documents, most_stars, is_similar),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn a_chain_is_one_cluster_and_a_group_has_at_most_its_stars() {
        let chain: Vec<Vec<u32>> = (0..50).map(|at| vec![at, at + 1]).collect();
        let next_to = |left: u32, right: u32| left.abs_diff(right) == 1;
        assert_eq!(survivors(&chain, 4, next_to), vec![0; 50]);
        let group = vec![vec![0]; 6];
        let last_two = |left: u32, right: u32| left.min(right) >= 4;
        assert_eq!(survivors(&group, 5, last_two), [0, 1, 2, 3, 4, 4]);
        assert_eq!(survivors(&group, 4, last_two), [0, 1, 2, 3, 4, 5], "the fifth has no star");
    }
}
