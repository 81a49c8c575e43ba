//! The slice `commoncrawl`: pages from WET and WARC files.
//!
//! The text of a page is the body of a WET `conversion` record, or the main text of the HTML in a
//! WARC `response` record. Every other record is dropped by its type. As in CCNet
//! (facebookresearch/cc_net, process_wet_file), the first line is the title and not part of the
//! text, and pages that are too short are dropped before anything else.

mod wet;

use thresher_job::{CommonCrawlSpec, JobSpec, SourceSpec};

use super::{Input, Page, ReadRecord, RecordOutcome, RecordSink, Source};
use thresher_formats::gzip::{GzipLimits, InputDigest};
use thresher_formats::warc::{Header, Item, Record, WarcLimits, WarcReader};
use thresher_text::html::{HtmlLimits, page_text};
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
        let mut reader = WarcReader::new(input.open()?, limits);
        let html =
            HtmlLimits { html_bytes: job.html.max_html_bytes.0 as usize, ..HtmlLimits::default() };
        while let Some(item) = reader.next().map_err(|error| input.failed(&error))? {
            match item {
                Item::Record(record) => read_record(job, &html, &record, sink)?,
                Item::Quarantined(bad) => {
                    let header = bad.header();
                    let Named { id, url, .. } = named(&header);
                    let outcome = RecordOutcome::Quarantined {
                        id,
                        url,
                        reason: bad.reason,
                        detail: &bad.detail,
                    };
                    sink(ReadRecord { offset: bad.offset, record: bad.index, bytes: 0, outcome })?;
                }
            }
        }
        Ok(reader.input_digest())
    }

    fn is_crawl(&self) -> bool {
        true
    }

    fn dump_of<'p>(&self, path: &'p str) -> &'p str {
        dump_in(path)
    }
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
    url: &'a str,
    date: &'a str,
    payload_digest: &'a str,
}

fn named<'a>(header: &Header<'a>) -> Named<'a> {
    let text = |value: Option<&'a [u8]>| str::from_utf8(value.unwrap_or_default()).unwrap_or("");
    let id = text(header.record_id());
    let id = id.trim_matches(['<', '>']);
    Named {
        id: id.strip_prefix("urn:uuid:").unwrap_or(id),
        url: text(header.target_uri()),
        date: text(header.date()),
        payload_digest: text(header.payload_digest().or_else(|| header.block_digest())),
    }
}

fn read_record(
    job: &JobSpec,
    html: &HtmlLimits,
    record: &Record<'_>,
    sink: &mut RecordSink<'_>,
) -> Result<(), UnitError> {
    let Named { id, url, date, payload_digest } = named(&record.header);
    let mut emit = |outcome: RecordOutcome<'_>| {
        let bytes = record.body.len() as u64;
        sink(ReadRecord { offset: record.offset, record: record.index, bytes, outcome })
    };
    let least = job.commoncrawl.min_chars;
    let mut page = |title: &str, text: &str| {
        if has_chars(text, least) {
            emit(RecordOutcome::Page(Page {
                id,
                url,
                date,
                title,
                text,
                payload_digest,
                ..Page::default()
            }))
        } else {
            emit(RecordOutcome::Dropped { id, url, reason: "commoncrawl/too_short", detail: "" })
        }
    };
    match record.header.warc_type().unwrap_or_default() {
        b"conversion" => match wet::split(record.body, wet_rules(job)) {
            Ok((title, text)) => page(&title, &text),
            Err(at) => {
                let detail = format!("byte {at} of the body is no UTF-8");
                emit(RecordOutcome::Quarantined {
                    id,
                    url,
                    reason: "invalid_utf8",
                    detail: &detail,
                })
            }
        },
        b"response" => match page_text(record.body, url, html) {
            Ok(found) => page(&found.title, &found.text),
            Err(error) => {
                let detail = error.to_string();
                emit(RecordOutcome::Dropped { id, url, reason: error.reason(), detail: &detail })
            }
        },
        other => emit(RecordOutcome::Dropped { id, url, reason: type_reason(other), detail: "" }),
    }
}

fn wet_rules(job: &JobSpec) -> wet::Rules {
    let CommonCrawlSpec { cut_at_warc_line, trailing_lines, .. } = job.commoncrawl;
    wet::Rules { cut_at_warc_line, trailing_lines }
}

/// Returns the reason for which a record of another type is dropped.
fn type_reason(warc_type: &[u8]) -> &'static str {
    match warc_type {
        b"warcinfo" => "record_type/warcinfo",
        b"request" => "record_type/request",
        b"metadata" => "record_type/metadata",
        b"revisit" => "record_type/revisit",
        b"resource" => "record_type/resource",
        b"continuation" => "record_type/continuation",
        _ => "record_type/other",
    }
}
