//! Finds what attempts left behind under a prefix: unfinished uploads, and commit records that are
//! no longer needed.

use super::super::StorageError;
use super::super::retry::ReadOptions;
use super::engine::engine;
use super::name;
use super::object::remove;
use super::upload::abort;

/// An upload that was started and neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The bucket.
    pub bucket: String,
    /// The key of the object.
    pub key: String,
    id: String,
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (upload {})", name(&self.bucket, &self.key), self.id)
    }
}

impl Unfinished {
    /// Removes the parts that were sent.
    pub fn abort(&self, options: &ReadOptions) -> Result<(), StorageError> {
        let Self { bucket, key, id } = self;
        let engine = engine(&name(bucket, key))?;
        engine.runtime.block_on(abort(engine, bucket, key, id, options))
    }
}

/// Returns every unfinished upload to a key that starts with `prefix`.
pub fn unfinished(
    bucket: &str,
    prefix: &str,
    options: &ReadOptions,
) -> Result<Vec<Unfinished>, StorageError> {
    let location = name(bucket, prefix);
    let engine = engine(&location)?;
    let mut found = Vec::new();
    let (mut key_marker, mut id_marker): (Option<String>, Option<String>) = (None, None);
    loop {
        let call = || {
            let request = engine.client.list_multipart_uploads().bucket(bucket).prefix(prefix);
            let request = request.set_key_marker(key_marker.clone());
            let request = request.set_upload_id_marker(id_marker.clone());
            request.set_request_payer(engine.payer()).send()
        };
        let page = engine.runtime.block_on(engine.ask(&location, options, call))?;
        found.extend(page.uploads().iter().filter_map(|upload| {
            let (key, id) = (upload.key()?.to_owned(), upload.upload_id()?.to_owned());
            Some(Unfinished { bucket: bucket.to_owned(), key, id })
        }));
        let next = (page.next_key_marker(), page.next_upload_id_marker());
        let (next_key, next_id) = (next.0.map(str::to_owned), next.1.map(str::to_owned));
        let goes_on = page.is_truncated() == Some(true) && next_key.is_some();
        if !goes_on || (&next_key, &next_id) == (&key_marker, &id_marker) {
            return Ok(found);
        }
        (key_marker, id_marker) = (next_key, next_id);
    }
}

/// Deletes one object in the storage of this process.
pub fn remove_object(bucket: &str, key: &str, options: &ReadOptions) -> Result<(), StorageError> {
    remove(engine(&name(bucket, key))?, bucket, key, options)
}
