//! The trait [`Source`], which every slice implements, and the records that a source passes to the
//! stages.

use std::borrow::Cow;
use std::path::Path;

use thresher_formats::form::Form;
use thresher_formats::gzip::InputDigest;
use thresher_formats::piece::Piece;
use thresher_job::{JobSpec, SourceSpec};
use thresher_unit::UnitError;
use thresher_unit::staging::{InputRow, StagedCluster};

use crate::forms;
use crate::input::Input;

/// The fields below `meta` that the published corpus has for a slice.
pub type Meta = serde_json::Map<String, serde_json::Value>;

/// One text with its title and its origin.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page<'a> {
    /// The id of the document, which is unique within its source.
    pub id: &'a str,
    /// The address of the document; empty if it has none.
    pub url: &'a str,
    /// The date as the input has it; empty if it has none.
    pub date: &'a str,
    /// The title; empty if the document has none.
    pub title: &'a str,
    /// The text without the title. Its lines are separated by `\n`.
    pub text: &'a str,
    /// The digest by which documents are compared if the job selects `payload` keys: the crawler's
    /// digest, or a hash of the raw file. It is empty if the source has none.
    pub payload_digest: &'a str,
    /// The licence under which the document is published, if the input states it.
    pub licence: Option<&'a str>,
    /// The language as the source states it. A step that identifies languages replaces it.
    pub language: Option<&'a str>,
    /// The published fields. It is `None` for crawled pages, whose published form has other fields.
    pub meta: Option<&'a Meta>,
    /// The reason to drop the page after the comparison of documents, in which it still takes part.
    pub withdrawn: Option<&'a str>,
    /// Number of files to which the document refers and which its input does not contain, so that
    /// their text is missing.
    pub missing_files: u64,
    /// Number of references to files whose text the document would contain too often, so that it is
    /// left out.
    pub omitted_files: u64,
    /// Number of damaged sequences in the record's UTF-8, which U+FFFD replaces.
    pub damaged_characters: u64,
    /// The columns of a document that was read from a corpus, which it keeps.
    pub published: Option<&'a Published<'a>>,
}

/// What a corpus says of a document beside the fields of [`Page`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Published<'a> {
    /// The name of its source.
    pub source: &'a str,
    /// The name of its slice; empty if it is not known.
    pub slice: &'a str,
    /// The name and version of the recipe.
    pub recipe: &'a str,
    /// The name of its dump; empty if it has none.
    pub dump: &'a str,
    /// The probability of the language.
    pub language_score: Option<f32>,
    /// The perplexity under CCNet's language model.
    pub perplexity: Option<f64>,
    /// CCNet's bucket for the perplexity.
    pub bucket: Option<&'a str>,
    /// The probability of the classifier's label.
    pub reference_score: Option<f64>,
    /// The number of tokens of the text.
    pub tokens: Option<u64>,
    /// The path of the input in which it was first read; empty if it is not known.
    pub input: &'a str,
    /// Its offset there.
    pub offset: u64,
    /// The number of its record there.
    pub record: u64,
    /// Number of characters before duplicate lines were removed.
    pub original_chars: Option<u64>,
    /// Number of lines before duplicate lines were removed.
    pub original_lines: Option<u64>,
    /// What the rules of filters measured, as JSON.
    pub filter_values: Option<&'a str>,
    /// Its near-duplicates.
    pub cluster: Option<StagedCluster<'a>>,
    /// Its `meta` as JSON.
    pub meta: Option<&'a str>,
}

/// The outcome of reading one record.
#[derive(Debug, Clone, Copy)]
pub enum RecordOutcome<'a> {
    /// The record is a document.
    Page(Page<'a>),
    /// A rule of the slice drops the record.
    Dropped { id: &'a str, url: &'a str, reason: &'a str, detail: &'a str },
    /// The record is damaged or exceeds a limit.
    Quarantined { id: &'a str, url: &'a str, reason: &'a str, detail: &'a str },
}

/// One record of an input, with its location and its outcome.
#[derive(Debug, Clone, Copy)]
pub struct ReadRecord<'a> {
    /// The offset in bytes at which the record starts in the input. For a record inside a gzip
    /// member, this is the offset of the member.
    pub offset: u64,
    /// The number of the record within its piece, counted from 0.
    pub record: u64,
    /// The size of the record's body in bytes.
    pub bytes: u64,
    /// What the source made of the record.
    pub outcome: RecordOutcome<'a>,
}

/// The function that receives the records of a piece, in order.
pub type RecordSink<'t> = dyn FnMut(ReadRecord<'_>) -> Result<(), UnitError> + 't;

/// The function that receives a row and the number of the part to which it belongs.
pub type GiveRow<'g> = dyn FnMut(u32, &[u8]) -> Result<(), UnitError> + 'g;

