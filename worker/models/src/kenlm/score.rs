//! Computes scores: the longest known n-gram that ends in a word gives its probability, and the
//! back-off weights of the longer contexts account for what is missing.
//!
//! This file knows no file format: a model's tables answer three queries ([`Search`]).

use super::{MAX_ORDER, Model, WordId};

/// The tables of a model. A node is an n-gram that was found; it is extended to the left, one
/// earlier word at a time.
pub(super) trait Search {
    type Node: Copy;

    fn unigram(&self, word: WordId) -> (f32, f32, Self::Node);

    /// Extends `node` by an earlier word to an n-gram of length `level + 2`, not the longest.
    fn middle(&self, level: usize, word: WordId, node: Self::Node) -> Option<Extended<Self::Node>>;

    /// Returns the probability of a longest n-gram.
    fn longest(&self, word: WordId, node: Self::Node) -> Option<f32>;
}

/// An n-gram that was found.
pub(super) struct Extended<Node> {
    /// `None`: the model has only longer n-grams that end in this one, not the n-gram itself.
    pub(super) probability: Option<f32>,
    pub(super) backoff: f32,
    pub(super) node: Node,
}

/// The latest words that still matter, the latest first, and the back-off weights of the n-grams
/// that they form.
#[derive(Clone, Copy)]
struct State {
    words: [WordId; MAX_ORDER],
    backoff: [f32; MAX_ORDER],
    length: usize,
}

pub(super) fn sentence<S: Search>(
    search: &S,
    model: &Model,
    words: impl Iterator<Item = WordId>,
) -> f32 {
    let mut state = State { words: [0; MAX_ORDER], backoff: [0.0; MAX_ORDER], length: 1 };
    state.words[0] = model.begin;
    state.backoff[0] = search.unigram(model.begin).1;
    let mut total = 0.0;
    for word in words.chain([model.end]) {
        total += next_word(search, model.order, &mut state, word);
    }
    total
}

fn next_word<S: Search>(search: &S, order: usize, state: &mut State, word: WordId) -> f32 {
    let before = *state;
    let (mut score, backoff, mut node) = search.unigram(word);
    state.backoff[0] = backoff;
    // Contexts that no n-gram extends are dropped, because nothing would be found for them.
    let mut length = usize::from(extends(backoff));
    let mut matched = 1;
    for (level, &earlier) in before.words[..before.length].iter().enumerate() {
        if level + 2 == order {
            if let Some(probability) = search.longest(earlier, node) {
                (score, matched) = (probability, order);
            }
            break;
        }
        let Some(found) = search.middle(level, earlier, node) else { break };
        state.backoff[level + 1] = found.backoff;
        node = found.node;
        if let Some(probability) = found.probability {
            (score, matched) = (probability, level + 2);
        }
        if extends(found.backoff) {
            length = level + 2;
        }
    }
    for backoff in before.backoff.get(matched - 1..before.length).unwrap_or_default() {
        score += backoff;
    }
    state.words[0] = word;
    if length > 1 {
        state.words[1..length].copy_from_slice(&before.words[..length - 1]);
    }
    state.length = length;
    score
}

/// Returns whether an n-gram extends another: KenLM writes the weight of one that nothing extends
/// as minus zero.
fn extends(backoff: f32) -> bool {
    backoff.to_bits() != (-0.0_f32).to_bits()
}
