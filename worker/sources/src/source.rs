//! What a slice provides: [`Source`], and what it hands to the stages: records with their outcome.

use std::borrow::Cow;
use std::path::Path;

use thresher_formats::gzip::InputDigest;
use thresher_formats::piece::Piece;
use thresher_job::{JobSpec, SourceSpec};
use thresher_unit::UnitError;
use thresher_unit::staging::InputRow;

use crate::input::Input;

/// Fields that the published corpus has of a slice, below `meta`.
pub type Meta = serde_json::Map<String, serde_json::Value>;

/// One text with its title and where it was found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page<'a> {
    /// Unique within the source.
    pub id: &'a str,
    pub url: &'a str,
    pub date: &'a str,
    pub title: &'a str,
    /// Lines separated by `\n`, without the title.
    pub text: &'a str,
    /// What makes it equal to another of its slice, where the job asks for `payload` keys and the
    /// source has one: the crawler's digest, a hash of the raw file.
    pub payload_digest: &'a str,
    pub licence: Option<&'a str>,
    /// As the source says; a step that tells languages overrules it.
    pub language: Option<&'a str>,
    /// None for crawled pages, whose published form has other fields.
    pub meta: Option<&'a Meta>,
    /// Why it is dropped all the same, after it took part in the comparison of documents.
    pub withdrawn: Option<&'a str>,
}

/// The outcome of reading one record.
#[derive(Debug, Clone, Copy)]
pub enum RecordOutcome<'a> {
    Page(Page<'a>),
    Dropped { id: &'a str, url: &'a str, reason: &'a str, detail: &'a str },
    Quarantined { id: &'a str, url: &'a str, reason: &'a str, detail: &'a str },
}

/// One record of an input, as its source read it.
#[derive(Debug, Clone, Copy)]
pub struct ReadRecord<'a> {
    /// Where it begins in the input: of gzip members that hold it, the member.
    pub offset: u64,
    /// Number within the piece.
    pub record: u64,
    /// Bytes of its body.
    pub bytes: u64,
    pub outcome: RecordOutcome<'a>,
}

/// The function to which a source hands the records of a piece, in order.
pub type RecordSink<'t> = dyn FnMut(ReadRecord<'_>) -> Result<(), UnitError> + 't;

/// Takes a row for a part.
pub type GiveRow<'g> = dyn FnMut(u32, &[u8]) -> Result<(), UnitError> + 'g;

/// Hands all rows of a part to whoever is given.
pub type PartRows<'r> =
    dyn FnMut(&mut dyn FnMut(&[u8]) -> Result<(), UnitError>) -> Result<(), UnitError> + 'r;

/// A slice whose records are put together from rows that lie anywhere in an input. The pieces of an
/// input that was cut give each row to a part, as many parts as pieces; then a unit reads the rows
/// of a part as if they were its piece.
pub trait Joined: Sync {
    /// Gives every row of a piece, in the order of the parts; `own_of_parts` is the piece's number,
    /// which is its part's too, and how many there are. Says what it read.
    fn scatter(
        &self,
        job: &JobSpec,
        input: &Input<'_>,
        own_of_parts: (u32, u32),
        give: &mut GiveRow<'_>,
    ) -> Result<InputDigest, UnitError>;

    /// Makes records of the rows of one part of the input `path`.
    fn gather(
        &self,
        job: &JobSpec,
        source: &SourceSpec,
        place: (&str, &Path),
        rows: &mut PartRows<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<(), UnitError>;
}

/// What of a listing is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    pub inputs: Vec<InputRow>,
    /// Names of what a key of the job leaves out: whole sites.
    pub left_out: Vec<String>,
}

impl From<Vec<InputRow>> for Selected {
    fn from(inputs: Vec<InputRow>) -> Self {
        Self { inputs, left_out: Vec::new() }
    }
}

/// Why a slice's own rule drops a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The name of the rule, as `slice/rule`.
    pub reason: &'static str,
    /// Whether the document still takes part in the comparison of documents.
    pub compared: bool,
}

/// The reader of one slice, and the rules that only this slice has.
pub trait Source: Sync {
    /// Those of the listed inputs that are read.
    fn select(&self, job: &JobSpec, inputs: Vec<InputRow>) -> Result<Selected, UnitError> {
        let _ = job;
        Ok(Selected::from(inputs))
    }

    /// For slices whose pieces cannot be read alone.
    fn joined(&self) -> Option<&dyn Joined> {
        None
    }

    /// The pieces of an input, for inputs that can be read from their middle; none to read it
    /// whole. They depend on the input and the target alone. `input` is not opened for it unless
    /// the source does so.
    fn pieces(
        &self,
        job: &JobSpec,
        input: &PlannedInput<'_>,
        target_bytes: u64,
    ) -> Result<Vec<Piece>, UnitError> {
        let _ = (job, input, target_bytes);
        Ok(Vec::new())
    }

    /// Reads a piece to its end, and says what it read.
    ///
    /// The sequence of records is a function of the bytes and the job, so that two stages that
    /// read the same piece number its lines alike.
    fn read(
        &self,
        job: &JobSpec,
        source: &SourceSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError>;

    /// Returns whether the inputs are a crawl of the web: its pages can be kept by address, and the
    /// schema `redpajama-v1` names them after their line, as CCNet does.
    fn is_crawl(&self) -> bool {
        false
    }

    /// Returns the name of the CommonCrawl dump that the path of an input contains, or an empty
    /// text.
    fn dump_of<'p>(&self, path: &'p str) -> &'p str {
        let _ = path;
        ""
    }

    /// Returns the text by which the language of a document is identified when no document is
    /// dropped for its language.
    fn text_for_language<'t>(&self, job: &JobSpec, text: &'t str) -> Cow<'t, str> {
        let _ = job;
        Cow::Borrowed(text)
    }

    /// Applies the slice's rules that need the number of tokens. Tokens are counted last, so these
    /// rules see the text as it is published.
    fn refuse_by_tokens(&self, job: &JobSpec, text: &str, tokens: Option<u64>) -> Option<Refusal> {
        let _ = (job, text, tokens);
        None
    }
}

/// An input before it is cut.
#[derive(Debug, Clone, Copy)]
pub struct PlannedInput<'a> {
    pub source: &'a SourceSpec,
    /// As the listing has it.
    pub path: &'a str,
    /// Unknown for addresses.
    pub bytes: Option<u64>,
}
