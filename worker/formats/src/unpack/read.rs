//! The content of an input as one stream, for readers of formats that are not line by line.
//!
//! **Invariant:** damage is an error of the kind `InvalidData`, which contains a [`DamageError`];
//! reading can continue after it, with the next member.

use std::io::{self, ErrorKind, Read};

use super::Unpacker;
use crate::gzip::{Damage, Event, InputDigest};

/// A part of the input that cannot be unpacked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.detail)]
pub struct DamageError(pub Damage);

impl DamageError {
    /// Returns the damage inside an error of a reader, if there is one.
    pub fn of(error: &io::Error) -> Option<&Damage> {
        error.get_ref()?.downcast_ref::<Self>().map(|error| &error.0)
    }
}

/// Reads the content of an input, whatever its form.
pub struct UnpackedReader<R> {
    unpacker: Unpacker<R>,
    at: usize,
    ended: bool,
}

impl<R: Read> UnpackedReader<R> {
    /// Returns a reader of the content.
    pub fn new(unpacker: Unpacker<R>) -> Self {
        Self { unpacker, at: 0, ended: false }
    }

    /// Reads the rest of the input, and returns the length and hash of all of it.
    pub fn finish(mut self) -> io::Result<InputDigest> {
        while !self.ended && self.unpacker.next_event()? != Event::End {}
        Ok(self.unpacker.input_digest())
    }
}

impl<R: Read> Read for UnpackedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let rest = &self.unpacker.piece()[self.at..];
            if !rest.is_empty() || self.ended || buffer.is_empty() {
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                self.at += count;
                return Ok(count);
            }
            // The piece is gone before an error can end this.
            self.at = 0;
            match self.unpacker.next_event() {
                Ok(Event::Piece { .. }) => {}
                Ok(Event::End) => self.ended = true,
                Ok(Event::Damage(damage)) => {
                    return Err(io::Error::new(ErrorKind::InvalidData, DamageError(damage)));
                }
                Err(error) => {
                    self.at = self.unpacker.piece().len();
                    return Err(error);
                }
            }
        }
    }
}
