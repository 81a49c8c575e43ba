//! Joins what all key ranges say of a group of units in one verdict file, so that a unit has one
//! file to open.
//!
//! Memory: one bit for each ordinal of the group up to the last one that is dropped.

use std::io::{self, Write};
use std::path::PathBuf;

use super::ordinals::OrdinalSet;
use super::position::{KeyRange, Policy};
use super::verdict_file::{VerdictFile, VerdictFileWriter};
use thresher_formats::blocks::BlocksError;

/// The verdict file of one range that has the group's units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeVerdicts {
    /// The range.
    pub range: KeyRange,
    /// Path of the file.
    pub path: PathBuf,
}

/// Why the verdicts on a group cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum CombineError {
    /// A verdict file cannot be read; its key range has to be resolved again.
    #[error("failed to read the verdicts of key range `{}`: {source}", range.index())]
    VerdictFile {
        /// The range.
        range: KeyRange,
        /// What is wrong with its file.
        source: BlocksError,
    },
    /// A verdict file has another content than its name says.
    #[error("`{}` has other content than its name says", file.display())]
    Misnamed {
        /// The range.
        range: KeyRange,
        /// The file.
        file: PathBuf,
    },
    /// A range has no verdicts on a unit.
    #[error("unit `{unit}` has no verdicts for key range `{}`", range.index())]
    Missing {
        /// The range.
        range: KeyRange,
        /// The unit.
        unit: u32,
    },
    /// The file of the group could not be written.
    #[error("failed to write the verdicts on a group: {0}")]
    Output(#[source] io::Error),
}

/// Writes the drops of these units, which are ascending, to `out`; returns it with their number.
/// `files` has the file of every range.
pub fn combine<W: Write>(
    files: &[RangeVerdicts],
    units: &[u32],
    policy: Policy,
    out: W,
) -> Result<(W, u64), CombineError> {
    let mut sets = vec![OrdinalSet::default(); units.len()];
    for RangeVerdicts { range, path } in files {
        let failed = |source| CombineError::VerdictFile { range: *range, source };
        let file = VerdictFile::open(path).map_err(failed)?;
        if file.summary().range != *range {
            return Err(CombineError::Misnamed { range: *range, file: path.clone() });
        }
        if let Some(unit) = file.add_units(units, &mut sets).map_err(failed)? {
            return Err(CombineError::Missing { range: *range, unit });
        }
    }
    let about = (KeyRange::WHOLE, policy);
    let mut writer = VerdictFileWriter::new(out, about, (0, 1), units.to_vec(), 0)
        .map_err(CombineError::Output)?;
    writer.write_sets(&sets).map_err(CombineError::Output)?;
    let dropped = writer.dropped();
    writer.finish().map(|out| (out, dropped)).map_err(CombineError::Output)
}
