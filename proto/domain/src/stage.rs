//! The stages of a job.

use std::fmt;

/// A stage of a job. A stage starts when the stages before it have no unit left to run, so the
/// order of the variants is the order in which the stages run.
///
/// The discriminants are part of the seed of a shuffled lease order and equal the numbers on the
/// wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stage {
    /// One unit per source: finds the inputs and groups them into units.
    List = 1,
    /// Normalises and hashes every line of the inputs.
    Lines = 2,
    /// One unit per group of LINES units: sorts their keys into one file by key range. There are
    /// none if one key range has all keys.
    GatherLines = 3,
    /// Gang, one key range per unit: decides which lines are duplicates.
    ResolveLines = 4,
    /// One unit per group of LINES units: joins what all key ranges say of them in one file. There
    /// are none if one key range has all keys.
    CombineLines = 5,
    /// Reads the inputs, drops duplicate lines, cleans, filters, scores and hashes documents.
    Prepare = 6,
    /// As [`Stage::GatherLines`], for the keys of documents.
    GatherDocuments = 7,
    /// Gang, one key range per unit: decides which documents are duplicates.
    ResolveDocuments = 8,
    /// As [`Stage::CombineLines`], for documents.
    CombineDocuments = 9,
    /// The units of PREPARE: computes the band keys of the documents that are left. There are none
    /// if no source compares near-duplicates.
    Sign = 10,
    /// As [`Stage::GatherLines`], for band keys.
    GatherBands = 11,
    /// Gang, one key range per unit: finds documents that have a band in common.
    ResolveBands = 12,
    /// Gang, one unit: connects these documents to components.
    Connect = 13,
    /// One unit per group of PREPARE units: collects what the comparison needs of each document
    /// that is in a component.
    Collect = 14,
    /// One unit per part of the components: compares their documents, and decides which are
    /// removed.
    Compare = 15,
    /// One unit per group of PREPARE units: joins what was decided about its documents in one file.
    Decide = 16,
    /// One unit per source: cuts the remaining documents into shards.
    Layout = 17,
    /// One unit per shard: writes it.
    Publish = 18,
    /// One unit: writes the manifest and the report.
    Seal = 19,
}

impl Stage {
    /// Every stage, in the order in which they run.
    pub const ALL: [Self; 19] = [
        Self::List,
        Self::Lines,
        Self::GatherLines,
        Self::ResolveLines,
        Self::CombineLines,
        Self::Prepare,
        Self::GatherDocuments,
        Self::ResolveDocuments,
        Self::CombineDocuments,
        Self::Sign,
        Self::GatherBands,
        Self::ResolveBands,
        Self::Connect,
        Self::Collect,
        Self::Compare,
        Self::Decide,
        Self::Layout,
        Self::Publish,
        Self::Seal,
    ];

    /// Returns the stage's name in status, errors and paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Lines => "lines",
            Self::GatherLines => "gather-lines",
            Self::ResolveLines => "resolve-lines",
            Self::CombineLines => "combine-lines",
            Self::Prepare => "prepare",
            Self::GatherDocuments => "gather-documents",
            Self::ResolveDocuments => "resolve-documents",
            Self::CombineDocuments => "combine-documents",
            Self::Sign => "sign",
            Self::GatherBands => "gather-bands",
            Self::ResolveBands => "resolve-bands",
            Self::Connect => "connect",
            Self::Collect => "collect",
            Self::Compare => "compare",
            Self::Decide => "decide",
            Self::Layout => "layout",
            Self::Publish => "publish",
            Self::Seal => "seal",
        }
    }

    /// Returns the stage of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// Returns the stage's position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize - 1
    }

    /// Returns whether a unit of the stage needs all ranks of a worker at once.
    pub const fn is_gang(self) -> bool {
        match self {
            Self::ResolveLines | Self::ResolveDocuments | Self::ResolveBands | Self::Connect => {
                true
            }
            Self::List
            | Self::Lines
            | Self::GatherLines
            | Self::CombineLines
            | Self::Prepare
            | Self::GatherDocuments
            | Self::CombineDocuments
            | Self::Sign
            | Self::GatherBands
            | Self::Collect
            | Self::Compare
            | Self::Decide
            | Self::Layout
            | Self::Publish
            | Self::Seal => false,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_found_by_name_and_by_index() {
        for (index, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage.index(), index);
            assert_eq!(Stage::from_name(stage.name()), Some(stage));
        }
        assert_eq!(Stage::from_name("unspecified"), None);
    }
}
