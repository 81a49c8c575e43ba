//! A file of the output while it is written, and what the manifest says of it.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thresher_job::Format;

use crate::stages::JobContext;
use thresher_storage::commit::CommitError;
use thresher_storage::{OutputFile, StorageError};
use thresher_unit::UnitError;
use thresher_unit::staging::{bytes_of, hash_of};

/// A published file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::stages) struct PublishedFile {
    /// Path below the output directory.
    pub(in crate::stages) path: String,
    pub(in crate::stages) bytes: u64,
    pub(in crate::stages) blake3: String,
    pub(in crate::stages) sha256: String,
    /// Number of documents or of rows.
    pub(in crate::stages) rows: u64,
    /// Size of JSON lines, or of the values of Parquet, before compression; 0 for other forms.
    pub(in crate::stages) json_bytes: u64,
}

/// A published file of documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::stages) struct PublishedShard {
    pub(in crate::stages) file: PublishedFile,
    pub(in crate::stages) format: Format,
    pub(in crate::stages) split: Option<String>,
    pub(in crate::stages) language: Option<String>,
}

/// A file that is being written, whose bytes are hashed.
pub(in crate::stages) struct HashedOutput {
    name: String,
    file: OutputFile,
    sha256: Sha256,
}

impl HashedOutput {
    /// Creates the file `name` below the output.
    pub(in crate::stages) fn create(
        context: &JobContext,
        name: &str,
        tag: &str,
    ) -> Result<Self, UnitError> {
        let file = context.output.create(name, tag)?;
        Ok(Self { name: name.to_owned(), file, sha256: Sha256::new() })
    }

    /// Publishes the file. A file that is known to be of this unit, since an earlier attempt
    /// published the same bytes, is replaced: it was altered afterwards.
    pub(in crate::stages) fn publish(
        self,
        rows: u64,
        json_bytes: u64,
        earlier: &[PublishedFile],
    ) -> Result<PublishedFile, UnitError> {
        let Self { name: path, file, sha256 } = self;
        let hash = file.hash().to_hex();
        let is_ours = earlier.iter().any(|it| it.path == path && it.blake3 == hash.as_str());
        let committed = match if is_ours { file.commit_replacing() } else { file.commit() } {
            Err(CommitError::Different { path, ours, theirs }) => {
                return Err(other(&path, &ours, &theirs));
            }
            result => result?,
        };
        let sha256 = hex(&sha256.finalize());
        let blake3 = hash_of(committed).to_hex().to_string();
        Ok(PublishedFile { path, bytes: bytes_of(committed), blake3, sha256, rows, json_bytes })
    }
}

impl Write for HashedOutput {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.file.write(buffer)?;
        self.sha256.update(&buffer[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Returns bytes as hexadecimal digits.
pub(in crate::stages) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the error for a file that could not be written.
pub(in crate::stages) fn fail(name: &str, error: &io::Error) -> UnitError {
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
