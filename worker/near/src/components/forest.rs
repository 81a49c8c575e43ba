//! One rank's vertices in FastSV, and the steps of a round as functions of state and messages.
//!
//! In each round, on all ranks and with exchanges in each step:
//!
//! 1. Each vertex with news offers its grandparent to its neighbours (`news`, `offer`).
//! 2. Each vertex passes the least offer to its parent (`hook_of`, `hook`).
//! 3. Each vertex takes the least label that it knows as its parent (`shortcut`).
//! 4. Each vertex asks its parent for the parent above it (`parent_at`, `parent`,
//!    `set_grandparent`). If that is new, the vertex has news.
//!
//! The rounds are over when no vertex of any rank has news. Then `labels` are the answer. The
//! messages of a step can come in any order and in any number of parts, because no step reads what
//! its messages change.
//!
//! An offer that was made before need not be made again: since then, the parent of the vertex is at
//! most as large as the label. So later rounds cost little where nothing changes.
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

/// The vertices that one rank owns, ascending.
#[derive(Debug, Clone, Default)]
pub struct Forest {
    vertices: Vec<u64>,
    parents: Vec<u64>,
    grandparents: Vec<u64>,
    least: Vec<u64>,
    news: Vec<bool>,
}

impl Forest {
    /// Memory of one vertex.
    pub const VERTEX_BYTES: u64 = 4 * size_of::<u64>() as u64 + size_of::<bool>() as u64;

    /// Starts with each vertex its own parent, which is news. Vertices may come in any order and
    /// repeat.
    pub fn new(vertices: impl IntoIterator<Item = u64>) -> Self {
        let mut vertices: Vec<u64> = vertices.into_iter().collect();
        vertices.sort_unstable();
        vertices.dedup();
        Self {
            parents: vertices.clone(),
            grandparents: vertices.clone(),
            least: vertices.clone(),
            news: vec![true; vertices.len()],
            vertices,
        }
    }

    /// Returns the number of vertices.
    pub fn len(&self) -> usize {
        self.vertices.len()
    }

    /// Returns whether this rank owns no vertex.
    pub fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }

    /// Returns the vertex at `at`, below [`Self::len`].
    pub fn vertex(&self, at: usize) -> u64 {
        self.vertices[at]
    }

    /// Returns the grandparent of the vertex at `at`, if it is new since the last round.
    pub fn news(&self, at: usize) -> Option<u64> {
        self.news[at].then(|| self.grandparents[at])
    }

    /// Takes the grandparent of a neighbour, if this rank owns the vertex. Labels that are not
    /// below the vertex change nothing, so they need not be offered.
    pub fn offer(&mut self, offer: Offer) {
        if let Some(at) = self.index(offer.vertex) {
            self.least[at] = self.least[at].min(offer.label);
        }
    }

    /// Ends the first step: all offers are made.
    pub fn end_offers(&mut self) {
        self.news.fill(false);
    }

    /// Returns what the vertex at `at` passes to its parent, if anything.
    pub fn hook_of(&self, at: usize) -> Option<Offer> {
        let hook = Offer { vertex: self.parents[at], label: self.least[at] };
        (hook.label < hook.vertex).then_some(hook)
    }

    /// Takes what a child passed, if this rank owns the vertex.
    // It goes to the grandparent, because `hook_of` still reads the parents. The next parent is at
    // most that, and the next grandparent is at most the next parent: so it is new.
    pub fn hook(&mut self, hook: Offer) {
        if let Some(at) = self.index(hook.vertex)
            && hook.label < self.grandparents[at]
        {
            self.grandparents[at] = hook.label;
            self.news[at] = true;
        }
    }

    /// Lowers each parent to the least label that its vertex knows.
    pub fn shortcut(&mut self) {
        let known = self.least.iter_mut().zip(&self.grandparents);
        for (parent, (least, grandparent)) in self.parents.iter_mut().zip(known) {
            *parent = (*parent).min(*least).min(*grandparent);
            *least = *parent;
        }
    }

    /// Returns the parent of the vertex at `at`, whose owner is asked for its parent.
    pub fn parent_at(&self, at: usize) -> u64 {
        self.parents[at]
    }

    /// Returns the parent of a vertex; none if this rank does not own it.
    pub fn parent(&self, vertex: u64) -> Option<u64> {
        self.index(vertex).map(|at| self.parents[at])
    }

    /// Takes the parent of the parent of the vertex at `at`.
    pub fn set_grandparent(&mut self, at: usize, answer: u64) {
        self.news[at] |= self.grandparents[at] != answer;
        self.grandparents[at] = answer;
    }

    /// Returns whether any vertex has news.
    pub fn has_news(&self) -> bool {
        self.news.contains(&true)
    }

    /// Returns each vertex with its label, in the order of vertices.
    pub fn labels(&self) -> impl Iterator<Item = (u64, u64)> {
        self.vertices.iter().copied().zip(self.grandparents.iter().copied())
    }

    /// Returns the vertices, ascending, and the label of each.
    pub fn into_labels(self) -> (Vec<u64>, Vec<u64>) {
        (self.vertices, self.grandparents)
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
        assert_eq!(forest.parent(4), None);
        forest.offer(Offer { vertex: 4, label: 0 });
        forest.hook(Offer { vertex: 4, label: 0 });
        forest.shortcut();
        assert_eq!((forest.parent_at(0), forest.parent_at(1)), (3, 5));
    }

    #[test]
    fn the_least_of_all_offers_counts() {
        let mut forest = Forest::new([9]);
        for label in [7, 2, 8] {
            forest.offer(Offer { vertex: 9, label });
        }
        forest.end_offers();
        assert_eq!(forest.hook_of(0), Some(Offer { vertex: 9, label: 2 }));
        forest.shortcut();
        assert_eq!((forest.parent_at(0), forest.hook_of(0)), (2, None));
        assert!(!forest.has_news());
        forest.set_grandparent(0, 1);
        assert_eq!(forest.news(0), Some(1));
        forest.end_offers();
        forest.set_grandparent(0, 1);
        assert!(!forest.has_news());
    }

    #[test]
    fn a_hook_is_news_and_does_not_reach_the_hooks_of_the_same_step() {
        let mut forest = Forest::new([4, 9]);
        forest.offer(Offer { vertex: 9, label: 6 });
        forest.end_offers();
        forest.hook(Offer { vertex: 9, label: 4 });
        assert_eq!(forest.hook_of(1), Some(Offer { vertex: 9, label: 6 }));
        forest.shortcut();
        forest.set_grandparent(1, 4);
        assert_eq!((forest.parent_at(1), forest.news(1)), (4, Some(4)));
    }
}
