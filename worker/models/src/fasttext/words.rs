//! Turns text into the hidden vector: tokens, their rows and n-grams, summed in a fixed order.
//!
//! The contribution of a word to the hidden vector depends on the word alone, so it is always
//! summed by itself first and then added; a bounded cache holds the sums of recent words. Whether a
//! word comes from the cache or not, the same numbers are added in the same order, so the score has
//! the same bits whatever was read before.

use super::Model;
use super::matrix::{add, stride};
use super::output::OutputScratch;
use super::vocabulary::{END_OF_LINE, HASH_START, Token, hash, hash_byte};

/// How a line feed inside a text is read. In both ways, fastText's end-of-line token comes after
/// the whole text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFeeds {
    /// It separates words, like a space.
    Separate,
    /// It is ignored: the last word of a line and the first of the next become one word.
    Vanish,
}

/// Largest memory of the word cache of one scratch.
const CACHE_BYTES: usize = 2 << 20;
const CACHE_SLOTS_MAX: usize = 1 << 14;
/// Longer words are rare and not cached.
const CACHED_WORD_BYTES: usize = 24;

const BATCH: usize = 64;

/// Multiplier of fastText's hash of word n-grams.
const WORD_NGRAM_FACTOR: u64 = 116_049_371;

/// Memory that predictions reuse; one for each thread. It may be used for several models in turn,
/// but drops its cache whenever the model changes.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The model that the cache belongs to.
    model: u64,
    pub(super) hidden: Vec<f32>,
    word_sum: Vec<f32>,
    ngram_sum: Vec<f32>,
    /// The current word with its boundary marks.
    marked: Vec<u8>,
    /// A word that is joined from several lines.
    joined: Vec<u8>,
    /// Hashes of the word n-grams that the next word extends.
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
    /// All zero in an empty slot: no word is empty, and a zero byte ends words.
    word: ShortWord,
    hash: u32,
    rows: u16,
    is_word: bool,
}

const NO_KEY: Key = Key { word: ShortWord([0; 3]), hash: 0, rows: 0, is_word: false };

/// A word that may be cached, padded with zero bytes, as numbers that are fast to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ShortWord([u64; CACHED_WORD_BYTES / 8]);

impl ShortWord {
    #[inline]
    fn of(token: &[u8]) -> Option<Self> {
        let mut words = [0; 3];
        match token.len() {
            0..8 => words[0] = low_bytes(token),
            8..16 => {
                words[0] = u64::from_le_bytes(*token.first_chunk()?);
                words[1] = low_bytes(&token[8..]);
            }
            16..=CACHED_WORD_BYTES => {
                words[0] = u64::from_le_bytes(*token.first_chunk()?);
                words[1] = u64::from_le_bytes(*token[8..].first_chunk()?);
                words[2] = match token[16..].first_chunk() {
                    Some(whole) => u64::from_le_bytes(*whole),
                    None => low_bytes(&token[16..]),
                };
            }
            _ => return None,
        }
        Some(Self(words))
    }

    /// Returns its slot in a cache whose number of slots is a power of two.
    #[inline]
    fn slot(self, slots: usize) -> usize {
        let [a, b, c] = self.0;
        let mixed = (a ^ b.rotate_left(23) ^ c.rotate_left(47)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 40) as usize & (slots - 1)
    }
}

/// Reads fewer than eight bytes as a number, by two overlapping reads instead of a loop.
#[inline]
fn low_bytes(bytes: &[u8]) -> u64 {
    match bytes.len() {
        4.. => {
            let first = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
            let last = &bytes[bytes.len() - 4..];
            let last = u32::from_le_bytes(last.try_into().expect("four bytes"));
            u64::from(first) | u64::from(last) << (8 * (bytes.len() - 4))
        }
        1..4 => {
            let (first, last) = (bytes[0], bytes[bytes.len() - 1]);
            let middle = bytes[bytes.len() / 2];
            u64::from(first)
                | u64::from(middle) << (8 * (bytes.len() / 2))
                | u64::from(last) << (8 * (bytes.len() - 1))
        }
        0 => 0,
    }
}

