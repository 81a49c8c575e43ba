//! Repetition inside one document: duplicate pieces, and n-grams of words that occur again.
//!
//! Words are interned to numbers, and an n-gram is the pair of the two (n-1)-grams it is made
//! of, so equality is exact at every length and costs one 64-bit key. Only n-grams whose both
//! parts repeat are looked at, which in ordinary text leaves next to nothing after n = 4. The
//! thresholds are elsewhere.
//!
//! **Invariant:** `classes[i]` is 0, or a number shared by exactly the places where the words
//! from `i` on repeat those of another place, over the current n words.

use xxhash_rust::xxh3::xxh3_64;

use super::script::Script;
use super::text::{count_chars, trim};
use super::words::Word;

/// Repeated pieces of a text: second and later copies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Duplicates {
    pub(crate) pieces: u64,
    pub(crate) duplicates: u64,
    pub(crate) duplicate_chars: u64,
}

/// An open-addressing table from a hash to a number below 2^32 - 1, cleared for each use.
#[derive(Debug, Default)]
struct Slots {
    slots: Vec<u32>,
    shift: u32,
}

const EMPTY: u32 = u32::MAX;

impl Slots {
    /// Empties the table and makes room for `entries` at a load of at most one half.
    fn reset(&mut self, entries: usize) {
        let size = (entries * 2).next_power_of_two().max(16);
        self.slots.clear();
        self.slots.resize(size, EMPTY);
        self.shift = 64 - size.trailing_zeros();
    }

    /// Returns the entry under `hash` that `is_same` accepts, otherwise `fresh`, which is then
    /// stored.
    fn find_or_insert(&mut self, hash: u64, fresh: u32, is_same: impl Fn(u32) -> bool) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> self.shift) as usize & mask;
        loop {
            let entry = self.slots[at];
            if entry == EMPTY {
                self.slots[at] = fresh;
                return fresh;
            }
            if is_same(entry) {
                return entry;
            }
            at = (at + 1) & mask;
        }
    }
}

