//! An object that is being written: in one request if it fits into a part, else in parts.
//!
//! Stores that speak S3 differ in what they guarantee. This code relies only on that a small `PUT`
//! with `If-None-Match: *` has one winner; many stores ignore that condition when a multipart
//! upload is completed. So for an object larger than a part, a small record beside it, its *commit
//! record* (`commit_record`), decides before any upload is completed.
//!
//! Invariant: a name never has other bytes than those of the first attempt that claimed it, and a
//! dropped upload removes its parts, unless the process is killed: then `thresher clean` does.

use std::io::{self, Write};

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use prost::bytes::Bytes;
use tokio::task::JoinHandle;

use super::super::StorageError;
use super::super::commit::{CommitError, Committed};
use super::super::retry::ReadOptions;
use super::commit_record::{self, CommitRecord};
use super::engine::{Engine, engine};
use super::name;
use super::object::{Object, hash_of, is_stored, put};
use super::read::find;

/// S3 numbers parts from 1 to this.
const MAX_PARTS: usize = 10_000;
/// Cleaning up after a failure is not worth more attempts.
const ABORT_ATTEMPTS: u32 = 3;

/// An object that is being written.
pub struct Upload {
    object: Object,
    /// The part that is being filled.
    part: Vec<u8>,
    part_bytes: usize,
    multipart: Option<Multipart>,
    hasher: blake3::Hasher,
    bytes: u64,
}

struct Multipart {
    id: String,
    /// One part is sent while the next is filled.
    sending: Option<JoinHandle<Result<CompletedPart, StorageError>>>,
    sent: Vec<CompletedPart>,
}

impl Upload {
    /// Creates an upload to `key`, with its commit record at `record_key`. Makes no request yet.
    pub(in super::super) fn new(
        bucket: &str,
        key: &str,
        record_key: String,
        options: &ReadOptions,
    ) -> Result<Self, StorageError> {
        let engine = engine(&name(bucket, key))?;
        let (bucket, key, options) = (bucket.to_owned(), key.to_owned(), options.clone());
        Ok(Self {
            object: Object { engine, bucket, key, record_key, options },
            part: Vec::new(),
            part_bytes: usize::try_from(engine.spec.part_bytes.0).unwrap_or(usize::MAX),
            multipart: None,
            hasher: blake3::Hasher::new(),
            bytes: 0,
        })
    }

    /// Returns the location of the object.
    pub(in super::super) fn location(&self) -> String {
        self.object.location()
    }

    /// Returns the hash of what was written so far.
    pub(in super::super) fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    /// Publishes the object, unless an equal one has the name. With `replace`, an existing object
    /// is replaced.
    pub(in super::super) fn commit(mut self, replace: bool) -> Result<Committed, CommitError> {
        let ours = CommitRecord { blake3: self.hasher.finalize(), bytes: self.bytes };
        if self.multipart.is_none() {
            let part = Bytes::from(std::mem::take(&mut self.part));
            return put_small(&self.object, part, ours, replace);
        }
        self.send_part()?;
        self.wait_for_part()?;
        if !replace && commit_record::claim(&self.object, &ours)? {
            // Dropping `self` removes the parts.
            return Ok(ours.already_there());
        }
        self.complete()?;
        Ok(ours.published())
    }

    fn send_part(&mut self) -> Result<(), StorageError> {
        self.wait_for_part()?;
        let object = self.object.clone();
        let mut multipart = match self.multipart.take() {
            Some(multipart) => multipart,
            None => Multipart { id: start(&object)?, sending: None, sent: Vec::new() },
        };
        let number = multipart.sent.len() + 1;
        if number > MAX_PARTS {
            self.multipart = Some(multipart);
            let detail = format!(
                "it has more than {MAX_PARTS} parts\nhint: raise `part_bytes` in `[s3]` or lower \
                 `output.shard_bytes`"
            );
            return Err(StorageError::Refused { location: object.location(), detail });
        }
        let part = Bytes::from(std::mem::take(&mut self.part));
        let (engine, id) = (object.engine, multipart.id.clone());
        let sending = send_one(object, id, number as i32, part);
        multipart.sending = Some(engine.runtime.spawn(sending));
        self.multipart = Some(multipart);
        Ok(())
    }

    fn wait_for_part(&mut self) -> Result<(), StorageError> {
        let Some(multipart) = &mut self.multipart else { return Ok(()) };
        let Some(sending) = multipart.sending.take() else { return Ok(()) };
        let sent = self.object.engine.runtime.block_on(sending).unwrap_or_else(|error| {
            let detail = format!("sending a part was interrupted: {error}");
            Err(StorageError::Refused { location: self.object.location(), detail })
        })?;
        multipart.sent.push(sent);
        Ok(())
    }