impl Scratch {
    /// Returns an empty scratch, whose memory grows to its limit at the first prediction.
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

/// Writes the mean of the text's rows to `scratch.hidden`; returns false if the text has none.
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

/// Classifies bytes by what fastText treats as white space.
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
        let mut start = 0;
        self.scratch.joined.clear();
        for (index, &byte) in text.iter().enumerate() {
            match CLASSES[usize::from(byte)] {
                Class::Inside => continue,
                Class::LineFeed if feeds == LineFeeds::Vanish => {
                    self.scratch.joined.extend_from_slice(&text[start..index]);
                    start = index + 1;
                    continue;
                }
                Class::LineFeed | Class::Separator => (),
            }
            if self.fragment(&text[start..index]).is_none() {
                return;
            }
            start = index + 1;
        }
        self.fragment(&text[start..]);
    }

    /// Completes a token with its last, or only, fragment; returns `None` if it ends the line.
    #[inline]
    fn fragment(&mut self, last: &[u8]) -> Option<()> {
        if self.scratch.joined.is_empty() {
            return self.token(last);
        }
        let mut joined = std::mem::take(&mut self.scratch.joined);
        joined.extend_from_slice(last);
        let outcome = self.token(&joined);
        joined.clear();
        self.scratch.joined = joined;
        outcome
    }

    #[inline]
    fn token(&mut self, token: &[u8]) -> Option<()> {
        if token.is_empty() {
            return Some(());
        }
        let Some(word) = ShortWord::of(token) else {
            let (_, hash, is_word) = self.sum_token(token);
            if is_word {
                self.grow_ngrams(hash);
            }
            return Some(());
        };
        let width = self.scratch.word_sum.len();
        let slot = word.slot(self.scratch.cache.keys.len());
        let sums = slot * width..(slot + 1) * width;
        let key = self.scratch.cache.keys[slot];
        if key.word == word {
            add(&mut self.scratch.hidden, &self.scratch.cache.sums[sums]);
            self.rows += u64::from(key.rows);
            if key.is_word {
                self.grow_ngrams(key.hash);
            }
            return Some(());
        }
        // It is never cached, so it is checked only after the cache.
        if token == END_OF_LINE {
            return None;
        }
        let (rows, hash, is_word) = self.sum_token(token);
        let rows = u16::try_from(rows).expect("24 bytes have at most 26 * 64 n-grams");
        let cache = &mut self.scratch.cache;
        cache.keys[slot] = Key { word, hash, rows, is_word };
        cache.sums[sums].copy_from_slice(&self.scratch.word_sum);
        if is_word {
            self.grow_ngrams(hash);
        }
        Some(())
    }

    /// Adds a token that is not cached; returns the number of its rows, fastText's hash of it, and
    /// whether it is a word.
    fn sum_token(&mut self, token: &[u8]) -> (u64, u32, bool) {
        let hash = hash(token);
        let found = self.model.vocabulary.find(token, hash);
        let rows = self.sum_word(token, found);
        add(&mut self.scratch.hidden, &self.scratch.word_sum);
        self.rows += rows;
        (rows, hash, found != Token::Label)
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
        // fastText stores the hash as a signed number and widens it with its sign.
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

    /// Adds the end-of-line token, which has a row if the model knows it, but never n-grams of its
    /// own.
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

/// Character n-grams that are looked up together, so that memory accesses overlap.
struct Batch {
    buckets: [u32; BATCH],
    filled: usize,
}

impl Batch {
    /// Adds the rows, in order, and empties the batch; returns the number of rows.
    fn add_to(&mut self, sum: &mut [f32], model: &Model) -> u64 {
        let kept = model.ngrams.keep_rows(&mut self.buckets[..self.filled]);
        let words = model.vocabulary.words();
        let mut rows = [0; BATCH];
        for (row, &bucket) in rows.iter_mut().zip(&self.buckets[..kept]) {
            *row = words + model.ngrams.row(bucket) as usize;
        }
        model.input.add_rows(&rows[..kept], sum);
        self.filled = 0;
        kept as u64
    }
}

/// Calls `found` with the hash of every character n-gram, by start, then by length. Boundary marks
/// alone are not n-grams.
fn each_ngram(word: &[u8], min: usize, max: usize, mut found: impl FnMut(u32)) {
    if word.is_ascii() {
        return each_ascii_ngram(word, min, max, found);
    }
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

/// Does the same if every character is a byte.
fn each_ascii_ngram(word: &[u8], min: usize, max: usize, mut found: impl FnMut(u32)) {
    for start in 0..word.len() {
        let mut hash = HASH_START;
        for (index, &byte) in word[start..].iter().take(max).enumerate() {
            hash = hash_byte(hash, byte);
            let is_mark = index == 0 && (start == 0 || start + 1 == word.len());
            if index + 1 >= min && !is_mark {
                found(hash);
            }
        }
    }
}
