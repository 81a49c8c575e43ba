//! Document filters: a document's text in; keep, drop with a named reason, or an edited text out.
//!
//! A filter sees one document (its text, title, URL and language) and no other, does no I/O
//! meanwhile, and knows no source or stage. To add one: a file here with its settings, its rule and
//! its tests, and an entry in `FILTERS`. The settings are part of the file, so the job file's crate
//! depends on this one, which stays small for that: no HTML, no models.
//!
//! ```text
//! document → DocumentView (words, counts; once) → filter → filter → … → Outcome
//!                     ↑ again, when a filter edits ──┘
//! ```
//!
//! **Invariant:** the outcome is a function of the document and the thresholds alone, and every
//! dropped document is counted under exactly one reason.

mod affixes;
mod bad_words;
mod by_script;
mod c4_quality;
mod fineweb_quality;
mod gopher_quality;
mod gopher_repetition;
mod grams;
mod length;
mod line_text;
mod measured;
mod punctuation;
mod script;
mod sections;
mod text;
mod unspaced;
mod view;
mod words;
mod workspace;

use std::path::PathBuf;

use thresher_settings::JobError;

pub use by_script::give_way;
pub use measured::Measured;
pub use script::Script;
pub use sections::{
    BadSetting, Definition, FilterSettings, FiltersSpec, default_sections, documentation,
    keys_without_default,
};
pub use view::{Document, DocumentView};
pub use words::Word;
pub use workspace::{Scratch, Tally, Workspace};

/// Every filter, in the order in which a chain runs them.
const FILTERS: &[Definition] = &[
    Definition::of::<length::LengthSpec>(),
    Definition::of::<gopher_repetition::GopherRepetitionSpec>(),
    Definition::of::<gopher_quality::GopherQualitySpec>(),
    Definition::of::<c4_quality::C4QualitySpec>(),
    Definition::of::<fineweb_quality::FinewebQualitySpec>(),
];

/// Why a document was dropped, as `filter/rule`.
pub type Reason = &'static str;

/// Why a line or a part of it was removed, as `filter/rule`.
pub type Removal = &'static str;

/// Larger texts are dropped unread: their words would need 17 bytes of memory a byte of text.
pub const MAX_TEXT_BYTES: usize = 64 << 20;

/// The verdict of one filter on one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Keep the document.
    Keep,
    /// Drop the document for this reason.
    Drop(Reason),
    /// Keep the text that the filter wrote to the workspace, instead of this one.
    Rewrite,
}

/// A set of rules for one document.
pub trait Filter: Send + Sync {
    /// Applies the rules to a document. Texts that the filter writes go to `work`.
    fn check(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Verdict;
}

/// Why a filter cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Its settings cannot be used.
    #[error(transparent)]
    Settings(#[from] JobError),
    /// A file that its settings name cannot be read.
    #[error("read {what} `{}`\nhint: {hint}", path.display())]
    File { what: &'static str, path: PathBuf, hint: &'static str, source: std::io::Error },
}

/// The filters that a job enabled.
pub struct FilterChain {
    filters: Vec<Box<dyn Filter>>,
}

/// The result of the chain for one document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome<'a> {
    /// Keep the document as it is.
    Keep,
    /// Keep this text instead of the document's.
    Rewritten(&'a str),
    /// Drop the document for this reason. A rule with a threshold says what it measured.
    Drop(Reason, Option<Measured>),
}

impl FilterChain {
    /// Builds the enabled filters, and reads the files that they need.
    pub fn new(spec: &FiltersSpec) -> Result<Self, FilterError> {
        Ok(Self { filters: spec.build()? })
    }

    /// Returns whether the chain has no filter, so that every document passes unread.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Evaluates one document, and counts in `scratch` what is dropped and removed.
    pub fn evaluate<'a>(&self, document: Document<'_>, scratch: &'a mut Scratch) -> Outcome<'a> {
        self.measure(document, scratch).0
    }

    /// Evaluates one document, and also returns what each rule measured, in the order of the rules:
    /// its reason and the value. A rule that looks no further than its threshold gives the value up
    /// to there.
    pub fn measure<'a>(
        &self,
        document: Document<'_>,
        scratch: &'a mut Scratch,
    ) -> (Outcome<'a>, &'a [(Reason, f64)]) {
        if self.filters.is_empty() {
            return (Outcome::Keep, &[]);
        }
        let Scratch { view: buffers, current, work } = scratch;
        work.measured = None;
        work.measurements.clear();
        let outcome = if document.text.len() > MAX_TEXT_BYTES {
            Err("filters/text_too_large")
        } else {
            run(&self.filters, document, buffers, current, work)
        };
        let outcome = match outcome {
            Ok(false) => Outcome::Keep,
            Ok(true) => Outcome::Rewritten(current),
            Err(reason) => {
                *work.tally.dropped.entry(reason).or_default() += 1;
                Outcome::Drop(reason, work.measured)
            }
        };
        (outcome, work.measurements.values())
    }
}

/// Turns the rule that a document is beyond into a verdict, and leaves the measurement in the
/// workspace.
fn verdict(beyond: Option<measured::Beyond>, work: &mut Workspace) -> Verdict {
    let Some((reason, measured)) = beyond else { return Verdict::Keep };
    work.measured = Some(measured);
    Verdict::Drop(reason)
}

/// Runs the filters. Returns whether `current` holds an edited text, or the reason for which the
/// document is dropped.
fn run(
    filters: &[Box<dyn Filter>],
    document: Document<'_>,
    buffers: &mut view::ViewBuffers,
    current: &mut String,
    work: &mut Workspace,
) -> Result<bool, Reason> {
    let mut edited = false;
    let mut remaining = filters.iter();
    loop {
        let text = if edited { &*current } else { document.text };
        let view = buffers.view(Document { text, ..document });
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
