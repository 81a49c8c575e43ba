//! Words of a text that a text rule has made.
//!
//! The words are kept as one text with single spaces between them, so that an n-gram of words
//! joined by a space, as every published rule has it, is a slice of that text.
//!
//! FineWeb's words are those of spaCy's blank English tokeniser without white space, which is what
//! datatrove 0.10.1 asks for English. FineWeb's text rule leaves neither capitals nor ASCII
//! punctuation, and that is why only these of spaCy's rules remain:
//!
//! 1. White space separates chunks.
//! 2. Contractions without an apostrophe are split (`dont`, `im`), and so are `cannot` and `gonna`.
//! 3. From a chunk's ends, quotes, foreign marks, pictures and other symbols are split off one at
//!    a time; in front also signs of currencies, `=` and `§`; behind also a unit or a currency
//!    after a digit. `‘s` stays whole.
//! 4. What remains is cut at pictures and symbols, and at `<`, `=` and `>` before a letter.
//!
//! `filters` counts the words of raw text by an approximation of the same tokeniser, which has no
//! contractions without apostrophes. Its rules for capitals, dots and addresses are the larger
//! part, and no text here can need them.

mod letters;
mod tables;

use crate::rules::is_python_space;
use letters::is_letter;
use tables::{SPLIT, UNITS, is_currency, is_icon, is_mark};

/// The words of one text, in order.
#[derive(Debug, Clone, Default)]
pub struct Words {
    text: String,
    starts: Vec<usize>,
}

impl Words {
    /// Returns the words, with one space between them.
    pub fn joined(&self) -> &str {
        &self.text
    }