    fn complete(&mut self) -> Result<(), StorageError> {
        let Some(multipart) = self.multipart.take() else { return Ok(()) };
        let Object { engine, bucket, key, options, .. } = &self.object;
        let parts =
            CompletedMultipartUpload::builder().set_parts(Some(multipart.sent.clone())).build();
        let call = || {
            let request = engine.client.complete_multipart_upload().bucket(bucket).key(key);
            let request = request.upload_id(&multipart.id).multipart_upload(parts.clone());
            request.set_request_payer(engine.payer()).send()
        };
        let location = self.object.location();
        let done = engine.runtime.block_on(engine.ask_or(&location, options, &[404], call));
        if let Err(error) = done {
            self.multipart = Some(multipart);
            return Err(error);
        }
        // If the upload no longer exists, a request whose answer was lost has completed it, or
        // somebody cleaned up: the object itself shows which.
        let found = find(engine, bucket, key, options)?;
        if found.as_ref().and_then(|known| known.bytes) == Some(self.bytes) {
            return Ok(());
        }
        let detail = format!("the upload was completed, but not as {} bytes", self.bytes);
        Err(StorageError::Unreachable { location, detail, attempts: 1 })
    }
}

impl Write for Upload {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.part.len() == self.part_bytes {
            self.send_part()?;
        }
        let count = buffer.len().min(self.part_bytes - self.part.len());
        self.part.extend_from_slice(&buffer[..count]);
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(multipart) = self.multipart.take() else { return };
        let object = &self.object;
        let options = ReadOptions { attempts_max: ABORT_ATTEMPTS, ..object.options.clone() };
        object.engine.runtime.block_on(async {
            // A part that arrives after the end would be stored, and paid for.
            if let Some(sending) = multipart.sending {
                let _ = sending.await;
            }
            let aborted =
                abort(object.engine, &object.bucket, &object.key, &multipart.id, &options);
            if let Err(error) = aborted.await {
                tracing::warn!(%error, "an upload is left behind; `thresher clean` ends it");
            }
        });
    }
}

/// Starts an upload and ends it, which proves that the job may write.
pub(in super::super) fn probe(
    bucket: &str,
    key: &str,
    options: &ReadOptions,
) -> Result<(), StorageError> {
    let upload = Upload::new(bucket, key, String::new(), options)?;
    let object = &upload.object;
    let id = start(object)?;
    object.engine.runtime.block_on(abort(object.engine, bucket, key, &id, options))
}

fn start(object: &Object) -> Result<String, StorageError> {
    let Object { engine, bucket, key, options, .. } = object;
    let location = object.location();
    let call = || {
        let request = engine.client.create_multipart_upload().bucket(bucket).key(key);
        request.set_request_payer(engine.payer()).send()
    };
    let started = engine.runtime.block_on(engine.ask(&location, options, call))?;
    started.upload_id().map(str::to_owned).ok_or_else(|| {
        let detail = "the server returned no upload id".to_owned();
        StorageError::Refused { location, detail }
    })
}

async fn send_one(
    object: Object,
    id: String,
    number: i32,
    part: Bytes,
) -> Result<CompletedPart, StorageError> {
    let Object { engine, bucket, key, options, .. } = &object;
    let call = || {
        let request = engine.client.upload_part().bucket(bucket).key(key).upload_id(&id);
        let request = request.part_number(number).body(ByteStream::from(part.clone()));
        request.set_request_payer(engine.payer()).send()
    };
    let location = object.location();
    let sent = engine.ask(&location, options, call).await?;
    is_stored(sent.e_tag(), &location)?;
    let etag = sent.e_tag().map(str::to_owned);
    Ok(CompletedPart::builder().part_number(number).set_e_tag(etag).build())
}

/// Ends an upload; a missing upload counts as ended.
pub(super) async fn abort(
    engine: &Engine,
    bucket: &str,
    key: &str,
    id: &str,
    options: &ReadOptions,
) -> Result<(), StorageError> {
    let call = || {
        let request = engine.client.abort_multipart_upload().bucket(bucket).key(key);
        request.upload_id(id).set_request_payer(engine.payer()).send()
    };
    // A status of 404 means that it does not exist any more.
    engine.ask_or(&name(bucket, key), options, &[404], call).await.map(|_| ())
}

/// Writes the object by one conditional request, so that the store itself decides which attempt was
/// first.
fn put_small(
    object: &Object,
    bytes: Bytes,
    ours: CommitRecord,
    replace: bool,
) -> Result<Committed, CommitError> {
    let placed = put(object, &object.key, bytes, replace)?;
    if placed {
        return Ok(ours.published());
    }
    let theirs = hash_of(object)?;
    ours.compare(&object.location(), &theirs)?;
    Ok(ours.already_there())
}
