//! Reads inputs over HTTP(S) to their end, despite cut connections and busy servers.
//!
//! After a cut, a range request gets the rest, bound to the same object by its ETag or modification
//! date. If the server offers neither, or no ranges, the requested range is read again from its
//! start, and the part returned already is compared by hash. Invariant: all bytes returned are of
//! one state of the object; if the object changes, the error says so.

mod request;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::ops::Range;

use ureq::http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_RANGE,
    LAST_MODIFIED, RANGE,
};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, BodyReader};

use super::retry::{Backoff, Failure, ReadOptions};
use super::{StorageError, rate};
use request::{Expected, send};

/// What the first answer said about the object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    /// Absent if the server does not know the length of the body.
    bytes: Option<u64>,
    validator: Option<String>,
}

pub(super) struct HttpReader {
    url: String,
    options: ReadOptions,
    agent: Agent,
    backoff: Backoff,
    identity: Option<Identity>,
    body: Option<BodyReader<'static>>,
    /// The bytes to return; the range may extend beyond the end of the object.
    range: Range<u64>,
    /// Offset in the object of the next byte to return, and the hash of those before it.
    at: u64,
    hasher: blake3::Hasher,
}

/// Opens a part of the object and waits for the first answer of the server.
pub(super) fn open(
    url: &str,
    range: Range<u64>,
    options: &ReadOptions,
) -> Result<HttpReader, StorageError> {
    let mut reader = HttpReader {
        url: url.to_owned(),
        options: options.clone(),
        agent: request::agent(url, options)?,
        backoff: Backoff::default(),
        identity: None,
        body: None,
        at: range.start,
        range,
        hasher: blake3::Hasher::new(),
    };
    reader.connect()?;
    Ok(reader)
}

/// Returns the size of the object, if the server reports it.
pub(super) fn size(url: &str, options: &ReadOptions) -> Result<Option<u64>, StorageError> {
    let agent = request::agent(url, options)?;
    let mut backoff = Backoff::default();
    let no_head = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
    let expected = Expected { statuses: &no_head, listed: options.known.listed };
    loop {
        rate::wait_turn(options.sleeper.as_ref());
        match send(url, agent.head(url), ureq::RequestBuilder::call, &expected) {
            Ok(answer) if answer.status().is_success() => {
                return Ok(number(answer.headers(), &CONTENT_LENGTH));
            }
            Ok(_) => return Ok(None),
            Err(failure) => wait(&mut backoff, options, url, failure)?,
        }
    }
}

impl Read for HttpReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.range.end - self.at).unwrap_or(usize::MAX);
        let room = room.min(buffer.len());
        let buffer = &mut buffer[..room];
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.body.is_none() {
                self.connect()?;
            }
            let body = self.body.as_mut().expect("`connect` sets it or fails");
            let detail = match body.read(buffer) {
                Ok(0) => match self.missing_bytes() {
                    None => return Ok(0),
                    Some(missing) => format!("the body ends {missing} bytes early"),
                },
                Ok(count) => {
                    self.hasher.update(&buffer[..count]);
                    self.at += count as u64;
                    self.backoff.progress();
                    return Ok(count);
                }
                Err(error) => format!("the connection failed: {error}"),
            };
            self.body = None;
            let failure = Failure::Passing { detail, after: None };
            wait(&mut self.backoff, &self.options, &self.url, failure)?;
        }
    }
}

impl HttpReader {
    /// Requests a body that continues at `self.at`.
    fn connect(&mut self) -> Result<(), StorageError> {
        loop {
            match self.request() {
                Ok(body) => {
                    self.body = Some(body);
                    return Ok(());
                }
                Err(failure) => wait(&mut self.backoff, &self.options, &self.url, failure)?,
            }
        }
    }

