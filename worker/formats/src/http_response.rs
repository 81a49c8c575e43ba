//! An HTTP/1.x response as crawlers store it in a WARC `response` record: head, then body.
//!
//! Splits the payload, and undoes chunked transfer and content encodings if they are really
//! present: CommonCrawl stores decoded bodies, other crawlers store the raw stream, and some store
//! decoded bodies under the headers of the raw one. Charset and markup are left to `html`.
//!
//! Declared lengths are not trusted: the record frames the payload, so the body is all that follows
//! the head, and a `Content-Length` that differs is only noted in [`BodyNotes`]. A body that ends
//! early (crawlers cut long ones) is kept as far as it decodes, and noted too.
//!
//! Invariant: no input makes this module hold more than the limits allow, or panic.

mod head;

use std::borrow::Cow;
use std::io::{ErrorKind, Read};

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use thiserror::Error;

/// The limits of what is held of an untrusted response.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Size of the status line and headers together.
    pub head_bytes: usize,
    /// Number of headers.
    pub headers: usize,
    /// Size of the body after each decoding step; this stops compression bombs.
    pub body_bytes: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { head_bytes: 256 << 10, headers: 256, body_bytes: 8 << 20 }
    }
}

/// Status and headers; the body stays encoded until [`HttpResponse::body`] is called.
#[derive(Debug)]
pub struct HttpResponse<'a> {
    /// The status code, such as 200.
    pub status: u16,
    headers: Vec<(String, String)>,
    raw_body: &'a [u8],
}

/// A decoded body, and what was unusual about it.
#[derive(Debug)]
pub struct HttpBody<'a> {
    /// The body, borrowed if it was not encoded.
    pub bytes: Cow<'a, [u8]>,
    /// What was unusual about it.
    pub notes: BodyNotes,
}

/// Deviations that are tolerated and that the caller counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodyNotes {
    /// A chunked or compressed body ended early or is damaged; the part that decodes is kept.
    pub cut_short: bool,
    /// `Content-Length` differs from the length of the stored body.
    pub length_disagrees: bool,
    /// A header names an encoding that the body does not have; the body was kept unchanged.
    pub encoding_was_undone: bool,
    /// The body was a page in gzip although no header says so, or no second one.
    pub gzip_undeclared: bool,
}

/// Why a response cannot be split or decoded.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HttpError {
    #[error("read an http response: {detail}")]
    Malformed { detail: String },
    #[error("decode a `{encoding}` body: {detail}")]
    ContentEncodingDamaged { encoding: String, detail: String },
    #[error("decode a body: the content encoding `{encoding}` is not known")]
    ContentEncodingUnsupported { encoding: String },
    #[error("decode a body: it passes {limit_bytes} bytes")]
    BodyTooLarge { limit_bytes: usize },
}

impl HttpError {
    /// Returns the reason under which the record is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "http_malformed",
            Self::ContentEncodingDamaged { .. } => "content_encoding_damaged",
            Self::ContentEncodingUnsupported { .. } => "content_encoding_unsupported",
            Self::BodyTooLarge { .. } => "body_too_large",
        }
    }
}

impl<'a> HttpResponse<'a> {
    /// Splits head and body. The body starts after the first empty line. Interim responses, such as
    /// `100 Continue`, and blank lines before the response are skipped.
    pub fn split(payload: &'a [u8], limits: &HttpLimits) -> Result<Self, HttpError> {
        let window = &payload[..payload.len().min(limits.head_bytes)];
        let mut at = 0;
        loop {
            at += head::blank_bytes(&window[at..]);
            let head = head::parse(&window[at..], limits.headers)
                .map_err(|detail| HttpError::Malformed { detail: detail.to_owned() })?;
            at += head.bytes;
            let next = at + head::blank_bytes(&window[at..]);
            if !((100..200).contains(&head.status) && head::is_start(&window[next..])) {
                let raw_body = &payload[at..];
                return Ok(Self { status: head.status, headers: head.headers, raw_body });
            }
        }
    }

