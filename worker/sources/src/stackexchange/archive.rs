//! Reads the posts of a site in a 7z archive, or returns why it cannot be unpacked.
//!
//! An intact archive that is not supported has a reason of its own, and a hint. The library formats
//! its errors as source code; this file replaces them by words.
//!
//! **Invariant:** the posts before damage are published, and the damage is quarantined. What was
//! unpacked shortly before the damage was noticed can be wrong and is not used. If only the
//! checksum is wrong, the place of the damage is not known, and nothing is published.

use std::io::{self, BufRead, BufReader, Read};

use sevenz_rust2::{ArchiveReader, Error, Password};

use super::{Reading, TAGS};
use crate::Input;
use crate::noted::{ErrorNote, Noted};
use crate::root_end::Watched;
use thresher_formats::form::Form;
use thresher_formats::gzip::{Damage, GzipLimits};
use thresher_formats::unpack::{UnpackedReader, Unpacker};
use thresher_unit::UnitError;

/// Memory limit in KiB, each for the header and for the dictionary of an archive.
const ARCHIVE_KIB: usize = 512 << 10;

/// Number of unpacked bytes before damage that are not used: a block of bzip2 has up to 900 kB, and
/// is checked when all of it has been unpacked.
const HELD_BYTES: u64 = 1 << 20;
/// The same for text in UTF-16, which can be half as long again in UTF-8.
const HELD_BYTES_OF_UTF_16: u64 = 3 << 19;

const REASON_DAMAGED: &str = "archive_damaged";
const REASON_ENCRYPTED: &str = "archive_encrypted";
const REASON_TOO_LARGE: &str = "archive_dictionary_too_large";
const REASON_METHOD: &str = "archive_method_unknown";

impl Reading<'_, '_> {
    /// Reads the posts of an archive, up to its end or to damage, which is one quarantined record.
    pub(super) fn archive(&mut self, input: &Input<'_>) -> Result<(), UnitError> {
        let note = ErrorNote::default();
        let noted = Noted { input: input.seekable()?, note: note.clone() };
        let (mut stopped, mut found, mut has_wrong_sum) = (None, false, false);
        let opened = ArchiveReader::new_with_memory_limit(noted, Password::empty(), ARCHIVE_KIB);
        let result = opened.and_then(|mut archive| {
            // With more threads the library decodes LZMA2 by independent chunks, each whole in
            // memory; an ordinary archive is one such chunk.
            archive.set_thread_count(1);
            archive.for_each_entries(|entry, reader| {
                if entry.name().rsplit('/').next() != Some("Posts.xml") {
                    return Ok(true);
                }
                found = true;
                let mut broken = None;
                let mut failed = |error: &io::Error| {
                    broken = Some(io_words(error));
                    has_wrong_sum = is_wrong_sum(error);
                    Err(UnitError::Node(String::new()))
                };
                let mut packed = BufReader::new(reader);
                let read = match packed.fill_buf().map(Form::of) {
                    Ok(form) => self.text_rows(packed, form, &mut failed),
                    Err(error) => failed(&error).map(drop),
                };
                match (read, broken) {
                    (Ok(()), _) => Ok(true),
                    (Err(_), Some(what)) => Err(io::Error::other(what).into()),
                    (Err(error), None) => {
                        stopped = Some(error);
                        Err(io::Error::other("stopped").into())
                    }
                }
            })
        });
        if let Some(error) = stopped {
            return Err(error);
        }
        if let Some(error) = note.take() {
            return Err(input.failed(&error));
        }
        match result {
            Ok(()) if found => self.threads(),
            Ok(()) => self.quarantine((0, 0), "no_posts", "the archive holds no `Posts.xml`"),
            Err(error) if has_wrong_sum => {
                let (reason, detail) = reason_and_detail(&error);
                let detail = format!("{detail}; any of its rows can be wrong, so none is used");
                self.quarantine((0, 0), reason, &detail)
            }
            Err(error) => {
                self.threads()?;
                let (reason, detail) = refused(&error, self.row);
                self.quarantine((0, 0), reason, &detail)
            }
        }
    }

