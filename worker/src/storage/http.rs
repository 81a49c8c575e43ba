//! Inputs over HTTP(S), read to the end in spite of cut connections and busy servers.
//!
//! A cut is healed by a range request for the rest, bound to the same object by its ETag or
//! modification date. Where the server offers neither, or no ranges, the object is read again from
//! its start and the part handed out already is compared by hash. Invariant: the bytes handed out
//! are those of one state of the object; a changed object is an error by that name.

mod request;
mod retry;
#[cfg(test)]
mod tests;

use std::io::{self, Read};

use ureq::http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_RANGE, LAST_MODIFIED, RANGE,
};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, BodyReader};

use super::StorageError;
use request::{Failure, send};
use retry::Backoff;

pub use retry::{Pause, ReadOptions, Sleeper};

/// What the first answer said about the object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    /// Absent for bodies whose length the server does not know.
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
    /// Bytes handed out, and their hash.
    at: u64,
    hasher: blake3::Hasher,
}

/// Opens the object; the first answer of the server is awaited.
pub(super) fn open(url: &str, options: &ReadOptions) -> Result<HttpReader, StorageError> {
    let mut reader = HttpReader {
        url: url.to_owned(),
        options: options.clone(),
        agent: request::agent(url, options)?,
        backoff: Backoff::default(),
        identity: None,
        body: None,
        at: 0,
        hasher: blake3::Hasher::new(),
    };
    reader.connect()?;
    Ok(reader)
}

/// The object's size, where the server tells it.
pub(super) fn size(url: &str, options: &ReadOptions) -> Result<Option<u64>, StorageError> {
    let agent = request::agent(url, options)?;
    let mut backoff = Backoff::default();
    let no_head = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
    loop {
        match send(url, agent.head(url), ureq::RequestBuilder::call, &no_head) {
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
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.body.is_none() {
                self.connect().map_err(to_io)?;
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
            wait(&mut self.backoff, &self.options, &self.url, failure).map_err(to_io)?;
        }
    }
}

impl HttpReader {
    /// Gets a body that goes on at `self.at`.
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
        let mut request = self.agent.get(&self.url);
        let validator = self.identity.as_ref().and_then(|identity| identity.validator.as_ref());
        if let (1.., Some(validator)) = (self.at, validator) {
            request = request
                .header(RANGE, format!("bytes={}-", self.at))
                .header(IF_RANGE, validator.as_str());
        }
        let no_range = [StatusCode::RANGE_NOT_SATISFIABLE];
        let answer = send(&self.url, request, ureq::RequestBuilder::call, &no_range)?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => self.accept_rest(answer),
            StatusCode::OK => self.accept_whole(answer),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(self.changed(format!("it has no bytes after the first {}", self.at)))
            }
            status => {
                let (location, detail) = (self.url.clone(), format!("the server answers {status}"));
                Err(Failure::Lasting(StorageError::Refused { location, detail }))
            }
        }
    }

    fn accept_rest(&self, answer: Response<Body>) -> Result<BodyReader<'static>, Failure> {
        let headers = answer.headers();
        let before = self.identity.as_ref().and_then(|identity| identity.validator.clone());
        let now = validator(headers);
        if now.is_some() && now != before {
            return Err(self.changed(format!("`{before:?}` is `{now:?}` now")));
        }
        let range = headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let range = range.unwrap_or_default().to_owned();
        let starts_here = range.strip_prefix("bytes ").and_then(|range| {
            let (first, rest) = range.split_once('-')?;
            let (_, total) = rest.split_once('/')?;
            let total = total.parse::<u64>().ok();
            let same =
                total.is_none() || total == self.known_bytes() || self.known_bytes().is_none();
            Some(first.parse() == Ok(self.at) && same)
        });
        if starts_here != Some(true) {
            return Err(self.changed(format!("asked for bytes from {}, got `{range}`", self.at)));
        }
        Ok(answer.into_body().into_reader())
    }

    /// The object from its start. What was handed out before has to be there again.
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
        let mut body = answer.into_body().into_reader();
        let mut hasher = blake3::Hasher::new();
        let mut again = (&mut body).take(self.at);
        if let Err(error) = io::copy(&mut again, &mut hasher) {
            let detail = format!("the connection failed: {error}");
            return Err(Failure::Passing { detail, after: None });
        }
        if hasher.finalize() != self.hasher.finalize() {
            return Err(self.changed(format!("its first {} bytes differ", self.at)));
        }
        Ok(body)
    }

    fn known_bytes(&self) -> Option<u64> {
        self.identity.as_ref().and_then(|identity| identity.bytes)
    }

    fn missing_bytes(&self) -> Option<u64> {
        self.known_bytes()?.checked_sub(self.at).filter(|missing| *missing > 0)
    }

    fn changed(&self, detail: String) -> Failure {
        Failure::Lasting(StorageError::Changed { location: self.url.clone(), detail })
    }
}

/// Waits before the next attempt, or says why there is none.
fn wait(
    backoff: &mut Backoff,
    options: &ReadOptions,
    url: &str,
    failure: Failure,
) -> Result<(), StorageError> {
    match failure {
        Failure::Lasting(error) => Err(error),
        Failure::Passing { detail, after } => {
            if backoff.wait(options, after) {
                return Ok(());
            }
            let attempts = backoff.failures();
            Err(StorageError::Unreachable { location: url.to_owned(), detail, attempts })
        }
    }
}

/// What tells one state of the object from another. A weak ETag does not vouch for its bytes.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let etag = text(ETAG).filter(|etag| !etag.starts_with("W/"));
    etag.or_else(|| text(LAST_MODIFIED)).map(str::to_owned)
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn to_io(error: StorageError) -> io::Error {
    let kind = match error {
        StorageError::NotFound { .. } => io::ErrorKind::NotFound,
        StorageError::Denied { .. } => io::ErrorKind::PermissionDenied,
        StorageError::Refused { .. }
        | StorageError::Changed { .. }
        | StorageError::BadLocation { .. }
        | StorageError::Unreachable { .. }
        | StorageError::Io { .. } => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
