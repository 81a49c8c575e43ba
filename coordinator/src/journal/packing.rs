//! Packs the records of a frame, since most of a result are names of reasons, which repeat.
//!
//! ```text
//! payload: 0 · records        or        1 · bytes of the records u32 · zstd of the records
//! ```
//! zstd starts with a fixed dictionary of names (`names.txt`), so that a single result becomes
//! small as well. No frame depends on another one, and a damaged frame harms no other. The
//! dictionary is part of the format: another one needs another `STATE_VERSION`.
//!
//! Nothing here panics or allocates without bound, whatever the bytes are.

use std::borrow::Cow;
use std::io;

use prost::Message as _;
use thresher_proto::pb::JournalRecord;
use zstd::bulk::{Compressor, Decompressor};

/// Largest payload of a frame, packed or not.
pub(super) const MAX_PAYLOAD_BYTES: usize = 64 << 20;
/// Names that occur in results, the most frequent ones last.
const DICTIONARY: &[u8] = include_bytes!("names.txt");
const LEVEL: i32 = 1;
/// Fewer bytes are not packed.
const MIN_BYTES: usize = 64;
const PLAIN: u8 = 0;
const PACKED: u8 = 1;
const HEAD_BYTES: usize = 5;

/// Packs the records of frames.
pub(super) struct Packer(Compressor<'static>);

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        Compressor::with_dictionary(LEVEL, DICTIONARY).map(Self)
    }

    /// Returns the payload for encoded records.
    pub(super) fn pack(&mut self, records: &[u8]) -> io::Result<Vec<u8>> {
        let bytes = u32::try_from(records.len()).map_err(io::Error::other)?;
        if records.len() >= MIN_BYTES {
            let packed = self.0.compress(records)?;
            if packed.len() + HEAD_BYTES <= records.len() {
                return Ok([&[PACKED], &bytes.to_le_bytes()[..], &packed].concat());
            }
        }
        Ok([&[PLAIN], records].concat())
    }
}

/// Reads the records of frames.
pub(super) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(super) fn new() -> io::Result<Self> {
        Decompressor::with_dictionary(DICTIONARY).map(Self)
    }

    /// Returns the records of a payload.
    pub(super) fn records(&mut self, payload: &[u8]) -> Result<Vec<JournalRecord>, String> {
        let unpacked = self.unpack(payload)?;
        let mut encoded = &*unpacked;
        let mut records = Vec::new();
        while !encoded.is_empty() {
            let record = JournalRecord::decode_length_delimited(&mut encoded);
            records
                .push(record.map_err(|error| format!("a frame has an invalid record: {error}"))?);
        }
        Ok(records)
    }

    fn unpack<'p>(&mut self, payload: &'p [u8]) -> Result<Cow<'p, [u8]>, String> {
        match payload {
            [PLAIN, records @ ..] => Ok(Cow::Borrowed(records)),
            [PACKED, b0, b1, b2, b3, packed @ ..] => {
                let bytes = u32::from_le_bytes([*b0, *b1, *b2, *b3]) as usize;
                if bytes > MAX_PAYLOAD_BYTES {
                    return Err(format!("a frame unpacks to {bytes} bytes"));
                }
                let unpacked = self.0.decompress(packed, bytes);
                let unpacked =
                    unpacked.map_err(|error| format!("a frame cannot be unpacked: {error}"))?;
                match unpacked.len() == bytes {
                    true => Ok(Cow::Owned(unpacked)),
                    false => Err(format!("a frame unpacks to {} bytes", unpacked.len())),
                }
            }
            [] | [_, ..] => Err("a frame is packed in an unknown way".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use thresher_proto::pb::report::Outcome;
    use thresher_proto::pb::{self, journal_record::Event};

    use super::*;

    /// A call that reports a unit of PREPARE of CommonCrawl, as a worker sends it.
    fn call(ordinal: u32) -> JournalRecord {
        let count = |(name, value): (&str, u64)| pb::Count { name: name.to_owned(), value };
        let dropped = [
            ("commoncrawl/too_short", 2_412),
            ("dedup/no_line_left", 1_033),
            ("language/low_score", 3_115),
            ("gopher_repetition/duplicate_lines", 377),
            ("gopher_repetition/top_2_gram", 1_377),
            ("gopher_quality/too_few_words", 6_000),
            ("gopher_quality/too_few_stop_words", 1_800),
            ("c4_quality/too_few_sentences", 2_000),
            ("fineweb_quality/too_few_terminal_lines", 940),
        ];
        let digest = blake3::hash(&ordinal.to_le_bytes());
        let done = pb::Done {
            accounting: Some(pb::Accounting {
                records_in: 41_230 + u64::from(ordinal),
                kept: 30_115,
                dropped: dropped.map(count).to_vec(),
                quarantined: vec![count(("gzip_truncated", 1))],
                bytes_in: 150_123_456,
                bytes_kept: 90_123_456,
            }),
            digest: digest.as_bytes().to_vec(),
            ..pb::Done::default()
        };
        let unit = pb::UnitRef { stage: pb::Stage::Prepare.into(), ordinal, attempt: 1 };
        let report = pb::Report {
            unit: Some(unit),
            outcome: Some(Outcome::Done(done)),
            cpu_millis: 41_000,
            wall_millis: 43_000,
        };
        let sync = pb::SyncRequest { worker_id: 7, reports: vec![report], ..Default::default() };
        JournalRecord { now_millis: 1_790_000_000_000, event: Some(Event::Sync(sync)) }
    }

    fn encoded(records: &[JournalRecord]) -> Vec<u8> {
        records.iter().flat_map(JournalRecord::encode_length_delimited_to_vec).collect()
    }

    #[test]
    fn records_read_back_and_results_become_small_alone_and_together() {
        let (mut packer, mut unpacker) = (Packer::new().unwrap(), Unpacker::new().unwrap());
        for (number, most_bytes) in [(0, 1), (1, 240), (64, 120 * 64)] {
            let records: Vec<_> = (0..number).map(call).collect();
            let payload = packer.pack(&encoded(&records)).unwrap();
            assert_eq!(unpacker.records(&payload).unwrap(), records);
            assert!(payload.len() <= most_bytes, "{number}: {} bytes", payload.len());
        }
    }

    #[test]
    fn short_and_dense_records_stay_as_they_are() {
        let mut packer = Packer::new().unwrap();
        let dense = blake3::Hasher::new().finalize_xof();
        let mut noise = vec![0; 1000];
        { dense }.fill(&mut noise);
        for records in [vec![5; 10], noise] {
            assert_eq!(packer.pack(&records).unwrap()[1..], records);
        }
    }

    #[test]
    fn payloads_that_lie_are_refused() {
        let (mut packer, mut unpacker) = (Packer::new().unwrap(), Unpacker::new().unwrap());
        let payload = packer.pack(&encoded(&[call(1), call(2)])).unwrap();
        let with = |at: usize, value: u8| {
            let mut payload = payload.clone();
            payload[at] = value;
            payload
        };
        for (lie, says) in [
            (vec![], "unknown way"),
            (with(0, 9), "unknown way"),
            (payload[..4].to_vec(), "unknown way"),
            (with(4, 255), "unpacks to"),
            (with(1, payload[1].wrapping_add(1)), "unpacks to"),
            (with(1, payload[1].wrapping_sub(1)), "cannot be unpacked"),
            (payload[..payload.len() - 3].to_vec(), "cannot be unpacked"),
        ] {
            let error = unpacker.records(&lie).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
