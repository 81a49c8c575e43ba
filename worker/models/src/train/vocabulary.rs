//! Counts the words of the documents, and stores documents as numbers of words.
//!
//! Words are defined as in fastText: bytes between its seven kinds of white space. Each document
//! ends with the word `</s>`, like a line there.
//!
//! **Invariant:** words are numbered by falling count; of equal ones, the one that occurs first
//! comes first.

use std::collections::HashMap;

use super::{TrainError, WORDS_MAX};

/// The word that ends a line, also if it occurs in a text, as in fastText.
const END: &str = "</s>";
const LABEL_PREFIX: &str = "__label__";

pub(super) struct Builder {
    numbers: HashMap<Box<str>, u32>,
    words: Vec<Word>,
    labels: [Word; 2],
    examples: Vec<Example>,
    tokens: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) spelling: Box<str>,
    pub(super) count: u64,
}

/// A document as numbers of words, with one of the two labels.
#[derive(Debug, Clone)]
pub(super) struct Example {
    pub(super) label: usize,
    pub(super) words: Box<[u32]>,
    /// Number of tokens in the line, including the label and the end; the learning rate falls by
    /// these.
    pub(super) tokens: u64,
}

pub(super) struct Corpus {
    pub(super) words: Vec<Word>,
    /// The labels with their prefix.
    pub(super) labels: [Word; 2],
    pub(super) examples: Vec<Example>,
    pub(super) tokens: u64,
}

impl Builder {
    pub(super) fn new(labels: [&String; 2]) -> Self {
        let labels = labels.map(|label| {
            let bare = label.strip_prefix(LABEL_PREFIX).unwrap_or(label);
            Word { spelling: format!("{LABEL_PREFIX}{bare}").into(), count: 0 }
        });
        let (numbers, words, examples) = (HashMap::new(), Vec::new(), Vec::new());
        Self { numbers, words, labels, examples, tokens: 0 }
    }

    /// Adds a document; line feeds in it are treated as spaces.
    pub(super) fn add(&mut self, label: usize, text: &str) -> Result<(), TrainError> {
        let mut words = Vec::new();
        let spaces = |c: char| matches!(c, ' ' | '\n' | '\r' | '\t' | '\x0B' | '\x0C' | '\0');
        let mut tokens = 1;
        for word in text.split(spaces).filter(|word| !word.is_empty()) {
            if word == END {
                break;
            }
            tokens += 1;
            // To fastText such a word is a label, not part of the text.
            if !word.starts_with(LABEL_PREFIX) {
                words.push(self.number(word)?);
            }
        }
        tokens += 1;
        words.push(self.number(END)?);
        self.labels[label].count += 1;
        self.tokens += tokens;
        self.examples.push(Example { label, words: words.into(), tokens });
        Ok(())
    }

    pub(super) fn examples_of(&self, label: usize) -> u64 {
        self.labels[label].count
    }

    fn number(&mut self, word: &str) -> Result<u32, TrainError> {
        if let Some(&number) = self.numbers.get(word) {
            self.words[number as usize].count += 1;
            return Ok(number);
        }
        if self.words.len() == WORDS_MAX {
            return Err(TrainError::TooManyWords);
        }
        let number = self.words.len() as u32;
        self.words.push(Word { spelling: word.into(), count: 1 });
        self.numbers.insert(word.into(), number);
        Ok(number)
    }

    /// Numbers the words again, without the rare ones.
    pub(super) fn finish(self, min_count: u64) -> Result<Corpus, TrainError> {
        let Self { words, labels, mut examples, tokens, .. } = self;
        let mut order: Vec<u32> = (0..words.len() as u32).collect();
        order.retain(|&old| words[old as usize].count >= min_count);
        order.sort_by_key(|&old| std::cmp::Reverse(words[old as usize].count));
        if order.is_empty() {
            return Err(TrainError::NoWords { min_count });
        }
        let mut renumbered = vec![None; words.len()];
        for (new, &old) in (0_u32..).zip(&order) {
            renumbered[old as usize] = Some(new);
        }
        for example in &mut examples {
            example.words =
                example.words.iter().filter_map(|&old| renumbered[old as usize]).collect();
        }
        let words = order.iter().map(|&old| words[old as usize].clone()).collect();
        Ok(Corpus { words, labels, examples, tokens })
    }
}
