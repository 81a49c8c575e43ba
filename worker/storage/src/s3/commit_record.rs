//! The commit record of a large object: a small object beside the output that says which content
//! has the name. The first attempt writes it and nobody replaces it.
//!
//! ```text
//! parts are sent → record put if absent ┬ ours is first ──────────┬→ upload completed
//!                                      ├ there, equal to ours ───┘  (equal bytes: nothing changes)
//!                                      └ there, another ──────────→ error; parts are removed
//! ```
//! Invariant: an attempt completes an upload only if the record has its own hash, so that two
//! contents never mix under one name, whichever attempt dies between the steps.

use std::io::Read;

use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::StorageError;
use super::super::commit::{CommitError, Committed};
use super::super::retry::ReadOptions;
use super::engine::engine;
use super::name;
use super::object::{HASH_KEY, Object, hash_of, put, remove};
use super::read::{find, head, open};

/// A longer object is not a record.
const MAX_RECORD_BYTES: u64 = 4 << 10;

/// The content that an attempt wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommitRecord {
    pub(super) blake3: blake3::Hash,
    pub(super) bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct RecordText {
    blake3: String,
    bytes: u64,
}

impl CommitRecord {
    pub(super) fn published(&self) -> Committed {
        Committed::Published { blake3: self.blake3, bytes: self.bytes }
    }

    pub(super) fn already_there(&self) -> Committed {
        Committed::AlreadyThere { blake3: self.blake3, bytes: self.bytes }
    }

    /// Returns an error if `theirs` differs from the content of this record.
    pub(super) fn compare(&self, location: &str, theirs: &blake3::Hash) -> Result<(), CommitError> {
        if self.blake3 == *theirs {
            return Ok(());
        }
        Err(CommitError::Different { path: location.into(), ours: self.blake3, theirs: *theirs })
    }

    fn to_bytes(self) -> Bytes {
        let text = RecordText { blake3: self.blake3.to_hex().to_string(), bytes: self.bytes };
        let mut text = serde_json::to_vec(&text).unwrap_or_default();
        text.push(b'\n');
        text.into()
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text: RecordText = serde_json::from_slice(text).ok()?;
        Some(Self { blake3: text.blake3.parse().ok()?, bytes: text.bytes })
    }
}

/// Claims the object's name for `ours`; returns true if an equal object has it already.
pub(super) fn claim(object: &Object, ours: &CommitRecord) -> Result<bool, CommitError> {
    let first = put(object, &object.record_key, ours.to_bytes(), false)?;
    if !first {
        let theirs = read_record(object)?;
        ours.compare(&object.location(), &theirs.blake3)?;
    }
    let found = find(object.engine, &object.bucket, &object.key, &object.options)?;
    if found.is_none() {
        return Ok(false);
    }
    // It is from a faster attempt, or a program that writes no records: it is compared, not
    // trusted.
    let theirs = hash_of(object)?;
    let same = ours.compare(&object.location(), &theirs);
    if same.is_err() && first {
        // The claim was wrong, and must not be found.
        remove(object.engine, &object.bucket, &object.record_key, &object.options)?;
    }
    same.map(|()| true)
}

fn read_record(object: &Object) -> Result<CommitRecord, StorageError> {
    let location = || name(&object.bucket, &object.record_key);
    let reader = open(&object.bucket, &object.record_key, 0..u64::MAX, &object.options)?;
    let mut text = Vec::new();
    reader
        .take(MAX_RECORD_BYTES)
        .read_to_end(&mut text)
        .map_err(|error| StorageError::from_io(error, location))?;
    CommitRecord::parse(&text).ok_or_else(|| {
        let detail = "it is not a commit record\nhint: it was damaged from outside; choose an \
                      empty `output.path`";
        StorageError::Refused { location: location(), detail: detail.to_owned() }
    })
}

/// Returns the hash that the store keeps with an object, or with its commit record. An object that
/// somebody else put later has none.
pub(in super::super) fn stored_hash(
    bucket: &str,
    key: &str,
    record_key: &str,
) -> Result<Option<blake3::Hash>, StorageError> {
    let options = ReadOptions::default();
    let location = name(bucket, key);
    let engine = engine(&location)?;
    let head = engine.runtime.block_on(head(engine, bucket, key, &options))?;
    let kept = head.metadata().and_then(|metadata| metadata.get(HASH_KEY));
    if let Some(hash) = kept.and_then(|hash| hash.parse().ok()) {
        return Ok(Some(hash));
    }
    // Only an upload in parts has an ETag with their number, and a record.
    if !head.e_tag().is_some_and(|etag| etag.contains('-')) {
        return Ok(None);
    }
    let (bucket, key) = (bucket.to_owned(), key.to_owned());
    let object = Object { engine, bucket, key, record_key: record_key.to_owned(), options };
    match read_record(&object) {
        Ok(record) => Ok(Some(record.blake3)),
        Err(StorageError::NotFound { .. } | StorageError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_other_bytes_are_none() {
        let record = CommitRecord { blake3: blake3::hash(b"content"), bytes: 7 };
        assert_eq!(CommitRecord::parse(&record.to_bytes()), Some(record));
        for bad in [&b""[..], b"{}", b"{\"blake3\":\"xyz\",\"bytes\":7}"] {
            assert_eq!(CommitRecord::parse(bad), None);
        }
    }

    #[test]
    fn another_content_is_an_error_with_both_hashes() {
        let record = CommitRecord { blake3: blake3::hash(b"ours"), bytes: 4 };
        assert!(record.compare("s3://b/k", &blake3::hash(b"ours")).is_ok());
        let error = record.compare("s3://b/k", &blake3::hash(b"theirs")).unwrap_err();
        assert!(matches!(error, CommitError::Different { .. }));
        assert!(error.to_string().contains("s3://b/k"), "{error}");
    }
}
