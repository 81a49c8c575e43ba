//! Reads the files of a zip by the directory at its end, or, if that is damaged or cut off, from
//! the start of the archive.

use std::io::{self, BufReader, Read};

use thresher_job::JobSpec;
use zip::CompressionMethod;
use zip::read::ZipFile;
use zip::result::ZipError;

use super::local_files::{self, LocalFiles};
use super::methods::{self, Packed};
use super::roots::{folder_of, plain_path};
use super::{
    Content, Each, Entry, REASON_DAMAGED, REASON_FILE_DAMAGED, REASON_TOO_LARGE, Refused, damaged,
    file_or_damage,
};
use crate::Input;
use crate::noted::{ErrorNote, Noted};
use thresher_unit::UnitError;

/// Passes every file of a zip to `each`.
pub(super) fn walk(job: &JobSpec, input: &Input<'_>, each: &mut Each<'_>) -> Result<(), UnitError> {
    let note = ErrorNote::default();
    let raw = Noted { input: input.seekable()?, note: note.clone() };
    let failed = || note.take().map(|error| input.failed(&error));
    let mut archive = match zip::ZipArchive::new(BufReader::new(raw)) {
        Ok(archive) => archive,
        Err(error) => {
            return failed().map_or_else(|| walk_from_start(job, input, &error, each), Err);
        }
    };
    if let Some(detail) = overlap(&mut archive) {
        let content = Content::Damaged(REASON_DAMAGED, detail);
        return each(Entry { offset: 0, path: "", bytes: 0, content });
    }
    let mut buffer = Vec::new();
    for index in 0..archive.len() {
        let read = read_file(&mut archive, index, job.records.max_bytes.0, &mut buffer);
        if let Some(error) = failed() {
            return Err(error);
        }
        let file = match read {
            Ok(None) => continue,
            Ok(Some(file)) => file,
            Err(error) => ReadFile {
                content: Err((REASON_FILE_DAMAGED, error.to_string())),
                ..ReadFile::default()
            },
        };
        let ReadFile { path, offset, bytes, is_link, content } = file;
        let target;
        let content = match content {
            Ok(()) if is_link => {
                target = plain_path(folder_of(&path), &String::from_utf8_lossy(&buffer));
                Content::Link(&target)
            }
            content => file_or_damage(content, &buffer),
        };
        each(Entry { offset, path: &path, bytes, content })?;
    }
    Ok(())
}

/// A file of a zip, whose content is in a buffer.
struct ReadFile {
    path: String,
    offset: u64,
    bytes: u64,
    is_link: bool,
    content: Result<(), Refused>,
}

impl Default for ReadFile {
    fn default() -> Self {
        Self { path: String::new(), offset: 0, bytes: 0, is_link: false, content: Ok(()) }
    }
}

/// Reads a file into the buffer; returns `None` for a folder.
fn read_file<R: Read + io::Seek>(
    archive: &mut zip::ZipArchive<R>,
    index: usize,
    limit: u64,
    buffer: &mut Vec<u8>,
) -> Result<Option<ReadFile>, ZipError> {
    let raw = archive.by_index_raw(index)?;
    let path = plain_path("", &raw.name()?);
    let (offset, bytes, is_link) = (raw.header_start(), raw.size(), is_link(&raw));
    if !is_link && !raw.is_file() {
        return Ok(None);
    }
    let is_usual =
        matches!(raw.compression(), CompressionMethod::STORE | CompressionMethod::DEFLATE);
    let content = if is_usual && !raw.encrypted() {
        drop(raw);
        content_of(archive.by_index(index)?, limit, buffer)
    } else {
        unusual(raw, limit, buffer)
    };
    let content = content.unwrap_or_else(|error| Err((REASON_FILE_DAMAGED, error.to_string())));
    Ok(Some(ReadFile { path, offset, bytes, is_link, content }))
}

/// Reads a file that the library does not unpack.
fn unusual<R: Read>(
    mut raw: ZipFile<'_, R>,
    limit: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Result<(), Refused>> {
    let packed = Packed {
        method: methods::number_of(raw.compression()),
        is_encrypted: raw.encrypted(),
        bytes: raw.size(),
        checksum: raw.crc32(),
    };
    let mut content = Vec::new();
    Ok(match content_of(&mut raw, local_files::packed_limit(limit), &mut content)? {
        Ok(()) => methods::unpack(&packed, &content, limit, buffer),
        refused => refused,
    })
}

/// Reads a file's content up to the limit; the rest is not read.
fn content_of(
    reader: impl Read,
    limit: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Result<(), Refused>> {
    buffer.clear();
    reader.take(limit + 1).read_to_end(buffer)?;
    let fits = buffer.len() as u64 <= limit;
    Ok(if fits { Ok(()) } else { Err((REASON_TOO_LARGE, format!("more than {limit} bytes"))) })
}

/// Reads a zip without its directory, because of `error`.
fn walk_from_start(
    job: &JobSpec,
    input: &Input<'_>,
    error: &ZipError,
    each: &mut Each<'_>,
) -> Result<(), UnitError> {
    let limit = job.records.max_bytes.0;
    let mut files = LocalFiles::new(input.open_at(0)?, local_files::packed_limit(limit));
    let mut buffer = Vec::new();
    while let Some(file) = files.next().map_err(|error| input.failed(&error))? {
        if file.name.ends_with('/') {
            continue;
        }
        let content = match file.content {
            Ok(content) => methods::unpack(&file.packed, &content, limit, &mut buffer),
            Err(refused) => Err(refused),
        };
        let path = plain_path("", &file.name);
        let content = file_or_damage(content, &buffer);
        each(Entry { offset: file.offset, path: &path, bytes: file.packed.bytes, content })?;
    }
    each(damaged(files.offset(), error))
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
fn is_link<R: Read>(file: &ZipFile<'_, R>) -> bool {
    file.unix_mode().is_some_and(|mode| mode & 0o170_000 == 0o120_000)
}
