//! Whether the coordinator of a job lives, if it does not answer: what its address, its process and
//! its heartbeat say.
//!
//! A journal that ends without the end of its job looks the same for a coordinator that works and
//! for one that was killed. **Invariant:** `running` is shown only if a coordinator answers, or may
//! be working where it cannot be asked from here.

use std::path::Path;

use serde::Serialize;
use thresher_channel::address::CoordinatorAddress;
use thresher_coordinator::amounts::{span, utc};
use thresher_coordinator::run::last_heartbeat;
use thresher_domain::{Timestamp, escape};
use thresher_proto::pb::StatusResponse;

/// A coordinator elsewhere is dead if its heartbeat is older than this: six of them are missing.
const DEAD_AFTER_MILLIS: u64 = 60_000;

/// What is known about the coordinator of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Coordinator {
    pub(super) state: CoordinatorState,
    /// Its host; empty if it is not known.
    pub(super) host: String,
    pub(super) pid: u32,
    /// When it last wrote something, in Unix time; 0 if it is not known.
    pub(super) heard_millis: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CoordinatorState {
    /// It answers.
    Answers,
    /// It stopped as it should, or none has started.
    #[default]
    None,
    /// It cannot be reached, but may be working.
    Unreachable,
    /// It ended without stopping the job.
    Dead,
}

impl Coordinator {
    /// Returns what is known about a coordinator that answered with this status.
    pub(super) fn answering(state: &Path, status: &StatusResponse) -> Self {
        let (host, pid) = match CoordinatorAddress::read_in(state) {
            Ok(address) => (address.host, address.pid),
            Err(_) => (String::new(), 0),
        };
        Self { state: CoordinatorState::Answers, host, pid, heard_millis: status.now_millis }
    }

    /// Returns what is known about a coordinator that does not answer. `written` is the time of the
    /// journal's last record, and `status` what the journal says.
    pub(super) fn silent(
        state: &Path,
        status: &StatusResponse,
        written: Timestamp,
        now: Timestamp,
    ) -> Self {
        if status.state().is_over() || status.epoch == 0 {
            return Self::default();
        }
        let beat = last_heartbeat(state, status.epoch);
        let heard = beat.map_or(written, |beat| beat.max(written));
        let Ok(address) = CoordinatorAddress::read_in(state) else {
            let heard_millis = heard.millis();
            return Self { state: CoordinatorState::Dead, heard_millis, ..Self::default() };
        };
        let is_dead = match address.is_alive() {
            Some(alive) => !alive,
            None => now.millis_since(heard) > DEAD_AFTER_MILLIS,
        };
        let state = match is_dead {
            true => CoordinatorState::Dead,
            false => CoordinatorState::Unreachable,
        };
        Self { state, host: address.host, pid: address.pid, heard_millis: heard.millis() }
    }

    pub(super) fn answers(&self) -> bool {
        self.state == CoordinatorState::Answers
    }

    /// Returns whether units may be running.
    pub(super) fn may_work(&self) -> bool {
        matches!(self.state, CoordinatorState::Answers | CoordinatorState::Unreachable)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state == CoordinatorState::Dead
    }

    /// Returns what the first line of a status says about it: nothing if it answers.
    pub(super) fn words(&self, now_millis: u64) -> String {
        let host = match escape::line(&self.host) {
            host if host.is_empty() => String::new(),
            host => format!(" (pid {} on `{host}`)", self.pid),
        };
        let heard = match self.heard_millis {
            0 => String::new(),
            heard => {
                let ago = span(now_millis.saturating_sub(heard));
                format!(", last heard {ago} ago, at {}", utc(heard))
            }
        };
        match self.state {
            CoordinatorState::Answers | CoordinatorState::None => String::new(),
            CoordinatorState::Unreachable => {
                format!("its coordinator{host} cannot be reached from here{heard}")
            }
            CoordinatorState::Dead => format!("its coordinator{host} is dead{heard}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thresher_channel::address::host_name;
    use thresher_channel::process::process_name;
    use thresher_coordinator::figures::example;
    use thresher_proto::pb::JobState;

    const NOW: u64 = 1_772_366_500_000;

    fn running() -> StatusResponse {
        StatusResponse { state: JobState::Running.into(), epoch: 3, ..example() }
    }

    fn address() -> CoordinatorAddress {
        CoordinatorAddress {
            unix: None,
            tcp: None,
            epoch: 3,
            pid: std::process::id(),
            host: host_name(),
            process: process_name(std::process::id()).unwrap(),
            identity: String::new(),
            version: String::new(),
        }
    }

    fn look(address: &CoordinatorAddress, beat: u64) -> Coordinator {
        let state = tempfile::tempdir().unwrap();
        address.write_in(state.path()).unwrap();
        let text = format!("{{\"epoch\":3,\"at_millis\":{beat}}}");
        std::fs::write(state.path().join("heartbeat"), text).unwrap();
        let written = Timestamp::from_millis(NOW - 100_000);
        Coordinator::silent(state.path(), &running(), written, Timestamp::from_millis(NOW))
    }

    #[test]
    fn a_coordinator_on_this_host_is_dead_if_its_process_is_gone() {
        assert_eq!(look(&address(), NOW).state, CoordinatorState::Unreachable);
        let reused = CoordinatorAddress { process: "another boot/1/1".to_owned(), ..address() };
        let dead = look(&reused, NOW - 34_000);
        assert!(dead.is_dead() && !dead.may_work());
        let words = dead.words(NOW);
        assert!(
            words.ends_with(" is dead, last heard 34 s ago, at 2026-03-01 12:01:06 UTC"),
            "{words}"
        );
    }

    #[test]
    fn a_coordinator_elsewhere_is_dead_if_its_heartbeat_stops() {
        let elsewhere = CoordinatorAddress { host: "node\x1b7".to_owned(), ..address() };
        let heard = look(&elsewhere, NOW - 20_000);
        assert_eq!(heard.state, CoordinatorState::Unreachable);
        assert!(heard.words(NOW).contains("on `node\\u{1b}7`) cannot be reached from here"));
        assert!(look(&elsewhere, NOW - 61_000).is_dead());
    }

    #[test]
    fn a_job_that_was_stopped_or_never_started_has_no_dead_coordinator() {
        let state = tempfile::tempdir().unwrap();
        let at = Timestamp::from_millis(NOW);
        let drained = StatusResponse { state: JobState::Drained.into(), ..running() };
        for status in [drained, StatusResponse::default()] {
            let none = Coordinator::silent(state.path(), &status, at, at);
            assert_eq!(none, Coordinator::default());
            assert_eq!(none.words(NOW), "");
        }
    }
}
