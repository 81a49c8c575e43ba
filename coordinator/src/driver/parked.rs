//! Keeps the calls of workers that wait for work.
//!
//! **Invariant:** a worker has at most one call here. A call is dropped if its caller has gone;
//! units that were leased to it would wait for a resync.

use std::collections::BTreeMap;

use thresher_domain::{SyncRequest, Timestamp};
use thresher_proto::pb;

use super::Reply;

/// One waiting call.
pub(super) struct Parked {
    pub(super) request: SyncRequest,
    pub(super) reply: Reply<pb::SyncResponse>,
    pub(super) until: Timestamp,
}

/// The waiting calls, by worker.
#[derive(Default)]
pub(super) struct ParkedCalls {
    calls: BTreeMap<u32, Parked>,
}

impl ParkedCalls {
    pub(super) fn park(&mut self, call: Parked) {
        self.calls.insert(call.request.worker_id, call);
    }

    /// Returns when the first call has waited long enough.
    pub(super) fn first_deadline(&self) -> Option<Timestamp> {
        self.calls.values().map(|call| call.until).min()
    }

    pub(super) fn forget(&mut self, worker_id: u32) {
        self.calls.remove(&worker_id);
    }

    /// Removes and returns all calls if there may be work for them, otherwise those that waited
    /// long enough.
    pub(super) fn take(&mut self, now: Timestamp, all: bool) -> Vec<Parked> {
        self.calls.retain(|_, call| !call.reply.is_closed());
        let due = |_: &u32, call: &mut Parked| all || call.until <= now;
        self.calls.extract_if(.., due).map(|(_, call)| call).collect()
    }
}
