//! Lists the documents that differ, as JSON lines, in the order of both corpora.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::super::lines::read_lines;
use super::super::row::Row;
use super::read::{Label, SideFile, writing};
use super::spill::{Entry, Role, Spill};
use super::{ELSEWHERE, UNKNOWN};

/// The label of a document that the other corpus has no record of.
const NO_RECORD: u32 = u32::MAX;
/// The label of a document whose text the other corpus has under another name.
const OTHER_NAME: u32 = u32::MAX - 1;

/// What the other corpus has instead of a document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instead {
    /// Another text.
    Text,
    /// A record with the reason of this label.
    Reason(u32),
    /// The same text under another name.
    OtherName,
    /// Nothing.
    Nothing,
}

/// The lines to list, until all are known.
pub(super) struct Listing {
    spill: Spill,
    files: u64,
}

#[derive(Serialize)]
struct ListedDocument<'a> {
    #[serde(rename = "in")]
    side: &'static str,
    difference: &'static str,
    other: Option<&'a str>,
    id: &'a str,
    url: Option<&'a str>,
    source: &'a str,
    content_hash: Option<&'a str>,
    file: &'a str,
    line: u32,
}

impl Listing {
    pub(super) fn create(
        scratch: &Path,
        lines: u64,
        memory: u64,
        files: usize,
    ) -> anyhow::Result<Self> {
        let spill = Spill::create(scratch, lines, memory).map_err(writing)?;
        Ok(Self { spill, files: files as u64 })
    }

    /// Adds a document.
    pub(super) fn push(&self, entry: &Entry, instead: Instead) -> anyhow::Result<()> {
        let (role, label) = match instead {
            Instead::Text => (Role::Changed, NO_RECORD),
            Instead::Reason(label) => (Role::Only, label),
            Instead::OtherName => (Role::Only, OTHER_NAME),
            Instead::Nothing => (Role::Only, NO_RECORD),
        };
        // Files and lines in their order, in parts of consecutive files.
        let mut key = [0; 16];
        key[..4].copy_from_slice(&entry.file.to_be_bytes());
        key[4..8].copy_from_slice(&entry.line.to_be_bytes());
        let part = u64::from(entry.file) * self.spill.parts() as u64 / self.files.max(1);
        let listed = Entry { key, role, label, ..*entry };
        self.spill.push_to(part as usize, &listed).map_err(writing)
    }

    /// Reads the documents again and writes a line about each.
    pub(super) fn write(
        &self,
        files: &[SideFile],
        labels: &[Label],
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        for part in 0..self.spill.parts() {
            let entries = self.spill.sorted(part).map_err(writing)?;
            for of_file in entries.chunk_by(|a, b| a.file == b.file) {
                let file = &files[of_file[0].file as usize];
                write_file(file, of_file, labels, out)?;
            }
        }
        out.flush().context("failed to write the list of documents")
    }
}

/// Writes the documents of one file.
fn write_file(
    file: &SideFile,
    entries: &[Entry],
    labels: &[Label],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut left = entries.iter().peekable();
    let mut line = 0;
    let mut written = Ok(());
    let (_, content) = read_lines(&file.path, |text| {
        line += 1;
        let Some(entry) = left.next_if(|entry| entry.line == line) else { return };
        if written.is_ok() {
            written = write_document(file, entry, text, labels, out);
        }
    })
    .with_context(|| format!("failed to read `{}`", file.path))?;
    content.with_context(|| format!("failed to read `{}`", file.path))?;
    written.context("failed to write the list of documents")
}

fn write_document(
    file: &SideFile,
    entry: &Entry,
    text: &[u8],
    labels: &[Label],
    out: &mut impl Write,
) -> io::Result<()> {
    let row = Row::parse(text).ok_or_else(|| io::Error::other("a line is not valid"))?;
    let reason = labels.get(entry.label as usize).and_then(|label| label.reason.as_deref());
    let other = match (entry.role, entry.label) {
        (Role::Changed, _) => None,
        (_, OTHER_NAME) => Some(ELSEWHERE),
        (_, NO_RECORD) => Some(UNKNOWN),
        (_, _) => reason,
    };
    let document = ListedDocument {
        side: ["a", "b"][usize::from(entry.side)],
        difference: if entry.role == Role::Changed { "changed" } else { "only_here" },
        other,
        id: &row.id,
        url: row.url.as_deref(),
        source: &row.source,
        content_hash: row.content_hash.as_deref(),
        file: &file.name,
        line: entry.line,
    };
    serde_json::to_writer(&mut *out, &document)?;
    out.write_all(b"\n")
}
