//! Shingles: the overlapping n-grams that two documents are compared by.
//!
//! A document is laid out once as bytes with the start of each unit (word, character or token).
//! Then shingle `i` is a slice of those bytes, and nothing is copied per shingle.

use std::ops::Range;

use crate::words::Words;

/// The kind of unit that a shingle is made of, and their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shingles {
    /// Words, joined by a space.
    Words(usize),
    /// Characters of the text.
    Characters(usize),
    /// Tokens of a tokeniser that the caller runs, each a little-endian `u32`.
    Tokens(usize),
}

/// The treatment of a document with fewer units than a shingle has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShortDocuments {
    /// It has no shingles, so it has no signature and is kept.
    NoShingles,
    /// It is one shingle, if it is not empty.
    OneShingle,
}

/// A document's bytes and where its units start.
#[derive(Debug, Clone, Copy)]
pub struct Units<'a> {
    bytes: &'a [u8],
    starts: &'a [usize],
    separator_bytes: usize,
}

impl<'a> Units<'a> {
    /// The words of a text.
    pub fn words(words: &'a Words) -> Self {
        Self { bytes: words.joined().as_bytes(), starts: words.starts(), separator_bytes: 1 }
    }

    /// Units that follow each other without a separator, each at its place in `starts`.
    pub fn adjacent(bytes: &'a [u8], starts: &'a [usize]) -> Self {
        Self { bytes, starts, separator_bytes: 0 }
    }

    /// Returns the bytes that the shingles are slices of.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the number of units.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Returns whether the document has no units.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Returns where unit `at` lies in `bytes`.
    pub fn unit(&self, at: usize) -> Range<usize> {
        self.span(at, 1)
    }

    /// Returns where each shingle of `size` units lies in `bytes`, in order.
    pub fn shingles(
        &self,
        size: usize,
        short: ShortDocuments,
    ) -> impl ExactSizeIterator<Item = Range<usize>> {
        let units = *self;
        let (count, size) = self.count(size, short);
        (0..count).map(move |at| units.span(at, size))
    }

    /// Returns the number of shingles, and of units in each.
    pub(crate) fn count(&self, size: usize, short: ShortDocuments) -> (usize, usize) {
        let size = size.max(1);
        if self.len() >= size {
            return (self.len() - size + 1, size);
        }
        match short {
            ShortDocuments::NoShingles => (0, size),
            ShortDocuments::OneShingle => (usize::from(!self.is_empty()), self.len()),
        }
    }

    fn span(&self, at: usize, size: usize) -> Range<usize> {
        let end = match self.starts.get(at + size) {
            Some(&next) => next - self.separator_bytes,
            None => self.bytes.len(),
        };
        self.starts[at]..end
    }
}

/// Replaces `starts` by the offset of each character of `text`.
pub fn character_starts(text: &str, starts: &mut Vec<usize>) {
    starts.clear();
    if text.is_ascii() {
        starts.extend(0..text.len());
    } else {
        starts.extend(text.char_indices().map(|(at, _)| at));
    }
}

/// Replaces `bytes` by the little-endian bytes of `tokens`, and `starts` by where each is.
pub fn token_bytes(tokens: &[u32], bytes: &mut Vec<u8>, starts: &mut Vec<usize>) {
    bytes.clear();
    bytes.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
    starts.clear();
    starts.extend((0..tokens.len()).map(|at| at * size_of::<u32>()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shingles(units: Units<'_>, size: usize, short: ShortDocuments) -> Vec<String> {
        let text = |span: Range<usize>| String::from_utf8(units.bytes()[span].to_vec()).unwrap();
        units.shingles(size, short).map(text).collect()
    }

    #[test]
    fn word_shingles_are_joined_by_a_space() {
        let mut words = Words::default();
        words.split_at_spaces("one two  three four");
        let found = shingles(Units::words(&words), 3, ShortDocuments::NoShingles);
        assert_eq!(found, ["one two three", "two three four"]);
    }

    #[test]
    fn character_shingles_are_of_characters_not_bytes() {
        let text = "aéß語";
        let mut starts = vec![99];
        character_starts(text, &mut starts);
        let found =
            shingles(Units::adjacent(text.as_bytes(), &starts), 2, ShortDocuments::NoShingles);
        assert_eq!(found, ["aé", "éß", "ß語"]);
        character_starts("abc", &mut starts);
        assert_eq!(starts, [0, 1, 2]);
    }

    #[test]
    fn token_shingles_are_little_endian_words() {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        token_bytes(&[1, 258, 7], &mut bytes, &mut starts);
        let units = Units::adjacent(&bytes, &starts);
        let spans: Vec<_> = units.shingles(2, ShortDocuments::OneShingle).collect();
        assert_eq!(spans, [0..8, 4..12]);
        assert_eq!(bytes[4..8], [2, 1, 0, 0]);
    }

    #[test]
    fn a_short_document_has_one_shingle_or_none() {
        let mut words = Words::default();
        words.split_at_spaces("one two");
        let units = Units::words(&words);
        assert_eq!(shingles(units, 2, ShortDocuments::NoShingles), ["one two"]);
        assert!(shingles(units, 3, ShortDocuments::NoShingles).is_empty());
        assert_eq!(shingles(units, 3, ShortDocuments::OneShingle), ["one two"]);
        words.split_at_spaces(" ");
        assert!(shingles(Units::words(&words), 3, ShortDocuments::OneShingle).is_empty());
    }
}