    /// Returns the value of the first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body with its transfer and content encodings undone.
    pub fn body(&self, limits: &HttpLimits) -> Result<HttpBody<'a>, HttpError> {
        let mut notes = BodyNotes::default();
        let mut bytes = Cow::Borrowed(self.raw_body);
        let declared = self.header("content-length").and_then(|value| value.parse::<u64>().ok());
        notes.length_disagrees = declared.is_some_and(|n| n != self.raw_body.len() as u64);
        if self.tokens("transfer-encoding").any(|token| token == "chunked") {
            // A chunked message has no length that a header could contradict.
            notes.length_disagrees = false;
            match unchunk(self.raw_body) {
                Some(chunks) => {
                    notes.cut_short |= chunks.cut_short;
                    bytes = Cow::Owned(chunks.bytes);
                }
                None => notes.encoding_was_undone = true,
            }
        }
        let encodings: Vec<String> = self.tokens("content-encoding").collect();
        if encodings.len() > MAX_ENCODINGS {
            let encoding = encodings.join(", ");
            return Err(HttpError::ContentEncodingUnsupported { encoding });
        }
        for encoding in encodings.iter().rev() {
            bytes = decoded(encoding, bytes, limits, &mut notes)?;
        }
        // Some servers pack a page twice and declare it once.
        if let Some(page) = undeclared_gzip(&bytes, limits) {
            notes.gzip_undeclared = true;
            bytes = Cow::Owned(page);
        }
        if bytes.len() > limits.body_bytes {
            return Err(HttpError::BodyTooLarge { limit_bytes: limits.body_bytes });
        }
        Ok(HttpBody { bytes, notes })
    }

    /// Returns the comma-separated tokens of all headers of this name, in lower case and without
    /// parameters and quotation marks.
    fn tokens(&self, name: &'static str) -> impl Iterator<Item = String> {
        self.headers
            .iter()
            .filter(move |(key, _)| key == name)
            .flat_map(|(_, value)| value.split(','))
            .filter_map(|token| token.split(';').next())
            .map(|token| token.trim_matches(['"', '\'', ' ', '\t']).to_ascii_lowercase())
            .filter(|token| !token.is_empty())
    }
}

/// Limit of stacked encodings; a page with more is an attack.
const MAX_ENCODINGS: usize = 4;

/// Limit of zstd windows on the web: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

struct Chunks {
    bytes: Vec<u8>,
    cut_short: bool,
}

/// Undoes chunked coding; returns `None` if the body is not chunked, whatever its header says.
///
/// The first chunk decides: it must have a size line, and end in a line break or reach the end of
/// the payload. After that, an invalid size line ends the body.
fn unchunk(body: &[u8]) -> Option<Chunks> {
    let mut bytes = Vec::new();
    let mut rest = body;
    let mut first = true;
    loop {
        let Some((line, size)) = head::chunk_size(rest) else {
            return (!first).then_some(Chunks { bytes, cut_short: true });
        };
        rest = &rest[line..];
        if size == 0 {
            return Some(Chunks { bytes, cut_short: false });
        }
        let Some((chunk, after)) =
            usize::try_from(size).ok().and_then(|size| rest.split_at_checked(size))
        else {
            bytes.extend_from_slice(rest);
            return Some(Chunks { bytes, cut_short: true });
        };
        let line_break = line_break_bytes(after);
        if first && line_break == 0 && !after.is_empty() {
            return None;
        }
        bytes.extend_from_slice(chunk);
        rest = &after[line_break..];
        first = false;
    }
}

fn line_break_bytes(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"\r\n") { 2 } else { usize::from(bytes.starts_with(b"\n")) }
}

/// Undoes one encoding.
fn decoded<'a>(
    encoding: &str,
    bytes: Cow<'a, [u8]>,
    limits: &HttpLimits,
    notes: &mut BodyNotes,
) -> Result<Cow<'a, [u8]>, HttpError> {
    if bytes.is_empty() || matches!(encoding, "identity" | "none" | "utf-8" | "8bit" | "binary") {
        return Ok(bytes);
    }
    let present = match encoding {
        "gzip" | "x-gzip" => bytes.starts_with(&GZIP_MAGIC),
        "zstd" => bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
        // These have no magic number, but neither can start like a page of markup and still decode.
        "deflate" => is_zlib(&bytes) || !looks_like_markup(&bytes),
        "br" => !looks_like_markup(&bytes),
        _ => {
            let encoding = encoding.to_owned();
            return Err(HttpError::ContentEncodingUnsupported { encoding });
        }
    };
    if !present {
        notes.encoding_was_undone = true;
        return Ok(bytes);
    }
    let (out, end) = match encoding {
        "gzip" | "x-gzip" => gunzip(&bytes, limits.body_bytes),
        "deflate" if bytes.starts_with(&GZIP_MAGIC) => gunzip(&bytes, limits.body_bytes),
        "zstd" => unzstd(&bytes, limits.body_bytes),
        "deflate" if is_zlib(&bytes) => drain(ZlibDecoder::new(&*bytes), limits.body_bytes),
        "deflate" => drain(DeflateDecoder::new(&*bytes), limits.body_bytes),
        _ => unbrotli(&bytes, limits.body_bytes),
    };
    if out.len() > limits.body_bytes {
        return Err(HttpError::BodyTooLarge { limit_bytes: limits.body_bytes });
    }
    match end {
        Ok(()) => Ok(Cow::Owned(out)),
        Err(error) if keeps_output(&error) && !out.is_empty() => {
            notes.cut_short = true;
            Ok(Cow::Owned(out))
        }
        Err(error) => Err(HttpError::ContentEncodingDamaged {
            encoding: encoding.to_owned(),
            detail: error.to_string(),
        }),
    }
}