    /// Reads the rows of a file in the archive, whose first bytes have the form `form`.
    fn text_rows(
        &mut self,
        packed: impl Read,
        form: Form,
        failed: &mut dyn FnMut(&io::Error) -> Result<Damage, UnitError>,
    ) -> Result<(), UnitError> {
        let held_bytes = if form == Form::Utf16 { HELD_BYTES_OF_UTF_16 } else { HELD_BYTES };
        let text = Unpacker::new(packed, GzipLimits::default()).without_guesses().as_text();
        let mut reader = BufReader::new(Watched::new(UnpackedReader::new(text), &TAGS));
        self.rows(&mut reader, held_bytes, failed)?;
        self.end(&reader.get_ref().end, false)
    }
}

/// Returns whether a file was unpacked to its end, and is not what was packed.
fn is_wrong_sum(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::ChecksumVerificationFailed))
}

/// Returns reason and detail of an archive that failed after `rows` rows.
fn refused(error: &Error, rows: u64) -> (&'static str, String) {
    match reason_and_detail(error) {
        (REASON_DAMAGED, what) if rows > 0 => {
            (REASON_DAMAGED, format!("{what}; {rows} rows before the damage are used"))
        }
        sound => sound,
    }
}

/// Returns reason and detail of an error of the library.
fn reason_and_detail(error: &Error) -> (&'static str, String) {
    let repack = "unpack it and list its `Posts.xml`, or pack it anew";
    let damage = match error {
        Error::MaxMemLimited { max_kb, actaul_kb } => {
            let (needed, allowed) = (actaul_kb.div_ceil(1024), max_kb / 1024);
            let detail = format!(
                "unpacking it takes {needed} MiB of memory, and {allowed} MiB are allowed; hint: \
                 {repack} with a smaller dictionary, such as `7z a -m0=lzma2:d=64m`"
            );
            return (REASON_TOO_LARGE, detail);
        }
        Error::PasswordRequired | Error::MaybeBadPassword(_) => return encrypted(),
        Error::UnsupportedCompressionMethod(name) if name.starts_with("AES") => {
            return encrypted();
        }
        Error::UnsupportedCompressionMethod(name) => {
            let detail = format!("its method `{name}` is not known; hint: {repack} with LZMA2");
            return (REASON_METHOD, detail);
        }
        Error::BadSignature(_) => "it does not begin as a 7z archive".to_owned(),
        Error::UnsupportedVersion { major, minor } => {
            format!("its version {major}.{minor} is not known")
        }
        Error::ChecksumVerificationFailed => "the checksum of a file in it is wrong".to_owned(),
        Error::NextHeaderCrcMismatch => "the checksum of its directory is wrong".to_owned(),
        Error::Io(error, what) if what.is_empty() => io_words(error),
        Error::Io(error, what) => format!("{what}: {}", io_words(error)),
        Error::FileOpen(error, what) => format!("{what}: {}", io_words(error)),
        Error::Other(what) | Error::Unsupported(what) => what.to_string(),
        Error::BadTerminatedStreamsInfo(_)
        | Error::BadTerminatedUnpackInfo
        | Error::BadTerminatedPackInfo(_)
        | Error::BadTerminatedSubStreamsInfo
        | Error::BadTerminatedHeader(_)
        | Error::ExternalUnsupported
        | Error::FileNotFound => "its directory makes no sense".to_owned(),
    };
    (REASON_DAMAGED, damage)
}

fn encrypted() -> (&'static str, String) {
    let detail = "the archive is encrypted; hint: unpack it with its password and list its \
                  `Posts.xml`";
    (REASON_ENCRYPTED, detail.to_owned())
}

/// Returns the message of a reader's error, which can contain an error of the library.
fn io_words(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    inner.map_or_else(|| error.to_string(), |inner| reason_and_detail(inner).1)
}
