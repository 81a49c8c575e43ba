//! Turns text into the hidden vector: tokens, their rows and n-grams, summed in a fixed order.
//!
//! A word's share of the hidden vector depends on the word alone, so it is always summed by
//! itself first and then added; a bounded cache remembers the sums of recent words. Whether a
//! word comes from the cache or not, the same numbers are added in the same order, so the score
//! has the same bits whatever was read before.

use super::Model;
use super::matrix::{add, stride};
use super::output::OutputScratch;
use super::vocabulary::{END_OF_LINE, HASH_START, Token, hash, hash_byte};

/// What a line feed inside a text means. Both views end with fastText's end-of-line token, which
/// comes after the whole text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFeeds {
    /// It separates words, as a space does.
    Separate,
    /// It is not there: the last word of a line and the first of the next become one.
    Vanish,
}

/// The memory of the word cache of one scratch, at most.
const CACHE_BYTES: usize = 2 << 20;
const CACHE_SLOTS_MAX: usize = 1 << 12;
/// Longer words are rare and not cached.
const CACHED_WORD_BYTES: usize = 24;

const BATCH: usize = 64;

/// Multiplier of fastText's hash of word n-grams.
const WORD_NGRAM_FACTOR: u64 = 116_049_371;

/// Memory that predictions reuse, one for each thread. It may serve several models in turn, but
/// forgets its cache whenever the model changes.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The model that the cache belongs to.
    model: u64,
    pub(super) hidden: Vec<f32>,
    word_sum: Vec<f32>,
    ngram_sum: Vec<f32>,
    /// A word with its boundary marks.
    marked: Vec<u8>,
    /// A word put together from several lines.
    joined: Vec<u8>,
    /// Hashes of the word n-grams that the next word makes longer.
    growing: Vec<u64>,
    cache: Cache,
    pub(super) output: OutputScratch,
}

#[derive(Debug, Default)]
struct Cache {
    keys: Vec<Key>,
    sums: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    hash: u32,
    rows: u16,
    /// 0 in an empty slot: no word is empty.
    length: u8,
    is_word: bool,
    bytes: [u8; CACHED_WORD_BYTES],
}

const NO_KEY: Key =
    Key { hash: 0, rows: 0, length: 0, is_word: false, bytes: [0; CACHED_WORD_BYTES] };

impl Scratch {
    /// An empty scratch; its memory grows to a bound at the first prediction.
    pub fn new() -> Self {
        Self::default()
    }

    fn prepare(&mut self, model: &Model) {
        let stride = stride(model.settings.dimensions);
        if self.model != model.identity {
            self.model = model.identity;
            let slot_bytes = size_of::<Key>() + stride * size_of::<f32>();
            let slots = (CACHE_BYTES / slot_bytes + 1).next_power_of_two() / 2;
            let slots = slots.clamp(1, CACHE_SLOTS_MAX);
            self.cache.keys.clear();
            self.cache.keys.resize(slots, NO_KEY);
            self.cache.sums.clear();
            self.cache.sums.resize(slots * stride, 0.0);
        }
        for sum in [&mut self.hidden, &mut self.word_sum, &mut self.ngram_sum] {
            sum.clear();
            sum.resize(stride, 0.0);
        }
        self.growing.clear();
    }
}

/// Leaves the mean of the text's rows in `scratch.hidden`; false if the text has none.
pub(super) fn embed(model: &Model, scratch: &mut Scratch, text: &str, feeds: LineFeeds) -> bool {
    scratch.prepare(model);
    let mut line = Line { model, scratch, rows: 0 };
    line.read(text.as_bytes(), feeds);
    line.end();
    let rows = line.rows;
    if rows == 0 {
        return false;
    }
    let share = (1.0 / rows as f64) as f32;
    for (cell, ngrams) in scratch.hidden.iter_mut().zip(&scratch.ngram_sum) {
        *cell = (*cell + ngrams) * share;
    }
    true
}

struct Line<'a> {
    model: &'a Model,
    scratch: &'a mut Scratch,
    rows: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Inside,
    Separator,
    LineFeed,
}

/// What fastText takes for white space.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Inside; 256];
    let separators = *b" \r\t\x0B\x0C\0";
    let mut index = 0;
    while index < separators.len() {
        classes[separators[index] as usize] = Class::Separator;
        index += 1;
    }
    classes[b'\n' as usize] = Class::LineFeed;
    classes
};

