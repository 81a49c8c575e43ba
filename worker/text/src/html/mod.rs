//! Web pages: from the payload of a WARC `response` record to the main text of the page.
//!
//! ```text
//! payload ─ http_response ─▶ body ─ charset ─▶ markup ─ bounds, tree ─▶ tree ─ extract ─▶ text
//! ```
//!
//! The result is one string, with a line per paragraph, heading, list item or table row. Language,
//! filters and dedup come later.
//!
//! Invariant: the same payload, URL and limits give the same result in any process. There are no
//! time-outs; sizes and counts bound the work. No payload causes a panic or a stack overflow.

mod bounds;
pub mod charset;
mod extract;
mod lines;
mod page_kind;
mod phrasing;
mod prose;
mod tree;

use thiserror::Error;

pub use bounds::Excess;
pub use bounds::check;
pub use charset::CharsetSource;
pub use extract::Extraction;

use page_kind::PageKind;
use thresher_formats::http_response::{BodyNotes, HttpError, HttpLimits, HttpResponse};
use thresher_formats::stop::Stop;
use thresher_formats::third_party;
use thresher_job::Focus;

/// What is taken from a page, and its limits. Every limit is a size or a count, so a verdict never
/// depends on speed.
#[derive(Clone, Copy, Debug)]
pub struct HtmlRules {
    /// What is done with text that is not clearly main text.
    pub focus: Focus,
    /// Limits of the HTTP response.
    pub http: HttpLimits,
    /// Size of the markup before decoding.
    pub html_bytes: usize,
    /// Depth of nested elements; browsers stop nesting at 512.
    pub depth: usize,
    /// Number of nodes of the tree, estimated before and counted after parsing.
    pub nodes: usize,
    /// Number of elements of the tree, on which the time of extraction depends most.
    pub elements: usize,
    /// Amount of work, in steps that depend on the page alone. Real pages need up to a tenth of it.
    pub steps: u64,
    /// Number of attributes of a tag, all of which the parser compares with each other.
    pub attributes_per_tag: usize,
    /// Length in characters below which main content is compared with the whole page, or left out
    /// for precision.
    pub article_chars: usize,
}

impl Default for HtmlRules {
    fn default() -> Self {
        Self {
            focus: Focus::default(),
            http: HttpLimits::default(),
            html_bytes: 4 << 20,
            depth: 512,
            nodes: 500_000,
            elements: 150_000,
            steps: 400_000_000,
            attributes_per_tag: 1000,
            article_chars: 250,
        }
    }
}

/// The text of one page, and how it was extracted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The title in one line; empty if the page has none.
    pub title: String,
    /// The text, never empty, with lines separated by `\n`.
    pub text: String,
    /// The name of the character set in the Encoding Standard.
    pub charset: &'static str,
    /// What determined the character set.
    pub charset_source: CharsetSource,
    /// Number of sequences that are malformed in it.
    pub malformed_sequences: u64,
    /// Which part of the page the text is.
    pub extraction: Extraction,
    /// The work that it took, in steps.
    pub steps: u64,
    /// What was unusual about the body.
    pub body_notes: BodyNotes,
}

/// Why a record yields no page.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PageError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("read a page: its http status is `{status}`")]
    Status { status: u16 },
    #[error("read a page: `{found}` is neither html nor plain text")]
    ContentType { found: String },
    #[error("read a page: {bytes} bytes of markup pass the limit of {limit_bytes}")]
    TooLarge { bytes: usize, limit_bytes: usize },
    #[error("read a page: {0}")]
    Bounds(Excess),
    #[error("read a page: the html library panicked: {message}")]
    Panicked { message: String },
    #[error("read a page: it has no visible text")]
    NoText,
    #[error("read a page: the unit was asked to stop")]
    Stopped,
}

