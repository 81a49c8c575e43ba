//! The heartbeat file of a coordinator: `heartbeat` in the state directory.
//!
//! People on other hosts cannot see whether the coordinator's process lives. If it cannot be
//! reached either, this file has the epoch and the time at which its driver last did something.
//!
//! **Invariant:** nothing depends on this file but what is shown to people, so errors are ignored.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thresher_domain::Timestamp;

const FILE: &str = "heartbeat";
/// How often the file is written.
const INTERVAL_MILLIS: u64 = 10_000;

/// Writes the file of one epoch.
pub(super) struct Heartbeat {
    path: PathBuf,
    epoch: u64,
    last: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    epoch: u64,
    at_millis: u64,
}

impl Heartbeat {
    /// Returns the heartbeat of an epoch, which was not written yet.
    pub(super) fn start(state: &Path, epoch: u64) -> Self {
        Self { path: state.join(FILE), epoch, last: None }
    }

    /// Writes the file if that is due.
    pub(super) fn beat(&mut self, now: Timestamp) {
        if self.last.is_some_and(|last| now.millis_since(last) < INTERVAL_MILLIS) {
            return;
        }
        self.last = Some(now);
        let written = Written { epoch: self.epoch, at_millis: now.millis() };
        // A reader that finds half of it takes it for missing.
        let text = serde_json::to_vec(&written).unwrap_or_default();
        if let Err(error) = std::fs::write(&self.path, text) {
            tracing::debug!(%error, "failed to write the heartbeat");
        }
    }
}

/// Returns when the coordinator of an epoch last wrote its heartbeat.
pub fn last_heartbeat(state: &Path, epoch: u64) -> Option<Timestamp> {
    let text = std::fs::read(state.join(FILE)).ok()?;
    let written: Written = serde_json::from_slice(&text).ok()?;
    (written.epoch == epoch).then_some(Timestamp::from_millis(written.at_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_written_now_and_then_and_read_for_its_epoch() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(last_heartbeat(state.path(), 2), None);
        let mut heartbeat = Heartbeat::start(state.path(), 2);
        let at = Timestamp::from_millis;
        for (now, last) in [(5000, 5000), (5001, 5000), (14_999, 5000), (15_000, 15_000)] {
            heartbeat.beat(at(now));
            assert_eq!(last_heartbeat(state.path(), 2), Some(at(last)), "{now}");
        }
        assert_eq!(last_heartbeat(state.path(), 3), None, "of another epoch");
        std::fs::write(state.path().join(FILE), "{\"epoch\":2,").unwrap();
        assert_eq!(last_heartbeat(state.path(), 2), None);
    }
}
