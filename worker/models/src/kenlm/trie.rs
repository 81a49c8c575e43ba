//! Models of type `trie`: n-grams of one length are an array of bit-packed entries in the order of
//! their words, and each entry points to its extensions in the next array.
//!
//! ```text
//! entry of a middle array:  word | probability, back-off weight | where its extensions start
//! ```
//! Probabilities may be quantised; then a table of centres for each length comes first. The upper
//! bits of the pointers may be in an array of their own (`arrays`).

use std::io::Read;

use super::WordId;
use super::bits::{Section, bits_for};
use super::score::{Extended, Search};
use super::source::{LoadError, Source};

const UNIGRAM_BYTES: usize = 16;
const WIDEST_FIELD_BITS: u32 = 57;
const WIDEST_QUANTISER_BITS: u32 = 25;
/// A stored probability lacks its sign, which is always minus.
const SIGN: u32 = 1 << 31;

/// Which of the four kinds of tries a model is.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) quantised: bool,
    pub(super) arrays: bool,
}

pub(super) struct Trie {
    unigrams: Section,
    words: u64,
    middles: Vec<Middle>,
    longest: Entries,
    longest_values: Values,
}

/// The range of the extensions of an n-gram in the next array.
#[derive(Clone, Copy)]
pub(super) struct Range {
    begin: u64,
    end: u64,
}

struct Middle {
    entries: Entries,
    values: Values,
    pointers: Pointers,
}

/// An array of entries, each of which starts with a word.
struct Entries {
    section: Section,
    count: u64,
    word_bits: u32,
    total_bits: u32,
}

/// How the numbers of an entry are stored.
enum Values {
    Plain,
    Quantised {
        probabilities: Section,
        probability_bits: u32,
        backoffs: Section,
        backoff_bits: u32,
    },
}

/// How the pointer of an entry is stored.
struct Pointers {
    inline_bits: u32,
    /// The element `i` is the first entry whose pointer's upper bits are at least `i`.
    upper: Option<(Section, usize)>,
}

impl Trie {
    pub(super) fn read<R: Read>(
        source: &mut Source<R>,
        counts: &[u64],
        shape: Shape,
    ) -> Result<Self, LoadError> {
        let words = counts[0];
        let lengths = counts.len();
        let mut values = read_values(source, lengths, shape.quantised)?;
        let longest_values = values.pop().unwrap_or(Values::Plain);
        let bytes = (u128::from(words) + 2) * UNIGRAM_BYTES as u128;
        let unigrams = source.section(bytes, "the unigrams")?;
        let mut middles = Vec::new();
        for (level, values) in values.into_iter().enumerate() {
            let (count, next) = (counts[level + 1], counts[level + 2]);
            let what = format!("the {}-grams", level + 2);
            let pointers = Pointers::read(source, count, next, shape.arrays)?;
            let rest = values.middle_bits() + pointers.inline_bits;
            let entries = Entries::read(source, count, words, rest, &what)?;
            middles.push(Middle { entries, values, pointers });
        }
        let rest = longest_values.longest_bits();
        let longest =
            Entries::read(source, counts[lengths - 1], words, rest, "the longest n-grams")?;
        Ok(Self { unigrams, words, middles, longest, longest_values })
    }
}

impl Search for Trie {
    type Node = Range;

    fn unigram(&self, word: WordId) -> (f32, f32, Range) {
        let word = if u64::from(word) <= self.words { word } else { 0 };
        let at = word as usize * UNIGRAM_BYTES;
        let next = |at: usize| self.unigrams.u64_at(at + 8);
        let range = Range { begin: next(at), end: next(at + UNIGRAM_BYTES) };
        (self.unigrams.f32_at(at), self.unigrams.f32_at(at + 4), range)
    }

    fn middle(&self, level: usize, word: WordId, node: Range) -> Option<Extended<Range>> {
        let Middle { entries, values, pointers } = &self.middles[level];
        let index = entries.find(word, node)?;
        let at = entries.value_at(index);
        let (probability, backoff) = values.middle(&entries.section, at);
        let pointer_at = at + u64::from(values.middle_bits());
        let node = pointers.range(entries, pointer_at, index);
        Some(Extended { probability: Some(probability), backoff, node })
    }

    fn longest(&self, word: WordId, node: Range) -> Option<f32> {
        let index = self.longest.find(word, node)?;
        let at = self.longest.value_at(index);
        Some(self.longest_values.longest(&self.longest.section, at))
    }
}

impl Entries {
    fn read<R: Read>(
        source: &mut Source<R>,
        count: u64,
        words: u64,
        rest_bits: u32,
        what: &str,
    ) -> Result<Self, LoadError> {
        let word_bits = bits_for(words);
        if word_bits > u32::BITS {
            return Err(source.malformed(format!("`{words}` words, more than a number can hold")));
        }
        let total_bits = word_bits + rest_bits;
        // One more entry holds the last pointer, and eight more bytes let any entry be read whole.
        let bits = (u128::from(count) + 1) * u128::from(total_bits);
        let section = source.section(bits.div_ceil(8) + 8, what)?;
        Ok(Self { section, count, word_bits, total_bits })
    }

