//! ARPA files, plain or gzip: a model as text, which is read into hash tables.
//!
//! ```text
//! \data\           \2-grams:
//! ngram 1=4018     -1.0389 ▁der ▁menschen -0.2108     (tabs between the three)
//! ```
//! An n-gram is stored under the hash that KenLM's own tables use. Loading takes more memory and
//! time than for a binary file; convert large models with `build_binary`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};

use super::probing::combine;
use super::score::{Extended, Search};
use super::source::LoadError;
use super::vocabulary::{Vocabulary, word_hash};
use super::{MAX_ORDER, WordId};

const MAX_LINE_BYTES: u64 = 1 << 20;
/// The value that KenLM gives an unknown word if the file has no `<unk>`.
const MISSING_UNKNOWN: f32 = -100.0;

pub(super) struct Arpa {
    unigrams: Vec<(f32, f32)>,
    middles: Vec<HashMap<u64, (f32, f32)>>,
    longest: HashMap<u64, f32>,
}

pub(super) fn read(
    name: String,
    mut file: impl Read,
) -> Result<(usize, Vocabulary, Arpa), LoadError> {
    let mut magic = [0; 2];
    let failed = |name: &String, source| LoadError::Read { name: name.clone(), offset: 0, source };
    let got = file.read(&mut magic).map_err(|error| failed(&name, error))?;
    let file = magic[..got].chain(file);
    if magic == [0x1F, 0x8B] {
        let text = BufReader::new(flate2::read::MultiGzDecoder::new(file));
        return Parser { name, line: 0, text, buffer: Vec::new() }.parse();
    }
    Parser { name, line: 0, text: BufReader::new(file), buffer: Vec::new() }.parse()
}

struct Parser<R> {
    name: String,
    line: u64,
    text: R,
    buffer: Vec<u8>,
}

impl<R: BufRead> Parser<R> {
    fn parse(mut self) -> Result<(usize, Vocabulary, Arpa), LoadError> {
        let counts = self.counts()?;
        let order = counts.len();
        let mut words = HashMap::new();
        // The unknown word has number 0, wherever it is in the file.
        let mut arpa = Arpa {
            unigrams: vec![(MISSING_UNKNOWN, 0.0)],
            middles: vec![HashMap::new(); order - 2],
            longest: HashMap::new(),
        };
        for (index, &count) in counts.iter().enumerate() {
            let title = format!("\\{}-grams:", index + 1);
            if self.next_line()? != Some(title.as_bytes()) {
                return Err(self.refuse(format!("`{title}` is expected here")));
            }
            for _ in 0..count {
                self.ngram(index + 1, order, &mut words, &mut arpa)?;
            }
        }
        if self.next_line()? != Some(b"\\end\\") {
            return Err(self.refuse("`\\end\\` is expected here"));
        }
        Ok((order, Vocabulary::Mapped(words), arpa))
    }

    fn counts(&mut self) -> Result<Vec<u64>, LoadError> {
        match self.next_line()? {
            Some(b"\\data\\") => {}
            start => {
                let start = start.unwrap_or_default();
                let start = start[..start.len().min(24)].escape_ascii().to_string();
                return Err(LoadError::NotAModel { name: self.name.clone(), start });
            }
        }
        let mut counts = Vec::new();
        loop {
            self.read_line()?;
            let line = trimmed(&self.buffer);
            if line.is_empty() && !self.buffer.is_empty() {
                break;
            }
            let text = String::from_utf8_lossy(line).into_owned();
            let count = text.strip_prefix("ngram ").and_then(|rest| rest.split_once('='));
            let count = count.filter(|(length, _)| length.trim().parse() == Ok(counts.len() + 1));
            match count.and_then(|(_, count)| count.trim().parse().ok()) {
                Some(count) => counts.push(count),
                None => return Err(self.refuse(format!("`{text}` is not a valid count"))),
            }
        }
        if !(2..=MAX_ORDER).contains(&counts.len()) {
            let lengths = counts.len();
            return Err(
                self.refuse(format!("`{lengths}` lengths of n-grams, not 2 to {MAX_ORDER}"))
            );
        }
        Ok(counts)
    }

