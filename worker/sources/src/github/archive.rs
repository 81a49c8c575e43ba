//! Reads archives of repositories (tar, plain or packed, and zip) without unpacking them to disk.
//!
//! An archive is read twice: first for the licence files at the roots of its repositories, then for
//! everything else. A repository is a folder at the top of the archive, as forges and registries
//! pack them. Files outside such a folder belong to a repository that is named like the archive.
//! Reading a tar ends at damage, because the start of the next file is unknown; in a zip, damage
//! loses one file, and an archive whose files overlap is not unpacked at all.
//!
//! **Invariant:** each file is one record; folders and links are not records.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

use serde_json::json;
use thresher_job::JobSpec;

use super::{CodeFile, Evaluated, licence};
use crate::noted::{ErrorNote, Noted};
use crate::{Input, Meta, ReadRecord, RecordOutcome, RecordSink, forms};
use thresher_formats::form::Form;
use thresher_formats::gzip::{GzipLimits, InputDigest};
use thresher_formats::json_lines::REASON_EMPTY;
use thresher_formats::unpack::{DamageError, UnpackedReader, Unpacker};
use thresher_unit::UnitError;

/// The reason for an archive that cannot be read, or not to its end.
const REASON_DAMAGED: &str = "archive_damaged";
/// The reason for one file of a zip archive that cannot be read.
const REASON_FILE_DAMAGED: &str = "archive_file_damaged";
/// The reason for a file that exceeds `records.max_bytes`.
const REASON_TOO_LARGE: &str = "record_too_large";
/// Number of repositories of one archive whose licence is kept; the files of others are dropped.
const MAX_REPOSITORIES: usize = 100_000;

/// Returns whether an input with this name is an archive.
pub(super) fn is_archive(path: &str) -> bool {
    is_zip(path) || [".tar", ".tar.gz", ".tgz", ".crate"].iter().any(|end| path.ends_with(end))
}

fn is_zip(path: &str) -> bool {
    path.ends_with(".zip") || path.ends_with(".whl")
}

/// Reads an archive, and returns the digest of the input.
pub(super) fn read(
    job: &JobSpec,
    input: &Input<'_>,
    sink: &mut RecordSink<'_>,
) -> Result<InputDigest, UnitError> {
    let mut reading = Reading { job, input, licences: BTreeMap::new(), sink, record: 0 };
    let form = input.form()?;
    let unknown = matches!(form, Form::Other | Form::Empty);
    let zip = form == Form::Zip || (unknown && is_zip(input.path()));
    let walk = if zip { walk_zip } else { walk_tar };
    walk(job, input, &mut |file| reading.note_licence(&file))?;
    walk(job, input, &mut |file| reading.emit(file))?;
    input.digest()
}

/// A file of an archive, or a position at which none can be read.
struct Entry<'a> {
    offset: u64,
    /// The path in the archive; empty if it is not known.
    path: &'a str,
    bytes: u64,
    /// The content, or the reason and the detail of a quarantined record.
    content: Result<&'a [u8], (&'static str, String)>,
}

/// The function that receives the files of an archive.
type Each<'e> = dyn FnMut(Entry<'_>) -> Result<(), UnitError> + 'e;

struct Reading<'a, 't> {
    job: &'a JobSpec,
    input: &'a Input<'a>,
    /// The licences of repositories, by their folders.
    licences: BTreeMap<String, &'static str>,
    sink: &'a mut RecordSink<'t>,
    record: u64,
}

