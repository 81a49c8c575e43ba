//! Web pages: from the payload of a WARC `response` record to the main text of the page.
//!
//! ```text
//! payload ─ http_response ─▶ body ─ charset ─▶ markup ─ bounds ─▶ (refused or) ─ extract ─▶ text
//! ```
//!
//! One string comes out, a paragraph, heading, list item or table row a line. What becomes of the
//! text (language, filters, dedup) is left to others.
//!
//! Invariant: the same payload, URL and limits give the same answer in any process. There are no
//! time-outs; sizes and counts bound the work. No payload panics or overflows the stack.

mod bounds;
pub mod charset;
mod extract;
mod lines;
mod page_kind;

use thiserror::Error;

pub use bounds::Excess;
pub use bounds::check;
pub use charset::CharsetSource;
pub use extract::Extraction;

use page_kind::PageKind;
use thresher_formats::http_response::{BodyNotes, HttpError, HttpLimits, HttpResponse};
use thresher_formats::third_party;

/// What a page may cost. Every limit is a size or a count, so a verdict never depends on speed.
#[derive(Clone, Copy, Debug)]
pub struct HtmlLimits {
    pub http: HttpLimits,
    /// The markup before decoding.
    pub html_bytes: usize,
    /// Nested elements; browsers stop nesting at 512.
    pub depth: usize,
    /// Nodes of the tree, estimated before and counted after parsing.
    pub nodes: usize,
    /// Elements of the tree, which is what extraction is slow in.
    pub elements: usize,
    /// The parser compares all attributes of a tag with each other.
    pub attributes_per_tag: usize,
    /// A main content shorter than this is compared with the whole page.
    pub article_chars: usize,
}

impl Default for HtmlLimits {
    fn default() -> Self {
        Self {
            http: HttpLimits::default(),
            html_bytes: 4 << 20,
            depth: 512,
            nodes: 500_000,
            elements: 150_000,
            attributes_per_tag: 1000,
            article_chars: 250,
        }
    }
}

/// The text of one page and how it was come by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// One line; empty when the page has none.
    pub title: String,
    /// Lines separated by `\n`, never empty.
    pub text: String,
    /// Name in the Encoding Standard.
    pub charset: &'static str,
    pub charset_source: CharsetSource,
    pub malformed_sequences: u64,
    pub extraction: Extraction,
    pub body_notes: BodyNotes,
}

/// Why a record gives no page.
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
}

impl PageError {
    /// The counted name of the drop.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Http(error) => error.reason(),
            Self::Status { .. } => "http_status",
            Self::ContentType { .. } => "content_type",
            Self::TooLarge { .. } => "html_too_large",
            Self::Bounds(Excess::Depth { .. }) => "html_too_deep",
            Self::Bounds(Excess::Nodes { .. } | Excess::Attributes { .. }) => "html_too_complex",
            Self::Panicked { .. } => "html_panicked",
            Self::NoText => "html_no_text",
        }
    }
}

/// The main text of an HTTP response. `url` only hints at the charset, by its top-level domain.
pub fn page_text(payload: &[u8], url: &str, limits: &HtmlLimits) -> Result<Page, PageError> {
    let response = HttpResponse::split(payload, &limits.http)?;
    if response.status != 200 {
        return Err(PageError::Status { status: response.status });
    }
    let content_type = response.header("content-type");
    // A declared type is looked at first: decoding pictures and archives would be for nothing.
    if let Some(found) = content_type.filter(|declared| page_kind::is_foreign(declared)) {
        return Err(PageError::ContentType { found: found.to_owned() });
    }
    let body = response.body(&limits.http)?;
    let kind = PageKind::of(content_type, &body.bytes)
        .map_err(|found| PageError::ContentType { found })?;
    if body.bytes.len() > limits.html_bytes {
        let (bytes, limit_bytes) = (body.bytes.len(), limits.html_bytes);
        return Err(PageError::TooLarge { bytes, limit_bytes });
    }
    let label = content_type.and_then(charset::charset_parameter);
    text_of_body(&body.bytes, kind, label, url, limits, body.notes)
}

fn text_of_body(
    bytes: &[u8],
    kind: PageKind,
    label: Option<&str>,
    url: &str,
    limits: &HtmlLimits,
    body_notes: BodyNotes,
) -> Result<Page, PageError> {
    let (decoded, content) = caught(|| {
        let decoded = charset::decode(bytes, label, url);
        let content = match kind {
            PageKind::Html => extract::main_text(&decoded.text, limits)?,
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
        body_notes,
    })
}

/// Charset detector, parser and extractor have assertions of their own; a page that trips one costs
/// itself and nothing else.
fn caught<T>(work: impl FnOnce() -> Result<T, PageError>) -> Result<T, PageError> {
    third_party::caught(work).unwrap_or_else(|message| Err(PageError::Panicked { message }))
}

#[cfg(test)]
mod tests;
