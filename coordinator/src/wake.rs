//! Wakes a thread that waits for whichever of several things happens first.
//!
//! A wake says nothing but that something happened; the thread looks at everything it cares about.
//! So wakes that come while it is busy are one wake, and none is lost.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Wakes the thread that has the other end. Clones wake the same thread.
#[derive(Clone, Debug)]
pub(crate) struct Waker(SyncSender<()>);

/// The end of the thread that waits.
#[derive(Debug)]
pub(crate) struct Wakes(Receiver<()>);

/// Returns both ends.
pub(crate) fn wakes() -> (Waker, Wakes) {
    let (sender, receiver) = sync_channel(1);
    (Waker(sender), Wakes(receiver))
}

impl Waker {
    /// Wakes the thread now, or at its next wait.
    pub(crate) fn wake(&self) {
        // A full channel is a wake that was not taken yet; a closed one has nobody to wake.
        let _ = self.0.try_send(());
    }

    /// Returns a guard that wakes the thread when it is dropped, also by a panic.
    pub(crate) fn on_drop(self) -> WakeOnDrop {
        WakeOnDrop(self)
    }
}

/// Wakes a thread when it is dropped.
#[derive(Debug)]
pub(crate) struct WakeOnDrop(Waker);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl Wakes {
    /// Waits for a wake, for a limited time.
    pub(crate) fn wait(&self, at_most: Duration) {
        // All that it says is to look.
        let _ = self.0.recv_timeout(at_most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_wake_that_came_before_the_wait_is_not_lost_and_many_are_one() {
        let (waker, wakes) = wakes();
        waker.wake();
        waker.wake();
        wakes.wait(LONG);
        assert!(wakes.0.try_recv().is_err());
        drop(waker.on_drop());
        wakes.wait(LONG);
    }
}
