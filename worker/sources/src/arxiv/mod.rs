//! The slice `arxiv`: tars of papers in TeX.
//!
//! ```text
//! arXiv_src_*.tar → members → .gz: a tar of a project or one file → TeX files → one text
//! ```
//! A tar is split into pieces at its members. Papers that were submitted only as PDF are dropped. A
//! tar that contains such tars is read in the same way.

mod kind;
mod paths;
mod published;
mod texts;
mod thresher_rules;
mod unpack;
mod unusable;

use std::borrow::Cow;
use std::io::Read;

use serde_json::Value;
use thresher_job::{JobSpec, LatexRules, SourceSpec};

use super::{
    Input, Meta, Page, PlannedInput, ReadRecord, RecordOutcome, RecordSink, Source, forms,
};
use crate::members::{Entry, Item, Members};
use texts::{NoText, PaperText, text_of};
use thresher_formats::form::Form;
use thresher_formats::gzip::{GzipLimits, InputDigest};
use thresher_formats::hashed::HashedReader;
use thresher_formats::json_lines::REASON_EMPTY;
use thresher_formats::piece::Piece;
use thresher_formats::unpack::{DamageError, UnpackedReader};
use thresher_unit::UnitError;

/// The reader of the slice `arxiv`.
pub struct Arxiv;

impl Source for Arxiv {
    fn pieces(
        &self,
        _: &JobSpec,
        input: &PlannedInput<'_>,
        target_bytes: u64,
    ) -> Result<Vec<Piece>, UnitError> {
        let bytes = input.bytes.filter(|_| input.path.ends_with(".tar"));
        Ok(bytes.map(|bytes| Piece::even(bytes, target_bytes)).unwrap_or_default())
    }

    fn can_cut(&self, form: Form) -> bool {
        forms::can_be_cut(form, &[Form::Tar])
    }

    fn read(
        &self,
        job: &JobSpec,
        _: &SourceSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError> {
        let failed = |error| input.failed(&error);
        let most = job.arxiv.max_paper_bytes.0;
        let digest = match input.piece() {
            None => {
                let unpacked = input.unpacked(&forms::ARXIV, GzipLimits::default())?;
                let unpacked = unpacked.without_guesses();
                let reader = UnpackedReader::new(unpacked);
                let members = Members::of_piece(reader, 0, u64::MAX, most).map_err(failed)?;
                read_members(job, input, members, sink)?.finish().map_err(failed)?
            }
            Some(piece) => {
                let reader = HashedReader::up_to(input.open()?, piece.length);
                let (offset, end) = (piece.offset, piece.range().end);
                let members = Members::of_piece(reader, offset, end, most).map_err(failed)?;
                read_members(job, input, members, sink)?.finish().map_err(failed)?
            }
        };
        if digest.bytes == 0 {
            let outcome =
                RecordOutcome::Quarantined { id: "", url: "", reason: REASON_EMPTY, detail: "" };
            sink(ReadRecord { offset: 0, record: 0, bytes: 0, outcome })?;
        }
        Ok(digest)
    }

    /// Returns the text in lower case for RedPajama's rules, because RedPajama identified the
    /// language of that.
    fn text_for_language<'t>(&self, job: &JobSpec, text: &'t str) -> Cow<'t, str> {
        match job.arxiv.latex {
            LatexRules::RedpajamaV1 => Cow::Owned(text.to_lowercase()),
            LatexRules::Thresher => Cow::Borrowed(text),
        }
    }
}

/// Reads the members of a tar, up to its end or to damage of what it is packed in, and returns the
/// input.
fn read_members<R: Read>(
    job: &JobSpec,
    input: &Input<'_>,
    mut members: Members<R>,
    sink: &mut RecordSink<'_>,
) -> Result<R, UnitError> {
    let mut record = 0;
    loop {
        let item = match members.next() {
            Ok(None) => return Ok(members.into_input()),
            Ok(Some(item)) => item,
            Err(error) => {
                let Some(damage) = DamageError::of(&error) else {
                    return Err(input.failed(&error));
                };
                let (reason, detail) = (damage.reason, damage.detail.as_str());
                let outcome = RecordOutcome::Quarantined { id: "", url: "", reason, detail };
                sink(ReadRecord { offset: damage.offset, record, bytes: 0, outcome })?;
                return Ok(members.into_input());
            }
        };
        let is_folder = matches!(&item, Item::Member { entry: Entry::Folder, .. });
        if !is_folder {
            read_member(job, record, item, sink)?;
            record += 1;
        }
    }
}

