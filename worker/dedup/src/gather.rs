//! Gathers the key files of a group of units into one file, ordered by key range.
//!
//! Each file is read once from its beginning to its end, one block at a time; the ranges are
//! written one after another, so nothing is sorted.

use std::io::{self, Write};
use std::path::PathBuf;

use super::exchange::KeyFileRef;
use super::group_file::{GroupSummary, GroupWriter};
use super::key::HashKey;
use super::key_file::{KeyFile, KeyReader};
use super::position::KeyRange;
use thresher_formats::blocks::BlocksError;

/// Memory for reading ahead in all files of a group.
const READ_AHEAD_BYTES: usize = 32 << 20;

/// Why the keys of a group cannot be gathered.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// A unit's key file cannot be read; the unit has to run again.
    #[error("failed to read the keys of unit `{unit}`: {source}")]
    KeyFile {
        /// The unit.
        unit: u32,
        /// What is wrong with its file.
        source: BlocksError,
    },
    /// A key file belongs to another unit.
    #[error("`{}` holds the keys of unit `{found}`, expected `{expected}`", file.display())]
    WrongUnit {
        /// The key file.
        file: PathBuf,
        /// The unit that the task names.
        expected: u32,
        /// The unit in the file.
        found: u32,
    },
    /// The file of the group could not be written.
    #[error("failed to write the keys of a group: {0}")]
    Output(#[source] io::Error),
}

/// Writes the keys of these units, of which at most `open_files` are open at the same time, to
/// `out`, and returns it with its metadata.
pub fn gather<K: HashKey, W: Write>(
    files: &[KeyFileRef],
    ranges: u32,
    open_files: usize,
    out: W,
) -> Result<(W, GroupSummary), GatherError> {
    let mut files: Vec<&KeyFileRef> = files.iter().collect();
    files.sort_unstable_by_key(|file| file.unit);
    let opened = files.iter().enumerate().map(|(place, file)| open::<K>(file, place < open_files));
    let opened = opened.collect::<Result<Vec<_>, _>>()?;
    let read_ahead = READ_AHEAD_BYTES / opened.len().max(1);
    let mut readers: Vec<_> = opened.iter().map(|file| file.reader(read_ahead)).collect();
    let mut writer = GroupWriter::new(out).map_err(GatherError::Output)?;
    for index in 0..ranges {
        let Some(range) = KeyRange::new(index, ranges) else { continue };
        for (reader, KeyFileRef { unit, .. }) in readers.iter_mut().zip(&files) {
            copy_up_to(reader, range.span().last, *unit, &mut writer)?;
        }
        writer.end_range().map_err(GatherError::Output)?;
    }
    let units = files.iter().map(|file| file.unit).collect();
    writer.finish(units).map_err(GatherError::Output)
}

fn open<K: HashKey>(file: &KeyFileRef, stays_open: bool) -> Result<KeyFile<K>, GatherError> {
    let KeyFileRef { unit, path } = file;
    let mut keys =
        KeyFile::<K>::open(path).map_err(|source| GatherError::KeyFile { unit: *unit, source })?;
    let found = keys.summary().unit;
    if found != *unit {
        return Err(GatherError::WrongUnit { file: path.clone(), expected: *unit, found });
    }
    if !stays_open {
        keys.release();
    }
    Ok(keys)
}

/// Copies a unit's keys whose top bits are at most `last`.
fn copy_up_to<K: HashKey, W: Write>(
    reader: &mut KeyReader<'_, K>,
    last: u64,
    unit: u32,
    writer: &mut GroupWriter<K, W>,
) -> Result<(), GatherError> {
    loop {
        let entries = reader.entries().map_err(|source| GatherError::KeyFile { unit, source })?;
        let inside = entries.partition_point(|(key, _)| key.top() <= last);
        writer.push(unit, &entries[..inside]).map_err(GatherError::Output)?;
        let ends = entries.is_empty() || inside < entries.len();
        reader.skip(inside);
        if ends {
            return Ok(());
        }
    }
}