fn scatter(key: u64) -> u64 {
    let mixed = (key ^ (key >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Buffers for one document's repetition counts.
#[derive(Debug, Default)]
pub(crate) struct GramTables {
    slots: Slots,
    pieces: Vec<(u32, u32)>,
    /// Code points of the words before each word.
    chars_before: Vec<u32>,
    classes: Vec<u32>,
    places: Vec<u32>,
    found: Vec<(u64, u32, u32)>,
    next_ids: Vec<u32>,
    met: Vec<bool>,
    n: usize,
}

impl GramTables {
    /// Counts pieces that occurred earlier among `pieces`, which are slices of one text. Pieces of
    /// white space only are counted, but not as duplicates.
    pub(crate) fn duplicates<'a>(
        &mut self,
        text: &str,
        pieces: impl Iterator<Item = &'a str>,
    ) -> Duplicates {
        self.pieces.clear();
        let base = text.as_ptr() as usize;
        for piece in pieces {
            let start = piece.as_ptr() as usize - base;
            self.pieces.push((narrow(start), narrow(start + piece.len())));
        }
        let mut counts = Duplicates { pieces: self.pieces.len() as u64, ..Duplicates::default() };
        if self.pieces.len() < 2 {
            return counts;
        }
        self.slots.reset(self.pieces.len());
        let of = |(start, end): (u32, u32)| &text[start as usize..end as usize];
        for (index, &span) in self.pieces.iter().enumerate() {
            let piece = of(span);
            if trim(piece).is_empty() {
                continue;
            }
            let fresh = narrow(index);
            let first = self.slots.find_or_insert(xxh3_64(piece.as_bytes()), fresh, |entry| {
                of(self.pieces[entry as usize]) == piece
            });
            if first != fresh {
                counts.duplicates += 1;
                counts.duplicate_chars += count_chars(piece);
            }
        }
        counts
    }

    /// Starts with n = 1: finds the words that repeat.
    pub(crate) fn start(&mut self, text: &str, words: &[Word]) {
        self.n = 1;
        self.chars_before.clear();
        self.chars_before.push(0);
        let mut chars = 0;
        self.chars_before.extend(words.iter().map(|word| {
            chars += word.chars;
            chars
        }));
        self.slots.reset(words.len());
        self.found.clear();
        for (index, word) in words.iter().enumerate() {
            let fresh = narrow(index);
            let first = self.slots.find_or_insert(hash_word(text, *word), fresh, |entry| {
                let other = words[entry as usize];
                other.end - other.start == word.end - word.start && other.of(text) == word.of(text)
            });
            self.found.push((0, first, fresh));
        }
        self.classes.clear();
        self.classes.resize(words.len(), 0);
        self.keep_repeated();
    }

    /// Continues from n to n + 1.
    pub(crate) fn extend(&mut self) {
        self.n += 1;
        self.found.clear();
        self.slots.reset(self.places.len());
        for pair in self.places.windows(2) {
            let (at, next) = (pair[0], pair[1]);
            if next != at + 1 {
                continue;
            }
            let (left, right) = (self.classes[at as usize], self.classes[next as usize]);
            let key = u64::from(left) << 32 | u64::from(right);
            let fresh = narrow(self.found.len());
            let first = self
                .slots
                .find_or_insert(scatter(key), fresh, |entry| self.found[entry as usize].0 == key);
            self.found.push((key, first, at));
        }
        for &place in &self.places {
            self.classes[place as usize] = 0;
        }
        self.keep_repeated();
    }

    /// Turns `found` (of each candidate: the index of the first equal one, and its place) into
    /// `classes` and `places`, leaving out what occurs once.
    fn keep_repeated(&mut self) {
        self.next_ids.clear();
        self.next_ids.resize(self.found.len(), 0);
        for (index, &(_, first, _)) in self.found.iter().enumerate() {
            if first as usize != index {
                self.next_ids[first as usize] = 1;
            }
        }
        let mut classes = 0;
        for id in &mut self.next_ids {
            if *id != 0 {
                classes += 1;
                *id = classes;
            }
        }
        self.places.clear();
        for &(_, first, place) in &self.found {
            let class = self.next_ids[first as usize];
            if class != 0 {
                self.classes[place as usize] = class;
                self.places.push(place);
            }
        }
        self.met.clear();
        self.met.resize(classes as usize + 1, false);
    }

    /// Returns the code points of all copies of the most frequent n-gram, joined by spaces unless
    /// the script has none; of two equally frequent ones the first counts. `None` if there are
    /// fewer than n words.
    pub(crate) fn top_chars(&mut self, unspaced: Option<Script>) -> Option<u64> {
        if self.chars_before.len() <= self.n {
            return None;
        }
        let counts = &mut self.next_ids;
        counts.clear();
        counts.resize(self.met.len(), 0);
        for &place in &self.places {
            counts[self.classes[place as usize] as usize] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(0);
        let top = self
            .places
            .iter()
            .copied()
            .find(|&place| counts[self.classes[place as usize] as usize] == most);
        let (place, count) = top.map_or((0, 1), |place| (place as usize, u64::from(most)));
        let spaces = if unspaced.is_some() { 0 } else { self.n as u64 - 1 };
        Some((self.chars_at(place) + spaces) * count)
    }

    /// Returns the code points of repeated n-grams, found from left to right without counting a
    /// word twice.
    pub(crate) fn duplicate_chars(&mut self) -> u64 {
        let mut total = 0;
        let mut free_from = 0;
        for &place in &self.places {
            let at = place as usize;
            if at < free_from {
                continue;
            }
            let class = self.classes[at] as usize;
            if self.met[class] {
                free_from = at + self.n;
                total += u64::from(self.chars_before[free_from] - self.chars_before[at]);
            } else {
                self.met[class] = true;
            }
        }
        total
    }

    fn chars_at(&self, place: usize) -> u64 {
        u64::from(self.chars_before[place + self.n] - self.chars_before[place])
    }
}

/// A word of up to eight bytes is hashed from one load.
fn hash_word(text: &str, word: Word) -> u64 {
    let bytes = text.as_bytes();
    let (start, end) = (word.start as usize, word.end as usize);
    let length = end - start;
    if length > 8 {
        return xxh3_64(&bytes[start..end]);
    }
    let mut eight = [0; 8];
    match bytes.get(start..start + 8) {
        Some(loaded) => eight.copy_from_slice(loaded),
        None => eight[..length].copy_from_slice(&bytes[start..end]),
    }
    scatter(u64::from_le_bytes(eight) & (u64::MAX >> (64 - 8 * length)))
}

fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("a view refuses texts above MAX_TEXT_BYTES")
}
