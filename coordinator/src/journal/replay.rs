//! Reads the journal: determines which segments count and how far, and returns every record in
//! order.
//!
//! The first record of each epoch names the segment that it continues and how many of its bytes
//! count, so what a coordinator wrote after it was replaced is never read, also in later replays.
//! Invariant: bytes that a later epoch relied on are either read completely or an error.

use std::collections::VecDeque;

use thresher_proto::pb::journal_record::Event;
use thresher_proto::pb::{CoordinatorOpened, JournalRecord};

use super::error::JournalError;
use super::files::JournalFiles;
use super::frame::{Ending, FrameReader, HEADER_BYTES, Header, HeaderError, STATE_VERSION};

/// A segment and the number of its bytes that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) epoch: u64,
    pub(super) bytes: u64,
}

/// The records of the journal, oldest first.
pub struct Replay {
    files: Box<dyn JournalFiles>,
    segments: VecDeque<Counted>,
    open: Option<(Counted, FrameReader)>,
    records: VecDeque<JournalRecord>,
}

impl Replay {
    /// Returns the records of `chain`.
    pub(super) fn new(files: Box<dyn JournalFiles>, chain: Vec<Counted>) -> Self {
        Self { files, segments: chain.into(), open: None, records: VecDeque::new() }
    }

    fn read_next(&mut self) -> Result<Option<JournalRecord>, JournalError> {
        loop {
            if let Some(record) = self.records.pop_front() {
                return Ok(Some(record));
            }
            let Some((segment, reader)) = &mut self.open else {
                let Some(segment) = self.segments.pop_front() else { return Ok(None) };
                let reader = open_segment(&*self.files, segment.epoch)?;
                self.open = Some((segment, reader));
                continue;
            };
            let (epoch, offset) = (segment.epoch, reader.offset());
            if offset == segment.bytes {
                self.open = None;
                continue;
            }
            let frame =
                reader.next_frame().map_err(|e| io_error(&*self.files, "read", epoch, e))?;
            let missing = || Err("a frame that counted is missing".to_owned());
            let records = frame.unwrap_or_else(missing);
            self.records =
                records.map_err(|what| damage(&*self.files, epoch, offset, what))?.into();
            if reader.offset() > segment.bytes {
                let what = format!(
                    "a frame extends beyond byte {}, at which the segment ends",
                    segment.bytes
                );
                return Err(damage(&*self.files, epoch, offset, what));
            }
        }
    }
}

impl Iterator for Replay {
    type Item = Result<JournalRecord, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read_next().transpose();
        if let Some(Err(_)) = next {
            self.segments.clear();
            self.open = None;
            self.records.clear();
        }
        next
    }
}

/// Returns the segments that count among those of `epochs`, oldest first.
pub(super) fn chain_below(
    files: &dyn JournalFiles,
    epochs: &[u64],
) -> Result<Vec<Counted>, JournalError> {
    let mut chain = Vec::new();
    for epoch in epochs.iter().rev().copied() {
        if let Some((opened, bytes)) = read_head(files, epoch)? {
            chain.push(Counted { epoch, bytes });
            follow(files, epoch, opened, &mut chain)?;
            break;
        }
    }
    chain.reverse();
    Ok(chain)
}

/// Adds the segments that a head continues, newest first.
fn follow(
    files: &dyn JournalFiles,
    head: u64,
    opened: CoordinatorOpened,
    chain: &mut Vec<Counted>,
) -> Result<(), JournalError> {
    let (mut from, mut opened) = (head, opened);
    while opened.previous_epoch > 0 {
        let counted = Counted { epoch: opened.previous_epoch, bytes: opened.previous_bytes };
        if counted.epoch >= from {
            let what = format!("it continues the later epoch {}", counted.epoch);
            return Err(damage(files, from, HEADER_BYTES as u64, what));
        }
        let mut reader = open_segment(files, counted.epoch)?;
        let found = first_record(files, counted.epoch, &mut reader)?;
        let what = || "its first record is missing".to_owned();
        opened = found.ok_or_else(|| damage(files, counted.epoch, HEADER_BYTES as u64, what()))?;
        from = counted.epoch;
        chain.push(counted);
    }
    Ok(())
}

