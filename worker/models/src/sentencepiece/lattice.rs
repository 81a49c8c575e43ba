//! Finds the best path through a text: the pieces with the greatest sum of scores.
//!
//! **Invariant:** sums and comparisons are those of SentencePiece: in single precision, from the
//! start of the text, and of equal paths the first one found is kept.

use super::proto::{PieceKind, PieceProto};
use super::tree::Tree;

/// How much lower than the worst piece an unknown character scores.
const UNKNOWN_PENALTY: f32 = 10.0;

pub(super) struct Lattice {
    tree: Tree,
    scores: Vec<Score>,
    unknown: u32,
    unknown_score: f32,
    best_score: f32,
}

#[derive(Clone, Copy)]
enum Score {
    Normal(f32),
    UserDefined,
    Unused,
}

/// The best path to a byte of the text.
#[derive(Debug, Clone, Copy)]
struct Node {
    score: f32,
    /// Start of its last piece; `None` if no path ends here.
    start: Option<u32>,
    piece: u32,
}

/// Memory for finding a path; it grows with the longest stretch that has no boundary between
/// pieces.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    nodes: Vec<Node>,
    path: Vec<(usize, usize, u32)>,
}

const UNREACHED: Node = Node { score: 0.0, start: None, piece: 0 };

impl Lattice {
    pub(super) fn new(pieces: &[PieceProto]) -> Result<Self, String> {
        let mut unknown = None;
        let (mut worst, mut best) = (f32::MAX, f32::MIN_POSITIVE);
        let (mut words, mut scores) = (Vec::new(), Vec::new());
        for (id, piece) in (0_u32..).zip(pieces) {
            let score = piece.score();
            if piece.piece().is_empty() || score.is_nan() {
                return Err(format!("its piece `{id}` has no text or no score"));
            }
            let (kind, in_tree) = match piece.kind() {
                PieceKind::Normal => {
                    (worst, best) = (worst.min(score), best.max(score));
                    (Score::Normal(score), true)
                }
                PieceKind::UserDefined => (Score::UserDefined, true),
                PieceKind::Unused => (Score::Unused, true),
                PieceKind::Unknown => {
                    if unknown.replace(id).is_some() {
                        return Err("it has two pieces for the unknown".to_owned());
                    }
                    (Score::Unused, false)
                }
                PieceKind::Control | PieceKind::Byte => (Score::Unused, false),
            };
            scores.push(kind);
            if in_tree {
                words.push((piece.piece().as_bytes(), id));
            }
        }
        let unknown = unknown.ok_or("it has no piece for the unknown")?;
        let unknown_score = worst - UNKNOWN_PENALTY;
        Ok(Self { tree: Tree::new(words), scores, unknown, unknown_score, best_score: best })
    }

    /// Returns the piece that stands for text that the model does not know.
    pub(super) fn unknown(&self) -> u32 {
        self.unknown
    }

    /// Calls `take` with the start, end and number of each of the best pieces, in order.
    ///
    /// If no piece crosses a position, the best path to it is final, and what comes before it is no
    /// longer needed: mostly, that is at the start of a word.
    pub(super) fn best_path(
        &self,
        text: &str,
        scratch: &mut Scratch,
        mut take: impl FnMut(usize, usize, u32),
    ) {
        let bytes = text.as_bytes();
        let Scratch { nodes, path } = scratch;
        nodes.clear();
        nodes.push(UNREACHED);
        let (mut settled, mut reach) = (0, 0);
        for (start, c) in text.char_indices() {
            if start == reach && start > settled {
                give(nodes, path, settled, &mut take);
                settled = start;
            }
            let furthest = self.pieces_from(bytes, start, c.len_utf8(), nodes, settled);
            reach = reach.max(furthest);
        }
        if settled < bytes.len() {
            give(nodes, path, settled, &mut take);
        }
    }

    /// Extends the best path to `start` by every piece that starts there; returns how far they
    /// reach.
    fn pieces_from(
        &self,
        bytes: &[u8],
        start: usize,
        width: usize,
        nodes: &mut Vec<Node>,
        settled: usize,
    ) -> usize {
        let before = nodes[start - settled].score;
        let (mut has_single, mut reach) = (false, start + width);
        let mut place = self.tree.root();
        for (end, &byte) in (start + 1..).zip(&bytes[start..]) {
            let Some(next) = self.tree.step(place, byte) else { break };
            place = next;
            let Some(piece) = self.tree.id(place) else { continue };
            let score = match self.scores[piece as usize] {
                Score::Normal(score) => score,
                Score::UserDefined => self.user_defined(end - start),
                Score::Unused => continue,
            };
            has_single |= end == start + width;
            reach = reach.max(end);
            improve(nodes, (start - settled, end - settled), score + before, piece);
        }
        if !has_single {
            let span = (start - settled, start + width - settled);
            improve(nodes, span, self.unknown_score + before, self.unknown);
        }
        reach
    }

    /// Scores a symbol that the user defined higher than any other path through its bytes.
    fn user_defined(&self, bytes: usize) -> f32 {
        (f64::from(bytes as f32 * self.best_score) - 0.1) as f32
    }
}

fn improve(nodes: &mut Vec<Node>, (start, end): (usize, usize), score: f32, piece: u32) {
    if nodes.len() <= end {
        nodes.resize(end + 1, UNREACHED);
    }
    let node = &mut nodes[end];
    if node.start.is_none() || score > node.score {
        *node = Node { score, start: Some(start as u32), piece };
    }
}

/// Calls `take` with the pieces of the path to the last node, which becomes the first.
fn give(
    nodes: &mut Vec<Node>,
    path: &mut Vec<(usize, usize, u32)>,
    settled: usize,
    take: &mut impl FnMut(usize, usize, u32),
) {
    path.clear();
    let mut end = nodes.len() - 1;
    while let Node { start: Some(start), piece, .. } = nodes[end] {
        path.push((settled + start as usize, settled + end, piece));
        end = start as usize;
    }
    for &(start, end, piece) in path.iter().rev() {
        take(start, end, piece);
    }
    let score = nodes[nodes.len() - 1].score;
    nodes.clear();
    nodes.push(Node { score, ..UNREACHED });
}
