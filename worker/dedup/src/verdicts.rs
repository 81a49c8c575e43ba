//! What a unit must drop: the verdicts on it, and its own local repeats.
//!
//! The verdicts are in one file: that of the rank which has the unit, if one key range has all
//! keys, or the combined file of the unit's group.
//! Invariant: a set is complete or an error. The file is about the whole key space, and states that
//! it compared the unit.

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
    /// The number of ranks; the file is for the units or groups `u` with `u mod world = rank`.
    pub world: u32,
}

impl fmt::Display for VerdictFileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (range, rank, world) = (self.range, self.rank, self.world);
        write!(f, "verdicts-{:05}-of-{:05}", range.index(), range.of())?;
        write!(f, "-rank-{rank:05}-of-{world:05}")
    }
}

/// Why a unit's verdicts cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VerdictsError {
    /// The verdict file cannot be read; it has to be made again.
    #[error("failed to read the verdicts on unit `{unit}`: {source}")]
    VerdictFile {
        /// The unit.
        unit: u32,
        /// What is wrong with the file.
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
    /// The file is only about a part of the keys.
    #[error("`{}` has the verdicts of key range `{}` only", file.display(), range.index())]
    Partial {
        /// The verdict file.
        file: PathBuf,
        /// The range in it.
        range: KeyRange,
    },
    /// The file has nothing about the unit.
    #[error("`{}` has no verdicts on unit `{unit}`", file.display())]
    Missing {
        /// The verdict file.
        file: PathBuf,
        /// The unit.
        unit: u32,
    },
}

/// The ordinals that a unit drops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictSet {
    dropped: OrdinalSet,
}

impl VerdictSet {
    /// Reads the verdicts on one unit from the file that has them, and its local repeats from its
    /// key file. The repeats are dropped under either policy: keep-first keeps an earlier one, and
    /// drop-all drops the first through the exchange, unless only one record has the key.
    pub fn load<K: HashKey>(
        verdicts: &VerdictFile,
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

        let range = verdicts.summary().range;
        if range != KeyRange::WHOLE {
            return Err(VerdictsError::Partial { file: verdicts.path().to_path_buf(), range });
        }
        let failed = |source| VerdictsError::VerdictFile { unit, source };
        if !verdicts.add_unit(unit, &mut dropped).map_err(failed)? {
            return Err(VerdictsError::Missing { file: verdicts.path().to_path_buf(), unit });
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

#[cfg(test)]
mod tests;
