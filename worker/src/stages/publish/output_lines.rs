//! Writes a compressed file of lines to the output.
//!
//! **Invariant:** the encoder gets pieces of one size, so the file's bytes are a function of its
//! lines. A file is one zstd frame, because common readers stop after the first.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::stages::JobContext;
use thresher_storage::commit::CommitError;
use thresher_storage::{OutputFile, StorageError};
use thresher_unit::UnitError;
use thresher_unit::staging::{bytes_of, hash_of};

/// Size of the pieces that the encoder gets.
const PIECE_BYTES: usize = 1 << 20;

/// A published file, as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::stages) struct PublishedFile {
    /// Path below the output directory.
    pub(in crate::stages) path: String,
    pub(in crate::stages) bytes: u64,
    pub(in crate::stages) blake3: String,
    pub(in crate::stages) lines: u64,
    pub(in crate::stages) json_bytes: u64,
}

/// A file of JSON lines that is being written. Without a line there is no file.
pub(super) struct OutputLines {
    name: String,
    encoder: zstd::stream::Encoder<'static, OutputFile>,
    /// The next piece for the encoder.
    piece: Vec<u8>,
    /// The line that is being rendered; the memory is reused.
    line: Vec<u8>,
    lines: u64,
    json_bytes: u64,
}

impl OutputLines {
    pub(super) fn new(context: &JobContext, name: &str, tag: &str) -> Result<Self, UnitError> {
        let file = context.output.create(name, tag)?;
        let encoder = encoder(file, context.job.output.zstd_level).map_err(|e| fail(name, &e))?;
        let piece = Vec::with_capacity(PIECE_BYTES);
        Ok(Self {
            name: name.to_owned(),
            encoder,
            piece,
            line: Vec::new(),
            lines: 0,
            json_bytes: 0,
        })
    }

    /// Adds the line that `render` writes, and returns its number of bytes.
    pub(super) fn line(
        &mut self,
        render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, UnitError> {
        self.line.clear();
        render(&mut self.line).map_err(|error| fail(&self.name, &error))?;
        self.lines += 1;
        self.json_bytes += self.line.len() as u64;
        let mut rest = self.line.as_slice();
        while !rest.is_empty() {
            let room = PIECE_BYTES - self.piece.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.piece.extend_from_slice(now);
            rest = later;
            if self.piece.len() == PIECE_BYTES {
                self.encoder.write_all(&self.piece).map_err(|error| fail(&self.name, &error))?;
                self.piece.clear();
            }
        }
        Ok(self.line.len() as u64)
    }

    /// Publishes the file. A file that is known to be of this unit, since an earlier attempt
    /// published the same bytes, is replaced: it was altered afterwards.
    pub(super) fn finish(
        mut self,
        earlier: Option<&PublishedFile>,
    ) -> Result<Option<PublishedFile>, UnitError> {
        if self.lines == 0 {
            return Ok(None);
        }
        self.encoder.write_all(&self.piece).map_err(|error| fail(&self.name, &error))?;
        let file = self.encoder.finish().map_err(|error| fail(&self.name, &error))?;
        let hash = file.hash().to_hex();
        let is_ours = earlier.is_some_and(|it| it.path == self.name && it.blake3 == hash.as_str());
        let committed = match if is_ours { file.commit_replacing() } else { file.commit() } {
            Err(CommitError::Different { path, ours, theirs }) => {
                return Err(other(&path, &ours, &theirs));
            }
            result => result?,
        };
        Ok(Some(PublishedFile {
            path: self.name,
            bytes: bytes_of(committed),
            blake3: hash_of(committed).to_hex().to_string(),
            lines: self.lines,
            json_bytes: self.json_bytes,
        }))
    }
}

fn encoder(file: OutputFile, level: i32) -> io::Result<zstd::stream::Encoder<'static, OutputFile>> {
    let mut encoder = zstd::stream::Encoder::new(file, level)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

fn fail(name: &str, error: &io::Error) -> UnitError {
    let text = format!("failed to write the shard `{name}`: {error}");
    match StorageError::of(error) {
        Some(known) => UnitError::by(known.remedy(), text),
        None => UnitError::writing(error, text),
    }
}

fn other(path: &Path, ours: &blake3::Hash, theirs: &blake3::Hash) -> UnitError {
    UnitError::Storage(format!(
        "`{}` already exists with different content (blake3 {theirs}, this job writes \
         {ours})\nhint: it belongs to another job, or was changed; move it away, then run the \
         same command again",
        path.display()
    ))
}
