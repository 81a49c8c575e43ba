//! What a unit must drop: the verdicts of every key range, and its own local repeats.
//!
//! The name of a verdict file says which units it concerns, so that readers of a directory or an
//! outcome open only those. The exchange writes the files.
//! Invariant: a set is complete or an error. Every range is there exactly once for the unit, and
//! each file states that it compared the unit.

use std::fmt;
use std::path::{Path, PathBuf};

use super::key::HashKey;
use super::key_file::KeyFile;
use super::ordinals::OrdinalSet;
use super::position::KeyRange;
use super::verdict_file::VerdictFile;
use thresher_formats::blocks::BlocksError;

/// The identity of a verdict file: its range, its rank and the size of the world that made it. Its
/// `Display` is the name of the file, `verdicts-00002-of-00009-rank-00000-of-00004`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerdictFileName {
    /// The key range that the world resolved.
    pub range: KeyRange,
    /// The rank that wrote the file.
    pub rank: u32,
    /// The number of ranks; the file is for the units `u` with `u mod world = rank`.
    pub world: u32,
}

impl fmt::Display for VerdictFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (range, rank, world) = (self.range, self.rank, self.world);
        write!(f, "verdicts-{:05}-of-{:05}", range.index(), range.of())?;
        write!(f, "-rank-{rank:05}-of-{world:05}")
    }
}

impl VerdictFileName {
    /// Reads the name from the last part of a path; what follows a dot is ignored.
    pub fn parse(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let name = name.split('.').next()?.strip_prefix("verdicts-")?;
        let (range, rank) = name.split_once("-rank-")?;
        let (index, of) = range.split_once("-of-")?;
        let (rank, world) = rank.split_once("-of-")?;
        let range = KeyRange::new(index.parse().ok()?, of.parse().ok()?)?;
        let (rank, world) = (rank.parse().ok()?, world.parse().ok()?);
        (rank < world).then_some(Self { range, rank, world })
    }

    /// Returns whether this file, among those of its range and world, is for this unit.
    pub fn concerns(&self, unit: u32) -> bool {
        unit % self.world == self.rank
    }
}

/// Why a unit's verdicts cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VerdictsError {
    /// A verdict file cannot be read; its key range has to be resolved again.
    #[error("failed to read the verdicts of key range `{}`: {source}", range.index())]
    VerdictFile {
        /// The range whose gang unit wrote the file.
        range: KeyRange,
        /// What is wrong with it.
        source: BlocksError,
    },
    /// The unit's key file cannot be read; the unit has to run again.
    #[error("failed to read the local repeats of unit `{unit}`: {source}")]
    KeyFile {
        /// The unit that wrote the file.
        unit: u32,
        /// What is wrong with it.
        source: BlocksError,
    },
    /// The key file belongs to another unit.
    #[error("`{}` holds the keys of unit `{found}`, expected `{expected}`", file.display())]
    WrongUnit {
        /// The key file.
        file: PathBuf,
        /// The unit that was requested.
        expected: u32,
        /// The unit in the file.
        found: u32,
    },
    /// A path does not end in a verdict file's name.
    #[error("`{}` is not named like a verdict file", .0.display())]
    Name(PathBuf),
    /// The content has another range, rank or world than the name.
    #[error("`{}` has other content than its name says", .0.display())]
    Misnamed(PathBuf),
    /// The files belong to different numbers of ranges, or one range occurs twice.
    #[error(
        "`{}` does not match the other verdict files\n\nhint: pass the files of one stage",
        .0.display()
    )]
    Surplus(PathBuf),
    /// No file has the unit's verdicts of some range.
    #[error("unit `{unit}` has no verdicts for key range `{index}`")]
    Missing {
        /// The unit.
        unit: u32,
        /// The first range that is missing.
        index: u32,
    },
}

/// The ordinals that a unit drops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictSet {
    dropped: OrdinalSet,
}

impl VerdictSet {
    /// Reads the verdicts on one unit from all verdict files of a stage, and its local repeats from
    /// its key file. The repeats are dropped under either policy: keep-first keeps an earlier one,
    /// and drop-all drops the first through the exchange, unless only one record has the key.
    pub fn load<K: HashKey>(
        files: &[PathBuf],
        unit: u32,
        key_file: &Path,
    ) -> Result<Self, VerdictsError> {
        let keys = KeyFile::<K>::open(key_file)
            .map_err(|source| VerdictsError::KeyFile { unit, source })?;
        let found = keys.summary().unit;
        if found != unit {
            let file = key_file.to_path_buf();
            return Err(VerdictsError::WrongUnit { file, expected: unit, found });
        }
        let mut dropped =
            keys.repeats().map_err(|source| VerdictsError::KeyFile { unit, source })?;

        for (name, path) in files_concerning(files, unit)? {
            let failed = |source| VerdictsError::VerdictFile { range: name.range, source };
            let file = VerdictFile::open(path).map_err(failed)?;
            let summary = file.summary();
            if (summary.range, summary.rank, summary.world) != (name.range, name.rank, name.world) {
                return Err(VerdictsError::Misnamed(path.clone()));
            }
            if !file.add_unit(unit, &mut dropped).map_err(failed)? {
                return Err(VerdictsError::Missing { unit, index: name.range.index() });
            }
        }
        Ok(Self { dropped })
    }

    /// Returns whether this line or document is to be dropped as a duplicate.
    pub fn is_dropped(&self, ordinal: u32) -> bool {
        self.dropped.contains(ordinal)
    }

    /// Returns the number of ordinals to drop.
    pub fn count(&self) -> u64 {
        self.dropped.count()
    }

    /// Returns the ordinals to drop, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.dropped.iter()
    }
}

/// Returns the one file of each range that concerns the unit, by range, or an error if one is
/// missing.
fn files_concerning(
    files: &[PathBuf],
    unit: u32,
) -> Result<Vec<(VerdictFileName, &PathBuf)>, VerdictsError> {
    let mut chosen = Vec::new();
    for path in files {
        let name =
            VerdictFileName::parse(path).ok_or_else(|| VerdictsError::Name(path.to_path_buf()))?;
        if name.concerns(unit) {
            chosen.push((name, path));
        }
    }
    chosen.sort_by_key(|(name, _)| name.range.index());
    let of = chosen.first().map_or(1, |(name, _)| name.range.of());
    for (index, (name, path)) in (0..).zip(&chosen) {
        if name.range.of() != of || name.range.index() < index {
            return Err(VerdictsError::Surplus(path.to_path_buf()));
        }
        if name.range.index() > index {
            return Err(VerdictsError::Missing { unit, index });
        }
    }
    if chosen.len() < of as usize {
        return Err(VerdictsError::Missing { unit, index: chosen.len() as u32 });
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests;
