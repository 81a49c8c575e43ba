//! The words and labels of a model, and the matrix rows of hashed n-grams.
//!
//! Words are found by fastText's own hash. The hash table is ours, so that a lookup that misses
//! seldom reads the bytes of a word. `matrix` knows what the rows contain.

use std::io::Read;

use super::error::LoadError;
use super::source::Source;

/// The token that ends every line.
pub(super) const END_OF_LINE: &[u8] = b"</s>";
/// Tokens that start with this and are not in the vocabulary are labels, and labels are not input.
const LABEL_PREFIX: &[u8] = b"__label__";

/// The counts of the labels must add up to less than this, or the Huffman tree could not be built.
const LABEL_COUNT_MAX: i64 = 1_000_000_000_000_000;

/// The settings in a model's header that affect prediction.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) dimensions: usize,
    pub(super) word_ngrams: usize,
    pub(super) min_chars: usize,
    pub(super) max_chars: usize,
    pub(super) buckets: u32,
}

/// What a token is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A word that has a row of its own.
    Known(u32),
    /// A word that has only n-grams.
    Unknown,
    /// A label, which is not input.
    Label,
}

pub(super) struct Vocabulary {
    /// All words, then all labels, without separators.
    bytes: Vec<u8>,
    /// The end of each entry in `bytes`.
    ends: Vec<u32>,
    words: usize,
    label_counts: Vec<i64>,
    label_total: i64,
    labels: Vec<String>,
    table: Vec<Slot>,
    shift: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    entry: u32,
}

const EMPTY: Slot = Slot { hash: 0, entry: u32::MAX };

/// fastText's hash: FNV-1a, except that each byte is sign-extended first.
#[inline]
pub(super) fn hash_byte(hash: u32, byte: u8) -> u32 {
    (hash ^ byte.cast_signed() as u32).wrapping_mul(16_777_619)
}

pub(super) const HASH_START: u32 = 2_166_136_261;

pub(super) fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(HASH_START, |hash, &byte| hash_byte(hash, byte))
}

impl Vocabulary {
    /// Reads the vocabulary, and the number of n-grams kept if the model was pruned.
    pub(super) fn read<R: Read>(source: &mut Source<R>) -> Result<(Self, Option<u64>), LoadError> {
        let entries = source.int_within("the vocabulary size", 1..=usize::MAX)?;
        let words = source.int_within("the word count", 0..=usize::MAX)?;
        let labels = source.int_within("the label count", 1..=usize::MAX)?;
        source.long("the token count")?;
        let pruned = match source.long("the count of n-grams kept")? {
            -1 => None,
            count => Some(u64::try_from(count).map_err(|_| {
                source.malformed(format!("the count of n-grams kept is `{count}`"))
            })?),
        };
        if words.checked_add(labels) != Some(entries) {
            return Err(source.malformed(format!(
                "`{entries}` entries are not {words} words and {labels} labels"
            )));
        }
        // Each entry has at least a terminating zero, a count and a kind.
        source.expect_room(entries as u64, 10, "vocabulary entries")?;
        let mut vocabulary = Self::with_room(entries, words);
        for entry in 0..entries {
            vocabulary.read_entry(source, entry)?;
        }
        Ok((vocabulary, pruned))
    }

    pub(super) fn words(&self) -> usize {
        self.words
    }

    pub(super) fn label_counts(&self) -> &[i64] {
        &self.label_counts
    }

    pub(super) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Returns what `token` is, given its hash.
    pub(super) fn find(&self, token: &[u8], hash: u32) -> Token {
        match self.entry_of(token, hash) {
            Some(entry) if (entry as usize) < self.words => Token::Known(entry),
            Some(_) => Token::Label,
            None if token.starts_with(LABEL_PREFIX) => Token::Label,
            None => Token::Unknown,
        }
    }

    fn with_room(entries: usize, words: usize) -> Self {
        let slots = (entries * 2).next_power_of_two();
        Self {
            bytes: Vec::new(),
            ends: Vec::with_capacity(entries),
            words,
            label_counts: Vec::with_capacity(entries - words),
            label_total: 0,
            labels: Vec::with_capacity(entries - words),
            table: vec![EMPTY; slots],
            shift: u32::BITS - slots.trailing_zeros(),
        }
    }

