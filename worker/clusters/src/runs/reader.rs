//! Reads one part of many files of sorted records.

use std::path::PathBuf;

use thresher_formats::blocks::{BlockCursor, BlockFile, BlocksError, Damage};

use super::merge::{Blocks, Merge};
use super::{PART_BYTES, RunFormat, Summary};

/// Memory for reading ahead in all files.
const READ_AHEAD_BYTES: usize = 32 << 20;

/// A file of sorted records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFile {
    /// Number of the unit that wrote it.
    pub number: u32,
    /// Path of the file.
    pub path: PathBuf,
}

/// The error for a file of sorted records that cannot be read; the unit that wrote it has to run
/// again.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the sorted records of unit `{number}`: {source}")]
pub struct RunsError {
    /// The unit that wrote the file.
    pub number: u32,
    /// What is wrong with the file.
    pub source: BlocksError,
}

/// Open files, of which one part is read.
#[derive(Debug)]
pub struct RunFiles {
    part: u32,
    files: Vec<(u32, BlockFile)>,
}

impl RunFiles {
    /// Opens the files for one of their parts and forgets the rest of their indexes. At most
    /// `open_files` stay open; the others are opened for each read.
    pub fn open(
        files: &[RunFile],
        format: RunFormat,
        part: u32,
        open_files: usize,
    ) -> Result<Self, RunsError> {
        let mut opened = Vec::with_capacity(files.len());
        for RunFile { number, path } in files {
            let failed = |source| RunsError { number: *number, source };
            let mut file = BlockFile::open(path, format.kind).map_err(failed)?;
            select_part(&mut file, format.division, part).map_err(failed)?;
            if opened.len() >= open_files {
                file.release();
            }
            opened.push((*number, file));
        }
        Ok(Self { part, files: opened })
    }

    /// Returns the bytes of the part's blocks, before compression.
    pub fn bytes(&self) -> u64 {
        let entries = self.files.iter().flat_map(|(_, file)| file.entries());
        entries.map(|entry| u64::from(entry.raw_bytes)).sum()
    }

    /// Starts to read the records of the part in their order.
    pub fn merge(&self) -> Result<RunMerge<'_>, RunsError> {
        let ahead = READ_AHEAD_BYTES / self.files.len().max(1);
        let sources = self.files.iter().map(|(number, file)| FileBlocks {
            number: *number,
            file,
            cursor: file.blocks_ahead(0..file.entries().len(), ahead),
            offset: 0,
        });
        Ok(RunMerge { part: self.part, merge: Merge::new(sources)? })
    }
}

/// The records of one part, in their order.
pub struct RunMerge<'a> {
    part: u32,
    merge: Merge<FileBlocks<'a>>,
}

impl RunMerge<'_> {
    /// Decodes the key and the payload of the next record; returns none after the last. A record
    /// that `decode` refuses is an error that names the file.
    pub fn next_decoded<T>(
        &mut self,
        decode: impl FnOnce(&[u8], &[u8]) -> Option<T>,
    ) -> Result<Option<T>, RunsError> {
        let Some(record) = self.merge.next_record()? else { return Ok(None) };
        let damaged = |why| record.source().damaged(why);
        let Some((part, key)) = record.key().split_first_chunk::<PART_BYTES>() else {
            return Err(damaged("a record without a part"));
        };
        if u32::from_be_bytes(*part) != self.part {
            return Err(damaged("a record of another part"));
        }
        let decoded = decode(key, record.payload());
        decoded.map(Some).ok_or_else(|| damaged("a record does not have the expected fields"))
    }
}

fn select_part(file: &mut BlockFile, division: u32, part: u32) -> Result<(), BlocksError> {
    let damaged = |why| file.damaged(0, Damage::Layout(why));
    let summary: Summary = serde_json::from_slice(file.metadata())
        .map_err(|_| damaged("the metadata is not that of sorted records"))?;
    if summary.division != division {
        return Err(damaged("the records are divided into other parts"));
    }
    let counted: u64 = file.entries().iter().map(|entry| u64::from(entry.count)).sum();
    if counted != summary.records {
        return Err(damaged("the blocks hold another number of records than the metadata says"));
    }
    if !file.entries().is_sorted_by_key(|entry| entry.label) {
        return Err(damaged("the parts are not in order"));
    }
    let begin = file.entries().partition_point(|entry| entry.label < part.into());
    let end = file.entries().partition_point(|entry| entry.label <= part.into());
    file.keep_only(begin..end);
    Ok(())
}

struct FileBlocks<'a> {
    number: u32,
    file: &'a BlockFile,
    cursor: BlockCursor<'a>,
    /// Offset of the last block, for errors.
    offset: u64,
}

impl Blocks for FileBlocks<'_> {
    type Error = RunsError;

    fn next_block(&mut self, bytes: &mut Vec<u8>) -> Result<bool, RunsError> {
        bytes.clear();
        let failed = |source| RunsError { number: self.number, source };
        let Some(block) = self.cursor.next_block().map_err(failed)? else { return Ok(false) };
        self.offset = block.offset;
        bytes.extend_from_slice(block.payload);
        Ok(true)
    }

    fn damaged(&self, why: &'static str) -> RunsError {
        let source = self.file.damaged(self.offset, Damage::Layout(why));
        RunsError { number: self.number, source }
    }
}
