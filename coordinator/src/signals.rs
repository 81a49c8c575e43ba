//! Handles signals that ask this process to stop.
//!
//! Batch systems warn with the signal that they are configured to send (USR1, USR2, URG), and end a
//! job with INT and TERM, one after the other. All of them mean the same, however often they come.
//! Only a second INT, as a person at a terminal sends it, means to stop at once. A terminal that
//! closes sends HUP, except to a process that was started to survive that, as by `nohup`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use thresher_channel::process::ignores_hangup;
use tokio::signal::unix::{SignalKind, signal};

use crate::wake::Waker;

/// SIGURG has the same number on every Linux that we know.
const URG: SignalKind = SignalKind::from_raw(23);

/// Counts the signals received, and wakes the thread that waits for them.
pub(crate) struct Signals {
    interrupts: Arc<AtomicU32>,
    others: Arc<AtomicU32>,
    handled: std::cell::Cell<bool>,
}

impl Signals {
    /// Catches the signals from now on. A child that ends wakes too.
    pub(crate) fn catch(runtime: &tokio::runtime::Runtime, waker: &Waker) -> std::io::Result<Self> {
        let signals = Self {
            interrupts: Arc::default(),
            others: Arc::default(),
            handled: std::cell::Cell::new(false),
        };
        let others = [
            SignalKind::terminate(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
            URG,
        ];
        // Catching the signal would also undo `nohup`.
        let hangup = (!ignores_hangup()).then(SignalKind::hangup);
        let _inside = runtime.enter();
        count(runtime, SignalKind::interrupt(), &signals.interrupts, waker)?;
        for kind in others.into_iter().chain(hangup) {
            count(runtime, kind, &signals.others, waker)?;
        }
        count(runtime, SignalKind::child(), &Arc::default(), waker)?;
        Ok(signals)
    }

    /// Returns a function that does what a signal does.
    pub(crate) fn trigger(&self, waker: &Waker) -> impl Fn() + Send + Sync + 'static {
        let (others, waker) = (Arc::clone(&self.others), waker.clone());
        move || {
            others.fetch_add(1, Ordering::Relaxed);
            waker.wake();
        }
    }

    pub(crate) fn seen(&self) -> bool {
        self.interrupts.load(Ordering::Relaxed) + self.others.load(Ordering::Relaxed) > 0
    }

    /// Returns true once, after the first signal.
    pub(crate) fn first(&self) -> bool {
        self.seen() && !self.handled.replace(true)
    }

    /// Returns how often INT must still come to stop at once, for a person.
    pub(crate) fn interrupts_to_stop(&self) -> &'static str {
        if self.interrupts.load(Ordering::Relaxed) > 0 { "again" } else { "twice" }
    }

    /// Returns whether a second INT came, which means to stop at once.
    pub(crate) fn again(&self) -> bool {
        self.interrupts.load(Ordering::Relaxed) > 1
    }
}

fn count(
    runtime: &tokio::runtime::Runtime,
    kind: SignalKind,
    counter: &Arc<AtomicU32>,
    waker: &Waker,
) -> std::io::Result<()> {
    let mut signals = signal(kind)?;
    let (counter, waker) = (Arc::clone(counter), waker.clone());
    runtime.spawn(async move {
        while signals.recv().await.is_some() {
            counter.fetch_add(1, Ordering::Relaxed);
            waker.wake();
        }
    });
    Ok(())
}