/// Passes the record of one member of a tar to the sink.
fn read_member(
    job: &JobSpec,
    record: u64,
    item: Item,
    sink: &mut RecordSink<'_>,
) -> Result<(), UnitError> {
    let (at, name, modified, packed) = match item {
        Item::Member { at, name, modified, bytes, .. } => (at, name, modified, bytes),
        Item::TooLarge { at, name, bytes } => {
            let detail = format!("the member has {bytes} bytes");
            let (reason, detail) = ("paper_too_large", detail.as_str());
            let outcome = RecordOutcome::Quarantined { id: &name, url: "", reason, detail };
            return sink(ReadRecord { offset: at, record, bytes: 0, outcome });
        }
        Item::Damaged { at, detail, .. } => {
            let (reason, detail) = ("tar_damaged", detail.as_str());
            let outcome = RecordOutcome::Quarantined { id: "", url: "", reason, detail };
            return sink(ReadRecord { offset: at, record, bytes: 0, outcome });
        }
    };
    let id = arxiv_id(&name, job.arxiv.latex);
    let url = format!("https://arxiv.org/abs/{id}");
    let bytes = packed.len() as u64;
    let mut emit =
        |outcome: RecordOutcome<'_>| sink(ReadRecord { offset: at, record, bytes, outcome });
    let (id, url_of) = (id.as_str(), url.as_str());
    let dropped = |reason, detail| RecordOutcome::Dropped { id, url: url_of, reason, detail };
    if name.ends_with(".pdf") {
        return emit(dropped("arxiv/pdf_only", ""));
    }
    if !name.ends_with(".gz") {
        return emit(dropped("arxiv/no_paper", &name));
    }
    match text_of(&packed, job.arxiv.latex, job.arxiv.max_paper_bytes.0) {
        Ok(PaperText { text, missing, omitted, .. }) => {
            let date = iso_time(modified);
            let meta = meta_of(&name, id, &url, &date);
            emit(RecordOutcome::Page(Page {
                id,
                url: &url,
                date: &date,
                text: &text,
                meta: Some(&meta),
                missing_files: missing,
                omitted_files: omitted,
                ..Page::default()
            }))
        }
        Err(NoText::Dropped { reason, detail }) => emit(dropped(reason, &detail)),
        Err(NoText::Quarantined { reason, detail }) => {
            emit(RecordOutcome::Quarantined { id, url: url_of, reason, detail: &detail })
        }
    }
}

fn meta_of(name: &str, id: &str, url: &str, date: &str) -> Meta {
    let yymm = name.split('/').rev().nth(1).unwrap_or_default();
    // A later step identifies the language of the text.
    let fields = [
        ("timestamp", Value::from(date)),
        ("yymm", Value::from(yymm)),
        ("arxiv_id", Value::from(id)),
        ("language", Value::Null),
        ("url", Value::from(url)),
        ("source", Value::from("arxiv")),
    ];
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Returns the id in the name of a member: `hep-th/9901001` for `9901/hep-th9901001.gz`, and
/// `1911.02782` for `1911/1911.02782.gz`. RedPajama's rules leave names as they are that have other
/// signs in the archive, or more than digits and dots in the number.
fn arxiv_id(name: &str, rules: LatexRules) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let digits = stem.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let (archive, number) = stem.split_at(digits);
    let is_split = match rules {
        LatexRules::Thresher => true,
        LatexRules::RedpajamaV1 => {
            archive.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
                && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        }
    };
    if archive.is_empty() || number.is_empty() || !is_split {
        return stem.to_owned();
    }
    format!("{archive}/{number}")
}

/// Formats seconds since 1970 as a date and a time.
fn iso_time(seconds: u64) -> String {
    let days = (seconds / 86_400) as i64;
    // The number of days since 1 March of the year 0 of the civil calendar.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let rest = seconds % 86_400;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests;
