//! Keeps the original errors of an input while a library of a format reads it. The library may
//! report such an error as damage; the original shows that the input is intact and that a retry can
//! help.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use thresher_formats::stop::{Stop, StoppedReader};
use thresher_storage::{Location, ReadOptions};

/// The last error of an input, shared between a reader and the code that created it.
#[derive(Clone, Default)]
pub(super) struct ErrorNote(Arc<Mutex<Option<io::Error>>>);

impl ErrorNote {
    /// Returns the last error, and forgets it.
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the error, and returns a new one of the same kind for the library.
    fn keep(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        io::Error::from(kind)
    }
}

/// A reader that keeps its errors in `note`.
pub(super) struct Noted<R> {
    pub(super) input: R,
    pub(super) note: ErrorNote,
}

impl<R: Read> Read for Noted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).map_err(|error| {
            let again = error.kind() == io::ErrorKind::Interrupted;
            if again { error } else { self.note.keep(error) }
        })
    }
}

impl<R: Seek> Seek for Noted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.input.seek(to)
    }
}

/// An input that borrows nothing, for libraries that require it.
pub(super) struct Owned {
    pub(super) place: OwnedPlace,
    /// The length of the input in bytes.
    pub(super) end: u64,
    pub(super) note: ErrorNote,
    pub(super) stop: Stop,
}

/// Where the bytes of an [`Owned`] input are.
pub(super) enum OwnedPlace {
    Stored(Location, ReadOptions),
    Sample(Arc<[u8]>),
}

impl Owned {
    /// Returns the length of the input in bytes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns the note in which the readers of this input keep their errors.
    pub(super) fn noted(&self) -> ErrorNote {
        self.note.clone()
    }

    /// Opens a range of bytes of the input.
    pub(super) fn open(&self, range: Range<u64>) -> io::Result<Box<dyn Read + Send>> {
        match &self.place {
            OwnedPlace::Sample(bytes) => {
                let mut cursor = io::Cursor::new(Arc::clone(bytes));
                cursor.set_position(range.start);
                Ok(Box::new(cursor.take(range.end.saturating_sub(range.start))))
            }
            OwnedPlace::Stored(..) if range.start >= self.end => Ok(Box::new(io::empty())),
            OwnedPlace::Stored(location, options) => {
                let opened = thresher_storage::open_range(location, range, options);
                let input = opened.map_err(|error| self.note.keep(io::Error::other(error)))?;
                let input = StoppedReader::new(input, &self.stop);
                Ok(Box::new(Noted { input, note: self.note.clone() }))
            }
        }
    }
}
