//! The journal: every event that changed the scheduler, durable before anybody acts on it.
//!
//! One segment file per epoch. Taking the next epoch is creating its file exclusively; a
//! coordinator that finds a higher epoch after a commit was replaced, and stops. That holds on any
//! POSIX file system whose exclusive create and look-up by name are coherent (Lustre, GPFS, local
//! ones; NFS only after its attribute cache has expired). No lock, no mmap, no rename.
//!
//! ```text
//! Journal::open ──▶ replay every record ──▶ append(opening) ──▶ append … commit ──▶ effects
//! ```
//!
//! It does not know what records mean, apart from the one that begins each epoch. Every call may
//! block on the file system. **Invariant:** when [`Journal::commit`] returns `Ok`, every appended
//! record is durable, and no other coordinator had taken over before that.

mod error;
mod files;
mod frame;
mod memory;
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
pub use replay::Replay;

use frame::{Header, MAX_PAYLOAD_BYTES};
use replay::{Counted, chain_below, io_error, refuse_other_version};

/// A batch beyond this is committed in several frames, each with its own sync.
const FRAME_BYTES: usize = 8 << 20;
/// How often an epoch is tried for when others are faster.
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
    begun: bool,
    /// Payloads that are full.
    full: Vec<Vec<u8>>,
    /// The payload that records are appended to.
    payload: Vec<u8>,
    /// The first error; nothing is written after it.
    closed: Option<Closed>,
}

/// Why nothing more is written.
enum Closed {
    Fenced { by: u64 },
    Failed { first: String },
}

impl Journal {
    /// Takes the next epoch in the directory, which is made if need be. The replay gives every
    /// record of the epochs before; then [`Self::opening`] must be appended first.
    pub fn open(directory: &Path) -> Result<(Self, Replay), JournalError> {
        let files = Directory::create(directory).map_err(|source| JournalError::Io {
            action: "create",
            path: directory.to_owned(),
            source,
        })?;
        Self::open_in(files)
    }

    /// The same in other files.
    pub fn open_in<F>(files: F) -> Result<(Self, Replay), JournalError>
    where
        F: JournalFiles + Clone + 'static,
    {
        let Taken { epoch, segment, below } = take_epoch(&files)?;
        let chain = chain_below(&files, &below)?;
        let journal = Self {
            files: Box::new(files.clone()),
            segment,
            header: Header { epoch, salt: RandomState::new().build_hasher().finish() },
            previous: chain.last().copied(),
            opened: false,
            begun: false,
            full: Vec::new(),
            payload: Vec::new(),
            closed: None,
        };
        Ok((journal, Replay::new(Box::new(files), chain)))
    }

    /// The epoch that this coordinator took.
    pub fn epoch(&self) -> u64 {
        self.header.epoch
    }

    /// What the first record of this epoch must say; the caller fills in who it is.
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
    /// When the first record isn't the opening of this epoch.
    pub fn append(&mut self, record: &JournalRecord) -> Result<(), JournalError> {
        self.check_open()?;
        if !self.opened {
            let begins = matches!(&record.event, Some(Event::Opened(o)) if o.epoch == self.epoch());
            assert!(begins, "the first record of an epoch must be its opening");
            self.opened = true;
        }
        let bytes = record.encoded_len();
        if bytes + 10 > MAX_PAYLOAD_BYTES {
            return Err(JournalError::TooBig { bytes, limit: MAX_PAYLOAD_BYTES - 10 });
        }
        if !self.payload.is_empty() && self.payload.len() + bytes > FRAME_BYTES {
            self.full.push(std::mem::take(&mut self.payload));
        }
        // The same as `encode_length_delimited`, which has to measure the record once more.
        prost::encoding::encode_varint(bytes as u64, &mut self.payload);
        record.encode_raw(&mut self.payload);
        Ok(())
    }

    /// Makes everything that was appended durable. Only after this may its effects be performed.
    pub fn commit(&mut self) -> Result<(), JournalError> {
        self.check_open()?;
        let full = std::mem::take(&mut self.full);
        for payload in full {
            self.write_frame(&payload)?;
        }
        if self.payload.is_empty() {
            return Ok(());
        }
        let mut payload = std::mem::take(&mut self.payload);
        let written = self.write_frame(&payload);
        payload.clear();
        self.payload = payload;
        written?;
        self.check_fence()
    }

    fn write_frame(&mut self, payload: &[u8]) -> Result<(), JournalError> {
        let mut bytes = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            bytes.extend_from_slice(&self.header.to_bytes());
        }
        self.header.frame(payload, &mut bytes);
        write_all(&mut *self.segment, &bytes).map_err(|source| self.fail("write", source))?;
        self.segment.sync().map_err(|source| self.fail("sync", source))
    }

    /// Fails when another coordinator has taken over, also while there is nothing to write.
    pub fn check_replaced(&mut self) -> Result<(), JournalError> {
        self.check_open()?;
        self.check_fence()
    }

    /// Epochs are taken one after the other and never given back, so the next one's segment is
    /// there if any higher one is.
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

/// Every record of a directory, without taking an epoch: for looking at a job while no
/// coordinator runs. A directory that is not there has none.
pub fn replay(directory: &Path) -> Result<Replay, JournalError> {
    replay_in(Directory::existing(directory))
}

/// The same in other files.
pub fn replay_in<F: JournalFiles + 'static>(files: F) -> Result<Replay, JournalError> {
    let epochs = files.epochs().map_err(|e| io_error(&files, "list the segments beside", 1, e))?;
    let chain = chain_below(&files, &epochs)?;
    Ok(Replay::new(Box::new(files), chain))
}

/// A new epoch, and those before it.
struct Taken {
    epoch: u64,
    segment: Box<dyn SegmentWriter>,
    below: Vec<u64>,
}

/// Creates the next epoch's segment.
fn take_epoch(files: &dyn JournalFiles) -> Result<Taken, JournalError> {
    let mut epoch = 0;
    for _ in 0..MAX_TRIES {
        let below =
            files.epochs().map_err(|e| io_error(files, "list the segments beside", 1, e))?;
        refuse_other_version(files, &below)?;
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
