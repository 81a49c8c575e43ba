//! Writes a trained model in fastText's own format, version 12.

use super::supervised::{Settings, Weights};
use super::vocabulary::{Corpus, Word};

const MAGIC: i32 = 793_712_314;
const VERSION: i32 = 12;
const SOFTMAX: i32 = 3;
const SUPERVISED: i32 = 3;

pub(super) fn bytes(
    corpus: &Corpus,
    settings: &Settings,
    min_count: u64,
    weights: &Weights,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(weights.input.len() * 4 + corpus.words.len() * 24);
    let dimensions = settings.dimensions as i32;
    // Window, negatives and update rate are fastText's defaults; without n-grams there are no
    // buckets.
    let (window, negatives, word_grams, buckets, shortest, longest) = (5, 5, 1, 0, 0, 0);
    let update_rate = 100;
    for number in [
        MAGIC,
        VERSION,
        dimensions,
        window,
        settings.epochs as i32,
        i32::try_from(min_count).unwrap_or(i32::MAX),
        negatives,
        word_grams,
        SOFTMAX,
        SUPERVISED,
        buckets,
        shortest,
        longest,
        update_rate,
    ] {
        out.extend(number.to_le_bytes());
    }
    out.extend(1e-4_f64.to_le_bytes());
    // fastText sorts labels by falling count, and uses the rows of the output matrix in that order.
    let mut order = [0, 1];
    order.sort_by_key(|&label: &usize| std::cmp::Reverse(corpus.labels[label].count));
    let (words, labels) = (corpus.words.len() as i32, order.len() as i32);
    for number in [words + labels, words, labels] {
        out.extend(number.to_le_bytes());
    }
    out.extend((corpus.tokens as i64).to_le_bytes());
    let not_pruned = -1_i64;
    out.extend(not_pruned.to_le_bytes());
    corpus.words.iter().for_each(|word| entry(&mut out, word, 0));
    order.iter().for_each(|&label| entry(&mut out, &corpus.labels[label], 1));
    let dense = 0_u8;
    out.push(dense);
    shape(&mut out, corpus.words.len(), settings.dimensions);
    weights.input.iter().for_each(|cell| out.extend(cell.to_le_bytes()));
    out.push(dense);
    shape(&mut out, order.len(), settings.dimensions);
    for label in order {
        let row = &weights.output[label * settings.dimensions..][..settings.dimensions];
        row.iter().for_each(|cell| out.extend(cell.to_le_bytes()));
    }
    out
}

fn entry(out: &mut Vec<u8>, word: &Word, kind: u8) {
    out.extend(word.spelling.as_bytes());
    out.push(0);
    out.extend((word.count as i64).to_le_bytes());
    out.push(kind);
}

fn shape(out: &mut Vec<u8>, rows: usize, columns: usize) {
    out.extend((rows as i64).to_le_bytes());
    out.extend((columns as i64).to_le_bytes());
}
