//! Reads archives of repositories (tar, plain or packed, and zip) without unpacking them to disk.
//!
//! An archive is read twice: first for its repositories and their licence files (`roots`), then for
//! everything else. If licence files are links, it is read once more for the files they lead to.
//! Damage loses one file. A zip whose files overlap is not unpacked at all.
//!
//! **Invariant:** each file is one record; folders and links are not records.

mod local_files;
mod methods;
mod roots;
mod tar_walk;
mod zip_walk;

use serde_json::json;
use thresher_job::JobSpec;

use super::{CodeFile, Evaluated, licence};
use crate::{Input, Meta, ReadRecord, RecordOutcome, RecordSink};
use roots::Roots;
use thresher_formats::form::Form;
use thresher_formats::gzip::InputDigest;
use thresher_unit::UnitError;

/// The reason for an archive that cannot be read, or not to its end.
const REASON_DAMAGED: &str = "archive_damaged";
/// The reason for one file of a zip archive that cannot be read.
const REASON_FILE_DAMAGED: &str = "archive_file_damaged";
/// The reason for one file of a zip archive that is encrypted, or packed by a method that is not
/// read.
const REASON_UNSUPPORTED: &str = "archive_file_unsupported";
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
    let walk = if zip { zip_walk::walk } else { tar_walk::walk };
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

/// The reason and the detail of a file that cannot be read.
type Refused = (&'static str, String);

fn file_or_damage(content: Result<(), Refused>, buffer: &[u8]) -> Content<'_> {
    match content {
        Ok(()) => Content::File(buffer),
        Err((reason, detail)) => Content::Damaged(reason, detail),
    }
}

#[cfg(test)]
mod tests;
