//! Segments in memory, with operations that can be made to fail, for tests and simulations.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{JournalFiles, SegmentBytes, SegmentWriter};

/// A directory of segments in memory. Clones refer to the same directory.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    segments: BTreeMap<u64, Vec<u8>>,
    /// Number of creations, writes and syncs so far.
    operations: u64,
    faults: BTreeMap<u64, Fault>,
}

/// How one operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It returns this error number.
    Fails(i32),
    /// It is a write that takes only this many bytes, without an error.
    Short(usize),
}

impl MemoryFiles {
    /// Returns a directory without segments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of creations, writes and syncs so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Makes the `n`-th of those operations fail, counted from 0.
    pub fn fail_at(&self, n: u64, fault: Fault) {
        self.lock().faults.insert(n, fault);
    }

    /// Returns the bytes of a segment.
    pub fn bytes(&self, epoch: u64) -> Option<Vec<u8>> {
        self.lock().segments.get(&epoch).cloned()
    }

    /// Replaces the bytes of a segment.
    pub fn replace(&self, epoch: u64, bytes: Vec<u8>) {
        self.lock().segments.insert(epoch, bytes);
    }

    /// Returns a separate directory with the same segments.
    pub fn copied(&self) -> Self {
        let segments = self.lock().segments.clone();
        let state = State { segments, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_fault(&mut self) -> Option<Fault> {
        self.operations += 1;
        self.faults.remove(&(self.operations - 1))
    }
}

impl JournalFiles for MemoryFiles {
    fn epochs(&self) -> io::Result<Vec<u64>> {
        Ok(self.lock().segments.keys().copied().collect())
    }

    fn create(&self, epoch: u64) -> io::Result<Box<dyn SegmentWriter>> {
        let mut state = self.lock();
        if let Some(Fault::Fails(errno)) = state.next_fault() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if state.segments.contains_key(&epoch) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.segments.insert(epoch, Vec::new());
        Ok(Box::new(MemorySegment { files: self.clone(), epoch }))
    }

    fn open(&self, epoch: u64) -> io::Result<Box<dyn SegmentBytes>> {
        let bytes = self.bytes(epoch).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(bytes))
    }

    fn exists(&self, epoch: u64) -> io::Result<bool> {
        Ok(self.lock().segments.contains_key(&epoch))
    }

    fn path(&self, epoch: u64) -> PathBuf {
        format!("memory/{epoch:08}.journal").into()
    }
}

struct MemorySegment {
    files: MemoryFiles,
    epoch: u64,
}

impl SegmentWriter for MemorySegment {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.files.lock();
        let taken = match state.next_fault() {
            Some(Fault::Fails(errno)) => return Err(io::Error::from_raw_os_error(errno)),
            Some(Fault::Short(taken)) => taken.min(bytes.len()),
            None => bytes.len(),
        };
        let segment = state.segments.entry(self.epoch).or_default();
        segment.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.files.lock().next_fault() {
            Some(Fault::Fails(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(Fault::Short(_)) | None => Ok(()),
        }
    }
}
