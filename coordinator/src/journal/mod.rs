//! The journal: every event that changed the scheduler, made durable before anybody acts on it.
//!
//! There is one segment file per epoch. A coordinator takes the next epoch by creating its file
//! exclusively; if it finds a higher epoch after a commit, it was replaced, and stops. That holds
//! on any POSIX file system whose exclusive create and look-up by name are coherent (Lustre, GPFS,
//! local ones; NFS only after its attribute cache has expired). No lock, no mmap, no rename.
//!
//! ```text
//! Journal::open ──▶ replay every record ──▶ append(opening) ──▶ append … commit ──▶ effects
//! ```
//!
//! It does not know what records mean, apart from the one that starts each epoch. Every call may
//! block on the file system. **Invariant:** when [`Journal::commit`] returns `Ok`, every appended
//! record is durable, and no other coordinator had taken over before that.

mod error;
mod files;
mod frame;
mod memory;
mod packing;
mod recover;
mod replay;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::Path;

use prost::Message as _;
use thresher_proto::pb::journal_record::Event;
use thresher_proto::pb::{CoordinatorOpened, JournalRecord};

pub use error::JournalError;
pub use files::{Directory, JournalFiles, SegmentBytes, SegmentWriter};
pub use frame::{Ending, Frames, STATE_VERSION, read_frames};
pub use memory::{Fault, MemoryFiles};
pub use recover::{Damage, Recovery, recover};
pub use replay::Replay;

use frame::Header;
use packing::{MAX_PAYLOAD_BYTES, Packer};
use replay::{Counted, chain_below, io_error, refuse_other_version};

/// Size above which a batch is committed in several frames, each with its own sync.
const FRAME_BYTES: usize = 8 << 20;
/// Number of attempts to take an epoch if other coordinators are faster.
const MAX_TRIES: u32 = 10;

/// The segment of this coordinator's epoch.
pub struct Journal {
    files: Box<dyn JournalFiles>,
    segment: Box<dyn SegmentWriter>,
    header: Header,
    previous: Option<Counted>,
    /// Whether the opening was appended.
    opened: bool,
    /// Whether the header is in the file.
    started: bool,
    /// Encoded records that fill a frame each.
    full: Vec<Vec<u8>>,
    /// The encoded records of the next frame.
    records: Vec<u8>,
    /// Made for the first frame.
    packer: Option<Packer>,
    /// The first error; nothing is written after it.
    closed: Option<Closed>,
}

/// Why nothing more is written.
enum Closed {
    Fenced { by: u64 },
    Failed { first: String },
}

impl Journal {
    /// Takes the next epoch in the directory, which is created if needed. The replay returns every
    /// record of the epochs before; after it, [`Self::opening`] must be appended first.
    pub fn open(directory: &Path) -> Result<(Self, Replay), JournalError> {
        let files = Directory::create(directory).map_err(|source| JournalError::Io {
            action: "create",
            path: directory.to_owned(),
            source,
        })?;
        Self::open_in(files)
    }

    /// Does the same in other files.
    pub fn open_in<F>(files: F) -> Result<(Self, Replay), JournalError>
    where
        F: JournalFiles + Clone + 'static,
    {
        let Taken { epoch, segment, below } = take_epoch(&files)?;
        let chain = chain_below(&files, &below)?;
        let journal = Self::new(files.clone(), epoch, segment, chain.last().copied());
        Ok((journal, Replay::new(Box::new(files), chain)))
    }