    /// Returns where each word starts in `joined`. A word ends one byte before the next.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Returns the words one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let ends = self.starts.iter().skip(1).map(|&start| start - 1);
        let ends = ends.chain([self.text.len()]);
        self.starts.iter().zip(ends).map(|(&start, end)| &self.text[start..end])
    }

    /// Replaces the words by those of `text`, cut at white space alone.
    pub fn split_at_spaces(&mut self, text: &str) {
        self.clear(text);
        for word in text.split(is_python_space).filter(|word| !word.is_empty()) {
            self.push(word);
        }
    }

    /// Replaces the words by spaCy's English words of `text`, which FineWeb's text rule has made.
    pub fn split_english(&mut self, text: &str) {
        self.clear(text);
        let (blocks, tail) = text.as_bytes().as_chunks::<BLOCK_BYTES>();
        let mut last = [b'a'; BLOCK_BYTES];
        last[..tail.len()].copy_from_slice(tail);
        let mut cursor = Cursor::default();
        let mut seen_other = false;
        for (number, block) in blocks.iter().chain([&last]).enumerate() {
            let Marks { mut spaces, mut others } = Marks::of(block);
            while spaces != 0 {
                let at = spaces.trailing_zeros();
                let before = (1_u64 << at) - 1;
                let letters_alone = !seen_other & (others & before == 0);
                let end = number * BLOCK_BYTES + at as usize;
                self.take_chunk(text, &mut cursor, end, letters_alone);
                seen_other = false;
                others &= !before;
                spaces &= spaces - 1;
            }
            seen_other |= others != 0;
        }
        self.take_chunk(text, &mut cursor, text.len(), !seen_other);
        self.text.push_str(text.get(cursor.run..).unwrap_or_default());
        if self.text.ends_with(' ') {
            self.text.pop();
        }
    }

    /// Takes the chunk from the cursor to `end`, where a space or the text's end is.
    #[inline(always)]
    fn take_chunk(&mut self, text: &str, cursor: &mut Cursor, end: usize, letters_alone: bool) {
        let start = cursor.chunk;
        cursor.chunk = end + 1;
        let chunk = &text[start..end];
        let seen = if letters_alone { LETTERS } else { seen_in(chunk) };
        let is_one_word = match seen {
            LETTERS => !chunk.is_empty() && contraction(chunk).is_none(),
            seen => !chunk.is_empty() && seen & WIDE == 0 && unit_bytes(chunk) == 0,
        };
        if is_one_word {
            self.starts.push(self.text.len() + start - cursor.run);
        } else {
            self.text.push_str(&text[cursor.run..start]);
            self.split_chunk(chunk, seen);
            cursor.run = end + usize::from(chunk.is_empty());
        }
    }

    fn clear(&mut self, text: &str) {
        self.starts.clear();
        self.text.clear();
        self.text.reserve(text.len() + text.len() / 16);
    }

    /// Adds a word behind the others.
    fn push(&mut self, word: &str) {
        if !self.text.is_empty() && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        self.starts.push(self.text.len());
        self.text.push_str(word);
    }

    /// Adds a chunk of letters alone, which only a contraction splits.
    fn push_letters(&mut self, chunk: &str) {
        match contraction(chunk) {
            None if chunk.is_empty() => {}
            None => self.push(chunk),
            Some(parts) => parts.split('|').for_each(|part| self.push(part)),
        }
    }

    fn split_chunk(&mut self, chunk: &str, seen: u8) {
        if seen == LETTERS {
            self.push_letters(chunk);
            return;
        }
        let mut rest = chunk;
        let mut suffixes = Vec::new();
        while !rest.is_empty() && !is_special(rest) {
            let prefix = prefix_bytes(rest);
            if prefix > 0 && is_special(&rest[prefix..]) {
                self.push(&rest[..prefix]);
                rest = &rest[prefix..];
                break;
            }
            let suffix = suffix_bytes(&rest[prefix..]);
            let (before, behind) = rest.split_at(rest.len() - suffix);
            if suffix > 0 {
                suffixes.push(behind);
            }
            if suffix > 0 && is_special(before) {
                rest = before;
                break;
            }
            if prefix > 0 {
                self.push(&rest[..prefix]);
            }
            rest = &before[prefix..];
            if prefix + suffix == 0 {
                break;
            }
        }
        self.split_core(rest);
        suffixes.iter().rev().for_each(|suffix| self.push(suffix));
    }

    fn split_core(&mut self, core: &str) {
        if is_special(core) {
            self.push_letters(core);
            return;
        }
        let mut piece = 0;
        let mut before = None;
        for (at, c) in core.char_indices() {
            let after = core[at + c.len_utf8()..].chars().next();
            if at > 0 && (is_icon(c) || is_cut(before, c, after)) {
                if piece < at {
                    self.push(&core[piece..at]);
                }
                piece = at + c.len_utf8();
                self.push(&core[at..piece]);
            }
            before = Some(c);
        }
        if piece < core.len() {
            self.push(&core[piece..]);
        }
    }
}

const LETTERS: u8 = 1;
const WIDE: u8 = 2;
const OTHER: u8 = 4;
const KIND: [u8; 256] = kinds();

const fn kinds() -> [u8; 256] {
    let mut table = [WIDE; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        if c.is_ascii_lowercase() {
            table[byte] = LETTERS;
        } else if c.is_ascii_alphanumeric() {
            table[byte] = OTHER;
        }
        byte += 1;
    }
    table
}

/// The places up to which a text has been copied and read.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    /// Start of the bytes that are still to be copied. Chunks are copied in runs, up to the next
    /// one that is split.
    run: usize,
    /// Start of the next chunk.
    chunk: usize,
}

const BLOCK_BYTES: usize = 64;

/// The kinds of a block's bytes, one bit for each byte, the first lowest.
struct Marks {
    spaces: u64,
    /// Neither spaces nor lower-case letters.
    others: u64,
}