    fn request(&mut self) -> Result<BodyReader<'static>, Failure> {
        let validator = self.identity.as_ref().and_then(|identity| identity.validator.as_ref());
        // Without a validator nothing proves that the rest is of the same state: everything is read
        // again.
        let from = if validator.is_some() { self.at } else { self.range.start };
        let mut request = self.agent.get(&self.url);
        if let Some(range) = range_header(from, self.range.end) {
            request = request.header(RANGE, range);
            if let Some(validator) = validator {
                request = request.header(IF_RANGE, validator.as_str());
            }
        }
        let statuses = &[StatusCode::RANGE_NOT_SATISFIABLE];
        let expected = Expected { statuses, listed: self.options.known.listed };
        rate::wait_turn(self.options.sleeper.as_ref());
        let answer = send(&self.url, request, ureq::RequestBuilder::call, &expected)?;
        if is_web_page(answer.headers()) && is_data(&self.url) {
            let detail = "the server answers with a web page instead of the file".to_owned();
            return Err(Failure::Passing { detail, after: None });
        }
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => self.accept_part(answer, from),
            StatusCode::OK => self.accept_whole(answer),
            StatusCode::RANGE_NOT_SATISFIABLE if self.identity.is_none() => Err(self.too_short()),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(self.changed(format!("it has no bytes after the first {}", self.at)))
            }
            status => {
                let (location, detail) = (self.url.clone(), format!("the server answers {status}"));
                Err(Failure::Lasting(StorageError::Refused { location, detail }))
            }
        }
    }

    /// Accepts the object from `from` on.
    fn accept_part(
        &mut self,
        answer: Response<Body>,
        from: u64,
    ) -> Result<BodyReader<'static>, Failure> {
        let headers = answer.headers();
        let range = headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let range = range.unwrap_or_default().to_owned();
        let parsed = range.strip_prefix("bytes ").and_then(|range| {
            let (first, rest) = range.split_once('-')?;
            let (_, total) = rest.split_once('/')?;
            Some((first.parse::<u64>().ok()?, total.parse::<u64>().ok()))
        });
        let now = validator(headers);
        let total = match parsed {
            Some((first, total)) if first == from => total,
            _ => return Err(self.changed(format!("asked for bytes from {from}, got `{range}`"))),
        };
        match &self.identity {
            None => self.identity = Some(Identity { bytes: total, validator: now }),
            Some(before) => {
                if now.is_some() && now != before.validator {
                    let before = &before.validator;
                    return Err(self.changed(format!("`{before:?}` is `{now:?}` now")));
                }
                if total.is_some() && before.bytes.is_some() && total != before.bytes {
                    return Err(self.changed(format!("asked for bytes from {from}, got `{range}`")));
                }
            }
        }
        self.catch_up(answer.into_body().into_reader(), from)
    }

    /// Accepts the object from its start.
    fn accept_whole(&mut self, answer: Response<Body>) -> Result<BodyReader<'static>, Failure> {
        let headers = answer.headers();
        let bytes = number(headers, &CONTENT_LENGTH);
        let identity = Identity { bytes, validator: validator(headers) };
        if let Some(before) = &self.identity {
            if *before != identity {
                return Err(self.changed(format!("`{before:?}` is `{identity:?}` now")));
            }
        } else {
            self.identity = Some(identity);
        }
        if bytes.is_some_and(|bytes| bytes < self.range.start) {
            return Err(self.too_short());
        }
        self.catch_up(answer.into_body().into_reader(), 0)
    }

    /// Reads a body that starts at `from` up to `self.at`, and checks that it has the bytes that
    /// were returned before.
    fn catch_up(
        &self,
        mut body: BodyReader<'static>,
        from: u64,
    ) -> Result<BodyReader<'static>, Failure> {
        if from == self.at {
            return Ok(body);
        }
        let cut = |error: io::Error| {
            let detail = format!("the connection failed: {error}");
            Failure::Passing { detail, after: None }
        };
        let mut before = (&mut body).take(self.range.start - from);
        io::copy(&mut before, &mut io::sink()).map_err(cut)?;
        let mut hasher = blake3::Hasher::new();
        let again_bytes = self.at - self.range.start;
        io::copy(&mut (&mut body).take(again_bytes), &mut hasher).map_err(cut)?;
        if hasher.finalize() != self.hasher.finalize() {
            return Err(self.changed(format!("its first {again_bytes} bytes differ")));
        }
        Ok(body)
    }

    fn known_bytes(&self) -> Option<u64> {
        self.identity.as_ref().and_then(|identity| identity.bytes)
    }

    fn missing_bytes(&self) -> Option<u64> {
        let end = self.known_bytes()?.min(self.range.end);
        end.checked_sub(self.at).filter(|missing| *missing > 0)
    }

    fn too_short(&self) -> Failure {
        let (location, start) = (self.url.clone(), self.range.start);
        let detail = format!("it ends before byte {start}");
        Failure::Lasting(StorageError::Refused { location, detail })
    }

    fn changed(&self, detail: String) -> Failure {
        Failure::Lasting(StorageError::Changed { location: self.url.clone(), detail })
    }
}

/// Endings of names whose content is never a web page.
const DATA_ENDINGS: [&str; 11] =
    [".gz", ".zst", ".bz2", ".7z", ".tar", ".zip", ".parquet", ".json", ".jsonl", ".xml", ".paths"];

/// Returns whether the answer is a web page, which a proxy or a server under maintenance sends in
/// place of a file, with a status of success.
fn is_web_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

fn is_data(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    DATA_ENDINGS.iter().any(|ending| path.ends_with(ending))
}

/// Waits before the next attempt, or returns the error if there is none.
fn wait(
    backoff: &mut Backoff,
    options: &ReadOptions,
    url: &str,
    failure: Failure,
) -> Result<(), StorageError> {
    options.sleeper.sleep(backoff.after(options, url, failure)?);
    Ok(())
}

/// Returns what identifies a state of the object. A weak ETag does not identify its bytes.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let etag = text(ETAG).filter(|etag| !etag.starts_with("W/"));
    etag.or_else(|| text(LAST_MODIFIED)).map(str::to_owned)
}

/// Returns the value of the Range header, or `None` for the whole object.
pub(super) fn range_header(from: u64, end: u64) -> Option<String> {
    match (from, end) {
        (0, u64::MAX) => None,
        (_, u64::MAX) => Some(format!("bytes={from}-")),
        // The header has the offset of the last byte.
        (_, end) => Some(format!("bytes={from}-{}", end.saturating_sub(1))),
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
