//! Document filters: a document's text in; keep, drop with a named reason, or an edited text out.
//!
//! A filter sees one document and no other, does no I/O while it judges, and knows no source,
//! language or stage. To add one: a file here with its type and tests, a section in the job
//! file's `FiltersSpec`, and an entry in `FILTERS`.
//!
//! ```text
//! text → DocumentView (words, counts; once) → filter → filter → … → Outcome
//!                 ↑ again, when a filter edits ──┘
//! ```
//!
//! **Invariant:** the outcome is a function of the text and the thresholds alone, and every
//! dropped document is counted under exactly one reason.

mod affixes;
mod bad_words;
mod c4_quality;
mod fineweb_quality;
mod gopher_quality;
mod gopher_repetition;
mod grams;
mod length;
mod punctuation;
mod text;
mod view;
mod words;
mod workspace;

use std::path::PathBuf;

use thresher_job::filters::{FiltersSpec, ThresholdError};

pub use view::DocumentView;
pub use words::Word;
pub use workspace::{Scratch, Tally, Workspace};

use bad_words::BadWords;
use c4_quality::C4Quality;
use fineweb_quality::FinewebQuality;
use gopher_quality::GopherQuality;
use gopher_repetition::GopherRepetition;
use length::Length;

/// Why a document was dropped, as `filter/rule`.
pub type Reason = &'static str;

/// Why a line or a part of it was removed, as `filter/rule`.
pub type Removal = &'static str;

/// Larger texts are dropped unread: their words would need 17 bytes of memory a byte of text.
pub const MAX_TEXT_BYTES: usize = 64 << 20;

/// What one filter says about one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    Drop(Reason),
    /// Keep the text that the filter left in the workspace in place of this one.
    Rewrite,
}

/// A rule set that judges one document by its text.
pub trait Filter: Send + Sync {
    /// The job file's section, and the first half of every reason.
    fn name(&self) -> &'static str;

    fn check(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Verdict;
}

/// A filter's thresholds cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    #[error("read the list of bad words `{}`\nhint: `filters.c4_quality.bad_words_file` names a \
             UTF-8 file with one entry a line", path.display())]
    BadWords { path: PathBuf, source: std::io::Error },
}

type Built = Result<Option<Box<dyn Filter>>, FilterError>;

/// Every filter, in the order in which a chain runs them.
const FILTERS: &[fn(&FiltersSpec) -> Built] = &[
    |spec| Ok(built(spec.length.enabled, || Length::new(&spec.length))),
    |spec| {
        let section = &spec.gopher_repetition;
        Ok(built(section.enabled, || GopherRepetition::new(section)))
    },
    |spec| Ok(built(spec.gopher_quality.enabled, || GopherQuality::new(&spec.gopher_quality))),
    |spec| {
        let section = &spec.c4_quality;
        if !section.enabled {
            return Ok(None);
        }
        let bad_words = section.bad_words_file.as_deref().map(BadWords::read).transpose()?;
        Ok(built(true, || C4Quality::new(section, bad_words)))
    },
    |spec| Ok(built(spec.fineweb_quality.enabled, || FinewebQuality::new(&spec.fineweb_quality))),
];

fn built<F: Filter + 'static>(enabled: bool, build: impl FnOnce() -> F) -> Option<Box<dyn Filter>> {
    enabled.then(|| Box::new(build()) as Box<dyn Filter>)
}

/// The filters that a job switched on.
pub struct FilterChain {
    filters: Vec<Box<dyn Filter>>,
}

/// What the chain says about one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    Keep,
    /// Keep this text in place of the document's.
    Rewritten(&'a str),
    Drop(Reason),
}

impl FilterChain {
    /// Builds the enabled filters; reads the list of bad words, if one is named.
    pub fn new(spec: &FiltersSpec) -> Result<Self, FilterError> {
        spec.validate()?;
        let mut filters = Vec::new();
        for build in FILTERS {
            filters.extend(build(spec)?);
        }
        Ok(Self { filters })
    }

    /// True when every document passes unread.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Judges one document, and counts in `scratch` what is dropped and removed.
    pub fn judge<'a>(&self, text: &str, scratch: &'a mut Scratch) -> Outcome<'a> {
        if self.filters.is_empty() {
            return Outcome::Keep;
        }
        let Scratch { view: buffers, current, work } = scratch;
        let outcome = if text.len() > MAX_TEXT_BYTES {
            Err("filters/text_too_large")
        } else {
            run(&self.filters, text, buffers, current, work)
        };
        match outcome {
            Ok(false) => Outcome::Keep,
            Ok(true) => Outcome::Rewritten(current),
            Err(reason) => {
                *work.tally.dropped.entry(reason).or_default() += 1;
                Outcome::Drop(reason)
            }
        }
    }
}

/// Runs the filters; says whether `current` holds an edited text, or why the document is dropped.
fn run(
    filters: &[Box<dyn Filter>],
    text: &str,
    buffers: &mut view::ViewBuffers,
    current: &mut String,
    work: &mut Workspace,
) -> Result<bool, Reason> {
    let mut edited = false;
    let mut remaining = filters.iter();
    loop {
        let view = buffers.view(if edited { current } else { text });
        loop {
            let Some(filter) = remaining.next() else { return Ok(edited) };
            match filter.check(&view, work) {
                Verdict::Keep => {}
                Verdict::Drop(reason) => return Err(reason),
                Verdict::Rewrite => break,
            }
        }
        std::mem::swap(current, &mut work.rewritten);
        edited = true;
        if remaining.len() == 0 {
            return Ok(edited);
        }
    }
}

#[cfg(test)]
mod tests;
