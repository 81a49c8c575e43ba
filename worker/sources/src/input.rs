//! An input of a source, or the piece of it that a unit reads.
//!
//! A source can open its input several times and at any offset; the crate `storage` knows where it
//! is. An error of a reader contains the error of the storage, from which [`UnitError::input`]
//! derives whether a retry can help.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::forms;
use super::noted::{ErrorNote, Owned, OwnedPlace};
use thresher_formats::form::{Form, HEAD_BYTES};
use thresher_formats::gzip::{Event, GzipLimits, InputDigest};
use thresher_formats::hashed::HashedReader;
use thresher_formats::piece::Piece;
use thresher_formats::stop::{Stop, StoppedReader};
use thresher_formats::unpack::{Expected, FormError, Unpacker};
use thresher_storage::{Known, Location, ReadOptions, StorageError};
use thresher_unit::UnitError;
use thresher_unit::staging::{InputRow, PublishedShard};

/// Size in bytes of the buffer of a [`Seekable`].
const RANDOM_BYTES: usize = 64 << 10;

/// One input, or one piece of it, as a source reads it.
pub struct Input<'a> {
    name: String,
    /// The path in the listing.
    path: &'a str,
    bytes: Option<u64>,
    piece: Option<Piece>,
    scratch: PathBuf,
    place: Place<'a>,
    stop: Stop,
    /// What the manifest says of the input, if it is a shard of a corpus.
    published: Option<&'a PublishedShard>,
    /// The form of the whole input, once it is known.
    form: Cell<Option<Form>>,
}

/// Where the bytes of an input are.
enum Place<'a> {
    /// `first` is the reader that was opened to check that the input exists; it is used once.
    Stored {
        location: Location,
        options: Box<ReadOptions>,
        first: RefCell<Option<Box<dyn Read + Send>>>,
    },
    /// Bytes in memory.
    Sample(&'a [u8]),
}

impl<'a> Input<'a> {
    /// Opens an input that is stored; fails if it cannot be opened.
    pub fn stored(
        location: Location,
        row: &'a InputRow,
        scratch: PathBuf,
    ) -> Result<Self, StorageError> {
        let InputRow { path, bytes, piece, .. } = row;
        // A shard is compared with its hash, which says more than its length.
        let listed_bytes = bytes.filter(|_| row.published.is_none());
        let known = Known { bytes: listed_bytes, etag: row.etag.clone(), listed: true };
        let options = ReadOptions { known, ..ReadOptions::default() };
        let opened = match piece {
            None => thresher_storage::open(&location, &options)?,
            Some(piece) => {
                thresher_storage::open_range(&location, piece.offset..u64::MAX, &options)?
            }
        };
        let name = match piece {
            Some(piece) => format!("{location} (from byte {})", piece.offset),
            None => location.to_string(),
        };
        let (options, first) = (Box::new(options), RefCell::new(Some(opened)));
        let place = Place::Stored { location, options, first };
        let (bytes, piece, form, stop) = (*bytes, *piece, Cell::default(), Stop::default());
        let published = row.published.as_ref();
        Ok(Self { name, path, bytes, piece, scratch, place, stop, published, form })
    }

    /// Makes all reads of this input fail after `stop` was set.
    #[must_use]
    pub fn stopped_by(self, stop: &Stop) -> Self {
        Self { stop: stop.clone(), ..self }
    }

    /// Returns the flag that asks to stop reading, for work that is long without a read.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Returns an input that consists of `bytes`, such as the first bytes of a stored one.
    pub fn sample(name: &str, path: &'a str, bytes: &'a [u8], scratch: PathBuf) -> Self {
        let place = Place::Sample(bytes);
        let (name, bytes) = (name.to_owned(), Some(bytes.len() as u64));
        let (form, stop) = (Cell::default(), Stop::default());
        Self { name, path, bytes, piece: None, scratch, place, stop, published: None, form }
    }

