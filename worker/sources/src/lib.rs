//! Where documents come from: one folder for each slice, and one entry in `SOURCES`.
//!
//! ```text
//! listing → input → pieces (units) → read → records: page · dropped · quarantined
//! ```
//! A source cuts inputs into pieces and turns a piece's bytes into records; which lines and pages
//! stay is for the steps that the job file gives the slice (`[steps]`), for stages and filters.
//!
//! To add a slice: a folder here whose type is a [`Source`], an entry in `SOURCES`, a variant of
//! the job file's `Slice`, and its line in `[steps]` of the default job.

pub mod arxiv;
pub mod books;
pub mod c4;
pub mod command;
pub mod commoncrawl;
pub mod external;
pub mod github;
pub(crate) mod input;
mod json_rows;
mod locate;
mod noted;
mod source;
pub mod stackexchange;
#[cfg(test)]
mod testing;
pub mod wikipedia;

use thresher_job::Slice;
use thresher_unit::UnitError;

pub use input::{Input, Seekable};
pub use locate::locate;
pub use source::*;

/// The slices that this build can read.
const SOURCES: &[(Slice, &dyn Source)] = &[
    (Slice::Commoncrawl, &commoncrawl::CommonCrawl),
    (Slice::C4, &c4::C4),
    (Slice::Github, &github::Github),
    (Slice::Arxiv, &arxiv::Arxiv),
    (Slice::Books, &books::Books),
    (Slice::Wikipedia, &wikipedia::Wikipedia),
    (Slice::Stackexchange, &stackexchange::StackExchange),
    (Slice::External, &external::External),
];

/// The reader of a slice, or why there is none.
pub fn source_of(slice: Slice) -> Result<&'static dyn Source, UnitError> {
    let found = SOURCES.iter().find(|(known, _)| *known == slice);
    found.map(|(_, source)| *source).ok_or_else(|| {
        let known: Vec<String> =
            SOURCES.iter().map(|(slice, _)| format!("`{}`", slice.name())).collect();
        UnitError::Fatal(format!(
            "this build has no reader for the slice `{}`\nhint: it reads {}",
            slice.name(),
            known.join(", ")
        ))
    })
}
