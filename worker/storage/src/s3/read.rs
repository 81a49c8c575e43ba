//! An object that a slot's thread reads while a task fetches ahead of it.
//!
//! After a cut, a short body or a silent server, a range request gets the rest, bound to the same
//! object by its ETag. Invariant: all bytes returned are of one state of the object, a body that
//! ends early is never accepted as the object's end, and the task is never further ahead than
//! `CHUNKS_AHEAD` pieces of what the network returns at once.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::Ordering;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use prost::bytes::{Buf, Bytes};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::super::http::range_header;
use super::super::retry::{Backoff, Failure, Known, ReadOptions};
use super::super::{StorageError, rate};
use super::engine::{Engine, engine};
use super::error::{classify, status_of};
use super::name;

/// A piece is at most what the HTTP library reads at once, some 400 KiB.
const CHUNKS_AHEAD: usize = 16;

/// What the task passes to the reader.
enum Piece {
    Bytes(Bytes),
    End,
    Failed(StorageError),
}

pub(in super::super) struct S3Reader {
    pieces: Receiver<Piece>,
    current: Bytes,
    ended: bool,
    location: String,
}

/// Opens a part of an object and waits for the first answer.
pub(in super::super) fn open(
    bucket: &str,
    key: &str,
    range: Range<u64>,
    options: &ReadOptions,
) -> Result<S3Reader, StorageError> {
    let location = name(bucket, key);
    let engine = engine(&location)?;
    let mut fetch = Fetch {
        engine,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        location: location.clone(),
        known: options.known.clone(),
        options: options.clone(),
        at: range.start,
        range,
        backoff: Backoff::default(),
    };
    let body = engine.runtime.block_on(fetch.connect())?;
    let (sender, pieces) = channel(CHUNKS_AHEAD);
    engine.runtime.spawn(fetch.run(body, sender));
    Ok(S3Reader { pieces, current: Bytes::new(), ended: false, location })
}

/// Returns the size of the object.
pub(in super::super) fn size(
    bucket: &str,
    key: &str,
    options: &ReadOptions,
) -> Result<Option<u64>, StorageError> {
    let location = name(bucket, key);
    let engine = engine(&location)?;
    let head = engine.runtime.block_on(head(engine, bucket, key, options))?;
    Ok(known_of(&head).bytes)
}

