//! The slice `wikipedia`: turns dumps of pages in wikitext into plain text.
//!
//! ```text
//! dump → bzip2 streams, or another packing → <page> elements
//!      → articles (not redirects, not empty) → plain text
//! ```
//! A multistream dump is split into pieces, whose streams are read separately. If the index of the
//! dump is beside it, the pieces follow the index. Other dumps are read as a whole. The head of the
//! dump, with the names of its namespaces, is read for every piece.

mod index;
pub mod namespaces;
pub mod pages;
pub mod streams;
mod wikis;
pub mod wikitext;

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde_json::Value;
use thresher_job::{JobSpec, SourceSpec, TextForm};

use super::{
    Input, Meta, Page, PlannedInput, ReadRecord, RecordOutcome, RecordSink, Selected, Source, forms,
};
use crate::locate;
use crate::root_end::{Watched, has_root};
use namespaces::{ARTICLES, namespace_of, prefixes_of, siteinfo};
use pages::{Found, PageFinder, WikiPage, parse};
use streams::{BzStreams, Damage as StreamDamage};
use thresher_formats::form::Form as InputForm;
use thresher_formats::gzip::{Damage, GzipLimits, InputDigest};
use thresher_formats::hashed::HashedReader;
use thresher_formats::piece::Piece;
use thresher_formats::unpack::{DamageError, UnpackedReader, Unpacker};
use thresher_storage::{ReadOptions, StorageError};
use thresher_unit::UnitError;
use thresher_unit::staging::InputRow;
use wikis::{Wiki, date_of};
use wikitext::{Form, LinkPrefixes, is_redirect, strip};

/// Number of bytes of the head of a dump that are read.
const HEAD_BYTES: u64 = 1 << 20;
const LICENCE: &str = "CC-BY-SA";
/// The reason of a dump that is not in bzip2 and ends before the end tag of its root.
const DUMP_TRUNCATED: &str = "dump_truncated";

/// The reader of the slice `wikipedia`. Each dump is of one wiki.
pub struct Wikipedia;

impl Source for Wikipedia {
    fn select(&self, _: &JobSpec, mut inputs: Vec<InputRow>) -> Result<Selected, UnitError> {
        // A pattern of the user's listing can match indexes too.
        inputs.retain(|row| !index::is_index(&row.path));
        Ok(Selected::from(inputs))
    }

    fn pieces(
        &self,
        _: &JobSpec,
        input: &PlannedInput<'_>,
        target_bytes: u64,
    ) -> Result<Vec<Piece>, UnitError> {
        // In other dumps a page can continue in the next stream.
        let Some(index) = index::path_of(input.path) else { return Ok(Vec::new()) };
        let bytes = input.bytes.unwrap_or_default();
        let even = Piece::even(bytes, target_bytes);
        if even.is_empty() {
            return Ok(even);
        }
        let by_index =
            match thresher_storage::open(&locate(input.source, &index)?, &ReadOptions::default()) {
                Ok(reader) => {
                    let dump = locate(input.source, input.path)?;
                    let pieces = index::pieces(reader, bytes, target_bytes);
                    pieces.filter(|pieces| index::fits(&dump, bytes, pieces))
                }
                Err(StorageError::NotFound { .. } | StorageError::Refused { .. }) => None,
                Err(error) => return Err(error.into()),
            };
        Ok(by_index.unwrap_or(even))
    }

    fn can_cut(&self, form: InputForm) -> bool {
        // A dump whose first bytes are damaged is searched for its streams.
        matches!(form, InputForm::Bzip2 | InputForm::Other | InputForm::Empty)
    }