    fn read_entry<R: Read>(
        &mut self,
        source: &mut Source<R>,
        entry: usize,
    ) -> Result<(), LoadError> {
        let start = self.bytes.len();
        loop {
            match source.byte("a vocabulary entry")? {
                0 => break,
                byte => self.bytes.push(byte),
            }
        }
        let end = u32::try_from(self.bytes.len())
            .map_err(|_| source.malformed("the vocabulary is larger than 4 GiB"))?;
        let count = source.long("the count of a vocabulary entry")?;
        let kind = source.byte("the kind of a vocabulary entry")?;
        let expected = u8::from(entry >= self.words);
        let text = || String::from_utf8_lossy(&self.bytes[start..]).into_owned();
        if kind != expected {
            return Err(source.malformed(format!(
                "entry {entry} `{}` has kind `{kind}` instead of {expected}: words come first",
                text()
            )));
        }
        if entry >= self.words {
            if count < 0 || count >= LABEL_COUNT_MAX - self.label_total {
                return Err(source.malformed(format!("label `{}` counts `{count}`", text())));
            }
            self.label_total += count;
            self.label_counts.push(count);
            self.labels.push(text());
        }
        self.ends.push(end);
        self.insert(entry, start).ok_or_else(|| {
            let word = String::from_utf8_lossy(&self.bytes[start..]);
            source.malformed(format!("entry {entry} `{word}` occurs twice"))
        })
    }

    /// Inserts the newest entry into the table, unless it is there already.
    fn insert(&mut self, entry: usize, start: usize) -> Option<()> {
        let hash = hash(&self.bytes[start..]);
        let mut slot = self.first_slot(hash);
        while self.table[slot].entry != EMPTY.entry {
            let found = self.table[slot];
            if found.hash == hash && self.entry_bytes(found.entry) == &self.bytes[start..] {
                return None;
            }
            slot = (slot + 1) & (self.table.len() - 1);
        }
        let entry = u32::try_from(entry).expect("entry counts were read from an i32");
        self.table[slot] = Slot { hash, entry };
        Some(())
    }

    fn entry_of(&self, token: &[u8], hash: u32) -> Option<u32> {
        let mut slot = self.first_slot(hash);
        loop {
            let found = self.table[slot];
            if found.entry == EMPTY.entry {
                return None;
            }
            if found.hash == hash && self.entry_bytes(found.entry) == token {
                return Some(found.entry);
            }
            slot = (slot + 1) & (self.table.len() - 1);
        }
    }

    /// The table has at least two slots, so the shift is less than 32.
    fn first_slot(&self, hash: u32) -> usize {
        (hash.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }

    fn entry_bytes(&self, entry: u32) -> &[u8] {
        let entry = entry as usize;
        let start = entry.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[entry] as usize]
    }
}

/// The rows of n-grams, counted from the end of the rows of words.
pub(super) struct NgramRows {
    buckets: Modulus,
    kept: Kept,
}

enum Kept {
    All,
    /// Only some buckets have rows: there is a bit for each bucket, and for every 64 bits the
    /// number of rows before them. Most lookups miss, so the bits are stored close together.
    Some {
        bits: Vec<u64>,
        before: Vec<u32>,
        rows: Vec<u32>,
    },
}

impl NgramRows {
    pub(super) fn all(buckets: u32) -> Self {
        Self { buckets: Modulus::new(buckets), kept: Kept::All }
    }