    fn ngram(
        &mut self,
        length: usize,
        order: usize,
        words: &mut HashMap<u64, WordId>,
        arpa: &mut Arpa,
    ) -> Result<(), LoadError> {
        self.next_line()?;
        let line = trimmed(&self.buffer);
        let mut fields = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|f| !f.is_empty());
        let number = |field: &[u8]| {
            let number = std::str::from_utf8(field).ok()?.parse::<f32>().ok()?;
            (!number.is_nan()).then_some(number)
        };
        let probability = fields.next().and_then(number).filter(|number| *number <= 0.0);
        let spelled: Vec<&[u8]> = fields.by_ref().take(length).collect();
        let backoff = match fields.next() {
            None => Some(0.0),
            // Minus zero would mean that nothing extends the n-gram, which the file does not say.
            Some(field) => number(field).map(|number| number + 0.0),
        };
        let (Some(probability), Some(backoff)) = (probability, backoff) else {
            return Err(self.refuse("its first or last field is not a logarithm"));
        };
        if spelled.len() != length || fields.next().is_some() {
            return Err(self.refuse(format!("this is not a {length}-gram")));
        }
        if length == 1 {
            let added = arpa.add_word(spelled[0], probability, backoff, words);
            return if added { Ok(()) } else { Err(self.refuse("the word occurs twice")) };
        }
        let mut numbers = [0; MAX_ORDER];
        for (number, word) in numbers.iter_mut().zip(spelled.iter().rev()) {
            match words.get(&word_hash(word)) {
                Some(known) => *number = *known,
                None if matches!(*word, b"<unk>" | b"<UNK>") => {}
                None => return Err(self.refuse("it has a word that is not a 1-gram")),
            }
        }
        if !arpa.add(&numbers[..length], order, probability, backoff) {
            return Err(self.refuse("the n-gram occurs twice"));
        }
        Ok(())
    }

    /// Reads the next line that is not empty.
    fn next_line(&mut self) -> Result<Option<&[u8]>, LoadError> {
        loop {
            self.read_line()?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            if !trimmed(&self.buffer).is_empty() {
                return Ok(Some(trimmed(&self.buffer)));
            }
        }
    }

    fn read_line(&mut self) -> Result<(), LoadError> {
        self.line += 1;
        self.buffer.clear();
        let mut limited = (&mut self.text).take(MAX_LINE_BYTES);
        let got = limited
            .read_until(b'\n', &mut self.buffer)
            .map_err(|source| LoadError::Read { name: self.name.clone(), offset: 0, source })?;
        if got as u64 == MAX_LINE_BYTES {
            return Err(self.refuse(format!("it has more than {MAX_LINE_BYTES} bytes")));
        }
        Ok(())
    }

    fn refuse(&self, what: impl Into<String>) -> LoadError {
        LoadError::Arpa { name: self.name.clone(), line: self.line, what: what.into() }
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

impl Arpa {
    /// Adds a word; returns whether it is new.
    fn add_word(
        &mut self,
        word: &[u8],
        probability: f32,
        backoff: f32,
        words: &mut HashMap<u64, WordId>,
    ) -> bool {
        if matches!(word, b"<unk>" | b"<UNK>") {
            self.unigrams[0] = (probability, backoff);
            return true;
        }
        let number = self.unigrams.len() as WordId;
        self.unigrams.push((probability, backoff));
        words.insert(word_hash(word), number).is_none()
    }

    /// Adds an n-gram, its last word first; returns whether it is new.
    fn add(&mut self, words: &[WordId], order: usize, probability: f32, backoff: f32) -> bool {
        let mut hash = u64::from(words[0]);
        for (level, &word) in words[1..].iter().enumerate() {
            hash = combine(hash, word);
            if level + 2 == order {
                return self.longest.insert(hash, probability).is_none();
            }
            if level + 2 == words.len() {
                return self.middles[level].insert(hash, (probability, backoff)).is_none();
            }
            // A longer n-gram is reached through this one, even if this one was pruned.
            self.middles[level].entry(hash).or_insert((f32::NAN, 0.0));
        }
        false
    }
}

impl Search for Arpa {
    type Node = u64;

    fn unigram(&self, word: WordId) -> (f32, f32, u64) {
        let known = if (word as usize) < self.unigrams.len() { word } else { 0 };
        let (probability, backoff) = self.unigrams[known as usize];
        (probability, backoff, known.into())
    }

    fn middle(&self, level: usize, word: WordId, node: u64) -> Option<Extended<u64>> {
        let node = combine(node, word);
        let &(probability, backoff) = self.middles[level].get(&node)?;
        let probability = (!probability.is_nan()).then_some(probability);
        Some(Extended { probability, backoff, node })
    }

    fn longest(&self, word: WordId, node: u64) -> Option<f32> {
        self.longest.get(&combine(node, word)).copied()
    }
}
