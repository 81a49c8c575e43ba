//! The part of a pair of `.bin` and `.idx` that one shard writes, at its place in the growing
//! files.
//!
//! Every attempt writes the same bytes at the same place, so attempts need not know of each other;
//! SEAL compares each range with its hash before the files get their names.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use thresher_job::TokenFormat;
use thresher_proto::pb::TokenPlace;

use super::token_row::TokenRow;
use crate::stages::JobContext;
use crate::stages::tokens::{IndexParts, PairName, PairPart, TokenRange, TokenRules, growing_path};
use thresher_storage::commit::make_folder;
use thresher_unit::UnitError;

/// The part of a pair.
pub(super) struct Pair {
    name: PairName,
    place: TokenPlace,
    rules: TokenRules,
    bin: Growing,
    idx: Growing,
    hasher: blake3::Hasher,
    /// Bytes of tokens that were written.
    written: u64,
}

/// A file that several units write.
struct Growing {
    path: PathBuf,
    file: File,
}

impl Pair {
    /// Opens the pair of a source and a side; returns `None` if the job has none.
    pub(super) fn open(
        context: &JobContext,
        (source, side): (&str, Option<&str>),
        place: TokenPlace,
        rules: TokenRules,
    ) -> Result<Option<Self>, UnitError> {
        if !context.job.output.writes_tokens(TokenFormat::Megatron) {
            return Ok(None);
        }
        let name = PairName {
            source: source.to_owned(),
            split: side.map(str::to_owned),
            number: (place.pairs > 1).then_some(place.pair),
        };
        let bin = Growing::open(context, &name.path(PairPart::Bin))?;
        let idx = Growing::open(context, &name.path(PairPart::Idx))?;
        let hasher = blake3::Hasher::new();
        Ok(Some(Self { name, place, rules, bin, idx, hasher, written: 0 }))
    }

    /// Writes the next tokens.
    pub(super) fn write(&mut self, tokens: &[u8]) -> Result<(), UnitError> {
        self.bin.write(self.start() + self.written, tokens)?;
        self.hasher.update(tokens);
        self.written += tokens.len() as u64;
        Ok(())
    }

    /// Writes the index, makes both durable, and describes what was written.
    pub(super) fn finish(self, documents: &[TokenRow]) -> Result<Vec<TokenRange>, UnitError> {
        let lengths: Vec<u32> = documents.iter().map(|row| row.tokens).collect();
        let TokenPlace { first_document, first_token, pair_documents, .. } = self.place;
        let before = (first_document, first_token, pair_documents);
        let IndexParts(parts) = IndexParts::new(&lengths, before, self.rules.width);
        let range = |part, offset, bytes: u64, hash: blake3::Hash| TokenRange {
            pair: self.name.clone(),
            part,
            offset,
            bytes,
            blake3: hash.to_hex().to_string(),
            documents: 0,
            tokens: 0,
        };
        let tokens = range(PairPart::Bin, self.start(), self.written, self.hasher.finalize());
        let (documents, count) = (documents.len() as u64, self.place.tokens);
        let mut ranges = vec![TokenRange { documents, tokens: count, ..tokens }];
        for (offset, bytes) in parts {
            self.idx.write(offset, &bytes)?;
            let hash = blake3::hash(&bytes);
            ranges.push(range(PairPart::Idx, offset, bytes.len() as u64, hash));
        }
        self.bin.sync()?;
        self.idx.sync()?;
        Ok(ranges)
    }

    /// Returns where the shard starts, in bytes.
    fn start(&self) -> u64 {
        self.place.first_token * self.rules.width.bytes()
    }
}

impl Growing {
    fn open(context: &JobContext, path: &str) -> Result<Self, UnitError> {
        let path = growing_path(context, path);
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        // Another unit may have written its part already.
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        match opened {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), UnitError> {
        self.file.write_all_at(bytes, offset).map_err(|error| failed(&self.path, &error))
    }

    fn sync(&self) -> Result<(), UnitError> {
        self.file.sync_all().map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &std::path::Path, error: &io::Error) -> UnitError {
    UnitError::writing(error, format!("failed to write `{}`: {error}", path.display()))
}
