//! Readers of the slices, which turn inputs into records. Each slice has a folder here and an entry
//! in [`source_of`].
//!
//! ```text
//! listing → input → pieces (units) → read → records: page · dropped · quarantined
//! ```
//! A source splits inputs into pieces and turns the bytes of a piece into records. It does not
//! decide which lines and pages are kept: the steps of the slice (`[steps]` in the job file) do.
//!
//! To add a slice, add a folder here with a type that implements [`Source`], an entry in
//! [`source_of`], a variant of the job file's `Slice`, and a line in `[steps]` of the default job.

pub mod arxiv;
pub mod books;
pub mod c4;
pub mod command;
pub mod commoncrawl;
pub mod corpus;
pub mod documents;
mod entities;
pub mod external;
mod forms;
pub mod github;
mod html4;
pub(crate) mod input;
mod json_rows;
mod locate;
mod members;
mod noted;
mod parquet_rows;
mod root_end;
mod source;
pub mod stackexchange;
#[cfg(test)]
mod testing;
pub mod wikipedia;

use thresher_job::Slice;

pub use input::{Input, Seekable};
pub use locate::locate;
pub use parquet_rows::first_group;
pub use source::*;

/// Returns the reader of a slice.
pub fn source_of(slice: Slice) -> &'static dyn Source {
    match slice {
        Slice::Commoncrawl => &commoncrawl::CommonCrawl,
        Slice::C4 => &c4::C4,
        Slice::Github => &github::Github,
        Slice::Arxiv => &arxiv::Arxiv,
        Slice::Books => &books::Books,
        Slice::Wikipedia => &wikipedia::Wikipedia,
        Slice::Stackexchange => &stackexchange::StackExchange,
        Slice::External => &external::External,
        Slice::Documents => &documents::Documents,
        Slice::Corpus => &corpus::Corpus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_that_join_rows_are_the_same_in_the_job_file() {
        for slice in Slice::ALL {
            let joins = source_of(slice).joined().is_some();
            assert_eq!(slice.joins_rows(), joins, "{}", slice.name());
        }
    }
}