/// Returns what is under a name now, or `None` if nothing is.
pub(super) fn find(
    engine: &Engine,
    bucket: &str,
    key: &str,
    options: &ReadOptions,
) -> Result<Option<Known>, StorageError> {
    match engine.runtime.block_on(head(engine, bucket, key, options)) {
        Ok(head) => Ok(Some(known_of(&head))),
        Err(StorageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn known_of(head: &HeadObjectOutput) -> Known {
    let bytes = head.content_length().and_then(|bytes| u64::try_from(bytes).ok());
    Known { bytes, etag: head.e_tag().map(str::to_owned), listed: false }
}

/// Requests the metadata of an object.
pub(super) async fn head(
    engine: &Engine,
    bucket: &str,
    key: &str,
    options: &ReadOptions,
) -> Result<HeadObjectOutput, StorageError> {
    let call = || {
        let request = engine.client.head_object().bucket(bucket).key(key);
        request.set_request_payer(engine.payer()).send()
    };
    engine.ask(&name(bucket, key), options, call).await
}

impl Read for S3Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.current.is_empty() {
            if self.ended {
                return Ok(0);
            }
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.current = bytes,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Failed(error)) => return Err(error.into()),
                // The task ended without a result: it panicked, or the process ends.
                None => {
                    let text = format!("fetching `{}` was interrupted", self.location);
                    return Err(io::Error::other(text));
                }
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

struct Fetch {
    engine: &'static Engine,
    bucket: String,
    key: String,
    location: String,
    /// Size and ETag from the listing, else from the first answer.
    known: Known,
    options: ReadOptions,
    /// The bytes to fetch; the range may extend beyond the end of the object.
    range: Range<u64>,
    /// Offset in the object of the next byte to fetch.
    at: u64,
    backoff: Backoff,
}

impl Fetch {
    async fn run(mut self, body: ByteStream, pieces: Sender<Piece>) {
        // A reader that was dropped does not need the result.
        let last = match self.fetch(body, &pieces).await {
            Ok(true) => Piece::End,
            Ok(false) => return,
            Err(error) => Piece::Failed(error),
        };
        let _ = pieces.send(last).await;
    }

    /// Fetches to the end; returns `false` if nobody reads any more.
    async fn fetch(
        &mut self,
        mut body: ByteStream,
        pieces: &Sender<Piece>,
    ) -> Result<bool, StorageError> {
        loop {
            let next = tokio::time::timeout(self.options.silence_timeout, body.next()).await;
            let detail = match next {
                Ok(Some(Ok(bytes))) => {
                    self.at += bytes.len() as u64;
                    self.backoff.progress();
                    if pieces.send(Piece::Bytes(bytes)).await.is_err() {
                        return Ok(false);
                    }
                    continue;
                }
                Ok(None) => match self.missing_bytes() {
                    0 => return Ok(true),
                    missing => format!("the body ends {missing} bytes early"),
                },
                Ok(Some(Err(error))) => format!("the connection failed: {error}"),
                Err(_) => "the server stopped sending".to_owned(),
            };
            if self.missing_bytes() == 0 {
                return Ok(true);
            }
            self.wait(Failure::Passing { detail, after: None }).await?;
            body = self.connect().await?;
        }
    }

    async fn wait(&mut self, failure: Failure) -> Result<(), StorageError> {
        let wait = self.backoff.after(&self.options, &self.location, failure)?;
        tracing::debug!(
            location = self.location,
            at = self.at,
            ?wait,
            "reading continues after a wait"
        );
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Requests a body that continues at `self.at`.
    async fn connect(&mut self) -> Result<ByteStream, StorageError> {
        loop {
            match self.request().await {
                Ok(body) => return Ok(body),
                Err(failure) => self.wait(failure).await?,
            }
        }
    }

    async fn request(&mut self) -> Result<ByteStream, Failure> {
        tokio::time::sleep(rate::turn()).await;
        let no_if_match = self.engine.no_if_match.load(Ordering::Relaxed);
        let if_match = self.known.etag.clone().filter(|_| !no_if_match);
        let request = self.engine.client.get_object().bucket(&self.bucket).key(&self.key);
        let request = request
            .set_range(range_header(self.at, self.range.end))
            .set_if_match(if_match)
            .set_request_payer(self.engine.payer());
        match request.send().await {
            Ok(answer) => self.accept(answer).await,
            Err(error) => match status_of(&error) {
                Some(412) => Err(self.refused_match().await),
                Some(416) => Err(self.no_such_range().await),
                _ => Err(self.failure(&error)),
            },
        }
    }

    /// Classifies a failed request. A store may need a moment to see what its own listing has.
    fn failure(&self, error: &SdkError<GetObjectError>) -> Failure {
        let failure = classify(&self.location, &self.engine.server, error);
        if let Failure::Lasting(missing @ StorageError::NotFound { .. }) = failure {
            return match self.options.known.listed {
                true => Failure::Doubtful(missing),
                false => Failure::Lasting(missing),
            };
        }
        failure
    }

    async fn accept(&mut self, answer: GetObjectOutput) -> Result<ByteStream, Failure> {
        let whole = range_header(self.at, self.range.end).is_none();
        let (first, total) = match answer.content_range().map(parse_range) {
            Some(Some((first, total))) => (first, Some(total)),
            None if whole => (0, answer.content_length().and_then(|n| u64::try_from(n).ok())),
            Some(None) | None => {
                let detail = "the answer has no range".to_owned();
                return Err(Failure::Passing { detail, after: None });
            }
        };
        if first != self.at {
            let detail = format!("asked for bytes from {}, got those from {first}", self.at);
            return Err(Failure::Passing { detail, after: None });
        }
        let found = Known { bytes: total, etag: answer.e_tag().map(str::to_owned), listed: false };
        if difference(&self.known, &found).is_some() {
            return Err(self.look_again(Some(&found)).await);
        }
        self.known.bytes = self.known.bytes.or(found.bytes);
        if self.known.etag.is_none() {
            self.known.etag = found.etag;
        }
        Ok(answer.body)
    }

    /// Handles Ceph's gateway, which refuses `If-Match` with an ETag that it returned itself. The
    /// ETags of answers are compared anyway, so nothing is lost without the header.
    async fn refused_match(&mut self) -> Failure {
        let failure = self.look_again(None).await;
        if matches!(failure, Failure::Passing { .. }) {
            self.engine.no_if_match.store(true, Ordering::Relaxed);
        }
        failure
    }

    /// Checks again whether an object changed: it is reported as changed only if a second request
    /// shows the same other object, because answers get damaged.
    async fn look_again(&mut self, first_look: Option<&Known>) -> Failure {
        let head = head(self.engine, &self.bucket, &self.key, &self.options).await;
        let head = match head {
            Ok(head) => head,
            Err(error) => return Failure::Lasting(error),
        };
        let second_look = known_of(&head);
        let agree = first_look.is_none_or(|first| difference(first, &second_look).is_none());
        match difference(&self.known, &second_look) {
            Some(detail) if agree => {
                let location = self.location.clone();
                Failure::Lasting(StorageError::Changed { location, detail })
            }
            Some(_) | None => {
                let detail = "the server's answers about the object differ".to_owned();
                Failure::Passing { detail, after: None }
            }
        }
    }

    /// Handles an answer that the server has no byte at `self.at`.
    async fn no_such_range(&mut self) -> Failure {
        let location = self.location.clone();
        if self.known.bytes.is_none() && self.at == self.range.start {
            let detail = format!("it ends before byte {}", self.range.start);
            return Failure::Lasting(StorageError::Refused { location, detail });
        }
        self.look_again(None).await
    }

    fn missing_bytes(&self) -> u64 {
        // If a server does not report the size, the end of a body is accepted as the end.
        let end = self.known.bytes.unwrap_or(self.at).min(self.range.end);
        end.saturating_sub(self.at)
    }
}

/// Returns how the object found differs from the one known.
fn difference(known: &Known, found: &Known) -> Option<String> {
    let bare = |etag: &Option<String>| etag.as_deref().map(|tag| tag.trim_matches('"').to_owned());
    if let (Some(before), Some(now)) = (bare(&known.etag), bare(&found.etag))
        && before != now
    {
        return Some(format!("its ETag was `{before}`, now it is `{now}`"));
    }
    match (known.bytes, found.bytes) {
        (Some(before), Some(now)) if before != now => {
            Some(format!("it had {before} bytes, now it has {now}"))
        }
        _ => None,
    }
}

/// Returns the first byte and the total of a `Content-Range`.
fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (first, rest) = text.strip_prefix("bytes ")?.split_once('-')?;
    let (_, total) = rest.split_once('/')?;
    Some((first.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(bytes: u64, etag: &str) -> Known {
        Known { bytes: Some(bytes), etag: Some(etag.to_owned()), listed: true }
    }

    #[test]
    fn another_size_or_etag_is_another_object() {
        assert_eq!(difference(&known(3, "\"a\""), &known(3, "a")), None);
        assert_eq!(difference(&known(3, "a"), &Known::default()), None);
        assert!(difference(&known(3, "a"), &known(3, "b")).unwrap().contains("`b`"));
        assert!(difference(&known(3, "a"), &known(4, "a")).unwrap().contains("now it has 4"));
    }

    #[test]
    fn a_content_range_is_read_or_refused() {
        assert_eq!(parse_range("bytes 4-9/10"), Some((4, 10)));
        for bad in ["bytes */10", "4-9/10", "bytes 4-9", "bytes x-9/10"] {
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }
}
