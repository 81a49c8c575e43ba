//! A gate in the proxy: it holds one request, so that a test can act at that moment, such as
//! killing the process that waits for the answer.
//!
//! **Invariant:** only the first matching request is held; all others pass.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// On which side of the server a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The server has not received the request, and will not.
    Before,
    /// The server has answered, and the client does not receive the answer.
    After,
}

/// A predicate for the request to hold, which gets its head without the body.
pub type Fits = fn(&str) -> bool;

/// Holds one request at a time.
#[derive(Default)]
/// Holds one request at a time.
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Open,
    Armed(Fits, Moment),
    /// The request has arrived; the moment to hold it has not.
    Taken,
    Holding,
}

impl Gate {
    /// Holds the next request that matches.
    pub fn arm(&self, fits: Fits, moment: Moment) {
        *self.lock() = State::Armed(fits, moment);
    }

    /// Waits for a request to be held; returns false if none came in time.
    pub fn holds_within(&self, time: Duration) -> bool {
        let waits = |state: &mut State| !matches!(state, State::Holding);
        let waited = self.changed.wait_timeout_while(self.lock(), time, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Holding)
    }

    /// Releases the held request without an answer, and holds no further one.
    pub fn open(&self) {
        *self.lock() = State::Open;
        self.changed.notify_all();
    }

    /// Returns whether this request is the one to hold; later ones are then not held.
    pub(crate) fn takes(&self, head: &str, moment: Moment) -> bool {
        let mut state = self.lock();
        let takes = matches!(*state, State::Armed(fits, when) if when == moment && fits(head));
        if takes {
            *state = State::Taken;
        }
        takes
    }

    /// Holds the request that was taken until the gate is opened.
    pub(crate) fn hold(&self) {
        let mut state = self.lock();
        if matches!(*state, State::Taken) {
            *state = State::Holding;
            self.changed.notify_all();
        }
        let waits = |state: &mut State| matches!(state, State::Holding);
        drop(self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_is_held_and_let_go() {
        let gate = Gate::default();
        assert!(!gate.takes("PUT /a", Moment::Before));
        gate.arm(|head| head.starts_with("PUT"), Moment::Before);
        assert!(!gate.takes("GET /a", Moment::Before));
        assert!(!gate.takes("PUT /a", Moment::After));
        assert!(!gate.holds_within(Duration::ZERO));
        assert!(gate.takes("PUT /a", Moment::Before));
        assert!(!gate.takes("PUT /a", Moment::Before));
        assert!(!gate.holds_within(Duration::ZERO));
        std::thread::scope(|scope| {
            let held = scope.spawn(|| gate.hold());
            assert!(gate.holds_within(Duration::from_secs(60)));
            assert!(!held.is_finished());
            gate.open();
        });
        assert!(!gate.holds_within(Duration::ZERO));
    }
}