impl Reading<'_, '_> {
    /// Splits a path into the repository's folder and the path in it.
    fn split<'p>(&self, path: &'p str) -> (&'p str, &'p str) {
        path.trim_start_matches("./").split_once('/').unwrap_or(("", path))
    }

    /// Keeps the licence of a repository if the entry is a licence file at its root.
    fn note_licence(&mut self, entry: &Entry<'_>) -> Result<(), UnitError> {
        let (repository, path) = self.split(entry.path);
        if entry.bytes > licence::MAX_BYTES || !licence::is_licence_name(path) || path.contains('/')
        {
            return Ok(());
        }
        let Ok(content) = entry.content else { return Ok(()) };
        let found = licence::detect(&String::from_utf8_lossy(content));
        let known = self.licences.contains_key(repository);
        if let Some(found) = found
            && !known
            && self.licences.len() < MAX_REPOSITORIES
        {
            self.licences.insert(repository.to_owned(), found);
        }
        Ok(())
    }

    /// Passes the record of an entry to the sink.
    fn emit(&mut self, entry: Entry<'_>) -> Result<(), UnitError> {
        let record = self.record;
        self.record += 1;
        let id = format!("{}!{}", self.input.path(), entry.path);
        let (folder, path) = self.split(entry.path);
        let sink = &mut *self.sink;
        let mut emit = |outcome: RecordOutcome<'_>| {
            sink(ReadRecord { offset: entry.offset, record, bytes: entry.bytes, outcome })
        };
        let content = match entry.content {
            Ok(content) => content,
            Err((reason, detail)) => {
                return emit(RecordOutcome::Quarantined {
                    id: &id,
                    url: "",
                    reason,
                    detail: &detail,
                });
            }
        };
        let text = match simdutf8::compat::from_utf8(content) {
            Ok(text) if !text.contains('\0') => text,
            Ok(_) | Err(_) if content.contains(&0) => {
                let reason = "github/binary";
                return emit(RecordOutcome::Dropped { id: &id, url: "", reason, detail: "" });
            }
            Ok(text) => text,
            Err(error) => {
                let detail = format!("byte {} of the file is no UTF-8", error.valid_up_to());
                let reason = "invalid_utf8";
                return emit(RecordOutcome::Quarantined {
                    id: &id,
                    url: "",
                    reason,
                    detail: &detail,
                });
            }
        };
        let licence = self.licences.get(folder).copied().unwrap_or_default();
        let repository = if folder.is_empty() { self.input.path() } else { folder };
        let mut columns = Meta::new();
        columns.insert("repo_name".into(), json!(repository));
        columns.insert("path".into(), json!(path));
        columns.insert("license".into(), json!(licence));
        columns.insert("size".into(), json!(entry.bytes));
        let file = CodeFile { path, licence, content: text, columns };
        let evaluated = Evaluated::of(&self.job.github, file);
        emit(evaluated.outcome((&id, ""), path, licence))
    }
}

fn damaged<'a>(offset: u64, error: &dyn std::fmt::Display) -> Entry<'a> {
    let content = Err((REASON_DAMAGED, error.to_string()));
    Entry { offset, path: "", bytes: 0, content }
}

fn cut(read: usize, bytes: u64) -> (&'static str, String) {
    (REASON_DAMAGED, format!("the file has {bytes} bytes, and {read} are there"))
}