impl PageError {
    /// Returns the reason under which the record is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Http(error) => error.reason(),
            Self::Status { .. } => "http_status",
            Self::ContentType { .. } => "content_type",
            Self::TooLarge { .. } => "html_too_large",
            Self::Bounds(Excess::Depth { .. }) => "html_too_deep",
            Self::Bounds(Excess::Nodes { .. } | Excess::Attributes { .. }) => "html_too_complex",
            Self::Panicked { .. } => "html_panicked",
            Self::Bounds(Excess::Steps { .. }) => "html_too_much_work",
            Self::NoText => "html_no_text",
            // It is never published, because the unit ends at this record.
            Self::Stopped => "stopped",
        }
    }
}

/// Returns the main text of an HTTP response. `url` only helps to detect the charset, by its
/// top-level domain. `stop` ends the work in the middle.
pub fn page_text(
    payload: &[u8],
    url: &str,
    limits: &HtmlRules,
    stop: &Stop,
) -> Result<Page, PageError> {
    page_text_of_type(payload, url, None, limits, stop)
}

/// Does the same as [`page_text`] for a response whose type the crawler identified by its content.
/// That type takes precedence over the declared one, which still names the charset.
pub fn page_text_of_type(
    payload: &[u8],
    url: &str,
    identified: Option<&str>,
    limits: &HtmlRules,
    stop: &Stop,
) -> Result<Page, PageError> {
    let response = HttpResponse::split(payload, &limits.http)?;
    // A proxy that changed the page answers with 203.
    if !matches!(response.status, 200 | 203) {
        return Err(PageError::Status { status: response.status });
    }
    let declared = response.header("content-type");
    let identified = identified.filter(|it| !it.trim().is_empty());
    let content_type = identified.or(declared);
    // The type is checked first, so that pictures and archives are not decoded in vain.
    if let Some(found) = content_type.filter(|declared| page_kind::is_other_format(declared)) {
        return Err(PageError::ContentType { found: found.to_owned() });
    }
    let body = response.body(&limits.http)?;
    let kind = PageKind::of(content_type, &body.bytes)
        .map_err(|found| PageError::ContentType { found })?;
    let kind = if identified.is_some() { kind.unless_markup(&body.bytes) } else { kind };
    if body.bytes.len() > limits.html_bytes {
        let (bytes, limit_bytes) = (body.bytes.len(), limits.html_bytes);
        return Err(PageError::TooLarge { bytes, limit_bytes });
    }
    let label = declared.and_then(charset::charset_parameter);
    let body = Body { bytes: &body.bytes, kind, label, notes: body.notes };
    text_of_body(body, url, limits, stop)
}

/// The content of a page, as its response describes it.
struct Body<'a> {
    bytes: &'a [u8],
    kind: PageKind,
    /// The charset that the server declares.
    label: Option<&'a str>,
    notes: BodyNotes,
}

fn text_of_body(
    body: Body<'_>,
    url: &str,
    limits: &HtmlRules,
    stop: &Stop,
) -> Result<Page, PageError> {
    let (decoded, content) = caught(|| {
        let decoded = charset::decode(body.bytes, body.label, url);
        let content = match body.kind {
            PageKind::Html => extract::main_text(&decoded.text, limits, stop)?,
            PageKind::PlainText => extract::plain_text(&decoded.text),
        };
        Ok((decoded, content))
    })?;
    if content.text.is_empty() {
        return Err(PageError::NoText);
    }
    Ok(Page {
        title: content.title,
        text: content.text,
        charset: decoded.charset,
        charset_source: decoded.source,
        malformed_sequences: decoded.malformed_sequences,
        extraction: content.extraction,
        steps: content.steps,
        body_notes: body.notes,
    })
}

/// Catches a panic: charset detector, parser and extractor have assertions of their own, and a page
/// that violates one must cost only itself.
fn caught<T>(work: impl FnOnce() -> Result<T, PageError>) -> Result<T, PageError> {
    third_party::caught(work).unwrap_or_else(|message| Err(PageError::Panicked { message }))
}

#[cfg(test)]
mod tests;
