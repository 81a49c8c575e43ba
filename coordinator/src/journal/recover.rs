//! Continues from a journal with a damaged middle, when a person asks for it: everything up to the
//! last whole frame before the damage counts, and nothing after it.
//!
//! A new epoch names that frame as what it continues. So no byte of the damaged segments is changed
//! or read again, and the units whose results are lost run again, to the same bytes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use thresher_proto::pb::journal_record::Event;
use thresher_proto::pb::report::Outcome;
use thresher_proto::pb::{CoordinatorOpened, JournalRecord};

use super::error::JournalError;
use super::files::JournalFiles;
use super::frame::{Ending, FrameReader};
use super::replay::{Counted, first_record, io_error, is_blank, open_segment};
use super::{Directory, Journal, take_epoch_without_check};

/// What a recovery left out.
#[derive(Debug)]
pub struct Recovery {
    /// The damaged segment, the offset in it and what is wrong there.
    pub damage: Damage,
    /// Number of records after the damage that can still be read, but cannot be used.
    pub lost_records: u64,
    /// Number of results of units among them.
    pub lost_results: u64,
}

/// The place of a damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Offset of the first unreadable byte.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

/// The sound part of a segment.
struct Sound {
    opened: CoordinatorOpened,
    bytes: u64,
}

/// Starts a new epoch behind the last sound record before the first damage, for `opened` as its
/// coordinator. Returns `None` if nothing is damaged, and then does nothing.
pub fn recover(
    directory: &std::path::Path,
    opened: CoordinatorOpened,
    now_millis: u64,
) -> Result<Option<Recovery>, JournalError> {
    recover_in(&Directory::existing(directory), opened, now_millis)
}

/// Does the same in other files.
pub(super) fn recover_in<F>(
    files: &F,
    opened: CoordinatorOpened,
    now_millis: u64,
) -> Result<Option<Recovery>, JournalError>
where
    F: JournalFiles + Clone + 'static,
{
    let epochs = files.epochs().map_err(|e| io_error(files, "list the segments beside", 1, e))?;
    let (base, damage) = sound_part(files, &epochs)?;
    let Some(damage) = damage else { return Ok(None) };
    let lost = lost(files, &epochs, base)?;
    let results = |record: &JournalRecord| match &record.event {
        Some(Event::Sync(sync)) => {
            let done = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Done(_)));
            sync.reports.iter().filter(|report| done(&report.outcome)).count() as u64
        }
        Some(_) | None => 0,
    };
    let recovery = Recovery {
        damage,
        lost_records: lost.len() as u64,
        lost_results: lost.iter().map(results).sum(),
    };
    let taken = take_epoch_without_check(files)?;
    let mut journal = Journal::new(files.clone(), taken.epoch, taken.segment, base);
    let opening = CoordinatorOpened {
        version: opened.version,
        host: opened.host,
        pid: opened.pid,
        identity: opened.identity,
        ..journal.opening()
    };
    journal.append(&JournalRecord { now_millis, event: Some(Event::Opened(opening)) })?;
    journal.commit()?;
    Ok(Some(recovery))
}

/// Returns the end of what can be used, and the first damage.
fn sound_part(
    files: &dyn JournalFiles,
    epochs: &[u64],
) -> Result<(Option<Counted>, Option<Damage>), JournalError> {
    let mut damage = None;
    let mut heads = epochs.iter().rev().copied().collect::<BTreeSet<u64>>();
    while let Some(head) = heads.pop_last() {
        if is_blank(files, head)? {
            continue;
        }
        let (sound, found) = sound_segment(files, head, None)?;
        damage = found.or(damage);
        let Some(sound) = sound else { continue };
        // The head may continue a segment that is damaged itself.
        let mut base = Counted { epoch: head, bytes: sound.bytes };
        let mut opened = sound.opened;
        let mut is_sound = true;
        while opened.previous_epoch > 0 && opened.previous_epoch < opened.epoch {
            let (epoch, bytes) = (opened.previous_epoch, opened.previous_bytes);
            let (sound, found) = sound_segment(files, epoch, Some(bytes))?;
            if let Some(found) = found {
                damage = Some(found);
                heads.retain(|other| *other < epoch);
                match &sound {
                    Some(sound) => base = Counted { epoch, bytes: sound.bytes },
                    None => is_sound = false,
                }
            }
            let Some(sound) = sound else { break };
            opened = sound.opened;
        }
        if is_sound {
            return Ok((Some(base), damage));
        }
    }
    Ok((None, damage))
}