    pub(super) fn read_pruned<R: Read>(
        source: &mut Source<R>,
        buckets: u32,
        count: u64,
    ) -> Result<Self, LoadError> {
        let count = source.expect_room(count, 8, "n-grams kept")?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let (bucket, row) = (source.int("a kept n-gram")?, source.int("a kept n-gram")?);
            match (u32::try_from(bucket), u32::try_from(row)) {
                (Ok(bucket), Ok(row)) if bucket < buckets && (row as usize) < count => {
                    pairs.push((bucket, row));
                }
                (_, _) => {
                    return Err(source.malformed(format!(
                        "a kept n-gram leads from bucket `{bucket}` of {buckets} to row `{row}` \
                         of {count}"
                    )));
                }
            }
        }
        pairs.sort_unstable();
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(source.malformed(format!("bucket `{}` is kept twice", twice[0].0)));
        }
        // Buckets after the last one kept need no bits.
        let blocks = pairs.last().map_or(0, |last| last.0 as usize / 64 + 1);
        let mut bits = vec![0_u64; blocks];
        for &(bucket, _) in &pairs {
            bits[bucket as usize / 64] |= 1 << (bucket % 64);
        }
        let mut before = Vec::with_capacity(blocks);
        let mut count = 0;
        for block in &bits {
            before.push(count);
            count += block.count_ones();
        }
        let rows = pairs.into_iter().map(|(_, row)| row).collect();
        Ok(Self { buckets: Modulus::new(buckets), kept: Kept::Some { bits, before, rows } })
    }

    pub(super) fn rows(&self) -> usize {
        match &self.kept {
            Kept::All => self.buckets.divisor as usize,
            Kept::Some { rows, .. } => rows.len(),
        }
    }

    /// Returns the bucket of a character n-gram.
    #[inline]
    pub(super) fn bucket_of_chars(&self, hash: u32) -> u32 {
        self.buckets.of(hash)
    }

    /// Returns the row of a word n-gram.
    pub(super) fn row_of_words(&self, hash: u64) -> Option<u32> {
        let bucket = hash % u64::from(self.buckets.divisor);
        let bucket = u32::try_from(bucket).expect("a bucket is less than the divisor");
        self.has_row(bucket).then(|| self.row(bucket))
    }

    /// Moves the buckets that have rows to the front, in their order, and returns their number. It
    /// does not branch on whether a bucket has one, because that is unpredictable.
    pub(super) fn keep_rows(&self, buckets: &mut [u32]) -> usize {
        let mut count = 0;
        for index in 0..buckets.len() {
            let bucket = buckets[index];
            buckets[count] = bucket;
            count += usize::from(self.has_row(bucket));
        }
        count
    }

    /// Returns the row of a bucket that has one.
    #[inline]
    pub(super) fn row(&self, bucket: u32) -> u32 {
        match &self.kept {
            Kept::All => bucket,
            Kept::Some { bits, before, rows } => {
                let block = bucket as usize / 64;
                let below = bits[block] & ((1 << (bucket % 64)) - 1);
                rows[(before[block] + below.count_ones()) as usize]
            }
        }
    }

    #[inline]
    fn has_row(&self, bucket: u32) -> bool {
        match &self.kept {
            Kept::All => true,
            Kept::Some { bits, .. } => {
                let block = bits.get(bucket as usize / 64).copied().unwrap_or(0);
                block >> (bucket % 64) & 1 == 1
            }
        }
    }
}

/// Computes `hash % divisor` by two multiplications (Lemire, Kaser and Kurz, «Faster remainder by
/// direct computation», 2019); exact for all 32-bit numbers.
struct Modulus {
    divisor: u32,
    inverse: u64,
}

impl Modulus {
    fn new(divisor: u32) -> Self {
        Self { divisor, inverse: (u64::MAX / u64::from(divisor.max(1))).wrapping_add(1) }
    }

    #[inline]
    fn of(&self, value: u32) -> u32 {
        let low = self.inverse.wrapping_mul(u64::from(value));
        ((u128::from(low) * u128::from(self.divisor)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_remainder_is_the_remainder() {
        for divisor in [1, 2, 3, 7, 1000, 2_000_000, 2_000_003, i32::MAX as u32] {
            let modulus = Modulus::new(divisor);
            for value in (0..u32::MAX - 9973).step_by(9973).chain([u32::MAX]) {
                assert_eq!(modulus.of(value), value % divisor, "{value} % {divisor}");
            }
        }
    }

    #[test]
    fn bytes_above_127_are_sign_extended_by_the_hash() {
        assert_eq!(hash(b""), 2_166_136_261);
        assert_eq!(hash(b"a"), 0xE40C_292C);
        let expected = (2_166_136_261_u32 ^ 0xFFFF_FFC3).wrapping_mul(16_777_619);
        assert_eq!(hash(&[0xC3]), expected);
    }
}