impl Line<'_> {
    /// Reads the tokens, up to the end or to an end-of-line token in the text itself.
    fn read(&mut self, text: &[u8], feeds: LineFeeds) {
        let (mut start, mut hash) = (0, HASH_START);
        self.scratch.joined.clear();
        for (index, &byte) in text.iter().enumerate() {
            match CLASSES[usize::from(byte)] {
                Class::Inside => {
                    hash = hash_byte(hash, byte);
                    continue;
                }
                Class::LineFeed if feeds == LineFeeds::Vanish => {
                    self.scratch.joined.extend_from_slice(&text[start..index]);
                    start = index + 1;
                    continue;
                }
                Class::LineFeed | Class::Separator => (),
            }
            if self.fragment(&text[start..index], hash).is_none() {
                return;
            }
            (start, hash) = (index + 1, HASH_START);
        }
        self.fragment(&text[start..], hash);
    }

    /// Completes a token with its last, or only, fragment; none if it ends the line.
    #[inline]
    fn fragment(&mut self, last: &[u8], hash: u32) -> Option<()> {
        if self.scratch.joined.is_empty() {
            return self.token(last, hash);
        }
        let mut joined = std::mem::take(&mut self.scratch.joined);
        joined.extend_from_slice(last);
        let outcome = self.token(&joined, hash);
        joined.clear();
        self.scratch.joined = joined;
        outcome
    }

    #[inline]
    fn token(&mut self, token: &[u8], hash: u32) -> Option<()> {
        if token.is_empty() {
            return Some(());
        }
        if token == END_OF_LINE {
            return None;
        }
        let width = self.scratch.word_sum.len();
        let slots = self.scratch.cache.keys.len();
        let slot = (hash ^ (hash >> 15)) as usize & (slots - 1);
        let sums = slot * width..(slot + 1) * width;
        let key = &self.scratch.cache.keys[slot];
        let length = token.len();
        if key.hash == hash && usize::from(key.length) == length && key.bytes[..length] == *token {
            add(&mut self.scratch.hidden, &self.scratch.cache.sums[sums]);
            self.rows += u64::from(key.rows);
            if key.is_word {
                self.grow_ngrams(hash);
            }
            return Some(());
        }
        let found = self.model.vocabulary.find(token, hash);
        let rows = self.sum_word(token, found);
        add(&mut self.scratch.hidden, &self.scratch.word_sum);
        self.rows += rows;
        let is_word = found != Token::Label;
        if length <= CACHED_WORD_BYTES {
            let mut bytes = [0; CACHED_WORD_BYTES];
            bytes[..length].copy_from_slice(token);
            let rows = u16::try_from(rows).expect("24 bytes have at most 26 * 64 n-grams");
            let length = length as u8;
            let cache = &mut self.scratch.cache;
            cache.keys[slot] = Key { hash, rows, length, is_word, bytes };
            cache.sums[sums].copy_from_slice(&self.scratch.word_sum);
        }
        if is_word {
            self.grow_ngrams(hash);
        }
        Some(())
    }

    /// Sums a word's rows into `word_sum` and counts them.
    fn sum_word(&mut self, token: &[u8], found: Token) -> u64 {
        let (model, scratch) = (self.model, &mut *self.scratch);
        let settings = &model.settings;
        let sum = &mut scratch.word_sum;
        sum.fill(0.0);
        let mut rows = 0;
        match found {
            Token::Label => return 0,
            Token::Known(row) => {
                model.input.add_row(row as usize, sum);
                rows += 1;
            }
            Token::Unknown => (),
        }
        if settings.max_chars > 0 {
            scratch.marked.clear();
            scratch.marked.push(b'<');
            scratch.marked.extend_from_slice(token);
            scratch.marked.push(b'>');
            let mut batch = Batch { buckets: [0; BATCH], filled: 0 };
            each_ngram(&scratch.marked, settings.min_chars, settings.max_chars, |hash| {
                batch.buckets[batch.filled] = model.ngrams.bucket_of_chars(hash);
                batch.filled += 1;
                if batch.filled == BATCH {
                    rows += batch.add_to(sum, model);
                }
            });
            rows += batch.add_to(sum, model);
        }
        rows
    }

    /// Adds the word n-grams that end with this word.
    #[inline]
    fn grow_ngrams(&mut self, hash: u32) {
        let longest = self.model.settings.word_ngrams;
        if longest < 2 {
            return;
        }
        // fastText keeps the hash as a signed number and widens it with its sign.
        let word = i64::from(hash.cast_signed()).cast_unsigned();
        let (model, scratch) = (self.model, &mut *self.scratch);
        for growing in &mut scratch.growing {
            *growing = growing.wrapping_mul(WORD_NGRAM_FACTOR).wrapping_add(word);
            if let Some(row) = model.ngrams.row_of_words(*growing) {
                let row = model.vocabulary.words() + row as usize;
                model.input.add_row(row, &mut scratch.ngram_sum);
                self.rows += 1;
            }
        }
        if scratch.growing.len() == longest - 1 {
            scratch.growing.remove(0);
        }
        scratch.growing.push(word);
    }

    /// The end-of-line token has a row if the model knows it, but never n-grams of its own.
    fn end(&mut self) {
        let hash = hash(END_OF_LINE);
        match self.model.vocabulary.find(END_OF_LINE, hash) {
            Token::Known(row) => {
                self.model.input.add_row(row as usize, &mut self.scratch.hidden);
                self.rows += 1;
            }
            Token::Unknown => (),
            Token::Label => return,
        }
        self.grow_ngrams(hash);
    }
}

/// Character n-grams that are looked up together, so that the memory's delays overlap.
struct Batch {
    buckets: [u32; BATCH],
    filled: usize,
}

impl Batch {
    /// Adds the rows, in order, and empties the batch; returns the number of rows.
    fn add_to(&mut self, sum: &mut [f32], model: &Model) -> u64 {
        let kept = model.ngrams.keep_rows(&mut self.buckets[..self.filled]);
        let words = model.vocabulary.words();
        for &bucket in &self.buckets[..kept] {
            model.input.add_row(words + model.ngrams.row(bucket) as usize, sum);
        }
        self.filled = 0;
        kept as u64
    }
}

/// Calls `found` with the hash of every character n-gram, by start, then by length. Boundary
/// marks alone are none.
fn each_ngram(word: &[u8], min: usize, max: usize, mut found: impl FnMut(u32)) {
    let is_start = |index: usize| word[index] & 0xC0 != 0x80;
    for start in (0..word.len()).filter(|&index| is_start(index)) {
        let (mut hash, mut end) = (HASH_START, start);
        for chars in 1..=max {
            if end == word.len() {
                break;
            }
            hash = hash_byte(hash, word[end]);
            end += 1;
            while end < word.len() && !is_start(end) {
                hash = hash_byte(hash, word[end]);
                end += 1;
            }
            let is_mark = chars == 1 && (start == 0 || end == word.len());
            if chars >= min && !is_mark {
                found(hash);
            }
        }
    }
}