    /// Returns the entry of a word within a range, in which words are in ascending order.
    fn find(&self, word: WordId, range: Range) -> Option<u64> {
        let (mut low, mut high) = (range.begin, range.end.min(self.count));
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.section.bits_at(middle * u64::from(self.total_bits), self.word_bits);
            match found.cmp(&u64::from(word)) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// Returns the bit at which the values of an entry start.
    fn value_at(&self, index: u64) -> u64 {
        index * u64::from(self.total_bits) + u64::from(self.word_bits)
    }
}

/// Reads the tables of centres, those of the middle lengths first and that of the longest last.
fn read_values<R: Read>(
    source: &mut Source<R>,
    lengths: usize,
    quantised: bool,
) -> Result<Vec<Values>, LoadError> {
    let mut values = Vec::new();
    if !quantised {
        values.resize_with(lengths - 1, || Values::Plain);
        return Ok(values);
    }
    let head = source.section(8, "the quantiser's header")?.into_bytes();
    let (version, probability_bits, backoff_bits) =
        (head[0], u32::from(head[1]), u32::from(head[2]));
    let width = 1..=WIDEST_QUANTISER_BITS;
    // Version 2 does not differ from 1 in anything that is read here.
    if !(1..=2).contains(&version)
        || !width.contains(&probability_bits)
        || !width.contains(&backoff_bits)
    {
        return Err(source.malformed(format!(
            "its quantiser has version `{version}`, `{probability_bits}` and `{backoff_bits}` bits"
        )));
    }
    for length in 2..=lengths {
        let probabilities = source.section(4_u128 << probability_bits, "a quantiser's centres")?;
        let backoff_bytes = if length == lengths { 0 } else { 4_u128 << backoff_bits };
        let backoffs = source.section(backoff_bytes, "a quantiser's centres")?;
        values.push(Values::Quantised { probabilities, probability_bits, backoffs, backoff_bits });
    }
    Ok(values)
}

impl Values {
    fn middle_bits(&self) -> u32 {
        match self {
            Self::Plain => 31 + 32,
            Self::Quantised { probability_bits, backoff_bits, .. } => {
                probability_bits + backoff_bits
            }
        }
    }

    fn longest_bits(&self) -> u32 {
        match self {
            Self::Plain => 31,
            Self::Quantised { probability_bits, .. } => *probability_bits,
        }
    }

    fn middle(&self, entries: &Section, at: u64) -> (f32, f32) {
        match self {
            Self::Plain => (
                plain_probability(entries, at),
                f32::from_bits(entries.bits_at(at + 31, 32) as u32),
            ),
            Self::Quantised { probabilities, probability_bits, backoffs, backoff_bits } => {
                let backoff = entries.bits_at(at, *backoff_bits);
                let probability = entries.bits_at(at + u64::from(*backoff_bits), *probability_bits);
                (
                    probabilities.f32_at(probability as usize * 4),
                    backoffs.f32_at(backoff as usize * 4),
                )
            }
        }
    }

    fn longest(&self, entries: &Section, at: u64) -> f32 {
        match self {
            Self::Plain => plain_probability(entries, at),
            Self::Quantised { probabilities, probability_bits, .. } => {
                probabilities.f32_at(entries.bits_at(at, *probability_bits) as usize * 4)
            }
        }
    }
}

fn plain_probability(entries: &Section, at: u64) -> f32 {
    f32::from_bits(entries.bits_at(at, 31) as u32 | SIGN)
}

impl Pointers {
    fn read<R: Read>(
        source: &mut Source<R>,
        count: u64,
        next: u64,
        arrays: bool,
    ) -> Result<Self, LoadError> {
        let required = bits_for(next);
        if required > WIDEST_FIELD_BITS || bits_for(count) > WIDEST_FIELD_BITS {
            return Err(source.malformed(format!("`{count}` and `{next}` n-grams of a length")));
        }
        if !arrays {
            return Ok(Self { inline_bits: required, upper: None });
        }
        let head = source.section(8, "the pointers' header")?.into_bytes();
        let (version, most) = (head[0], u32::from(head[1]));
        if version != 0 {
            return Err(source.malformed(format!("its pointers have version `{version}`")));
        }
        let chopped = chop(count + 1, next, required, most);
        let length = (next >> (required - chopped)) + 1;
        // KenLM reserves seven bytes for alignment in memory. The array starts at a multiple of
        // eight, and so does everything before it, apart from what earlier arrays left over.
        let lead = source.misalignment();
        source.section(u128::from(lead), "the pointers")?;
        let upper = source.section(u128::from(length) * 8, "the pointers")?;
        source.section(u128::from(7 - lead), "the pointers")?;
        let length = length as usize;
        Ok(Self { inline_bits: required - chopped, upper: Some((upper, length)) })
    }

    fn range(&self, entries: &Entries, at: u64, index: u64) -> Range {
        let inline = |at| entries.section.bits_at(at, self.inline_bits);
        let (mut begin, mut end) = (inline(at), inline(at + u64::from(entries.total_bits)));
        if let Some((upper, length)) = &self.upper {
            begin |= upper_part(upper, *length, index) << self.inline_bits;
            end |= upper_part(upper, *length, index + 1) << self.inline_bits;
        }
        Range { begin, end }
    }
}

/// Returns the last index whose number is at most `index`.
fn upper_part(upper: &Section, length: usize, index: u64) -> u64 {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        if upper.u64_at(middle * 8) <= index { low = middle + 1 } else { high = middle }
    }
    low.saturating_sub(1) as u64
}

/// Returns how many upper bits of the pointers KenLM puts into the array: the number that saves
/// most memory.
fn chop(entries: u64, next: u64, required: u32, most: u32) -> u32 {
    let cost = |bits: u32| {
        i128::from(next >> (required - bits)) * 64 - i128::from(entries) * i128::from(bits)
    };
    (0..=required.min(most)).min_by_key(|&bits| cost(bits)).unwrap_or(0)
}
