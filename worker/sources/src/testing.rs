//! Reads bytes with a source and returns owned records, for tests of sources.

use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};
use thresher_job::JobSpec;

use super::{Input, Meta, RecordOutcome, Source};
use thresher_formats::gzip::InputDigest;
use thresher_storage::Location;
use thresher_unit::staging::InputRow;

/// CPU time that the work on an input of half a megabyte may take at most. It takes tenths of a
/// second if the work is linear in the size, or bounded, and several seconds if it is quadratic.
const MAX_CPU_MILLIS: i64 = 3000;

/// Fails if the work on a hostile page takes far more than linear time.
pub(super) fn expect_linear(kind: &str, work: impl FnOnce()) {
    let cpu = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    };
    let before = cpu();
    work();
    let took = cpu() - before;
    assert!(took <= MAX_CPU_MILLIS, "{kind} took {took} ms of CPU time");
}

/// A record that was read, as an owned value.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "tests hold a handful of them")]
pub(super) enum Seen {
    Page {
        offset: u64,
        id: String,
        url: String,
        date: String,
        title: String,
        text: String,
        key: String,
        licence: Option<String>,
        meta: Meta,
        withdrawn: Option<String>,
        damaged: u64,
    },
    Dropped {
        offset: u64,
        reason: String,
    },
    Quarantined {
        offset: u64,
        reason: String,
        detail: String,
    },
}

impl Seen {
    /// Returns the text of a page, or the reason if the record is not kept.
    pub(super) fn outcome(&self) -> String {
        match self {
            Self::Page { withdrawn: Some(reason), .. } => reason.clone(),
            Self::Page { text, .. } => text.clone(),
            Self::Dropped { reason, .. } | Self::Quarantined { reason, .. } => reason.clone(),
        }
    }

    pub(super) fn offset(&self) -> u64 {
        match self {
            Self::Page { offset, .. }
            | Self::Dropped { offset, .. }
            | Self::Quarantined { offset, .. } => *offset,
        }
    }
}

/// Returns a job with one source of the slice; `more` contains further tables.
pub(super) fn job(slice: &str, preset: &str, more: &str) -> JobSpec {
    let text = format!(
        "[job]\nname = \"test\"\npreset = \"{preset}\"\n[[source]]\nslice = \"{slice}\"\n\
         listing = \"x\"\n[language]\nmodel = \"none\"\n[output]\npath = \"out\"\n[tokens]\ntokenizer = \"none\"\n{more}"
    );
    JobSpec::parse(&text, Path::new("/")).unwrap()
}

/// Reads an input of this name with the default preset.
pub(super) fn read_bytes(source: &dyn Source, slice: &str, path: &str, bytes: &[u8]) -> Vec<Seen> {
    read_with(source, &job(slice, "thresher", ""), path, bytes)
}

/// Reads a file below `folder`.
pub(super) fn read_stored(
    source: &dyn Source,
    job: &JobSpec,
    folder: &Path,
    path: &str,
) -> Vec<Seen> {
    let row = InputRow::named(path.to_owned());
    let location = Location::from(folder.join(path).as_path());
    let input = Input::stored(location, &row, PathBuf::from("/nowhere")).unwrap();
    read_input(source, job, &input).0
}

/// Reads an input, and checks that the digest is that of the bytes.
pub(super) fn read_with(source: &dyn Source, job: &JobSpec, path: &str, bytes: &[u8]) -> Vec<Seen> {
    let input = Input::sample(path, path, bytes, PathBuf::from("/nowhere"));
    let (seen, digest) = read_input(source, job, &input);
    assert_eq!(digest.blake3, blake3::hash(bytes));
    seen
}

fn read_input(source: &dyn Source, job: &JobSpec, input: &Input<'_>) -> (Vec<Seen>, InputDigest) {
    let mut seen = Vec::new();
    let digest = source.read(job, &job.source[0], input, &mut |record| {
        let offset = record.offset;
        seen.push(match record.outcome {
            RecordOutcome::Page(page) => Seen::Page {
                offset,
                id: page.id.to_owned(),
                url: page.url.to_owned(),
                date: page.date.to_owned(),
                title: page.title.to_owned(),
                text: page.text.to_owned(),
                key: page.payload_digest.to_owned(),
                licence: page.licence.map(str::to_owned),
                meta: page.meta.cloned().unwrap_or_default(),
                withdrawn: page.withdrawn.map(str::to_owned),
                damaged: page.damaged_characters,
            },
            RecordOutcome::Dropped { reason, .. } => {
                Seen::Dropped { offset, reason: reason.to_owned() }
            }
            RecordOutcome::Quarantined { reason, detail, .. } => {
                Seen::Quarantined { offset, reason: reason.to_owned(), detail: detail.to_owned() }
            }
        });
        Ok(())
    });
    (seen, digest.unwrap())
}
