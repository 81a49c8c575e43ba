//! Token files for trainers.
//!
//! ```text
//! PREPARE   counts the tokens of each document
//! LAYOUT    sums them up: the place of each shard in the files      (places)
//! PUBLISH   tokenises its shard, and writes it there                (publish/token_files)
//! SEAL      compares every range with its hash, and names the files (seal)
//! ```
//! A pair of `.bin` and `.idx` belongs to a whole source and side of a split. Its shards are
//! written by many units, on many nodes, into one file at their final places, so nothing is merged
//! afterwards. While it grows, the file has a private name in the output; for an output on S3 it is
//! in the work directory, and SEAL uploads it.
//!
//! **Invariant:** the bytes are a function of the published documents, whatever writes them.

mod index;
mod places;
pub(super) mod seal;
mod trainers;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thresher_models::tokens::{TokenWidth, Vocabulary};
use thresher_storage::Location;
use thresher_unit::UnitError;

pub(super) use index::IndexParts;
pub(super) use places::{TokenLayout, shuffled};
pub(crate) use trainers::trainer_files;

use super::JobContext;
use super::manifest::TOKEN_FOLDER;
use super::output_file::PublishedFile;

/// What one shard wrote into token files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenFacts {
    /// The parts of pairs.
    pub(super) ranges: Vec<TokenRange>,
    /// Files of its own.
    pub(super) files: Vec<TokenFile>,
}

/// A range of bytes of a token file that one shard wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenRange {
    /// The pair.
    pub(super) pair: PairName,
    /// The file of the pair.
    pub(super) part: PairPart,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) blake3: String,
    /// Documents and tokens in the range, counted once for a shard.
    pub(super) documents: u64,
    pub(super) tokens: u64,
}

/// A token file of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenFile {
    pub(super) file: PublishedFile,
    pub(super) split: Option<String>,
    pub(super) documents: u64,
    pub(super) tokens: u64,
}

/// A file of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum PairPart {
    /// The tokens.
    Bin,
    /// The index.
    Idx,
}

/// Identifies a pair.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct PairName {
    pub(super) source: String,
    pub(super) split: Option<String>,
    /// Number of the pair, if its source and split have several.
    pub(super) number: Option<u32>,
}

impl PairName {
    /// Returns the path below the output, without the ending. It ends as trainers expect it.
    pub(super) fn prefix(&self) -> String {
        let side = self.split.as_ref().map(|side| format!("-{side}")).unwrap_or_default();
        // A number is a name in a folder: after a hyphen it could be that of another source.
        let number = self.number.map(|number| format!("/{number:05}")).unwrap_or_default();
        let name = format!("{}{side}{number}", self.source);
        format!("{TOKEN_FOLDER}/megatron/{name}_text_document")
    }

    /// Returns the path of a file below the output.
    pub(super) fn path(&self, part: PairPart) -> String {
        let ending = match part {
            PairPart::Bin => "bin",
            PairPart::Idx => "idx",
        };
        format!("{}.{ending}", self.prefix())
    }
}

/// Returns where a file of a pair is while it grows.
pub(super) fn growing_path(context: &JobContext, path: &str) -> PathBuf {
    match context.output.root().join(path) {
        Location::Path(path) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            path.with_file_name(format!(".{name}.growing.part"))
        }
        Location::S3 { .. } | Location::Http(_) => context.work.growing_file(path),
    }
}

/// What every token file of a job depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenRules {
    /// The token after each document.
    pub(super) eod: u32,
    pub(super) width: TokenWidth,
}

impl TokenRules {
    /// Reads the vocabulary of the job's tokenizer.
    pub(super) fn read(context: &JobContext) -> Result<Self, UnitError> {
        let job = &context.job;
        let refused = |error: &dyn std::fmt::Display| UnitError::JobFile(error.to_string());
        let missing = "token files need `tokens.tokenizer`";
        let path = job.tokens.tokenizer.path().ok_or_else(|| refused(&missing))?;
        let vocabulary = Vocabulary::load(path).map_err(|error| {
            let text = error.to_string();
            // A file that this node cannot open is the node's.
            match std::fs::File::open(path) {
                Ok(_) => UnitError::JobFile(text),
                Err(_) => UnitError::Node(text),
            }
        })?;
        let eod = vocabulary.id(&job.output.tokens.eod).map_err(|error| refused(&error))?;
        Ok(Self { eod, width: vocabulary.width() })
    }

    /// Appends a token.
    pub(super) fn push(self, token: u32, bytes: &mut Vec<u8>) -> Result<(), UnitError> {
        match self.width {
            TokenWidth::Two => {
                let token = u16::try_from(token).map_err(|_| out_of_range(token))?;
                bytes.extend_from_slice(&token.to_le_bytes());
            }
            TokenWidth::Four => {
                let token = i32::try_from(token).map_err(|_| out_of_range(token))?;
                bytes.extend_from_slice(&token.to_le_bytes());
            }
        }
        Ok(())
    }
}

fn out_of_range(token: u32) -> UnitError {
    UnitError::JobFile(format!(
        "the tokenizer gave the token {token}, which is beyond its own vocabulary\nhint: \
         `tokens.tokenizer` names a damaged file, or one that this version cannot read"
    ))
}
