//! Computes scored labels from the hidden vector: hierarchical softmax, softmax, one-vs-all,
//! negative sampling, each as fastText computes it for prediction.
//!
//! Details of fastText that affect the score are kept: `ln(p + 1e-5)`, so that a certain label
//! scores 1.00001; the sigmoid of one-vs-all and negative sampling, which is read from a table of
//! 513 values, while hierarchical softmax computes it; and branches under 1e-5, which are not
//! followed. `exp` and `ln` come from `libm`, so the bits are the same on every platform.

use super::best::{Best, LabelId};
use super::matrix::Matrix;

/// Half the width of the domain of the sigmoid table.
const SIGMOID_BOUND: f32 = 8.0;
const SIGMOID_STEPS: u16 = 512;

/// The loss that a model was trained with, and the data that it needs for prediction.
pub(super) enum Output {
    HierarchicalSoftmax(Tree),
    Softmax,
    /// One-vs-all and negative sampling, which predict alike.
    Independent(SigmoidTable),
}

/// The sigmoid at 513 points of [-8, 8].
pub(super) struct SigmoidTable(Vec<f32>);

/// fastText's Huffman tree: leaves first, then inner nodes, the root last.
pub(super) struct Tree {
    leaves: usize,
    /// The children of the inner nodes, in the order of the output matrix's rows.
    children: Vec<(u32, u32)>,
}

/// Memory that predictions reuse.
#[derive(Debug, Default)]
pub(super) struct OutputScratch {
    pub(super) best: Best,
    scores: Vec<f32>,
    /// Nodes of the tree that are still to be visited, with their log-probabilities.
    pending: Vec<(u32, f32)>,
}

impl Output {
    /// Leaves the `limit` best labels in `scratch.best`.
    pub(super) fn predict(
        &self,
        weights: &Matrix,
        hidden: &[f32],
        limit: usize,
        scratch: &mut OutputScratch,
    ) {
        scratch.best.start(limit);
        match self {
            Self::HierarchicalSoftmax(tree) => tree.search(weights, hidden, scratch),
            Self::Softmax => {
                softmax(weights, hidden, &mut scratch.scores);
                keep_best(scratch);
            }
            Self::Independent(sigmoid) => {
                scratch.scores.clear();
                let rows = 0..weights.rows();
                scratch.scores.extend(rows.map(|row| sigmoid.at(weights.dot_row(row, hidden))));
                keep_best(scratch);
            }
        }
    }
}

fn keep_best(scratch: &mut OutputScratch) {
    for (index, &probability) in scratch.scores.iter().enumerate() {
        let score = logarithm(probability);
        if scratch.best.wants(score) {
            scratch.best.push((score, label_id(index)));
        }
    }
}

fn softmax(weights: &Matrix, hidden: &[f32], scores: &mut Vec<f32>) {
    scores.clear();
    scores.extend((0..weights.rows()).map(|row| weights.dot_row(row, hidden)));
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = libm::expf(*score - max);
        total += *score;
    }
    for score in scores.iter_mut() {
        *score /= total;
    }
}

/// fastText's logarithm, which is defined at 0.
fn logarithm(probability: f32) -> f32 {
    libm::log(f64::from(probability) + 1e-5) as f32
}

fn label_id(index: usize) -> LabelId {
    LabelId(u32::try_from(index).expect("label counts were read from an i32"))
}

impl SigmoidTable {
    pub(super) fn new() -> Self {
        let point = |step: u16| {
            let steps = f32::from(SIGMOID_STEPS);
            let x = f32::from(step) * 2.0 * SIGMOID_BOUND / steps - SIGMOID_BOUND;
            (1.0 / (1.0 + f64::from(libm::expf(-x)))) as f32
        };
        Self((0..=SIGMOID_STEPS).map(point).collect())
    }

    fn at(&self, x: f32) -> f32 {
        if x < -SIGMOID_BOUND {
            0.0
        } else if x > SIGMOID_BOUND {
            1.0
        } else {
            let step = (x + SIGMOID_BOUND) * f32::from(SIGMOID_STEPS) / SIGMOID_BOUND / 2.0;
            self.0[step as usize]
        }
    }
}

impl Tree {
    /// Builds the tree from the counts of the labels, which must add up to less than 10^15.
    pub(super) fn new(counts: &[i64]) -> Self {
        const UNBUILT: i64 = 1_000_000_000_000_000;
        let leaves = counts.len();
        let mut count = counts.to_vec();
        count.resize(2 * leaves - 1, UNBUILT);
        let mut children = Vec::with_capacity(leaves - 1);
        let (mut leaves_left, mut node) = (leaves, leaves);
        for parent in leaves..2 * leaves - 1 {
            let mut next = || {
                if leaves_left > 0 && count[leaves_left - 1] < count[node] {
                    leaves_left -= 1;
                    leaves_left
                } else {
                    node += 1;
                    node - 1
                }
            };
            let (left, right) = (next(), next());
            count[parent] = count[left] + count[right];
            children.push((label_id(left).0, label_id(right).0));
        }
        Self { leaves, children }
    }

    /// Searches depth first, left before right, without branches that cannot be among the best.
    fn search(&self, weights: &Matrix, hidden: &[f32], scratch: &mut OutputScratch) {
        let floor = logarithm(0.0);
        let root = self.leaves + self.children.len() - 1;
        scratch.pending.clear();
        scratch.pending.push((label_id(root).0, 0.0));
        while let Some((node, score)) = scratch.pending.pop() {
            if score < floor || !scratch.best.wants(score) {
                continue;
            }
            let Some(inner) = (node as usize).checked_sub(self.leaves) else {
                scratch.best.push((score, LabelId(node)));
                continue;
            };
            let x = weights.dot_row(inner, hidden);
            let right_share = (1.0 / f64::from(1.0 + libm::expf(-x))) as f32;
            let left_share = (1.0 - f64::from(right_share)) as f32;
            let (left, right) = self.children[inner];
            scratch.pending.push((right, score + logarithm(right_share)));
            scratch.pending.push((left, score + logarithm(left_share)));
        }
    }
}
