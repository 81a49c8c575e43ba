//! Checks that arbitrary segments never panic, and that only whole frames before any damage count.
//! The input is read as a segment, as a frame with a right checksum, and as positions at which an
//! intact segment is damaged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::journal::{Ending, Journal, MemoryFiles, STATE_VERSION, read_frames};
use thresher_fuzz::pb::journal_record::Event;
use thresher_fuzz::pb::{JournalRecord, WorkerLost};

/// Checks that reading stops at the same position if nothing follows it.
fn read_as_segment(bytes: &[u8]) {
    let Ok(frames) = read_frames(bytes) else { return };
    let valid = &bytes[..frames.valid_bytes as usize];
    let again = read_frames(valid).expect("it was read before");
    assert_eq!(again.records, frames.records);
    assert_eq!((again.valid_bytes, again.ending), (frames.valid_bytes, Ending::Whole));
    if frames.ending == Ending::Whole {
        assert_eq!(valid.len(), bytes.len());
    }
}

/// Reads the input as the payload of a frame, which a checksum cannot protect.
fn read_as_payload(payload: &[u8]) {
    let version = STATE_VERSION.to_le_bytes();
    let mut bytes = [b"THRSHJNL", &version[..], b"\x01\0\0\0\0\0\0\0saltsalt"].concat();
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    let length = (payload.len() as u32).to_le_bytes();
    let crc = crc32fast::hash(&[&length, payload, b"saltsalt"].concat());
    let marker = u32::from_le_bytes(*b"salt") | 1;
    bytes.extend(marker.to_le_bytes());
    bytes.extend([length, crc.to_le_bytes()].concat());
    bytes.extend(payload);
    read_as_segment(&bytes);
}

/// Pairs of bytes say where a segment of eight records is damaged; the first says where it is cut.
fn read_damaged(places: &[u8]) {
    let files = MemoryFiles::new();
    let (mut journal, _) = Journal::open_in(files.clone()).expect("memory gives no errors");
    let opening = Event::Opened(journal.opening());
    let lost = |worker_id| Event::Lost(WorkerLost { worker_id, reason: "silent".to_owned() });
    let events = std::iter::once(opening).chain((1..8).map(lost));
    let written: Vec<_> = events
        .zip(0..)
        .map(|(event, now_millis)| JournalRecord { now_millis, event: Some(event) })
        .collect();
    for record in &written {
        journal.append(record).and_then(|()| journal.commit()).expect("memory gives no errors");
    }
    let mut bytes = files.bytes(1).expect("it was written");
    let Some((cut, places)) = places.split_first() else { return };
    for pair in places.chunks_exact(2) {
        let at = usize::from(pair[0]) * 2 % bytes.len();
        bytes[at] ^= pair[1];
    }
    bytes.truncate(bytes.len() - usize::from(*cut) % bytes.len());
    if let Ok(frames) = read_frames(&bytes) {
        assert_eq!(frames.records, written[..frames.records.len()]);
    }
    read_as_segment(&bytes);
}

fuzz_target!(|data: &[u8]| {
    read_as_segment(data);
    read_as_payload(data);
    read_damaged(data);
});
