//! Tokenises the documents of a shard into token files.
//!
//! In canonical order, tokens are written as they come, a few MiB at a time. In shuffled order the
//! tokens of the shard are held in memory until its last document is known: two or four bytes each,
//! so about half of `output.shard_bytes` at most.

use std::io::Write;

use thresher_job::LeaseOrder;
use thresher_models::tokens::{TokenError, TokenizerFile, Tokens};
use thresher_proto::pb::{PublishUnit, TokenPlace};

use super::olmo::Olmo;
use super::pair::Pair;
use super::token_row::TokenRow;
use crate::stages::output_file::PublishedFile;
use crate::stages::splits::{TRAIN, VALIDATION};
use crate::stages::tokens::{TokenFacts, TokenRules, shuffled};
use crate::stages::{JobContext, Task};
use thresher_unit::UnitError;
use thresher_unit::staging::{DocumentSummary, StagedDocument};

/// Bytes of tokens that are held before they are written, in canonical order.
const HELD_BYTES: usize = 4 << 20;

/// Writes the token files of one shard.
pub(super) struct TokenFiles<'a> {
    tokenizer: &'a TokenizerFile,
    rules: TokenRules,
    tokens: Tokens,
    sides: Vec<(Option<&'static str>, Side)>,
}

/// The documents of one side of a split.
struct Side {
    place: TokenPlace,
    /// Gives the number by which a document is sorted; `None` in canonical order.
    shuffle: Option<Box<dyn Fn(u64) -> [u8; 32]>>,
    pair: Option<Pair>,
    olmo: Option<Olmo>,
    /// Tokens that are not written yet.
    held: Vec<u8>,
    documents: Vec<TokenRow>,
}

impl<'a> TokenFiles<'a> {
    /// Opens the files of the shard; returns `None` if the job writes no token files.
    pub(super) fn start(
        context: &'a JobContext,
        task: &Task,
        unit: &PublishUnit,
    ) -> Result<Option<Self>, UnitError> {
        if unit.tokens.is_empty() {
            return Ok(None);
        }
        let Some(tokenizer) = context.scorers()?.quality.tokenizer() else { return Ok(None) };
        let rules = TokenRules::read(context)?;
        let names: &[_] =
            if unit.tokens.len() == 1 { &[None] } else { &[Some(TRAIN), Some(VALIDATION)] };
        let mut sides = Vec::new();
        for (number, (place, side)) in unit.tokens.iter().zip(names).enumerate() {
            let opened = Side::open(context, task, unit, rules, (number, *side, *place))?;
            sides.push((*side, opened));
        }
        Ok(Some(Self { tokenizer, rules, tokens: Tokens::default(), sides }))
    }

    /// Adds a document, whose number of tokens is known since PREPARE.
    pub(super) fn document(
        &mut self,
        document: &StagedDocument<'_>,
        side: Option<&str>,
        summary: &DocumentSummary,
    ) -> Result<(), UnitError> {
        let Self { tokenizer, rules, tokens, sides } = self;
        let Some((_, side)) = sides.iter_mut().find(|(name, _)| *name == side) else {
            return Err(UnitError::Defect("a document is on no side of the split".to_owned()));
        };
        let refused = |error: TokenError| UnitError::JobFile(error.to_string());
        let found = tokenizer.encode(document.text, tokens).map_err(refused)?;
        if summary.tokens != Some(found.len() as u64) {
            return Err(UnitError::JobFile(format!(
                "the tokenizer gave {} tokens for the document `{}`, which had {} before\nhint: \
                 `tokens.tokenizer` must be the same file on all nodes, and must not change while \
                 a job runs",
                found.len(),
                document.id,
                summary.tokens.map_or("none".to_owned(), |tokens| tokens.to_string())
            )));
        }
        for token in found {
            rules.push(*token, &mut side.held)?;
        }
        rules.push(rules.eod, &mut side.held)?;
        side.documents.push(TokenRow {
            tokens: found.len() as u32 + 1,
            id: document.id.to_owned(),
            input: document.input.to_owned(),
            record: document.record,
        });
        if side.shuffle.is_none() && side.held.len() >= HELD_BYTES {
            return side.write_held();
        }
        Ok(())
    }

    /// Publishes the files of the shard, and makes its parts of pairs durable.
    pub(super) fn finish(self, earlier: &[PublishedFile]) -> Result<TokenFacts, UnitError> {
        let mut facts = TokenFacts::default();
        for (name, mut side) in self.sides {
            side.shuffle(self.rules);
            side.write_held()?;
            let Side { place, pair, olmo, documents, .. } = side;
            let (found, tokens) = (documents.len() as u64, sum(&documents));
            if (found, tokens) != (place.documents, place.tokens) {
                return Err(UnitError::Defect(format!(
                    "{found} documents with {tokens} tokens at a place for {} with {}",
                    place.documents, place.tokens
                )));
            }
            if let Some(pair) = pair {
                facts.ranges.extend(pair.finish(&documents)?);
            }
            if let Some(olmo) = olmo {
                facts.files.extend(olmo.finish(name, &documents, earlier)?);
            }
        }
        Ok(facts)
    }
}

impl Side {
    fn open(
        context: &JobContext,
        task: &Task,
        unit: &PublishUnit,
        rules: TokenRules,
        (number, side, place): (usize, Option<&str>, TokenPlace),
    ) -> Result<Self, UnitError> {
        let source = context.source(unit.source)?.name.clone();
        let (mut pair, mut olmo) = (None, None);
        if place.documents > 0 {
            pair = Pair::open(context, (&source, side), place, rules)?;
            olmo = Olmo::open(context, task, (&source, side, unit.shard))?;
        }
        let shard = u64::from(unit.shard);
        let shuffle = match context.job.output.tokens.order {
            LeaseOrder::Canonical => None,
            LeaseOrder::Shuffled(seed) => {
                let key = move |document: u64| {
                    // Other numbers than those of shards.
                    shuffled(seed, (&source, number + 2), (shard << 32) | document)
                };
                Some(Box::new(key) as Box<dyn Fn(u64) -> [u8; 32]>)
            }
        };
        Ok(Self { place, shuffle, pair, olmo, held: Vec::new(), documents: Vec::new() })
    }

    /// Puts documents and tokens into the order of the job.
    fn shuffle(&mut self, rules: TokenRules) {
        let Some(key) = &self.shuffle else { return };
        let width = rules.width.bytes() as usize;
        let mut start = 0;
        let mut all = Vec::with_capacity(self.documents.len());
        for (number, row) in (0..).zip(std::mem::take(&mut self.documents)) {
            let end = start + row.tokens as usize * width;
            all.push((key(number), row, start..end));
            start = end;
        }
        all.sort_by_key(|(key, ..)| *key);
        let mut held = Vec::with_capacity(self.held.len());
        for (_, row, range) in all {
            held.extend_from_slice(&self.held[range]);
            self.documents.push(row);
        }
        self.held = held;
    }

    fn write_held(&mut self) -> Result<(), UnitError> {
        if let Some(pair) = &mut self.pair {
            pair.write(&self.held)?;
        }
        if let Some(olmo) = &mut self.olmo {
            olmo.write_all(&self.held).map_err(|error| olmo.explain(&error))?;
        }
        self.held.clear();
        Ok(())
    }
}

/// Returns the number of tokens of all documents.
fn sum(documents: &[TokenRow]) -> u64 {
    documents.iter().map(|row| u64::from(row.tokens)).sum()
}