/// Returns the first record of the newest segment that has one, and how many of its bytes are
/// whole; `None` if its coordinator never wrote.
fn read_head(
    files: &dyn JournalFiles,
    epoch: u64,
) -> Result<Option<(CoordinatorOpened, u64)>, JournalError> {
    if is_blank(files, epoch)? {
        return Ok(None);
    }
    let mut reader = open_segment(files, epoch)?;
    let opened = first_record(files, epoch, &mut reader)?;
    let read = |e| io_error(files, "read", epoch, e);
    // What is in the frames is read once, by the replay.
    while reader.skip_frame().map_err(read)? {}
    match reader.ending().map_err(read)? {
        Ending::Whole | Ending::Torn => Ok(opened.map(|opened| (opened, reader.offset()))),
        Ending::Damaged { next_frame } => {
            let what = format!("a whole frame follows at byte {next_frame}");
            Err(damage(files, epoch, reader.offset(), what))
        }
    }
}

/// Refuses a journal that another version wrote. It must be called before an epoch is taken: a
/// coordinator of that version may be at work.
pub(super) fn refuse_other_version(
    files: &dyn JournalFiles,
    epochs: &[u64],
) -> Result<(), JournalError> {
    for epoch in epochs.iter().rev().copied() {
        if !is_blank(files, epoch)? {
            return open_segment(files, epoch).map(|_| ());
        }
    }
    Ok(())
}

/// Whether nothing was written: too short for a header, or zeros all over.
pub(super) fn is_blank(files: &dyn JournalFiles, epoch: u64) -> Result<bool, JournalError> {
    let bytes = files.open(epoch).map_err(|e| io_error(files, "open", epoch, e))?;
    if bytes.size_bytes() < HEADER_BYTES as u64 {
        return Ok(true);
    }
    let mut chunk = vec![0; 1 << 16];
    let mut offset = 0;
    loop {
        let read = bytes.read_at(offset, &mut chunk);
        let read = read.map_err(|e| io_error(files, "read", epoch, e))?;
        if read == 0 {
            return Ok(true);
        }
        if chunk[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        offset += read as u64;
    }
}

/// Opens a segment behind its header.
pub(super) fn open_segment(
    files: &dyn JournalFiles,
    epoch: u64,
) -> Result<FrameReader, JournalError> {
    let bytes = files.open(epoch).map_err(|e| io_error(files, "open", epoch, e))?;
    let mut start = [0; HEADER_BYTES];
    let mut filled = 0;
    while filled < start.len() {
        let read = bytes.read_at(filled as u64, &mut start[filled..]);
        match read.map_err(|e| io_error(files, "read", epoch, e))? {
            0 => break,
            read => filled += read,
        }
    }
    match Header::parse(&start[..filled]) {
        Ok(header) if header.epoch == epoch => {
            FrameReader::new(bytes, header).map_err(|e| io_error(files, "unpack", epoch, e))
        }
        Ok(header) => {
            Err(damage(files, epoch, 0, format!("it says that it is of epoch {}", header.epoch)))
        }
        Err(HeaderError::OtherVersion(found)) => {
            let path = files.path(epoch);
            Err(JournalError::OtherVersion { path, found, known: STATE_VERSION })
        }
        Err(HeaderError::Unreadable(what)) => Err(damage(files, epoch, 0, what.to_owned())),
    }
}

/// Returns the record that starts every epoch, if there is a first frame.
pub(super) fn first_record(
    files: &dyn JournalFiles,
    epoch: u64,
    reader: &mut FrameReader,
) -> Result<Option<CoordinatorOpened>, JournalError> {
    let offset = reader.offset();
    let frame = reader.next_frame().map_err(|e| io_error(files, "read", epoch, e))?;
    let Some(records) = frame else { return Ok(None) };
    let records = records.map_err(|what| damage(files, epoch, offset, what))?;
    match records.into_iter().next().and_then(|record| record.event) {
        Some(Event::Opened(opened)) if opened.epoch == epoch => Ok(Some(opened)),
        Some(_) | None => {
            let what = "it does not start with the opening of its epoch".to_owned();
            Err(damage(files, epoch, offset, what))
        }
    }
}

fn damage(files: &dyn JournalFiles, epoch: u64, offset: u64, what: String) -> JournalError {
    JournalError::Damaged { path: files.path(epoch), offset, what }
}

pub(super) fn io_error(
    files: &dyn JournalFiles,
    action: &'static str,
    epoch: u64,
    source: std::io::Error,
) -> JournalError {
    JournalError::Io { action, path: files.path(epoch), source }
}