    /// Returns the journal of a new epoch, which continues `previous`.
    fn new<F: JournalFiles + 'static>(
        files: F,
        epoch: u64,
        segment: Box<dyn SegmentWriter>,
        previous: Option<Counted>,
    ) -> Self {
        Self {
            files: Box::new(files),
            segment,
            header: Header { epoch, salt: RandomState::new().build_hasher().finish() },
            previous,
            opened: false,
            started: false,
            full: Vec::new(),
            records: Vec::new(),
            packer: None,
            closed: None,
        }
    }

    /// Returns the epoch that this coordinator took.
    pub fn epoch(&self) -> u64 {
        self.header.epoch
    }

    /// Returns the first record of this epoch; the caller adds its own identity.
    pub fn opening(&self) -> CoordinatorOpened {
        CoordinatorOpened {
            epoch: self.header.epoch,
            previous_epoch: self.previous.map_or(0, |previous| previous.epoch),
            previous_bytes: self.previous.map_or(0, |previous| previous.bytes),
            ..CoordinatorOpened::default()
        }
    }

    /// Adds a record to the next commit.
    ///
    /// # Panics
    /// Panics if the first record is not the opening of this epoch.
    pub fn append(&mut self, record: &JournalRecord) -> Result<(), JournalError> {
        self.check_open()?;
        if !self.opened {
            let starts = matches!(&record.event, Some(Event::Opened(o)) if o.epoch == self.epoch());
            assert!(starts, "the first record of an epoch must be its opening");
            self.opened = true;
        }
        let bytes = record.encoded_len();
        if bytes + 10 > MAX_PAYLOAD_BYTES {
            return Err(JournalError::TooBig { bytes, limit: MAX_PAYLOAD_BYTES - 10 });
        }
        if !self.records.is_empty() && self.records.len() + bytes > FRAME_BYTES {
            self.full.push(std::mem::take(&mut self.records));
        }
        // This does what `encode_length_delimited` does, which would measure the record once more.
        prost::encoding::encode_varint(bytes as u64, &mut self.records);
        record.encode_raw(&mut self.records);
        Ok(())
    }

    /// Makes everything that was appended durable. Its effects may be performed only after this.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        self.check_open()?;
        let full = std::mem::take(&mut self.full);
        for records in full {
            self.write_frame(&records)?;
        }
        if self.records.is_empty() {
            return Ok(());
        }
        let mut records = std::mem::take(&mut self.records);
        let written = self.write_frame(&records);
        records.clear();
        self.records = records;
        written?;
        self.check_fence()
    }

    fn write_frame(&mut self, records: &[u8]) -> Result<(), JournalError> {
        let packed = self.packed(records);
        let payload = packed.map_err(|source| self.fail("pack the records of", source))?;
        let mut bytes = Vec::new();
        if !std::mem::replace(&mut self.started, true) {
            bytes.extend_from_slice(&self.header.to_bytes());
        }
        self.header.frame(&payload, &mut bytes);
        write_all(&mut *self.segment, &bytes).map_err(|source| self.fail("write", source))?;
        self.segment.sync().map_err(|source| self.fail("sync", source))
    }

    fn packed(&mut self, records: &[u8]) -> io::Result<Vec<u8>> {
        let packer = match &mut self.packer {
            Some(packer) => packer,
            none => none.insert(Packer::new()?),
        };
        packer.pack(records)
    }

    /// Returns an error if another coordinator has taken over, also while there is nothing to
    /// write.
    pub fn check_replaced(&mut self) -> Result<(), JournalError> {
        self.check_open()?;
        self.check_fence()
    }

    /// Checks that no higher epoch exists. Epochs are taken one after the other and never returned,
    /// so if any higher one exists, the segment of the next one does.
    fn check_fence(&mut self) -> Result<(), JournalError> {
        let next = self.epoch() + 1;
        if self.files.exists(next).map_err(|source| self.fail("look for", source))? {
            self.closed = Some(Closed::Fenced { by: next });
        }
        self.check_open()
    }

    fn check_open(&self) -> Result<(), JournalError> {
        match &self.closed {
            None => Ok(()),
            Some(Closed::Fenced { by }) => {
                Err(JournalError::Fenced { epoch: self.epoch(), by: *by })
            }
            Some(Closed::Failed { first }) => Err(JournalError::Poisoned {
                path: self.files.path(self.epoch()),
                first: first.clone(),
            }),
        }
    }

    fn fail(&mut self, action: &'static str, source: io::Error) -> JournalError {
        self.closed = Some(Closed::Failed { first: format!("could not {action}: {source}") });
        io_error(&*self.files, action, self.epoch(), source)
    }
}

/// Reads every record of a directory without taking an epoch, to inspect a job while no coordinator
/// runs. A missing directory has none.
pub fn replay(directory: &Path) -> Result<Replay, JournalError> {
    replay_in(Directory::existing(directory))
}

/// Does the same in other files.
pub fn replay_in<F: JournalFiles + 'static>(files: F) -> Result<Replay, JournalError> {
    let epochs = files.epochs().map_err(|e| io_error(&files, "list the segments beside", 1, e))?;
    let chain = chain_below(&files, &epochs)?;
    Ok(Replay::new(Box::new(files), chain))
}

/// A new epoch, and the segments before it.
struct Taken {
    epoch: u64,
    segment: Box<dyn SegmentWriter>,
    below: Vec<u64>,
}

/// Creates the segment of the next epoch.
fn take_epoch(files: &dyn JournalFiles) -> Result<Taken, JournalError> {
    let below = files.epochs().map_err(|e| io_error(files, "list the segments beside", 1, e))?;
    refuse_other_version(files, &below)?;
    take_epoch_without_check(files)
}

/// Does the same above segments that may be damaged.
fn take_epoch_without_check(files: &dyn JournalFiles) -> Result<Taken, JournalError> {
    let mut epoch = 0;
    for _ in 0..MAX_TRIES {
        let below =
            files.epochs().map_err(|e| io_error(files, "list the segments beside", 1, e))?;
        epoch = below.last().map_or(1, |last| last.saturating_add(1));
        match files.create(epoch) {
            Ok(segment) => return Ok(Taken { epoch, segment, below }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error(files, "create", epoch, error)),
        }
    }
    Err(JournalError::Crowded { path: files.path(epoch), tries: MAX_TRIES })
}

fn write_all(segment: &mut dyn SegmentWriter, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match segment.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