    fn read(
        &self,
        job: &JobSpec,
        _: &SourceSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError> {
        let dump = Dump::of(job, input)?;
        let form = input.form()?;
        let unknown = form == InputForm::Other && !input.path().ends_with(".bz2");
        if input.piece().is_none() && (unknown || !self.can_cut(form) || dump.is_utf_16) {
            return dump.read_whole(job, input, sink);
        }
        let piece = input.piece().unwrap_or(Piece { offset: 0, length: u64::MAX });
        if dump.is_utf_16 {
            // Streams are cut between bytes of a character, so the first piece has all pages.
            if piece.offset == 0 {
                dump.read_whole(job, input, sink)?;
            }
            return input.digest();
        }
        let reader = HashedReader::up_to(input.open()?, piece.length);
        let joined = !input.path().contains("-multistream");
        let mut streams = BzStreams::new(reader, piece.offset, piece.range().end, joined);
        let mut finder = PageFinder::new(job.wikipedia.max_page_bytes.0 as usize);
        let mut reading = Reading { dump: &dump, record: 0, is_cut: false, sink };
        while streams.next_stream().map_err(|error| input.failed(&error))? {
            reading.stream(input, &mut streams, &mut finder)?;
        }
        if reading.record == 0 && piece.offset == 0 && streams.stream_at() == 0 {
            reading.empty_dump(job)?;
        }
        streams.into_input().finish().map_err(|error| input.failed(&error))
    }
}

/// What a dump's name and head say.
struct Dump {
    wiki: Wiki,
    /// The date in the dump's name, such as `20230320`, or an empty text.
    date: String,
    prefixes: LinkPrefixes,
    /// The names of namespaces in the dump's head, by key.
    namespaces: BTreeMap<String, String>,
    /// Whether the job keeps pages of this language.
    kept: bool,
    form: Form,
    /// Whether the head has the start tag of the root.
    has_root: bool,
    /// Whether the text is in UTF-16, so that its streams cannot be read separately.
    is_utf_16: bool,
}

impl Dump {
    fn of(job: &JobSpec, input: &Input<'_>) -> Result<Self, UnitError> {
        let unpacker = || -> Result<_, UnitError> {
            Ok(Unpacker::new(input.open_at(0)?, GzipLimits::default()))
        };
        let failed = |error: io::Error| input.failed(&error);
        let mut bytes = head(unpacker()?).map_err(failed)?;
        let is_utf_16 = InputForm::of(&bytes) == InputForm::Utf16;
        if is_utf_16 {
            bytes = head(unpacker()?.as_text()).map_err(failed)?;
        }
        let head = String::from_utf8_lossy(&bytes);
        let namespaces = siteinfo(&head);
        let wiki = Wiki::of(input.path(), &head);
        let code = if wiki.code.is_empty() { &wiki.language } else { &wiki.code };
        let prefixes = prefixes_of(code, &namespaces);
        let form = match job.wikipedia.text {
            TextForm::Readable => Form::Readable,
            TextForm::RedpajamaV1 => Form::Published,
        };
        let wanted = &job.wikipedia.languages;
        let kept = wanted.is_empty()
            || wanted.contains(&wiki.code)
            // RedPajama's list has no wiki in simple English, whose language is `en`.
            || (form == Form::Readable && wanted.contains(&wiki.language));
        let date = date_of(input.path()).to_owned();
        let has_root = has_root(&streams::TAGS, head.as_bytes());
        Ok(Self { wiki, date, prefixes, namespaces, kept, form, has_root, is_utf_16 })
    }

    /// Reads a dump that is not in bzip2 from its start to its end.
    fn read_whole(
        &self,
        job: &JobSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError> {
        let unpacked = input.unpacked(&forms::WIKIPEDIA, GzipLimits::default())?.as_text();
        let mut reader = Watched::new(UnpackedReader::new(unpacked), &streams::TAGS);
        let mut finder = PageFinder::new(job.wikipedia.max_page_bytes.0 as usize);
        let mut reading = Reading { dump: self, record: 0, is_cut: false, sink };
        let mut is_known = false;
        while let Some(damage) = reading.pages(input, 0, &mut reader, &mut finder)? {
            let Damage { offset, reason, detail, .. } = damage;
            is_known |= reason.ends_with("_truncated");
            finder.reset();
            reading.quarantine(offset, reason, &detail)?;
        }
        // A page that is cut off was reported, and an excerpt without a root has no end tag.
        if self.has_root && !is_known && !reading.is_cut && reader.end.is_missing() {
            reading.quarantine(0, DUMP_TRUNCATED, streams::NO_END_TAG)?;
        }
        if reading.record == 0 {
            reading.empty_dump(job)?;
        }
        reader.text.finish().map_err(|error| input.failed(&error))
    }

    /// Returns the address of a page, or an empty text if that of the wiki is not known.
    fn url(&self, title: &str) -> String {
        let base = &self.wiki.base;
        if base.is_empty() { String::new() } else { format!("{base}{}", percent_encoded(title)) }
    }

    /// Returns the text of a page, or the reason for which it is dropped.
    fn text_of(&self, page: &WikiPage) -> Result<String, &'static str> {
        if !self.kept {
            return Err("wikipedia/language");
        }
        let namespace = match page.namespace.as_str() {
            "" => namespace_of(&page.title, &self.namespaces),
            own => own,
        };
        if namespace != ARTICLES {
            return Err("wikipedia/namespace");
        }
        if !matches!(page.model.as_str(), "" | "wikitext") {
            return Err("wikipedia/not_wikitext");
        }
        // The published recipe knew redirects by their element alone.
        if page.redirect || (self.form == Form::Readable && is_redirect(&page.text)) {
            return Err("wikipedia/redirect");
        }
        let text = strip(&page.text, &self.prefixes, self.form);
        if text.trim().is_empty() { Err("wikipedia/empty") } else { Ok(text) }
    }
}

/// Reads the start of a dump, which contains its siteinfo.
fn head<R: Read>(input: Unpacker<R>) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    match UnpackedReader::new(input).take(HEAD_BYTES).read_to_end(&mut head) {
        // Damage is reported when the pages are read.
        Err(error) if DamageError::of(&error).is_none() => return Err(error),
        _ => {}
    }
    Ok(head)
}

