//! The files that units write for later stages, and their paths in the job's work directory.
//!
//! ```text
//! work/list/<source>.inputs            the inputs of a source              (input_table)
//! work/lines/<unit>.keys               line keys
//! work/lines/<unit>.inputs             the inputs whose lines were hashed   (json)
//! work/lines/<unit>.rows-<input>       rows of a piece, for the parts of its input (stages/join)
//! work/lines/<unit>.records            records, for PREPARE instead of the inputs   (kept_records)
//! work/gather-lines/<group>.keys       line keys of a group, by key range
//! work/resolve-lines/<range>/…         verdicts on lines
//! work/combine-lines/<group>.verdicts  what all ranges say of a group
//! work/prepare/<unit>.documents        documents with their summaries       (documents)
//! work/prepare/<unit>.dropped          a row for each dropped record        (documents)
//! work/prepare/<unit>.keys             document keys
//! work/gather-documents/…              as for lines
//! work/resolve-documents/<range>/…     verdicts on documents
//! work/combine-documents/…             as for lines
//! work/layout/<source>.…               documents that are not published     (json)
//! work/publish/<shard>.facts           what the manifest says of a shard    (json)
//! work/growing/<file>                  token files that are uploaded when they are complete
//! work/gang/<unit>-<attempt>/          a gang step while it runs
//! ```
//! Every file is written under a private name and published once, and has checksums. The file of a
//! later attempt is compared with it, and an existing file that is damaged is replaced. `stages`
//! defines what the files mean. Kept records are an exception: they are neither synced nor
//! compared, because the job ends with the same bytes without them.
//!
//! **Invariant:** a file under its final name is whole and durable before its unit is reported.

mod documents;
mod input_table;
mod json;
mod kept_records;
mod records;
mod staged;

use std::io::Write;
use std::path::{Path, PathBuf};

use thresher_proto::pb::Stage;
use thresher_proto::stage_name;

pub use documents::{
    DOCUMENTS, DROPPED, DocumentFile, DocumentWriter, DropFile, DropWriter, InputFacts, UnitFacts,
};
pub use input_table::{InputRow, InputTable, PublishedShard};
pub use json::{checked, leave, leave_replacing_among, recall, with_checksum};
pub use kept_records::{
    KeptOutcome, KeptPage, KeptRecord, KeptRecords, KeptRecordsWriter, KeptRefusal,
};
pub use staged::{
    DocumentSummary, RowVerdict, Staged, StagedCluster, StagedDocument, StagedLabel, StagedOrigin,
    StagedRow,
};

use crate::UnitError;
use thresher_formats::blocks::{BlockFile, BlocksError, Kind};
use thresher_storage::commit::{AttemptFile, CommitError, Committed, NewNames, make_folder};

/// Number of files of one kind in one folder.
const UNITS_PER_FOLDER: u32 = 1000;

/// The job's work directory.
#[derive(Debug, Clone)]
pub struct WorkDir {
    root: PathBuf,
}

impl WorkDir {
    /// Returns the work directory at this path.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the path of a file of one unit. Folders keep directories small, because parallel
    /// file systems are slow with large ones.
    pub fn unit_file(&self, stage: Stage, unit: u32, suffix: &str) -> PathBuf {
        let folder = format!("{:05}", unit / UNITS_PER_FOLDER);
        self.stage(stage).join(folder).join(format!("{unit:08}.{suffix}"))
    }

    /// Returns the folder of one gang step, with its task, its output, and the results of its
    /// ranks.
    pub fn gang_step(&self, name: &str) -> PathBuf {
        self.root.join("gang").join(name)
    }

    /// Returns the path of a file that several units write, before it is published elsewhere.
    pub fn growing_file(&self, name: &str) -> PathBuf {
        self.root.join("growing").join(name)
    }

    /// Returns the folder of one stage.
    pub fn stage(&self, stage: Stage) -> PathBuf {
        self.root.join(stage_name(stage))
    }
}

/// Creates a file that only this attempt uses, and its folder if that does not exist.
pub fn create(path: &Path, attempt_tag: &str) -> Result<AttemptFile, UnitError> {
    match (AttemptFile::create(path, attempt_tag), path.parent()) {
        (Err(CommitError::Io { source, .. }), Some(folder))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            make_folder(folder)?;
            Ok(AttemptFile::create(path, attempt_tag)?)
        }
        (created, _) => Ok(created?),
    }
}

/// Publishes a block file. An existing file of the same name is replaced if its checksums are
/// wrong.
pub fn publish_blocks(file: AttemptFile, kind: Kind) -> Result<Committed, UnitError> {
    let mut names = NewNames::default();
    let committed = publish_blocks_among(file, kind, &mut names)?;
    names.sync()?;
    Ok(committed)
}

/// Does the same, but leaves the sync of the folder to `names`.
pub fn publish_blocks_among(
    file: AttemptFile,
    kind: Kind,
    names: &mut NewNames,
) -> Result<Committed, UnitError> {
    file.commit_among(names, |path| is_damaged(path, kind))
}

/// Returns the hash of the published file, whichever attempt wrote it.
pub fn hash_of(committed: Committed) -> blake3::Hash {
    match committed {
        Committed::Published { blake3, .. } | Committed::AlreadyThere { blake3, .. } => blake3,
    }
}

/// Returns the length of the published file.
pub fn bytes_of(committed: Committed) -> u64 {
    match committed {
        Committed::Published { bytes, .. } | Committed::AlreadyThere { bytes, .. } => bytes,
    }
}

/// Writes all of `bytes`. An error has the path.
pub fn write_all(file: &mut AttemptFile, bytes: &[u8]) -> Result<(), UnitError> {
    file.write_all(bytes).map_err(|error| file.explain(error).into())
}

fn is_damaged(path: &Path, kind: Kind) -> Result<bool, UnitError> {
    let read_through = || -> Result<(), BlocksError> {
        let file = BlockFile::open(path, kind)?;
        let mut blocks = file.blocks(0..file.entries().len())?;
        while blocks.next_block()?.is_some() {}
        Ok(())
    };
    match read_through() {
        Ok(()) => Ok(false),
        Err(BlocksError::Damaged { .. }) => Ok(true),
        Err(BlocksError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(false)
        }
        Err(error @ BlocksError::Io { .. }) => Err(UnitError::Node(error.to_string())),
    }
}