    /// Returns the name of the input in error messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path in the listing.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// Returns the length of the whole input in bytes, if it is known.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Returns what the manifest of its corpus says of the input, if it is a shard.
    pub fn published(&self) -> Option<&'a PublishedShard> {
        self.published
    }

    /// Returns the piece whose records are read, or `None` for the whole input.
    pub fn piece(&self) -> Option<Piece> {
        self.piece
    }

    /// Returns the path of a folder that only this attempt uses. Code that creates the folder must
    /// remove it.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Returns the unit's error for a failure to read this input.
    pub fn failed(&self, error: &io::Error) -> UnitError {
        match FormError::of(error) {
            Some(refused) => forms::refusal(&self.name, refused),
            None => UnitError::input(&self.name, error),
        }
    }

    /// Opens the input and unpacks it, if its form and that of its content are expected.
    pub(super) fn unpacked(
        &self,
        expected: &'static Expected,
        limits: GzipLimits,
    ) -> Result<Unpacker<Box<dyn Read + Send + 'a>>, UnitError> {
        Ok(Unpacker::new(self.open()?, limits).expecting(expected))
    }

    /// Returns the form of the whole input, which its first bytes show.
    pub fn form(&self) -> Result<Form, UnitError> {
        let form = match self.form.get() {
            Some(form) => form,
            None => Form::of(&self.head()?),
        };
        self.form.set(Some(form));
        Ok(form)
    }

    /// Returns the form of an input that is stored, of which only the first bytes are read.
    pub fn form_of_stored(location: &Location, row: &InputRow) -> Result<Form, UnitError> {
        let known = Known { bytes: row.bytes, etag: row.etag.clone(), listed: true };
        let options = ReadOptions { known, ..ReadOptions::default() };
        let end = row.bytes.unwrap_or(u64::MAX).min(HEAD_BYTES as u64);
        let mut head = Vec::new();
        let reader = thresher_storage::open_range(location, 0..end, &options)?;
        let read = reader.take(end).read_to_end(&mut head);
        read.map_err(|error| UnitError::input(&location.to_string(), &error))?;
        Ok(Form::of(&head))
    }

    /// Returns the form of the content of the input, as text if that is in UTF-16. Such an input,
    /// and one that is packed, is opened once more.
    pub(super) fn form_of_content(&self) -> Result<Form, UnitError> {
        let form = self.form()?;
        if !form.is_unpacked() && form != Form::Utf16 {
            return Ok(form);
        }
        let mut unpacker = Unpacker::new(self.open_at(0)?, GzipLimits::default()).as_text();
        loop {
            match unpacker.next_event().map_err(|error| self.failed(&error))? {
                Event::Piece { .. } if unpacker.piece().is_empty() => {}
                Event::Piece { .. } => return Ok(Form::of(first(unpacker.piece()))),
                Event::Damage(_) => {}
                Event::End => return Ok(Form::Empty),
            }
        }
    }

    /// Returns the first bytes of the whole input.
    fn head(&self) -> Result<Vec<u8>, UnitError> {
        let starts_here = self.piece.is_none_or(|piece| piece.offset == 0);
        let mut head = Vec::new();
        match &self.place {
            Place::Sample(bytes) => head.extend_from_slice(first(bytes)),
            Place::Stored { first, .. } if starts_here && first.borrow().is_some() => {
                let Some(mut reader) = first.take() else { return Ok(head) };
                let read = reader.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head);
                read.map_err(|error| self.failed(&error))?;
                first.replace(Some(Box::new(io::Cursor::new(head.clone()).chain(reader))));
            }
            Place::Stored { location, options, .. } => {
                let end = self.bytes.unwrap_or(u64::MAX).min(HEAD_BYTES as u64);
                let reader = thresher_storage::open_range(location, 0..end, options)?;
                let read = reader.take(end).read_to_end(&mut head);
                read.map_err(|error| self.failed(&error))?;
            }
        }
        Ok(head)
    }

    /// Opens the input at the start of the piece. The reader does not stop at the end of the piece,
    /// because the last record may extend beyond it.
    pub fn open(&self) -> Result<Box<dyn Read + Send + 'a>, UnitError> {
        if let Place::Stored { first, .. } = &self.place
            && let Some(reader) = first.take()
        {
            return Ok(self.stoppable(reader));
        }
        self.open_at(self.piece.map_or(0, |piece| piece.offset))
    }

    /// Opens the whole input at `offset`; the reader ends at the end of the input.
    pub fn open_at(&self, offset: u64) -> Result<Box<dyn Read + Send + 'a>, UnitError> {
        match &self.place {
            Place::Stored { .. } if self.bytes.is_some_and(|bytes| offset >= bytes) => {
                Ok(Box::new(io::empty()))
            }
            Place::Stored { location, options, .. } => {
                let opened = thresher_storage::open_range(location, offset..u64::MAX, options)?;
                Ok(self.stoppable(opened))
            }
            Place::Sample(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(Box::new(&bytes[from..]))
            }
        }
    }

    fn stoppable(&self, reader: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        Box::new(StoppedReader::new(reader, &self.stop))
    }

    /// Does the same as [`Input::open`] for a reader that moves to another thread. The bytes of a
    /// sample are copied.
    pub fn open_owned(&self) -> Result<Box<dyn Read + Send>, UnitError> {
        match &self.place {
            Place::Sample(bytes) => Ok(Box::new(io::Cursor::new(bytes.to_vec()))),
            Place::Stored { location, options, first } => {
                if let Some(reader) = first.take() {
                    return Ok(self.stoppable(reader));
                }
                let from = self.piece.map_or(0, |piece| piece.offset);
                let opened = thresher_storage::open_range(location, from..u64::MAX, options)?;
                Ok(self.stoppable(opened))
            }
        }
    }

    /// Returns whether the piece starts in the middle of a line of text.
    pub(super) fn starts_inside_line(&self) -> Result<bool, UnitError> {
        let Some(before) = self.piece.and_then(|piece| piece.offset.checked_sub(1)) else {
            return Ok(false);
        };
        let mut byte = [0];
        let read = self.open_at(before)?.read_exact(&mut byte);
        read.map_err(|error| self.failed(&error))?;
        Ok(byte != [b'\n'])
    }

    /// Returns the length of the whole input in bytes; requests it from the storage if necessary.
    fn end(&self) -> Result<u64, UnitError> {
        let end = match (self.bytes, &self.place) {
            (Some(bytes), _) => Some(bytes),
            (None, Place::Stored { location, options, .. }) => {
                thresher_storage::size(location, options)?
            }
            (None, Place::Sample(bytes)) => Some(bytes.len() as u64),
        };
        let end = end.ok_or_else(|| {
            UnitError::JobFile(format!(
                "the length of `{}` is unknown, and it must be read from its end\nhint: copy it \
                 to a directory",
                self.name
            ))
        })?;
        Ok(end)
    }

    /// Returns a reader of the whole input that can seek.
    pub fn seekable(&self) -> Result<Seekable<'_, 'a>, UnitError> {
        Ok(Seekable { input: self, at: 0, end: self.end()?, reader: None, reader_at: 0 })
    }

    /// Returns the whole input as a value that borrows nothing. The bytes of a sample are copied.
    pub(super) fn owned(&self) -> Result<Owned, UnitError> {
        let place = match &self.place {
            Place::Stored { location, options, .. } => {
                OwnedPlace::Stored(location.clone(), options.as_ref().clone())
            }
            Place::Sample(bytes) => OwnedPlace::Sample(Arc::from(*bytes)),
        };
        let (note, stop) = (ErrorNote::default(), self.stop.clone());
        Ok(Owned { place, end: self.end()?, note, stop })
    }

    /// Reads another file below the base of the listing. Returns `None` if it does not exist or is
    /// longer than `max_bytes`.
    pub(super) fn beside(&self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, UnitError> {
        let Place::Stored { location, .. } = &self.place else { return Ok(None) };
        let own = location.to_string();
        let Some(base) = own.strip_suffix(self.path) else { return Ok(None) };
        let name = format!("{base}{path}");
        let reader = match thresher_storage::open(&name.parse()?, &ReadOptions::default()) {
            Ok(reader) => reader,
            Err(StorageError::NotFound { .. } | StorageError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        let read = reader.take(max_bytes + 1).read_to_end(&mut bytes);
        read.map_err(|error| UnitError::input(&name, &error))?;
        Ok((bytes.len() as u64 <= max_bytes).then_some(bytes))
    }

    /// Returns the names in a folder below the base of the source, in order, without what is in
    /// their folders; `None` if the base cannot list one folder alone.
    pub(super) fn names_beside(&self, folder: &str) -> Result<Option<Vec<String>>, UnitError> {
        let Place::Stored { location: Location::Path(own), .. } = &self.place else {
            return Ok(None);
        };
        let own = own.to_string_lossy();
        let Some(base) = own.strip_suffix(self.path) else { return Ok(None) };
        let path = format!("{base}{folder}");
        let failed = |error| UnitError::input(&path, &error);
        let entries = match std::fs::read_dir(if path.is_empty() { "." } else { &path }) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => {
                return Ok(Some(Vec::new()));
            }
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    /// Reads the piece once more and returns its length and hash. This is for sources that do not
    /// read a piece from start to end.
    pub fn digest(&self) -> Result<InputDigest, UnitError> {
        let length = self.piece.map_or(u64::MAX, |piece| piece.length);
        let reader = HashedReader::up_to(self.open()?, length);
        reader.finish().map_err(|error| self.failed(&error))
    }
}

/// Returns the bytes that decide a form.
fn first(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(HEAD_BYTES)]
}

/// Returns whether a folder is not there, or is a file.
fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// A reader of an input that can seek.
pub struct Seekable<'i, 'a> {
    input: &'i Input<'a>,
    at: u64,
    end: u64,
    reader: Option<io::BufReader<Box<dyn Read + Send + 'a>>>,
    reader_at: u64,
}

impl Seekable<'_, '_> {
    /// Returns the length of the input in bytes.
    pub fn end(&self) -> u64 {
        self.end
    }
}

impl Read for Seekable<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.end {
            return Ok(0);
        }
        // Bytes are skipped if the target is close ahead; otherwise the input is opened again.
        let skip = self.at.checked_sub(self.reader_at).filter(|skip| *skip < RANDOM_BYTES as u64);
        let reader = match (&mut self.reader, skip) {
            (Some(reader), Some(skip)) => {
                io::copy(&mut reader.by_ref().take(skip), &mut io::sink())?;
                reader
            }
            (reader, _) => {
                let opened = self.input.open_at(self.at).map_err(io::Error::other)?;
                reader.insert(io::BufReader::with_capacity(RANDOM_BYTES, opened))
            }
        };
        let count = reader.read(buffer)?;
        self.at += count as u64;
        self.reader_at = self.at;
        Ok(count)
    }
}

