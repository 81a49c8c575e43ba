//! Scores sentences with KenLM's n-gram models; the scores are equal to those of KenLM.
//!
//! ```text
//!   .bin ──▶ binary: header, vocabulary ──▶ probing · trie ──┐
//!   .arpa(.gz) ──▶ arpa ──▶ tables ──────────────────────────┴──▶ score
//! ```
//! It reads the binary files of format 5 that `build_binary` writes: hash tables (`probing`) and
//! tries, also quantised, also with array-compressed pointers; and ARPA files, plain or gzip.
//! Models with rest costs are refused. Building models is left to KenLM.
//!
//! A model is read into memory, where it takes about the size of the file, without the spelled-out
//! words. It is not mapped: a mapped file on a parallel file system can change or vanish while a
//! worker uses it.
//!
//! **Invariant:** no file, however damaged, makes scoring go out of bounds or loop for ever, and a
//! score is one sum in the order of the words, in single precision, as in KenLM's Python module.

mod arpa;
mod binary;
mod bits;
mod probing;
mod score;
mod source;
mod trie;
mod vocabulary;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub use source::LoadError;

use source::Source;
use vocabulary::Vocabulary;

/// The longest n-grams that a model may have; KenLM's own default is 6.
const MAX_ORDER: usize = 10;

/// The number of a word of a model; 0 is the unknown word.
pub type WordId = u32;

/// An n-gram model, ready to score. It does not change, and threads share it.
pub struct Model {
    order: usize,
    vocabulary: Vocabulary,
    tables: Tables,
    begin: WordId,
    end: WordId,
}

enum Tables {
    Probing(probing::Probing),
    Trie(trie::Trie),
    Arpa(arpa::Arpa),
}

impl Model {
    /// Loads a binary or ARPA file.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let name = path.display().to_string();
        let open = || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) =
            open().map_err(|source| LoadError::Open { name: name.clone(), source })?;
        Self::read(Source::new(BufReader::with_capacity(1 << 16, file), name, length))
    }

    /// Reads a model from memory; `name` is for messages.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self, LoadError> {
        Self::read(Source::new(bytes, name.to_owned(), bytes.len() as u64))
    }

    fn read<R: Read>(mut source: Source<R>) -> Result<Self, LoadError> {
        let start = source.start()?;
        let (order, vocabulary, tables) = if binary::is_binary(&start) {
            binary::read(&mut source, &start)?
        } else {
            let (order, vocabulary, arpa) =
                arpa::read(source.name().to_owned(), source.rest(&start))?;
            (order, vocabulary, Tables::Arpa(arpa))
        };
        let (begin, end) = (vocabulary.word(b"<s>"), vocabulary.word(b"</s>"));
        if begin == 0 || end == 0 {
            return Err(source.malformed("the vocabulary lacks `<s>` or `</s>`"));
        }
        Ok(Self { order, vocabulary, tables, begin, end })
    }

    /// Returns the length of the model's longest n-grams.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Returns the number of a word, or 0 if the model does not know it.
    pub fn word(&self, word: &str) -> WordId {
        self.vocabulary.word(word.as_bytes())
    }

    /// Returns the base-10 logarithm of the probability of a sentence, with its begin and end.
    pub fn score(&self, words: impl IntoIterator<Item = WordId>) -> f32 {
        let sentence = words.into_iter();
        match &self.tables {
            Tables::Probing(tables) => score::sentence(tables, self, sentence),
            Tables::Trie(tables) => score::sentence(tables, self, sentence),
            Tables::Arpa(tables) => score::sentence(tables, self, sentence),
        }
    }
}
