//! Compares every range of the growing token files with what its unit wrote, and gives the files
//! their names.
//!
//! A file is read once: for the hash of each range, and for that of the whole, which the manifest
//! has. **Invariant:** a file gets its name only if its ranges fill it without a gap and each has
//! its hash; otherwise the unit of the first wrong range runs again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use thresher_job::TokenFormat;
use thresher_proto::pb::{Stage, UnitRef};
use thresher_storage::Location;
use thresher_storage::commit::link_growing;
use thresher_unit::UnitError;
use thresher_unit::staging::{bytes_of, hash_of};

use super::{PairName, PairPart, TokenFacts, TokenRange, growing_path};
use crate::stages::manifest::TokenEntry;
use crate::stages::{JobContext, Task, stop};

/// Bytes that are read at a time.
const READ_BYTES: usize = 4 << 20;

/// The ranges of one file, each with the unit that wrote it.
type Ranges = Vec<(u32, TokenRange)>;

/// Names the pairs of all shards, and returns what the manifest says of them. A pair of which a
/// shard is missing is left out.
pub(in crate::stages) fn publish_pairs(
    context: &JobContext,
    task: &Task,
    shards: Vec<(u32, TokenFacts)>,
    has_gaps: bool,
) -> Result<Vec<TokenEntry>, UnitError> {
    if !context.job.output.writes_tokens(TokenFormat::Megatron) {
        return Ok(Vec::new());
    }
    let mut files: BTreeMap<(PairName, PairPart), Ranges> = BTreeMap::new();
    for (unit, facts) in shards {
        for range in facts.ranges {
            files.entry((range.pair.clone(), range.part)).or_default().push((unit, range));
        }
    }
    let mut incomplete = Vec::new();
    if has_gaps {
        for ((pair, _), ranges) in &mut files {
            ranges.sort_by_key(|(_, range)| (range.offset, range.bytes));
            // The arrays of an index follow each other, so any missing document leaves a gap in it.
            if gap_of(ranges).is_some() {
                incomplete.push(pair.clone());
            }
        }
    }
    let mut entries = Vec::new();
    for ((pair, part), mut ranges) in files {
        if incomplete.contains(&pair) {
            continue;
        }
        ranges.sort_by_key(|(_, range)| (range.offset, range.bytes));
        let path = pair.path(part);
        if let Some(unit) = gap_of(&ranges) {
            return Err(damaged(unit, format!("`{path}` has a gap")));
        }
        let file = PairFile { context, task, path: &path, ranges: &ranges };
        let (bytes, blake3) = file.publish()?;
        let sum = |of: fn(&TokenRange) -> u64| ranges.iter().map(|(_, range)| of(range)).sum();
        let (documents, tokens) = (sum(|range| range.documents), sum(|range| range.tokens));
        let (source, split) = (pair.source.clone(), pair.split.clone());
        let blake3 = blake3.to_hex().to_string();
        entries.push(TokenEntry { path, source, split, bytes, blake3, documents, tokens });
    }
    // Both files of a pair have its documents and tokens.
    for place in 0..entries.len() {
        let counts = (entries[place].documents, entries[place].tokens);
        let stem = entries[place].path.strip_suffix(".bin").map(str::to_owned);
        let Some(stem) = stem else { continue };
        let index = format!("{stem}.idx");
        if let Some(entry) = entries.iter_mut().find(|entry| entry.path == index) {
            (entry.documents, entry.tokens) = counts;
        }
    }
    Ok(entries)
}

/// Returns the unit after the first gap between sorted ranges.
fn gap_of(ranges: &[(u32, TokenRange)]) -> Option<u32> {
    let mut next = 0;
    for (unit, range) in ranges {
        if range.offset != next {
            return Some(*unit);
        }
        next += range.bytes;
    }
    None
}

struct PairFile<'a> {
    context: &'a JobContext,
    task: &'a Task,
    path: &'a str,
    ranges: &'a [(u32, TokenRange)],
}

impl PairFile<'_> {
    /// Gives the file its name, unless an earlier attempt did. Returns its length and hash.
    fn publish(&self) -> Result<(u64, blake3::Hash), UnitError> {
        let growing = growing_path(self.context, self.path);
        match self.context.output.root().join(self.path) {
            Location::Path(end) => {
                if let Ok(there) = File::open(&end) {
                    return match self.check(there, &end, &mut io::sink()) {
                        Ok(found) => {
                            let _ = std::fs::remove_file(&growing);
                            Ok(found)
                        }
                        Err(UnitError::Damaged { .. }) => Err(not_ours(&end)),
                        Err(error) => Err(error),
                    };
                }
                let file = self.open(&growing)?;
                let found = self.check(file, &growing, &mut io::sink())?;
                link_growing(&growing, found.0, &end)?;
                Ok(found)
            }
            Location::S3 { .. } | Location::Http(_) => {
                let file = self.open(&growing)?;
                let mut upload = self.context.output.create(self.path, &self.task.tag)?;
                let found = self.check(file, &growing, &mut upload)?;
                let committed = upload.commit()?;
                Ok((bytes_of(committed), hash_of(committed)))
                    .inspect(|committed| debug_assert_eq!(*committed, found))
            }
        }
    }

    fn open(&self, path: &Path) -> Result<File, UnitError> {
        let first = self.ranges.first().map_or(0, |(unit, _)| *unit);
        File::open(path).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return damaged(first, format!("`{}` is missing", path.display()));
            }
            UnitError::Node(format!("failed to open `{}`: {error}", path.display()))
        })
    }

    /// Reads the ranges in order, compares each with its hash, and copies them to `copy`.
    fn check(
        &self,
        mut file: File,
        path: &Path,
        copy: &mut dyn io::Write,
    ) -> Result<(u64, blake3::Hash), UnitError> {
        let failed = |error: io::Error| {
            UnitError::writing(&error, format!("failed to copy `{}`: {error}", path.display()))
        };
        let mut whole = blake3::Hasher::new();
        let mut buffer = vec![0; READ_BYTES];
        for (unit, range) in self.ranges {
            let mut hasher = blake3::Hasher::new();
            let mut rest = range.bytes;
            while rest > 0 {
                stop::check(&self.task.stop)?;
                let most = rest.min(READ_BYTES as u64) as usize;
                let count = file.read(&mut buffer[..most]).map_err(failed)?;
                if count == 0 {
                    return Err(damaged(*unit, format!("`{}` is too short", path.display())));
                }
                hasher.update(&buffer[..count]);
                whole.update(&buffer[..count]);
                copy.write_all(&buffer[..count]).map_err(failed)?;
                rest -= count as u64;
            }
            if hasher.finalize().to_hex().as_str() != range.blake3 {
                let what = format!("`{}` has other bytes than were written", path.display());
                return Err(damaged(*unit, what));
            }
        }
        Ok((whole.count(), whole.finalize()))
    }
}

fn not_ours(path: &Path) -> UnitError {
    UnitError::Storage(format!(
        "`{}` already exists with different content\nhint: it belongs to another job, or was changed; \
         move it away, then run the same command again",
        path.display()
    ))
}

fn damaged(unit: u32, error: String) -> UnitError {
    let producer = UnitRef { stage: Stage::Publish.into(), ordinal: unit, attempt: 0 };
    UnitError::Damaged { producer, error }
}