/// Reads a file's content up to the limit; the rest is not read.
fn content_of(
    reader: impl Read,
    limit: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Result<(), (&'static str, String)>> {
    buffer.clear();
    reader.take(limit + 1).read_to_end(buffer)?;
    let fits = buffer.len() as u64 <= limit;
    Ok(if fits { Ok(()) } else { Err((REASON_TOO_LARGE, format!("more than {limit} bytes"))) })
}

fn walk_tar(job: &JobSpec, input: &Input<'_>, each: &mut Each<'_>) -> Result<(), UnitError> {
    let note = ErrorNote::default();
    let raw = Noted { input: input.open_at(0)?, note: note.clone() };
    let unpacked = Unpacker::new(raw, GzipLimits::default()).expecting(&forms::GITHUB_ARCHIVE);
    let unpacked = unpacked.without_guesses();
    let mut plain = BufReader::new(UnpackedReader::new(unpacked));
    match plain.fill_buf() {
        Ok([]) => {
            let content = Err((REASON_EMPTY, String::new()));
            return each(Entry { offset: 0, path: "", bytes: 0, content });
        }
        Ok(_) => {}
        Err(error) => {
            let error = note.take().unwrap_or(error);
            return match DamageError::of(&error) {
                Some(_) => each(damaged(0, &error)),
                None => Err(input.failed(&error)),
            };
        }
    }
    let mut archive = tar::Archive::new(plain);
    let mut buffer = Vec::new();
    let mut at = 0;
    let walked = (|| -> io::Result<Result<(), UnitError>> {
        for entry in archive.entries()? {
            let entry = entry?;
            at = entry.raw_header_position();
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let bytes = entry.size();
            let limit = job.records.max_bytes.0;
            let content = match content_of(entry, limit, &mut buffer) {
                Ok(Ok(())) if (buffer.len() as u64) < bytes => Err(cut(buffer.len(), bytes)),
                Ok(content) => content,
                Err(error) => Err((REASON_DAMAGED, error.to_string())),
            };
            // The tar ends with the file that is damaged.
            let ends = matches!(content, Err((REASON_DAMAGED, _)));
            let content = content.map(|()| buffer.as_slice());
            let result = each(Entry { offset: at, path: &path, bytes, content });
            if result.is_err() || ends {
                return Ok(result);
            }
        }
        Ok(Ok(()))
    })();
    if let Some(error) = note.take() {
        return Err(input.failed(&error));
    }
    match walked {
        Ok(result) => result,
        Err(error) => each(damaged(at, &error)),
    }
}

/// Returns a message if two files of an archive share compressed bytes. No program packs like this
/// except to make a small archive that takes hours to unpack.
fn overlap<R: Read + io::Seek>(archive: &mut zip::ZipArchive<R>) -> Option<String> {
    let mut spans = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        // A file whose own header is damaged is quarantined when it is read.
        let Ok(file) = archive.by_index_raw(index) else { continue };
        let Some(data) = file.data_start() else { continue };
        spans.push((file.header_start(), data.saturating_add(file.compressed_size())));
    }
    spans.sort_unstable();
    let second = spans.windows(2).find(|two| two[1].0 < two[0].1)?[1].0;
    Some(format!("the file at byte {second} overlaps the one before it"))
}

fn walk_zip(job: &JobSpec, input: &Input<'_>, each: &mut Each<'_>) -> Result<(), UnitError> {
    let note = ErrorNote::default();
    let raw = Noted { input: input.seekable()?, note: note.clone() };
    let failed = || note.take().map(|error| input.failed(&error));
    let mut archive = match zip::ZipArchive::new(BufReader::new(raw)) {
        Ok(archive) => archive,
        Err(error) => return failed().map_or_else(|| each(damaged(0, &error)), Err),
    };
    if let Some(detail) = overlap(&mut archive) {
        let content = Err((REASON_DAMAGED, detail));
        return each(Entry { offset: 0, path: "", bytes: 0, content });
    }
    let mut buffer = Vec::new();
    for index in 0..archive.len() {
        let read = (|| -> Result<_, zip::result::ZipError> {
            let file = archive.by_index(index)?;
            let path = file.name()?.into_owned();
            let (offset, bytes, is_file) = (file.header_start(), file.size(), file.is_file());
            let content = match is_file {
                true => Some(content_of(file, job.records.max_bytes.0, &mut buffer)),
                false => None,
            };
            Ok((path, offset, bytes, content))
        })();
        if let Some(error) = failed() {
            return Err(error);
        }
        let file_damaged =
            |error: &dyn std::fmt::Display| Err((REASON_FILE_DAMAGED, error.to_string()));
        match read {
            Ok((_, _, _, None)) => {}
            Ok((path, offset, bytes, Some(content))) => {
                let content = match content {
                    Ok(content) => content.map(|()| buffer.as_slice()),
                    Err(error) => file_damaged(&error),
                };
                each(Entry { offset, path: &path, bytes, content })?;
            }
            Err(error) => {
                let content = file_damaged(&error);
                each(Entry { offset: 0, path: "", bytes: 0, content })?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
