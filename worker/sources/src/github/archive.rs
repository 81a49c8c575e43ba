//! Reads archives of repositories (tar, plain or packed, and zip) without unpacking them to disk.
//!
//! An archive is read twice: first for its repositories and their licence files (`roots`), then for
//! everything else. If licence files are links, it is read once more for the files they lead to.
//! Reading a tar ends at damage, because the start of the next file is unknown; in a zip, damage
//! loses one file, and an archive whose files overlap is not unpacked at all.
//!
//! **Invariant:** each file is one record; folders and links are not records.

mod roots;

use std::io::{self, BufRead, BufReader, Read};

use serde_json::json;
use thresher_job::JobSpec;

use super::{CodeFile, Evaluated, licence};
use crate::noted::{ErrorNote, Noted};
use crate::{Input, Meta, ReadRecord, RecordOutcome, RecordSink, forms};
use roots::{Roots, folder_of, plain_path};
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
    let form = input.form()?;
    let unknown = matches!(form, Form::Other | Form::Empty);
    let zip = form == Form::Zip || (unknown && is_zip(input.path()));
    let walk = if zip { walk_zip } else { walk_tar };
    let mut roots = Roots::default();
    walk(job, input, &mut |entry| {
        note_licence(&mut roots, &entry);
        Ok(())
    })?;
    let missing = roots.missing_targets();
    if !missing.is_empty() {
        walk(job, input, &mut |entry| {
            if missing.contains(entry.path)
                && let Some(text) = licence_text(&entry)
            {
                roots.add_target(entry.path, text);
            }
            Ok(())
        })?;
    }
    roots.finish();
    let mut reading = Reading { job, input, roots, sink, record: 0 };
    walk(job, input, &mut |entry| reading.emit(entry))?;
    input.digest()
}

/// A file of an archive, or a position at which none can be read.
struct Entry<'a> {
    offset: u64,
    /// The path in the archive; empty if it is not known.
    path: &'a str,
    bytes: u64,
    content: Content<'a>,
}

/// The content of an entry.
enum Content<'a> {
    /// A file.
    File(&'a [u8]),
    /// A link to this path of the archive. It is not a record.
    Link(&'a str),
    /// The reason and the detail of a quarantined record.
    Damaged(&'static str, String),
}

/// The function that receives the files of an archive.
type Each<'e> = dyn FnMut(Entry<'_>) -> Result<(), UnitError> + 'e;

struct Reading<'a, 't> {
    job: &'a JobSpec,
    input: &'a Input<'a>,
    roots: Roots,
    sink: &'a mut RecordSink<'t>,
    record: u64,
}

/// Adds what the first reading needs of an entry.
fn note_licence(roots: &mut Roots, entry: &Entry<'_>) {
    match entry.content {
        Content::File(_) => roots.add_file(entry.path, || licence_text(entry)),
        Content::Link(target) => roots.add_link(entry.path.to_owned(), target.to_owned()),
        Content::Damaged(..) => {}
    }
}

fn licence_text(entry: &Entry<'_>) -> Option<String> {
    let Content::File(content) = entry.content else { return None };
    (entry.bytes <= licence::MAX_BYTES).then(|| String::from_utf8_lossy(content).into_owned())
}

impl Reading<'_, '_> {
    /// Passes the record of an entry to the sink.
    fn emit(&mut self, entry: Entry<'_>) -> Result<(), UnitError> {
        if matches!(entry.content, Content::Link(_)) {
            return Ok(());
        }
        let record = self.record;
        self.record += 1;
        let id = format!("{}!{}", self.input.path(), entry.path);
        let (folder, path) = self.roots.split(entry.path);
        let sink = &mut *self.sink;
        let mut emit = |outcome: RecordOutcome<'_>| {
            sink(ReadRecord { offset: entry.offset, record, bytes: entry.bytes, outcome })
        };
        let content = match entry.content {
            Content::File(content) => content,
            Content::Link(_) => return Ok(()),
            Content::Damaged(reason, detail) => {
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
        let licence = self.roots.licence(folder).unwrap_or_default();
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
    let content = Content::Damaged(REASON_DAMAGED, error.to_string());
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
            let content = Content::Damaged(REASON_EMPTY, String::new());
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
            let path = plain_path("", &String::from_utf8_lossy(&entry.path_bytes()));
            if let Some(target) = link_target(&entry, &path) {
                let content = Content::Link(&target);
                if let Err(error) = each(Entry { offset: at, path: &path, bytes: 0, content }) {
                    return Ok(Err(error));
                }
                continue;
            }
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let bytes = entry.size();
            let limit = job.records.max_bytes.0;
            let content = match content_of(entry, limit, &mut buffer) {
                Ok(Ok(())) if (buffer.len() as u64) < bytes => Err(cut(buffer.len(), bytes)),
                Ok(content) => content,
                Err(error) => Err((REASON_DAMAGED, error.to_string())),
            };
            // The tar ends with the file that is damaged.
            let ends = matches!(content, Err((REASON_DAMAGED, _)));
            let content = file_or_damage(content, &buffer);
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

fn file_or_damage<'a>(
    content: Result<(), (&'static str, String)>,
    buffer: &'a [u8],
) -> Content<'a> {
    match content {
        Ok(()) => Content::File(buffer),
        Err((reason, detail)) => Content::Damaged(reason, detail),
    }
}

/// Returns where an entry at `path` leads, if it is a link. A symbolic link is relative to its
/// folder, a hard link to the archive.
fn link_target(entry: &tar::Entry<'_, impl Read>, path: &str) -> Option<String> {
    let kind = entry.header().entry_type();
    if !kind.is_symlink() && !kind.is_hard_link() {
        return None;
    }
    let target = entry.link_name_bytes()?;
    let folder = if kind.is_symlink() { folder_of(path) } else { "" };
    Some(plain_path(folder, &String::from_utf8_lossy(&target)))
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

/// Returns whether a file of a zip is a symbolic link, whose content is where it leads.
fn is_link<R: Read>(file: &zip::read::ZipFile<'_, R>) -> bool {
    file.unix_mode().is_some_and(|mode| mode & 0o170_000 == 0o120_000)
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
        let content = Content::Damaged(REASON_DAMAGED, detail);
        return each(Entry { offset: 0, path: "", bytes: 0, content });
    }
    let mut buffer = Vec::new();
    for index in 0..archive.len() {
        let read = (|| -> Result<_, zip::result::ZipError> {
            let file = archive.by_index(index)?;
            let path = plain_path("", &file.name()?);
            let (offset, bytes, is_link) = (file.header_start(), file.size(), is_link(&file));
            let content = match is_link || file.is_file() {
                true => Some(content_of(file, job.records.max_bytes.0, &mut buffer)),
                false => None,
            };
            Ok((path, offset, bytes, content, is_link))
        })();
        if let Some(error) = failed() {
            return Err(error);
        }
        let (path, offset, bytes, content, is_link) = match read {
            Ok((_, _, _, None, _)) => continue,
            Ok((path, offset, bytes, Some(content), is_link)) => {
                (path, offset, bytes, content.map_err(|error| error.to_string()), is_link)
            }
            Err(error) => (String::new(), 0, 0, Err(error.to_string()), false),
        };
        let target;
        let content = match content {
            Err(error) => Content::Damaged(REASON_FILE_DAMAGED, error),
            Ok(Ok(())) if is_link => {
                target = plain_path(folder_of(&path), &String::from_utf8_lossy(&buffer));
                Content::Link(&target)
            }
            Ok(content) => file_or_damage(content, &buffer),
        };
        each(Entry { offset, path: &path, bytes, content })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