fn percent_encoded(title: &str) -> String {
    let mut out = String::with_capacity(title.len());
    for byte in title.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'~' | b'/') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The state of reading one dump.
struct Reading<'r, 't> {
    dump: &'r Dump,
    record: u64,
    /// Whether the last page is cut off.
    is_cut: bool,
    sink: &'r mut RecordSink<'t>,
}

impl Reading<'_, '_> {
    /// Reads the pages of the current stream, up to its end or to damage.
    fn stream<R: Read>(
        &mut self,
        input: &Input<'_>,
        streams: &mut BzStreams<R>,
        finder: &mut PageFinder,
    ) -> Result<(), UnitError> {
        loop {
            let found = finder.next(streams);
            let offset = streams.stream_at();
            match found {
                Ok(None) => return Ok(()),
                Ok(Some(found)) => self.found(offset, found)?,
                Err(error) => {
                    let Some(damage) = StreamDamage::of(&error) else {
                        return Err(input.failed(&error));
                    };
                    finder.reset();
                    if damage.detail == streams::NO_END_TAG && !self.dump.has_root {
                        // An excerpt that never had a root has no end tag either.
                        return Ok(());
                    }
                    return self.quarantine(offset, damage.reason, damage.detail);
                }
            }
        }
    }

    /// Reads the pages of an unpacked dump, up to its end or to damage, which is returned.
    fn pages<R: Read>(
        &mut self,
        input: &Input<'_>,
        offset: u64,
        reader: &mut Watched<UnpackedReader<R>>,
        finder: &mut PageFinder,
    ) -> Result<Option<Damage>, UnitError> {
        loop {
            match finder.next(reader) {
                Ok(None) => return Ok(None),
                Ok(Some(found)) => self.found(offset, found)?,
                Err(error) => {
                    let damage = DamageError::of(&error).cloned();
                    return damage.map(Some).ok_or_else(|| input.failed(&error));
                }
            }
        }
    }

    fn found(&mut self, offset: u64, found: Found<'_>) -> Result<(), UnitError> {
        self.is_cut = matches!(found, Found::Cut(_));
        match found {
            Found::Whole(page) => self.page(offset, page),
            Found::TooLarge(bytes) => {
                self.quarantine(offset, "page_too_large", &format!("it has {bytes} bytes"))
            }
            Found::Cut(bytes) => {
                self.quarantine(offset, "page_cut_off", &format!("it ends after {bytes} bytes"))
            }
        }
    }

    fn quarantine(&mut self, offset: u64, reason: &str, detail: &str) -> Result<(), UnitError> {
        self.emit(offset, 0, RecordOutcome::Quarantined { id: "", url: "", reason, detail })
    }

    fn empty_dump(&mut self, job: &JobSpec) -> Result<(), UnitError> {
        let most = job.wikipedia.max_page_bytes.0;
        let detail = format!("no page of at most {most} bytes in the whole dump");
        self.quarantine(0, "no_page", &detail)
    }

    fn emit(
        &mut self,
        offset: u64,
        bytes: u64,
        outcome: RecordOutcome<'_>,
    ) -> Result<(), UnitError> {
        let record = self.record;
        self.record += 1;
        (self.sink)(ReadRecord { offset, record, bytes, outcome })
    }

    fn page(&mut self, offset: u64, xml: &[u8]) -> Result<(), UnitError> {
        let bytes = xml.len() as u64;
        let page = match parse(xml) {
            Ok(page) => page,
            Err(detail) => {
                let outcome = RecordOutcome::Quarantined {
                    id: "",
                    url: "",
                    reason: "page_malformed",
                    detail: &detail,
                };
                return self.emit(offset, bytes, outcome);
            }
        };
        let dump = self.dump;
        let id = format!("{}/{}", dump.wiki.database, page.id);
        let url = dump.url(&page.title);
        let text = match dump.text_of(&page) {
            Ok(text) => text,
            Err(reason) => {
                let outcome = RecordOutcome::Dropped { id: &id, url: &url, reason, detail: "" };
                return self.emit(offset, bytes, outcome);
            }
        };
        let meta = Meta::from_iter([
            ("title".to_owned(), Value::from(page.title.as_str())),
            ("url".to_owned(), Value::from(url.as_str())),
            ("language".to_owned(), Value::from(dump.wiki.language.as_str())),
            ("timestamp".to_owned(), Value::from(dump.date.as_str())),
        ]);
        let outcome = RecordOutcome::Page(Page {
            id: &id,
            url: &url,
            date: &page.timestamp,
            title: &page.title,
            text: &text,
            language: Some(dump.wiki.language.as_str()).filter(|it| !it.is_empty()),
            licence: Some(LICENCE),
            meta: Some(&meta),
            damaged_characters: page.damaged,
            ..Page::default()
        });
        self.emit(offset, bytes, outcome)
    }
}

#[cfg(test)]
mod tests;
