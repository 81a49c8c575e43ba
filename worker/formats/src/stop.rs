//! Stops work whose result is not needed any more, and shows whether it advances.
//!
//! The slot that runs a unit keeps one copy of a [`Stop`], and loops that can last long check
//! another: between records, at every read of an input, and inside a page. Stopped work has no
//! result, so nothing that is published depends on the moment.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A flag that asks work to stop, and the number of records that the work has reached. Its copies
/// share both.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_set: AtomicBool,
    records: AtomicU64,
}

/// The number of records of work that is past its last record.
const ENDED: u64 = u64::MAX;

impl Stop {
    /// Asks the work to stop.
    pub fn set(&self) {
        self.0.is_set.store(true, Ordering::Relaxed);
    }

    /// Returns whether the work was asked to stop.
    pub fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::Relaxed)
    }

    /// Counts one more record.
    pub fn count_record(&self) {
        self.0.records.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the work is past its last record.
    pub fn end_records(&self) {
        self.0.records.store(ENDED, Ordering::Relaxed);
    }

    /// Returns the number of records that the work has reached; `None` before its first and after
    /// its last one.
    pub fn records(&self) -> Option<u64> {
        Some(self.0.records.load(Ordering::Relaxed))
            .filter(|&records| records > 0 && records < ENDED)
    }
}

/// A reader that fails once its work was asked to stop.
pub struct StoppedReader<R> {
    input: R,
    stop: Stop,
}

impl<R> StoppedReader<R> {
    /// Returns a reader of `input` that `stop` ends.
    pub fn new(input: R, stop: &Stop) -> Self {
        Self { input, stop: stop.clone() }
    }
}

impl<R: Read> Read for StoppedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Not `Interrupted`, after which readers try again.
        if self.stop.is_set() {
            return Err(io::Error::other("the unit was asked to stop"));
        }
        self.input.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_reader_ends_whatever_reads_it() {
        let stop = Stop::default();
        let mut reader = StoppedReader::new(io::repeat(b'x'), &stop);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 8);
        stop.set();
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn records_are_known_between_the_first_and_the_last() {
        let stop = Stop::default();
        assert_eq!(stop.records(), None);
        stop.count_record();
        stop.count_record();
        assert_eq!(stop.records(), Some(2));
        stop.end_records();
        assert_eq!(stop.records(), None);
    }
}