/// Returns whether what was decoded before an error is used: the input ended, or was decoded to its
/// end and has a wrong checksum. Other damage is often noticed only after wrong output.
fn keeps_output(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::UnexpectedEof || error.to_string().contains("matching checksum")
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

type Drained = (Vec<u8>, std::io::Result<()>);

/// Returns the page in a body that is gzip without a header that says so. A download in gzip, which
/// holds no markup, stays as it is.
fn undeclared_gzip(bytes: &[u8], limits: &HttpLimits) -> Option<Vec<u8>> {
    if !bytes.starts_with(&GZIP_MAGIC) {
        return None;
    }
    let (page, end) = gunzip(bytes, limits.body_bytes);
    let whole = end.is_ok() && page.len() <= limits.body_bytes;
    (whole && looks_like_markup(&page)).then_some(page)
}

/// Inflates all members; bytes after the last one are ignored, as browsers do.
fn gunzip(bytes: &[u8], limit: usize) -> Drained {
    let mut out = Vec::new();
    let mut rest = bytes;
    while rest.starts_with(&GZIP_MAGIC) && out.len() <= limit {
        let mut decoder = GzDecoder::new(rest);
        let (mut member, end) = drain(&mut decoder, limit - out.len());
        out.append(&mut member);
        if end.is_err() {
            return (out, end);
        }
        rest = decoder.into_inner();
    }
    (out, Ok(()))
}

fn unzstd(bytes: &[u8], limit: usize) -> Drained {
    let decoder = zstd::Decoder::new(bytes).and_then(|mut decoder| {
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(decoder)
    });
    match decoder {
        Ok(decoder) => drain(decoder, limit),
        Err(error) => (Vec::new(), Err(error)),
    }
}

/// Uses the streaming call, because the crate's readers do not distinguish a cut stream from a
/// damaged one.
fn unbrotli(bytes: &[u8], limit: usize) -> Drained {
    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    let mut out = Vec::new();
    let mut block = vec![0; 64 << 10];
    let (mut unread, mut read, mut total) = (bytes.len(), 0, 0);
    loop {
        let (mut free, mut filled) = (block.len(), 0);
        let result = BrotliDecompressStream(
            &mut unread,
            &mut read,
            bytes,
            &mut free,
            &mut filled,
            &mut block,
            &mut total,
            &mut state,
        );
        out.extend_from_slice(&block[..filled]);
        let end = match result {
            BrotliResult::NeedsMoreOutput if out.len() <= limit => continue,
            BrotliResult::NeedsMoreOutput | BrotliResult::ResultSuccess => Ok(()),
            BrotliResult::NeedsMoreInput => Err(ErrorKind::UnexpectedEof.into()),
            BrotliResult::ResultFailure => Err(ErrorKind::InvalidData.into()),
        };
        return (out, end);
    }
}

/// Reads at most one byte more than the limit, and keeps what came before an error.
fn drain(reader: impl Read, limit: usize) -> Drained {
    let mut out = Vec::new();
    let end = reader.take(limit as u64 + 1).read_to_end(&mut out).map(|_| ());
    (out, end)
}

fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flags, ..]
        if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flags)).is_multiple_of(31))
}

fn looks_like_markup(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    text.first() == Some(&b'<')
        && text.get(1).is_some_and(|byte| byte.is_ascii_alphabetic() || b"!?".contains(byte))
}

#[cfg(test)]
mod tests;
