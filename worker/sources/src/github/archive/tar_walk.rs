//! Reads the files of a tar, plain or packed.
//!
//! **Invariant:** a header that is damaged loses its own file: the next header is searched by its
//! checksum. Damage of what the tar is packed in ends it.

use std::io::{BufRead, BufReader};

use thresher_job::JobSpec;

use super::roots::{folder_of, plain_path};
use super::{Content, Each, Entry, REASON_DAMAGED, REASON_TOO_LARGE, damaged};
use crate::members::{self, Item, Members};
use crate::{Input, forms};
use thresher_formats::gzip::GzipLimits;
use thresher_formats::json_lines::REASON_EMPTY;
use thresher_formats::unpack::{DamageError, UnpackedReader, Unpacker};
use thresher_unit::UnitError;

/// Passes every file of a tar to `each`.
pub(super) fn walk(job: &JobSpec, input: &Input<'_>, each: &mut Each<'_>) -> Result<(), UnitError> {
    let unpacked = Unpacker::new(input.open_at(0)?, GzipLimits::default())
        .expecting(&forms::GITHUB_ARCHIVE)
        .without_guesses();
    let mut plain = BufReader::new(UnpackedReader::new(unpacked));
    let damage_of = |error: std::io::Error, at: u64| match DamageError::of(&error) {
        Some(_) => Ok(damaged(at, &error)),
        None => Err(input.failed(&error)),
    };
    match plain.fill_buf() {
        Ok([]) => {
            let content = Content::Damaged(REASON_EMPTY, String::new());
            return each(Entry { offset: 0, path: "", bytes: 0, content });
        }
        Ok(_) => {}
        Err(error) => return each(damage_of(error, 0)?),
    }
    let mut members = Members::of_whole(plain, job.records.max_bytes.0);
    loop {
        let item = match members.next() {
            Ok(None) => return Ok(()),
            Ok(Some(item)) => item,
            Err(error) => return each(damage_of(error, members.at())?),
        };
        pass(item, each)?;
    }
}

/// Passes a member that is a file or a link, or the place where none can be read.
fn pass(item: Item, each: &mut Each<'_>) -> Result<(), UnitError> {
    match item {
        Item::Member { at: offset, name, bytes, entry, target, .. } => {
            let path = plain_path("", &name);
            let file = Entry {
                offset,
                path: &path,
                bytes: bytes.len() as u64,
                content: Content::File(&bytes),
            };
            let folder = match entry {
                members::Entry::File => return each(file),
                members::Entry::Link => folder_of(&path),
                members::Entry::HardLink => "",
                members::Entry::Folder | members::Entry::Special | members::Entry::Extension(_) => {
                    return Ok(());
                }
            };
            let target = plain_path(folder, &target);
            each(Entry { bytes: 0, content: Content::Link(&target), ..file })
        }
        Item::TooLarge { at: offset, name, bytes } => {
            let content = Content::Damaged(REASON_TOO_LARGE, format!("the file has {bytes} bytes"));
            each(Entry { offset, path: &plain_path("", &name), bytes, content })
        }
        Item::Damaged { at: offset, detail, .. } => {
            let content = Content::Damaged(REASON_DAMAGED, detail);
            each(Entry { offset, path: "", bytes: 0, content })
        }
    }
}
