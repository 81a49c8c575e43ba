//! Keeps the k best-scored labels as fastText does, ties included.
//!
//! fastText leaves ties to the C++ library's heap, and ties are common: one-vs-all reads its
//! probabilities from a table of 513 values. So the heap here moves its items exactly as
//! `push_heap`, `pop_heap` and `sort_heap` of the GNU library do, and the same one of two equal
//! labels wins. Scores are log-probabilities.

/// The index of a label in its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelId(pub u32);

/// A label with its log-probability.
pub(super) type Scored = (f32, LabelId);

/// The k best labels so far, as a heap with the worst in front.
#[derive(Debug, Default)]
pub(super) struct Best {
    limit: usize,
    heap: Vec<Scored>,
}

impl Best {
    pub(super) fn start(&mut self, limit: usize) {
        self.limit = limit;
        self.heap.clear();
    }

    /// Returns whether a label with this score would be kept.
    pub(super) fn wants(&self, score: f32) -> bool {
        match self.heap.first() {
            Some(worst) if self.heap.len() == self.limit => score >= worst.0,
            Some(_) | None => true,
        }
    }

    pub(super) fn push(&mut self, scored: Scored) {
        self.heap.push(scored);
        let last = self.heap.len() - 1;
        sift_up(&mut self.heap, last, 0, scored);
        if self.heap.len() > self.limit {
            pop_to_end(&mut self.heap);
            self.heap.pop();
        }
    }

    /// Returns the labels kept, best first.
    pub(super) fn sorted(&mut self) -> &[Scored] {
        for end in (2..=self.heap.len()).rev() {
            pop_to_end(&mut self.heap[..end]);
        }
        &self.heap
    }
}

/// Returns whether `a` is below `b` in the heap.
fn below(a: Scored, b: Scored) -> bool {
    a.0 > b.0
}

fn sift_up(heap: &mut [Scored], mut hole: usize, top: usize, value: Scored) {
    while hole > top {
        let parent = (hole - 1) / 2;
        if !below(heap[parent], value) {
            break;
        }
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = value;
}

/// Moves the front to the end and restores the heap before it.
fn pop_to_end(heap: &mut [Scored]) {
    let Some(length) = heap.len().checked_sub(1).filter(|&length| length > 0) else { return };
    let value = heap[length];
    heap[length] = heap[0];
    let mut hole = 0;
    let mut child = 0;
    while child < (length - 1) / 2 {
        child = 2 * (child + 1);
        if below(heap[child], heap[child - 1]) {
            child -= 1;
        }
        heap[hole] = heap[child];
        hole = child;
    }
    if length.is_multiple_of(2) && child == (length - 2) / 2 {
        child = 2 * (child + 1);
        heap[hole] = heap[child - 1];
        hole = child - 1;
    }
    sift_up(&mut heap[..length], hole, 0, value);
}