/// The function that passes all rows of a part to the function that it is given.
pub type PartRows<'r> =
    dyn FnMut(&mut dyn FnMut(&[u8]) -> Result<(), UnitError>) -> Result<(), UnitError> + 'r;

/// A slice whose records consist of rows that can be anywhere in an input. If an input is split,
/// there are as many parts as pieces: each piece first assigns its rows to parts, and then a unit
/// reads the rows of one part as if they were its piece.
pub trait Joined: Sync {
    /// Passes every row of a piece to `give`, in the order of the parts, and returns the digest of
    /// the bytes that it read. `own_of_parts` is the number of the piece, which is also the number
    /// of its own part, and the number of parts.
    fn scatter(
        &self,
        job: &JobSpec,
        input: &Input<'_>,
        own_of_parts: (u32, u32),
        give: &mut GiveRow<'_>,
    ) -> Result<InputDigest, UnitError>;

    /// Turns the rows of one part into records. `place` is the path of the input and a folder for
    /// temporary files.
    fn gather(
        &self,
        job: &JobSpec,
        source: &SourceSpec,
        place: (&str, &Path),
        rows: &mut PartRows<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<(), UnitError>;
}

/// The inputs of a listing that are read, and the names of those that are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selected {
    /// The inputs that are read, in the order of the listing.
    pub inputs: Vec<InputRow>,
    /// Names of the sites that are not read because of a key of the job.
    pub left_out: Vec<String>,
}

impl From<Vec<InputRow>> for Selected {
    fn from(inputs: Vec<InputRow>) -> Self {
        Self { inputs, left_out: Vec::new() }
    }
}

/// The decision of a slice's own rule to drop a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The name of the rule, as `slice/rule`.
    pub reason: &'static str,
    /// Whether the document still takes part in the comparison of documents.
    pub compared: bool,
}

/// The reader of one slice, and the rules that only this slice has.
pub trait Source: Sync {
    /// Selects the listed inputs that are read; by default all of them.
    fn select(&self, job: &JobSpec, inputs: Vec<InputRow>) -> Result<Selected, UnitError> {
        let _ = job;
        Ok(Selected::from(inputs))
    }

    /// Returns the inputs of a source whose listing has a form that only its slice reads.
    fn list(&self, source: &SourceSpec) -> Result<Option<Vec<InputRow>>, UnitError> {
        let _ = source;
        Ok(None)
    }

    /// Returns the slice's implementation of [`Joined`], if its pieces cannot be read separately.
    fn joined(&self) -> Option<&dyn Joined> {
        None
    }

    /// Returns the pieces of an input that can be read from its middle, or an empty list to read it
    /// as a whole. The result must depend only on the job, the input and the target. The caller
    /// does not open the input, except to check by [`Source::can_cut`] that its form is that of its
    /// name.
    fn pieces(
        &self,
        job: &JobSpec,
        input: &PlannedInput<'_>,
        target_bytes: u64,
    ) -> Result<Vec<Piece>, UnitError> {
        let _ = (job, input, target_bytes);
        Ok(Vec::new())
    }

    /// Returns whether an input of this form can be read from its middle.
    fn can_cut(&self, form: Form) -> bool {
        forms::can_be_cut(form, &[])
    }

    /// Reads a piece to its end, and returns the digest of the bytes that it read.
    ///
    /// The sequence of records must be a function of the bytes and the job, because two stages that
    /// read the same piece must number its lines in the same way.
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

    /// Returns whether turning an input with this path into text costs much more than reading the
    /// text from a file.
    fn is_costly_to_read(&self, path: &str) -> bool {
        let _ = path;
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

/// Checks that an input of which a piece is read has a form that can be cut. The pieces of inputs
/// that were not looked at when they were listed follow from their names.
pub fn check_piece(source: &dyn Source, input: &Input<'_>) -> Result<(), UnitError> {
    if input.piece().is_none() {
        return Ok(());
    }
    let form = input.form()?;
    if source.can_cut(form) {
        return Ok(());
    }
    Err(UnitError::JobFile(format!(
        "`{}` is {form} and cannot be read from its middle, but was cut because of its name\nhint: \
         rename it after its form, or set `units.target_bytes` above its size, and start over \
         with `--fresh`",
        input.name()
    )))
}

/// A listed input that is not yet split into pieces.
#[derive(Debug, Clone, Copy)]
pub struct PlannedInput<'a> {
    /// The source in the job file to which the input belongs.
    pub source: &'a SourceSpec,
    /// The path in the listing.
    pub path: &'a str,
    /// The size in bytes; `None` if the listing does not state it.
    pub bytes: Option<u64>,
}