impl Marks {
    #[inline(always)]
    fn of(block: &[u8; BLOCK_BYTES]) -> Self {
        const ONES: u64 = u64::MAX / 255;
        const TOPS: u64 = ONES << 7;
        let (mut spaces, mut others) = (0, 0);
        for (at, bytes) in block.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*bytes);
            // The top bit of each byte is the answer for it, and no sum carries into the next.
            let low = word & !TOPS;
            let from_a = low + ONES * (0x80 - u64::from(b'a'));
            let behind_z = low + ONES * (0x7f - u64::from(b'z'));
            let not_space = word ^ (ONES * u64::from(b' '));
            let space = !(((not_space & !TOPS) + !TOPS) | not_space) & TOPS;
            let letter = from_a & !behind_z & !word & TOPS;
            spaces |= top_bits(space) << (8 * at);
            others |= top_bits(!(letter | space) & TOPS) << (8 * at);
        }
        Self { spaces, others }
    }
}

/// Gathers the top bit of each byte, the first lowest. The product moves bit 8k to bit 56 + k.
#[inline(always)]
fn top_bits(tops: u64) -> u64 {
    (tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Returns the kinds of bytes in `chunk`. ASCII marks count as `WIDE`: they take the long way.
fn seen_in(chunk: &str) -> u8 {
    chunk.bytes().fold(0, |seen, byte| seen | KIND[usize::from(byte)])
}

/// Length of the longest contraction, and one more.
const LENGTHS: usize = 11;

/// For each first letter and length, one bit per last letter of a contraction that has them.
const LAST_LETTERS: [[u32; LENGTHS]; 26] = last_letters();

const fn last_letters() -> [[u32; LENGTHS]; 26] {
    let mut table = [[0; LENGTHS]; 26];
    let mut at = 0;
    while at < SPLIT.len() {
        let entry = SPLIT[at].as_bytes();
        let mut letters = 0;
        let mut byte = 0;
        while byte < entry.len() {
            letters += (entry[byte] != b'|') as usize;
            byte += 1;
        }
        let first = (entry[0] - b'a') as usize;
        table[first][letters] |= 1 << (entry[entry.len() - 1] - b'a');
        at += 1;
    }
    table
}

/// Returns the entry of `SPLIT` for a chunk, if it has one.
fn contraction(chunk: &str) -> Option<&'static str> {
    let [first, .., last] = chunk.as_bytes() else { return None };
    let letter = |byte: u8| usize::from(byte.wrapping_sub(b'a'));
    let last_letters = LAST_LETTERS.get(letter(*first))?.get(chunk.len())?;
    if letter(*last) >= 26 || last_letters & (1 << letter(*last)) == 0 {
        return None;
    }
    let mut letters = [0; 16];
    letters.get_mut(..chunk.len())?.copy_from_slice(chunk.as_bytes());
    LETTERS_OF_SPLIT.binary_search(&u128::from_be_bytes(letters)).ok().map(|at| SPLIT[at])
}

/// The letters of each entry of `SPLIT`, the first in the highest byte, so that their order is that
/// of the entries.
const LETTERS_OF_SPLIT: [u128; SPLIT.len()] = letters_of_split();

const fn letters_of_split() -> [u128; SPLIT.len()] {
    let mut table = [0; SPLIT.len()];
    let mut at = 0;
    while at < SPLIT.len() {
        let entry = SPLIT[at].as_bytes();
        let (mut byte, mut shift) = (0, 128);
        while byte < entry.len() {
            if entry[byte] != b'|' {
                shift -= 8;
                table[at] |= (entry[byte] as u128) << shift;
            }
            byte += 1;
        }
        at += 1;
    }
    table
}

fn is_special(chunk: &str) -> bool {
    chunk == "‘s" || contraction(chunk).is_some()
}

fn prefix_bytes(chunk: &str) -> usize {
    let Some(first) = chunk.chars().next() else { return 0 };
    let split = matches!(first, '=' | '§') || is_mark(first) || is_currency(first);
    if split { first.len_utf8() } else { 0 }
}

fn suffix_bytes(chunk: &str) -> usize {
    let mut back = chunk.chars().rev();
    let Some(last) = back.next() else { return 0 };
    let after_digit = || chunk.chars().rev().nth(1).is_some_and(|c| c.is_ascii_digit());
    if is_mark(last) || (is_currency(last) && after_digit()) {
        return last.len_utf8();
    }
    unit_bytes(chunk)
}

/// Returns the length of the unit behind the last digit of `chunk`; 0 if there is none.
fn unit_bytes(chunk: &str) -> usize {
    let digit = chunk.bytes().rposition(|byte| byte.is_ascii_digit());
    let Some(unit) = digit.map(|at| &chunk[at + 1..]) else { return 0 };
    if UNITS.binary_search(&unit).is_ok() { unit.len() } else { 0 }
}

fn is_cut(before: Option<char>, c: char, after: Option<char>) -> bool {
    matches!(c, '<' | '=' | '>')
        && before.is_some_and(|before| is_letter(before) || before.is_ascii_digit())
        && after.is_some_and(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english(text: &str) -> Vec<String> {
        let mut words = Words::default();
        words.split_english(text);
        words.iter().map(str::to_owned).collect()
    }

    #[test]
    fn joined_words_are_separated_by_one_space() {
        let mut words = Words::default();
        words.split_english("i dont  know 0km");
        assert_eq!(words.joined(), "i do nt know 0 km");
        assert_eq!(words.starts(), [0, 2, 5, 8, 13, 15]);
        words.split_at_spaces("a  b\u{a0}dont");
        assert_eq!(words.joined(), "a b dont");
    }

    #[test]
    fn chunks_may_lie_across_blocks_anywhere() {
        let cases = [
            ("dont", "do nt"),
            ("0km", "0 km"),
            ("a", "a"),
            ("x°y", "x ° y"),
            ("abc0", "abc0"),
            ("€0", "€ 0"),
            ("thesellve", "these ll ve"),
            ("", ""),
        ];
        for length in 0..140 {
            for (chunk, expected) in cases {
                let letters = "b".repeat(length);
                let text = format!("{letters} {chunk} c 0m");
                let expected = format!("{letters} {expected} c 0 m").replace("  ", " ");
                assert_eq!(english(&text).join(" "), expected.trim_start(), "{text:?}");
            }
        }
    }

    #[test]
    fn each_byte_is_a_space_a_letter_or_another() {
        for byte in 0..=255_u8 {
            let mut block = [b'q'; BLOCK_BYTES];
            for at in [0, 7, 8, 37, 63] {
                block[at] = byte;
                let marks = Marks::of(&block);
                let is_other = byte != b' ' && !byte.is_ascii_lowercase();
                assert_eq!(marks.spaces >> at & 1 == 1, byte == b' ');
                assert_eq!(marks.others >> at & 1 == 1, is_other, "{byte}");
                block[at] = b'q';
                assert_eq!(Marks::of(&block).spaces | Marks::of(&block).others, 0);
            }
        }
    }

    #[test]
    fn no_words_are_found_in_spaces() {
        assert!(english("").is_empty() && english("  ").is_empty());
    }

    #[test]
    fn every_contraction_of_the_table_is_split() {
        for entry in SPLIT {
            let parts: Vec<&str> = entry.split('|').collect();
            assert_eq!(english(&entry.replace('|', "")), parts);
        }
    }

    /// Each case is what datatrove's `word_tokenize` returned for the text after its rule.
    #[test]
    fn the_words_of_spacy_are_reproduced() {
        let golden = include_str!("../testdata/fineweb_words_spacy-3.8.jsonl");
        assert!(golden.lines().count() >= 200);
        for line in golden.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let rule = case["rule"].as_str().unwrap();
            let expected: Vec<&str> =
                case["words"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
            assert_eq!(english(rule), expected, "{rule:?}");
        }
    }
}
