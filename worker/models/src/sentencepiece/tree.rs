//! A tree of byte strings, which finds those that start at a position.
//!
//! Nodes are stored level by level, the children of a node side by side in the order of their
//! bytes.

/// The number of a node at which no string ends.
const NONE: u32 = u32::MAX;

pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The byte that leads to each node.
    labels: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Node {
    first_child: u32,
    children: u16,
    id: u32,
}

/// A position in the tree.
#[derive(Clone, Copy)]
pub(super) struct Place(u32);

impl Tree {
    /// Builds a tree from strings with their numbers; of equal strings the first counts.
    pub(super) fn new(mut words: Vec<(&[u8], u32)>) -> Self {
        words.sort_by_key(|(word, _)| *word);
        words.dedup_by_key(|(word, _)| *word);
        let root = Node { first_child: 0, children: 0, id: NONE };
        let mut tree = Self { nodes: vec![root], labels: vec![0] };
        // Nodes whose children are still to be made, with the words below each and their depth.
        let mut open = std::collections::VecDeque::from([(0_usize, 0..words.len(), 0_usize)]);
        while let Some((node, mut range, depth)) = open.pop_front() {
            if let Some((word, id)) = words.get(range.start).filter(|_| !range.is_empty())
                && word.len() == depth
            {
                tree.nodes[node].id = *id;
                range.start += 1;
            }
            tree.nodes[node].first_child = tree.nodes.len() as u32;
            while !range.is_empty() {
                let label = words[range.start].0[depth];
                let same = words[range.clone()].partition_point(|(word, _)| word[depth] <= label);
                let below = range.start..range.start + same;
                range.start += same;
                tree.nodes[node].children += 1;
                open.push_back((tree.nodes.len(), below, depth + 1));
                tree.nodes.push(root);
                tree.labels.push(label);
            }
        }
        tree
    }

    pub(super) fn root(&self) -> Place {
        Place(0)
    }

    #[inline]
    pub(super) fn step(&self, place: Place, byte: u8) -> Option<Place> {
        let node = self.nodes[place.0 as usize];
        let first = node.first_child as usize;
        let labels = &self.labels[first..first + usize::from(node.children)];
        let at = if labels.len() < 8 {
            labels.iter().position(|label| *label == byte)?
        } else {
            labels.binary_search(&byte).ok()?
        };
        Some(Place((first + at) as u32))
    }

    /// Returns the number of the string that ends here.
    #[inline]
    pub(super) fn id(&self, place: Place) -> Option<u32> {
        let id = self.nodes[place.0 as usize].id;
        (id != NONE).then_some(id)
    }

    /// Returns the length of the longest string that is a prefix of `text`.
    pub(super) fn longest(&self, text: &[u8]) -> Option<usize> {
        let (mut place, mut longest) = (self.root(), None);
        for (index, &byte) in text.iter().enumerate() {
            let Some(next) = self.step(place, byte) else { break };
            place = next;
            if self.id(place).is_some() {
                longest = Some(index + 1);
            }
        }
        longest
    }
}