impl Seek for Seekable<'_, '_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seekable_input_is_read_from_anywhere() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let input = Input::sample("x", "x", &bytes, PathBuf::new());
        let mut seekable = input.seekable().unwrap();
        for at in [0, 100_000, 100_010, 5, 199_990, 199_999] {
            seekable.seek(SeekFrom::Start(at)).unwrap();
            let mut some = [0; 10];
            let count = seekable.read(&mut some).unwrap();
            let end = (at as usize + count).min(bytes.len());
            assert!(count > 0);
            assert_eq!(some[..count], bytes[at as usize..end], "{at}");
        }
        assert_eq!(seekable.seek(SeekFrom::End(0)).unwrap(), 200_000);
        assert_eq!(seekable.read(&mut [0; 4]).unwrap(), 0);
        assert!(seekable.seek(SeekFrom::Current(-300_000)).is_err());
    }

    #[test]
    fn a_digest_is_of_the_piece_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"0123456789").unwrap();
        let location = Location::from(file.path());
        let piece = Some(Piece { offset: 3, length: 4 });
        let row = InputRow { bytes: Some(10), piece, ..InputRow::named("x".to_owned()) };
        let input = Input::stored(location, &row, PathBuf::new()).unwrap();
        let expected = InputDigest { bytes: 4, blake3: blake3::hash(b"3456") };
        assert_eq!(input.digest().unwrap(), expected);
        let mut rest = String::new();
        input.open().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "3456789");
    }

    #[test]
    fn a_stop_ends_every_way_to_read_an_input() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![b'x'; 1 << 20]).unwrap();
        let row = InputRow { bytes: Some(1 << 20), ..InputRow::named("x".to_owned()) };
        let location = Location::from(file.path());
        let stop = Stop::default();
        let input = Input::stored(location, &row, PathBuf::new()).unwrap().stopped_by(&stop);
        let mut opened = input.open().unwrap();
        opened.read_exact(&mut [0; 100]).unwrap();
        stop.set();
        let ends = |reader: &mut dyn Read| reader.read_to_end(&mut Vec::new()).is_err();
        assert!(ends(&mut opened));
        assert!(ends(&mut input.open().unwrap()));
        assert!(ends(&mut input.open_at(7).unwrap()));
        assert!(ends(&mut input.open_owned().unwrap()));
        assert!(ends(&mut input.seekable().unwrap()));
        assert!(ends(&mut input.owned().unwrap().open(0..100).unwrap()));
        assert!(input.digest().is_err());
    }
}