/// Reads a segment up to `limit`, or to the end of its whole frames. Returns its sound part, if its
/// first record is in it, and the damage that ends it.
fn sound_segment(
    files: &dyn JournalFiles,
    epoch: u64,
    limit: Option<u64>,
) -> Result<(Option<Sound>, Option<Damage>), JournalError> {
    let mut reader = match or_damage(open_segment(files, epoch))? {
        Ok(reader) => reader,
        Err(damage) => return Ok((None, Some(damage))),
    };
    let opened = match or_damage(first_record(files, epoch, &mut reader))? {
        Ok(Some(opened)) => opened,
        Ok(None) => {
            let what = "its first record is missing".to_owned();
            let damage = Damage { path: files.path(epoch), offset: reader.offset(), what };
            return Ok((None, Some(damage)));
        }
        Err(damage) => return Ok((None, Some(damage))),
    };
    let read = |e| io_error(files, "read", epoch, e);
    let mut bytes = reader.offset();
    let what = loop {
        if limit.is_some_and(|limit| reader.offset() >= limit) {
            break None;
        }
        match reader.next_frame().map_err(read)? {
            Some(Ok(_)) => bytes = reader.offset(),
            Some(Err(what)) => break Some(what),
            None => {
                let what = match (limit, reader.ending().map_err(read)?) {
                    (Some(_), Ending::Whole) => Some("a frame that counted is missing"),
                    (Some(_), Ending::Torn) | (_, Ending::Damaged { .. }) => {
                        Some("a frame is not whole")
                    }
                    (None, Ending::Whole | Ending::Torn) => None,
                };
                break what.map(str::to_owned);
            }
        }
    };
    let damage = what.map(|what| Damage { path: files.path(epoch), offset: bytes, what });
    Ok((Some(Sound { opened, bytes }), damage))
}

/// Separates damage from errors that a recovery cannot go around.
fn or_damage<T>(result: Result<T, JournalError>) -> Result<Result<T, Damage>, JournalError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(JournalError::Damaged { path, offset, what }) => Ok(Err(Damage { path, offset, what })),
        Err(error) => Err(error),
    }
}

/// Returns the records behind `base` that can still be read.
fn lost(
    files: &dyn JournalFiles,
    epochs: &[u64],
    base: Option<Counted>,
) -> Result<Vec<JournalRecord>, JournalError> {
    let mut records = Vec::new();
    let from = base.map_or(0, |base| base.epoch);
    for epoch in epochs.iter().copied().filter(|epoch| *epoch >= from) {
        if is_blank(files, epoch)? {
            continue;
        }
        let Ok(mut reader) = or_damage(open_segment(files, epoch))? else { continue };
        if let Some(base) = base.filter(|base| base.epoch == epoch) {
            reader.seek(base.bytes);
        }
        read_on(&mut reader, &mut records).map_err(|e| io_error(files, "read", epoch, e))?;
    }
    Ok(records)
}

/// Reads every whole frame, also behind damage.
fn read_on(reader: &mut FrameReader, records: &mut Vec<JournalRecord>) -> std::io::Result<()> {
    loop {
        while let Some(found) = reader.next_frame()? {
            records.extend(found.unwrap_or_default());
        }
        match reader.ending()? {
            Ending::Damaged { next_frame } => reader.seek(next_frame),
            Ending::Whole | Ending::Torn => return Ok(()),
        }
    }
}
