//! The slice `commoncrawl`: pages from WET and WARC files.
//!
//! The text of a page is the body of a WET `conversion` record, or the main text of the HTML in a
//! WARC `response` record. A record of another type is dropped, and so are conversions that are not
//! text and responses that are not pages, by the type that the crawler identified, or else by the
//! declared one. As in CCNet
//! (facebookresearch/cc_net, process_wet_file), the first line is the title and not part of the
//! text, and pages that are too short are dropped before anything else.

mod wet;

use std::borrow::Cow;

use thresher_job::{CommonCrawlSpec, HtmlSpec, JobSpec, SourceSpec};

use super::{Input, Page, ReadRecord, RecordOutcome, RecordSink, Source, forms};
use thresher_formats::gzip::{GzipLimits, InputDigest};
use thresher_formats::http_response::HttpLimits;
use thresher_formats::stop::Stop;
use thresher_formats::utf8::{self, Utf8Text};
use thresher_formats::warc::{Header, Item, Record, WarcLimits, WarcReader};
use thresher_text::html::{HtmlRules, page_text_of_type};
use thresher_text::lines::has_chars;
use thresher_unit::UnitError;

/// The reader of WET and WARC files, which are never split.
pub struct CommonCrawl;

impl Source for CommonCrawl {
    fn read(
        &self,
        job: &JobSpec,
        _: &SourceSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError> {
        let limits = limits(job);
        let unpacked = input.unpacked(&forms::COMMONCRAWL, limits.gzip)?;
        let mut reader = WarcReader::unpacked(unpacked, limits);
        let html = html_rules(job);
        while let Some(item) = reader.next().map_err(|error| input.failed(&error))? {
            match item {
                Item::Record(record) => read_record(job, (&html, input.stop()), &record, sink)?,
                Item::Quarantined(bad) => {
                    let header = bad.header();
                    let Named { id, url, .. } = named(&header);
                    let outcome = RecordOutcome::Quarantined {
                        id,
                        url: &url,
                        reason: bad.reason,
                        detail: &bad.detail,
                    };
                    sink(ReadRecord { offset: bad.offset, record: bad.index, bytes: 0, outcome })?;
                }
            }
        }
        if reader.odd_ends() > 0 {
            let (input, records) = (input.name(), reader.odd_ends());
            tracing::info!(input, records, "read records that do not end with two line ends");
        }
        Ok(reader.input_digest())
    }

    fn is_crawl(&self) -> bool {
        true
    }

    /// The pages of a WARC file are HTML. CommonCrawl's names distinguish them from WET files.
    fn is_costly_to_read(&self, path: &str) -> bool {
        !path.contains(".wet")
    }

    fn dump_of<'p>(&self, path: &'p str) -> &'p str {
        dump_in(path)
    }
}

/// Returns the limits of a page. Its response may be as large as its markup, at least.
fn html_rules(job: &JobSpec) -> HtmlRules {
    let HtmlSpec { focus, max_html_bytes } = job.html;
    let html_bytes = max_html_bytes.0 as usize;
    let usual = HtmlRules::default();
    let body_bytes = usual.http.body_bytes.max(html_bytes);
    HtmlRules { focus, html_bytes, http: HttpLimits { body_bytes, ..usual.http }, ..usual }
}

/// Returns the name of the dump in a path of CommonCrawl, such as `CC-MAIN-2024-10`, or an empty
/// text.
pub(crate) fn dump_in(path: &str) -> &str {
    let is_dump =
        |part: &&str| part.starts_with("CC-MAIN-") && part.len() == "CC-MAIN-2024-10".len();
    path.split('/').find(is_dump).unwrap_or("")
}

fn limits(job: &JobSpec) -> WarcLimits {
    let spec = &job.commoncrawl;
    let defaults = WarcLimits::default();
    WarcLimits {
        record_max_bytes: spec.max_record_bytes.0 as usize,
        gzip: GzipLimits { member_max_bytes: spec.max_member_bytes.0, ..defaults.gzip },
        ..defaults
    }
}

/// The header values that identify a record. A value that is not valid UTF-8 is empty here.
struct Named<'a> {
    id: &'a str,
    url: Cow<'a, str>,
    date: &'a str,
    payload_digest: &'a str,
}

fn named<'a>(header: &Header<'a>) -> Named<'a> {
    let text = |value: Option<&'a [u8]>| str::from_utf8(value.unwrap_or_default()).unwrap_or("");
    let id = text(header.record_id());
    let id = id.trim_matches(['<', '>']);
    Named {
        id: id.strip_prefix("urn:uuid:").unwrap_or(id),
        url: unfolded(text(header.target_uri())),
        date: text(header.date()),
        payload_digest: text(header.payload_digest().or_else(|| header.block_digest())),
    }
}

