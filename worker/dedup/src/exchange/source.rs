//! The files that a rank reads keys from: those of units, or those of groups.

use super::super::group_file::{GroupFile, UnitKeys};
use super::super::key::HashKey;
use super::super::key_file::KeyFile;
use super::super::position::{KeyRange, Span};
use super::{KeyFileRef, KeyFiles, ResolveError};

/// One file with keys, closed until it is read.
pub(super) enum KeySource<K> {
    Unit(KeyFile<K>),
    Group { number: u32, file: GroupFile<K> },
}

/// Files of groups that a rank keeps open. Ranks may be threads of one process, which has a limit
/// of 1024 or more.
const OPEN_GROUPS: usize = 8;

/// Opens the files that belong to a rank, in the order of their units, and closes most of them
/// again, because there may be more of them than a process may have open. The index of the range is
/// kept.
pub(super) fn open_own<K: HashKey>(
    (rank, size): (usize, usize),
    key_files: KeyFiles<'_>,
    range: KeyRange,
) -> Result<Vec<KeySource<K>>, ResolveError> {
    let own = |file: &&KeyFileRef| file.unit as usize % size == rank;
    let mut own: Vec<&KeyFileRef> = key_files.files().iter().filter(own).collect();
    own.sort_unstable_by_key(|file| file.unit);
    let open = |(place, file)| match key_files {
        KeyFiles::OfUnits(_) => open_unit(file, range.span()),
        KeyFiles::OfGroups { .. } => open_group(file, range, place < OPEN_GROUPS),
    };
    own.into_iter().enumerate().map(open).collect()
}

fn open_unit<K: HashKey>(
    KeyFileRef { unit, path }: &KeyFileRef,
    span: Span,
) -> Result<KeySource<K>, ResolveError> {
    let mut file =
        KeyFile::<K>::open(path).map_err(|source| ResolveError::KeyFile { unit: *unit, source })?;
    let found = file.summary().unit;
    if found != *unit {
        return Err(ResolveError::WrongUnit { file: path.clone(), expected: *unit, found });
    }
    file.restrict(span);
    Ok(KeySource::Unit(file))
}

fn open_group<K: HashKey>(
    KeyFileRef { unit: number, path }: &KeyFileRef,
    range: KeyRange,
    stays_open: bool,
) -> Result<KeySource<K>, ResolveError> {
    let mut file = GroupFile::open(path, range)
        .map_err(|source| ResolveError::GroupFile { group: *number, source })?;
    if !stays_open {
        file.release();
    }
    Ok(KeySource::Group { number: *number, file })
}

impl<K: HashKey> KeySource<K> {
    /// Returns the units whose keys it has.
    pub(super) fn units(&self) -> Vec<u32> {
        match self {
            Self::Unit(file) => vec![file.summary().unit],
            Self::Group { file, .. } => file.units().to_vec(),
        }
    }

    /// Returns about how many keys of the span it has, from the index.
    pub(super) fn about(&self, span: Span) -> u64 {
        match self {
            Self::Unit(file) => file.at_most(span),
            Self::Group { file, .. } => file.about(span),
        }
    }

    /// Gives the keys of the span to the sink.
    pub(super) fn scan(&self, span: Span, sink: &mut impl UnitKeys<K>) -> Result<(), ResolveError> {
        match self {
            Self::Unit(file) => {
                let unit = file.summary().unit;
                sink.start_unit(unit);
                file.scan(span, |key, marked| sink.entry(key, marked))
                    .map_err(|source| ResolveError::KeyFile { unit, source })
            }
            Self::Group { number, file } => file
                .scan(span, sink)
                .map_err(|source| ResolveError::GroupFile { group: *number, source }),
        }
    }
}
