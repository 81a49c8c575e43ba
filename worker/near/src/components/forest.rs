//! One rank's vertices in FastSV, and the steps of a round as functions of state and messages.
//!
//! In each round, on all ranks and with an exchange after each step:
//!
//! 1. For each edge, in both directions: the grandparent of one end is offered to the other
//!    (`grandparent`, `offer`).
//! 2. Each vertex passes the least offer to its parent (`hooks`, `hook`).
//! 3. Each vertex takes the least label that it knows as its parent (`shortcut`).
//! 4. Each vertex asks its parent for the parent above it (`parents`, `parent`,
//!    `set_grandparents`).
//!
//! The rounds are over when step 4 changes nothing on any rank. Then `labels` are the answer.
//!
//! **Invariant:** parents and grandparents never grow, and are never above the vertex itself.

/// A label that is offered to a vertex. The least one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// The vertex, at its owner.
    pub vertex: u64,
    /// A position in the same component.
    pub label: u64,
}

/// The vertices that one rank owns: 32 bytes each.
#[derive(Debug, Clone, Default)]
pub struct Forest {
    vertices: Vec<u64>,
    parents: Vec<u64>,
    grandparents: Vec<u64>,
    least: Vec<u64>,
}

impl Forest {
    /// Starts with each vertex its own parent. Vertices may come in any order and repeat.
    pub fn new(vertices: impl IntoIterator<Item = u64>) -> Self {
        let mut vertices: Vec<u64> = vertices.into_iter().collect();
        vertices.sort_unstable();
        vertices.dedup();
        Self {
            parents: vertices.clone(),
            grandparents: vertices.clone(),
            least: vertices.clone(),
            vertices,
        }
    }

    /// Returns the grandparent of a vertex; none if this rank does not own it.
    pub fn grandparent(&self, vertex: u64) -> Option<u64> {
        self.index(vertex).map(|at| self.grandparents[at])
    }

    /// Returns the parent of a vertex; none if this rank does not own it.
    pub fn parent(&self, vertex: u64) -> Option<u64> {
        self.index(vertex).map(|at| self.parents[at])
    }

    /// Takes the grandparent of a neighbour, if this rank owns the vertex.
    pub fn offer(&mut self, offer: Offer) {
        if let Some(at) = self.index(offer.vertex) {
            self.least[at] = self.least[at].min(offer.label);
        }
    }

    /// Returns what each vertex passes to its parent. All ranks collect theirs before any takes
    /// one.
    pub fn hooks(&self) -> impl Iterator<Item = Offer> {
        let passed = self.parents.iter().zip(&self.least);
        passed
            .map(|(&vertex, &label)| Offer { vertex, label })
            .filter(|hook| hook.label < hook.vertex)
    }

    /// Takes what a child passed, if this rank owns the vertex.
    pub fn hook(&mut self, hook: Offer) {
        if let Some(at) = self.index(hook.vertex) {
            self.parents[at] = self.parents[at].min(hook.label);
        }
    }

    /// Lowers each parent to the least label that its vertex knows.
    pub fn shortcut(&mut self) {
        let known = self.least.iter().zip(&self.grandparents);
        for (parent, (least, grandparent)) in self.parents.iter_mut().zip(known) {
            *parent = (*parent).min(*least).min(*grandparent);
        }
    }

    /// Returns the parent of each vertex, in the order of vertices. The caller asks the owner of
    /// each for its parent.
    pub fn parents(&self) -> &[u64] {
        &self.parents
    }

    /// Takes the answers, one per vertex; returns whether one is new. The least offers start again
    /// from them.
    pub fn set_grandparents(&mut self, answers: &[u64]) -> bool {
        let mut changed = false;
        let state = self.grandparents.iter_mut().zip(&mut self.least);
        for ((grandparent, least), &answer) in state.zip(answers) {
            changed |= *grandparent != answer;
            *grandparent = answer;
            *least = answer;
        }
        changed
    }

    /// Returns each vertex with its label, in the order of vertices.
    pub fn labels(&self) -> impl Iterator<Item = (u64, u64)> {
        self.vertices.iter().copied().zip(self.grandparents.iter().copied())
    }

    fn index(&self, vertex: u64) -> Option<usize> {
        self.vertices.binary_search(&vertex).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vertex_of_another_rank_is_left_alone() {
        let mut forest = Forest::new([5, 3, 5]);
        assert_eq!(forest.labels().collect::<Vec<_>>(), [(3, 3), (5, 5)]);
        assert_eq!((forest.parent(4), forest.grandparent(4)), (None, None));
        forest.offer(Offer { vertex: 4, label: 0 });
        forest.hook(Offer { vertex: 4, label: 0 });
        forest.shortcut();
        assert_eq!(forest.parents(), [3, 5]);
    }

    #[test]
    fn the_least_of_all_offers_counts() {
        let mut forest = Forest::new([9]);
        for label in [7, 2, 8] {
            forest.offer(Offer { vertex: 9, label });
        }
        assert_eq!(forest.hooks().collect::<Vec<_>>(), [Offer { vertex: 9, label: 2 }]);
        forest.shortcut();
        assert_eq!(forest.parents(), [2]);
        assert!(forest.set_grandparents(&[1]));
        assert!(!forest.set_grandparents(&[1]));
    }
}
