//! One object and its requests: put it, hash the content that has its name, delete it.

use std::io;

use aws_sdk_s3::primitives::ByteStream;
use prost::bytes::Bytes;

use super::super::StorageError;
use super::super::retry::ReadOptions;
use super::engine::Engine;
use super::name;
use super::read::open;

/// Key of the metadata in which a store keeps the hash of an object that was put in one request.
pub(super) const HASH_KEY: &str = "blake3";

/// An object, with the client and options of its requests.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) engine: &'static Engine,
    pub(super) bucket: String,
    pub(super) key: String,
    /// Key of its commit record.
    pub(super) record_key: String,
    pub(super) options: ReadOptions,
}

impl Object {
    pub(super) fn location(&self) -> String {
        name(&self.bucket, &self.key)
    }
}

/// Puts an object in one request; returns false if the name is taken.
pub(super) fn put(
    object: &Object,
    key: &str,
    bytes: Bytes,
    replace: bool,
) -> Result<bool, StorageError> {
    let Object { engine, bucket, options, .. } = object;
    let condition = (!replace).then(|| "*".to_owned());
    let hash = blake3::hash(&bytes).to_hex().to_string();
    let call = || {
        let request = engine.client.put_object().bucket(bucket).key(key);
        let request = request.set_if_none_match(condition.clone());
        let request = request.body(ByteStream::from(bytes.clone()));
        let request = request.metadata(HASH_KEY, hash.clone());
        request.set_request_payer(engine.payer()).send()
    };
    let location = name(bucket, key);
    let placed = engine.ask_or(&location, options, &[412], call);
    match engine.runtime.block_on(placed)? {
        Ok(stored) => is_stored(stored.e_tag(), &location).map(|()| true),
        Err(_) => Ok(false),
    }
}

/// Checks that a success is the store's: each of its answers about stored bytes has their ETag. A
/// proxy that answers with a web page has stored nothing.
pub(super) fn is_stored(etag: Option<&str>, location: &str) -> Result<(), StorageError> {
    if etag.is_some_and(|etag| !etag.is_empty()) {
        return Ok(());
    }
    let detail = "the answer to the upload has no ETag, so it is not from a store\nhint: see \
                  whether a proxy answers in place of the server; its address is `endpoint` in \
                  `[s3]`, AWS_ENDPOINT_URL, or Amazon's"
        .to_owned();
    Err(StorageError::Unreachable { location: location.to_owned(), detail, attempts: 1 })
}

/// Returns the hash of the content that has the name now.
pub(super) fn hash_of(object: &Object) -> Result<blake3::Hash, StorageError> {
    let mut reader = open(&object.bucket, &object.key, 0..u64::MAX, &object.options)?;
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut reader, &mut hasher)
        .map_err(|error| StorageError::from_io(error, || object.location()))?;
    Ok(hasher.finalize())
}

/// Deletes an object; a missing object counts as deleted.
pub(super) fn remove(
    engine: &Engine,
    bucket: &str,
    key: &str,
    options: &ReadOptions,
) -> Result<(), StorageError> {
    let call = || {
        let request = engine.client.delete_object().bucket(bucket).key(key);
        request.set_request_payer(engine.payer()).send()
    };
    let location = name(bucket, key);
    let removed = engine.ask_or(&location, options, &[404], call);
    engine.runtime.block_on(removed).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::super::Remedy;
    use super::*;

    #[test]
    fn an_answer_without_an_etag_has_stored_nothing() {
        is_stored(Some("\"d41d8\""), "s3://b/k").unwrap();
        for etag in [None, Some("")] {
            let error = is_stored(etag, "s3://b/k").unwrap_err();
            assert_eq!(error.remedy(), Remedy::Wait);
            let text = error.to_string();
            assert!(text.contains("`s3://b/k`") && text.contains("hint:"), "{text}");
        }
    }
}
