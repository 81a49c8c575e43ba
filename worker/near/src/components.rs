//! Connected components of candidate pairs, each named by its smallest position.
//!
//! `of_edges` solves what fits into memory. `Forest` is the state of one rank in FastSV (Zhang,
//! Azad and Hu, arXiv 1910.05971). A round needs one exchange per step, and the number of rounds
//! grows with the logarithm of the longest path. Both give the same names.
//!
//! Vertices are positions. All state is combined by minimum, so neither the order of edges nor that
//! of messages makes a difference.

mod forest;

pub use forest::{Forest, Offer};

/// Returns each position of `edges` with the smallest position of its component, in the order of
/// positions.
pub fn of_edges(edges: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut positions: Vec<u64> = edges.iter().flat_map(|&(u, v)| [u, v]).collect();
    positions.sort_unstable();
    positions.dedup();
    let mut parents: Vec<usize> = (0..positions.len()).collect();
    for (u, v) in edges {
        let (Ok(u), Ok(v)) = (positions.binary_search(u), positions.binary_search(v)) else {
            continue;
        };
        let (u, v) = (root(&mut parents, u), root(&mut parents, v));
        // Indexes are in the order of positions, so the smaller one is the smaller position.
        parents[u.max(v)] = u.min(v);
    }
    (0..positions.len()).map(|at| (positions[at], positions[root(&mut parents, at)])).collect()
}

/// Returns the root above `at`, and halves the path to it.
fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

/// Adds an edge from each member of a band group to its smallest, which connects them all.
/// `members` ascend.
pub fn star(members: &[u64], edges: &mut Vec<(u64, u64)>) {
    if let [center, others @ ..] = members {
        edges.extend(others.iter().map(|&member| (*center, member)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::SliceRandom};

    use super::*;

    /// Spreads the smallest label along every edge until none changes.
    fn by_spreading(edges: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut labels: BTreeMap<u64, u64> =
            edges.iter().flat_map(|&(u, v)| [(u, u), (v, v)]).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for (u, v) in edges {
                let least = labels[u].min(labels[v]);
                for vertex in [u, v] {
                    changed |= labels.insert(*vertex, least) != Some(least);
                }
            }
        }
        labels.into_iter().collect()
    }

    /// Runs FastSV with the vertices on `ranks` ranks by their remainder, as an exchange would, and
    /// returns the labels with the number of rounds.
    fn by_rounds(edges: &[(u64, u64)], ranks: u64) -> (Vec<(u64, u64)>, usize) {
        let owner = |vertex: u64| (vertex % ranks) as usize;
        let vertices = edges.iter().flat_map(|&(u, v)| [u, v]);
        let mut forests: Vec<Forest> = (0..ranks)
            .map(|rank| Forest::new(vertices.clone().filter(|v| v % ranks == rank)))
            .collect();
        let places: BTreeMap<u64, usize> =
            every(&forests).into_iter().map(|(rank, at)| (forests[rank].vertex(at), at)).collect();
        for round in 1.. {
            for &(u, v) in edges {
                for (vertex, neighbour) in [(u, v), (v, u)] {
                    let of = &forests[owner(neighbour)];
                    let at = places[&neighbour];
                    if let Some(label) = of.news(at) {
                        forests[owner(vertex)].offer(Offer { vertex, label });
                    }
                }
            }
            forests.iter_mut().for_each(Forest::end_offers);
            // A hook is taken before the next vertex is looked at, which must change nothing.
            for (rank, at) in every(&forests) {
                if let Some(hook) = forests[rank].hook_of(at) {
                    forests[owner(hook.vertex)].hook(hook);
                }
            }
            forests.iter_mut().for_each(Forest::shortcut);
            for (rank, at) in every(&forests) {
                let parent = forests[rank].parent_at(at);
                let answer = forests[owner(parent)].parent(parent).unwrap();
                forests[rank].set_grandparent(at, answer);
            }
            if !forests.iter().any(Forest::has_news) {
                let mut labels: Vec<(u64, u64)> = forests.iter().flat_map(Forest::labels).collect();
                labels.sort_unstable();
                return (labels, round);
            }
        }
        unreachable!("the loop ends when nothing changes")
    }

    fn every(forests: &[Forest]) -> Vec<(usize, usize)> {
        let of = |(rank, forest): (usize, &Forest)| (0..forest.len()).map(move |at| (rank, at));
        forests.iter().enumerate().flat_map(of).collect()
    }

    #[test]
    fn random_graphs_have_the_same_components_by_every_way() {
        let seed = rand::random();
        let mut random = SmallRng::seed_from_u64(seed);
        for (vertices, count) in [(50, 20), (400, 180), (400, 260), (400, 900), (3, 9)] {
            let vertex = |random: &mut SmallRng| random.random_range(0..vertices) * 7 + 3;
            let edges: Vec<(u64, u64)> =
                (0..count).map(|_| (vertex(&mut random), vertex(&mut random))).collect();
            let expected = by_spreading(&edges);
            assert_eq!(of_edges(&edges), expected, "seed {seed}");
            let mut other: Vec<(u64, u64)> = edges.iter().map(|&(u, v)| (v, u)).collect();
            other.shuffle(&mut random);
            assert_eq!(of_edges(&other), expected, "seed {seed}");
            for ranks in [1, 3] {
                assert_eq!(by_rounds(&edges, ranks).0, expected, "seed {seed}");
                assert_eq!(by_rounds(&other, ranks).0, expected, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_long_path_needs_few_rounds() {
        let seed = rand::random();
        let mut positions: Vec<u64> = (0..10_000).collect();
        positions.shuffle(&mut SmallRng::seed_from_u64(seed));
        let edges: Vec<(u64, u64)> = positions.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let (labels, rounds) = by_rounds(&edges, 2);
        assert!(labels.iter().all(|&(_, label)| label == 0), "seed {seed}");
        assert!(rounds <= 25, "{rounds} rounds, seed {seed}");
        assert_eq!(of_edges(&edges), labels, "seed {seed}");
        // Positions in order, as a chain of edits has them.
        let edges: Vec<(u64, u64)> = (1..10_000).map(|position| (position - 1, position)).collect();
        let (labels, rounds) = by_rounds(&edges, 3);
        assert!(labels.iter().all(|&(_, label)| label == 0));
        assert!(rounds <= 25, "{rounds} rounds");
    }

    #[test]
    fn a_star_connects_a_group() {
        let mut edges = Vec::new();
        star(&[4, 7, 9], &mut edges);
        star(&[1], &mut edges);
        star(&[], &mut edges);
        assert_eq!(edges, [(4, 7), (4, 9)]);
        assert_eq!(of_edges(&edges), [(4, 4), (7, 4), (9, 4)]);
        assert!(of_edges(&[]).is_empty());
    }
}
