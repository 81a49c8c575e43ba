//! Distributes the rows of a large site from the pieces of its file to parts by question, and turns
//! the parts into threads.
//!
//! **Invariant:** a question and its answers belong to the same part, whatever pieces they are in.
//! A row that belongs to no thread stays in the part of its own piece. Each row is therefore in one
//! part, and the threads of a part are a function of the file and the number of parts.

use std::io::{BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thresher_job::{JobSpec, SourceSpec};

use super::posts::Row;
use super::rows::{COMMENT_BYTES, LOOK_AHEAD_BYTES, Rows};
use super::sorter::{Sortable, Sorter};
use super::{NO_END_TAG, REASON_TRUNCATED, Reading, StackExchange, TAGS, sort_failed};
use crate::root_end::{RootEnd, Watched, has_root};
use crate::{GiveRow, Input, Joined, PartRows, RecordSink};
use thresher_formats::form::HEAD_BYTES;
use thresher_formats::gzip::InputDigest;
use thresher_formats::hashed::HashedReader;
use thresher_formats::piece::Piece;
use thresher_unit::UnitError;

/// A row with the part to which it belongs.
#[derive(Debug, Serialize, Deserialize)]
struct Scattered {
    part: u32,
    at: u64,
    bytes: u64,
    row: Row,
}

impl Sortable for Scattered {
    type Key = (u32, u64);

    fn key(&self) -> Self::Key {
        (self.part, self.at)
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Returns the part to which a row of the piece `own` belongs.
fn part_of(row: &Row, own: u32, parts: u32) -> u32 {
    match row {
        Row::Post(post) if !post.belongs_to_no_thread() => {
            let question = post.parent.unwrap_or(post.id);
            (question % u64::from(parts.max(1))) as u32
        }
        Row::Post(_) | Row::Bad { .. } => own,
    }
}

/// Returns the bytes by which [`Rows`] knows whether a piece starts inside a comment.
fn around(input: &Input<'_>, piece: Piece) -> Result<Vec<u8>, UnitError> {
    let mut bytes = Vec::new();
    if piece.offset > 0 {
        let from = piece.offset.saturating_sub(COMMENT_BYTES);
        let length = piece.offset - from + LOOK_AHEAD_BYTES;
        let read = input.open_at(from)?.take(length).read_to_end(&mut bytes);
        read.map_err(|error| input.failed(&error))?;
    }
    Ok(bytes)
}

/// Returns what the bytes before a piece, with which `around` starts, say of the end of the file.
fn end_before(around: &[u8], piece: Piece) -> RootEnd {
    let before = piece.offset.min(COMMENT_BYTES) as usize;
    let mut end = RootEnd::new(&TAGS);
    end.push(&around[..around.len().min(before)]);
    end
}

/// Returns the first bytes of the file of a piece.
fn head(input: &Input<'_>) -> Result<Vec<u8>, UnitError> {
    let mut head = Vec::new();
    let read = input.open_at(0)?.take(HEAD_BYTES as u64).read_to_end(&mut head);
    read.map_err(|error| input.failed(&error))?;
    Ok(head)
}

impl Joined for StackExchange {
    fn scatter(
        &self,
        job: &JobSpec,
        input: &Input<'_>,
        (own, parts): (u32, u32),
        give: &mut GiveRow<'_>,
    ) -> Result<InputDigest, UnitError> {
        let failed = |error: &std::io::Error| input.failed(error);
        let piece = input.piece().unwrap_or_default();
        let around = around(input, piece)?;
        let hashed = HashedReader::up_to(input.open()?, piece.length);
        let mut reader = BufReader::new(Watched { text: hashed, end: end_before(&around, piece) });
        let most = job.stackexchange.max_row_bytes.0 as usize;
        let mut rows = Rows::of_piece(&mut reader, most, piece, &around);
        let mut sorter = Sorter::new(input.scratch(), job.stackexchange.sort_memory.0);
        while let Some((at, bytes, row)) = rows.next().map_err(|error| failed(&error))? {
            let part = part_of(&row, own, parts);
            let scattered = Scattered { part, at, bytes, row };
            sorter.push(scattered).map_err(|error| sort_failed(&error))?;
        }
        let Watched { text, end } = reader.into_inner();
        if own + 1 == parts && end.is_missing() && has_root(&TAGS, &head(input)?) {
            let (reason, detail) = (REASON_TRUNCATED.into(), NO_END_TAG.to_owned());
            let (at, row) = (piece.range().end, Row::Bad { reason, detail });
            let scattered = Scattered { part: own, at, bytes: 0, row };
            sorter.push(scattered).map_err(|error| sort_failed(&error))?;
        }
        let mut stopped = None;
        let sorted = sorter.finish(&mut |scattered: Scattered| {
            let row = serde_json::to_vec(&scattered)?;
            give(scattered.part, &row).map_err(|error| {
                stopped = Some(error);
                std::io::Error::other("stopped")
            })
        });
        if let Some(error) = stopped {
            return Err(error);
        }
        sorted.map_err(|error| sort_failed(&error))?;
        text.finish().map_err(|error| failed(&error))
    }

    fn gather(
        &self,
        job: &JobSpec,
        source: &SourceSpec,
        (path, scratch): (&str, &Path),
        rows: &mut PartRows<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<(), UnitError> {
        let mut reading = Reading::new(job, source, (path, scratch), sink);
        rows(&mut |row| {
            let Scattered { at, bytes, row, .. } =
                serde_json::from_slice(row).map_err(|error| {
                    UnitError::Defect(format!("a row of another piece is not valid JSON: {error}"))
                })?;
            reading.take_row(at, bytes, row)
        })?;
        reading.threads()
    }
}