/// Returns an address without the line breaks of a folded field.
fn unfolded(text: &str) -> Cow<'_, str> {
    match text.contains('\n') {
        true => Cow::Owned(text.split_ascii_whitespace().collect()),
        false => Cow::Borrowed(text),
    }
}

fn read_record(
    job: &JobSpec,
    (html, stop): (&HtmlRules, &Stop),
    record: &Record<'_>,
    sink: &mut RecordSink<'_>,
) -> Result<(), UnitError> {
    let Named { id, url, date, payload_digest } = named(&record.header);
    let url = url.as_ref();
    let mut emit = |outcome: RecordOutcome<'_>| {
        let bytes = record.body.len() as u64;
        sink(ReadRecord { offset: record.offset, record: record.index, bytes, outcome })
    };
    let least = job.commoncrawl.min_chars;
    let mut page = |title: &str, text: &str, damaged_characters: u64| {
        if has_chars(text, least) {
            emit(RecordOutcome::Page(Page {
                id,
                url,
                date,
                title,
                text,
                payload_digest,
                damaged_characters,
                ..Page::default()
            }))
        } else {
            emit(RecordOutcome::Dropped { id, url, reason: "commoncrawl/too_short", detail: "" })
        }
    };
    let content_type = essence(record.header.content_type());
    match warc_type(&record.header).as_str() {
        "conversion" if !is_text(&content_type) => {
            emit(RecordOutcome::Dropped { id, url, reason: "content_type", detail: &content_type })
        }
        "conversion" => match utf8::read(record.body) {
            Ok(Utf8Text { text, damaged }) => {
                let (title, text) = wet::split(&text, wet_rules(job));
                page(&title, &text, damaged)
            }
            Err(at) => {
                let detail = format!("byte {at} of the body is not valid UTF-8");
                emit(RecordOutcome::Quarantined {
                    id,
                    url,
                    reason: "invalid_utf8",
                    detail: &detail,
                })
            }
        },
        "response" if is_other_protocol(&content_type, record.body) => {
            emit(RecordOutcome::Dropped { id, url, reason: "content_type", detail: &content_type })
        }
        "response" => {
            let identified = essence(record.header.get("WARC-Identified-Payload-Type"));
            match page_text_of_type(record.body, url, Some(&identified), html, stop) {
                Ok(found) => page(&found.title, &found.text, 0),
                Err(error) => {
                    let (reason, detail) = (error.reason(), error.to_string());
                    emit(RecordOutcome::Dropped { id, url, reason, detail: &detail })
                }
            }
        }
        other => emit(RecordOutcome::Dropped { id, url, reason: type_reason(other), detail: "" }),
    }
}

/// Returns the type of a record in lower case.
fn warc_type(header: &Header<'_>) -> String {
    String::from_utf8_lossy(header.warc_type().unwrap_or_default()).to_ascii_lowercase()
}

/// Returns a content type in lower case without its parameters.
fn essence(content_type: Option<&[u8]>) -> String {
    let text = String::from_utf8_lossy(content_type.unwrap_or_default());
    text.split([';', ',']).next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Returns whether a conversion of this type is the text of a page. Other programs than that of
/// CommonCrawl write thumbnails and cleaned markup as conversions.
fn is_text(content_type: &str) -> bool {
    matches!(content_type, "" | "text/plain" | "text/markdown" | "text/x-markdown")
}

/// Returns whether the response is not one of HTTP, such as the `text/dns` of a name server.
fn is_other_protocol(content_type: &str, body: &[u8]) -> bool {
    let http = matches!(content_type, "" | "application/http" | "message/http");
    let starts = body.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/"));
    !http && !starts
}

fn wet_rules(job: &JobSpec) -> wet::Rules {
    let CommonCrawlSpec { cut_at_warc_line, trailing_lines, .. } = job.commoncrawl;
    wet::Rules { cut_at_warc_line, trailing_lines }
}

/// Returns the reason for which a record of another type is dropped.
fn type_reason(warc_type: &str) -> &'static str {
    match warc_type {
        "warcinfo" => "record_type/warcinfo",
        "request" => "record_type/request",
        "metadata" => "record_type/metadata",
        "revisit" => "record_type/revisit",
        "resource" => "record_type/resource",
        "continuation" => "record_type/continuation",
        _ => "record_type/other",
    }
}

#[cfg(test)]
mod tests;
