//! The files of members: what a group of units knows of its documents that share bands, by part of
//! the components.
//!
//! All members of a component are in one part, so that one unit compares them.

use std::io::{self, Write};
use std::path::Path;

use thresher_formats::blocks::{Compression, Kind};
use xxhash_rust::xxh3::xxh3_64;

use crate::document::Document;
use crate::member::Member;
use crate::runs::{RunFile, RunFiles, RunFormat, RunMerge, RunWriteError, RunWriter, RunsError};

/// The kind of block file that a file of members is.
pub const MEMBERS_FILE: Kind = Kind(*b"MEMB");

/// Returns the part of a component, of `parts`.
pub fn part_of(component: Document, parts: u32) -> u32 {
    let hash = xxh3_64(&component.to_u64().to_le_bytes());
    ((u128::from(hash) * u128::from(parts)) >> 64) as u32
}

fn format(parts: u32) -> RunFormat {
    // Hashes, which nearly all of it is, do not compress.
    RunFormat { kind: MEMBERS_FILE, division: parts, compression: Compression::None }
}

/// Writes the members of a group of units, which come in any order.
pub struct MembersWriter<W: Write> {
    runs: RunWriter<W>,
    parts: u32,
    key: Vec<u8>,
    payload: Vec<u8>,
    members: u64,
}

impl<W: Write> MembersWriter<W> {
    /// Starts a file with this number of parts. About `memory_bytes` are held in memory; what
    /// exceeds them goes to a scratch file without a name in `scratch_folder`.
    pub fn new(out: W, parts: u32, memory_bytes: usize, scratch_folder: &Path) -> io::Result<Self> {
        let runs = RunWriter::new(out, format(parts), memory_bytes, scratch_folder)?;
        Ok(Self { runs, parts, key: Vec::new(), payload: Vec::new(), members: 0 })
    }

    /// Adds a member.
    pub fn push(&mut self, member: &Member) -> Result<(), RunWriteError> {
        self.key.clear();
        self.payload.clear();
        member.put_key(&mut self.key);
        member.put_payload(&mut self.payload);
        self.members += 1;
        self.runs.push(part_of(member.component, self.parts), &self.key, &self.payload)
    }

    /// Writes the file and returns the sink with the number of members.
    pub fn finish(self) -> Result<(W, u64), RunWriteError> {
        Ok((self.runs.finish()?, self.members))
    }
}

/// Open files of members, of which one part is read.
#[derive(Debug)]
pub struct MembersFiles {
    runs: RunFiles,
}

impl MembersFiles {
    /// Opens the files of all groups for one part of `parts`. At most `open_files` stay open; the
    /// others are opened for each read.
    pub fn open(
        files: &[RunFile],
        parts: u32,
        part: u32,
        open_files: usize,
    ) -> Result<Self, RunsError> {
        RunFiles::open(files, format(parts), part, open_files).map(|runs| Self { runs })
    }

    /// Returns the bytes of the part.
    pub fn bytes(&self) -> u64 {
        self.runs.bytes()
    }

    /// Starts to read the members by component, each component in the order of survival.
    pub fn merge(&self) -> Result<MembersMerge<'_>, RunsError> {
        self.runs.merge().map(MembersMerge)
    }
}

/// The members of one part, in the order of their components and ranks.
pub struct MembersMerge<'a>(RunMerge<'a>);

impl MembersMerge<'_> {
    /// Returns the next member, or none after the last. One that `is_valid` refuses is an error.
    pub fn next_member(
        &mut self,
        is_valid: impl FnOnce(&Member) -> bool,
    ) -> Result<Option<Member>, RunsError> {
        self.0.next_decoded(|key, payload| Member::decode(key, payload).filter(is_valid))
    }
}
