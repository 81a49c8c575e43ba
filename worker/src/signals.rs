//! Catches the signals that ask this worker to exit.
//!
//! Batch systems use whatever they are configured to (USR1, USR2, URG), and end a job with INT and
//! TERM, one after the other, so all of them mean the same. So does HUP, which comes when a
//! terminal closes, unless the process was started to survive that. The agent decides what to do.

use std::future::poll_fn;
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use thresher_channel::process::ignores_hangup;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The number of SIGURG, which is the same on all supported platforms.
const URG: SignalKind = SignalKind::from_raw(23);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Exit soon. Batch systems repeat signals, so a second one changes nothing.
    Leave,
    /// The same by INT, which a person sends twice to exit at once.
    Interrupt,
}

/// Whether this process was asked to exit, for code that has no `Signals`.
static WAS_ASKED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Returns whether this process was asked to exit, or is within the given time: batch systems send
/// signals to all processes of a job, one after the other.
pub fn was_asked_within(limit: Duration) -> bool {
    let (asked, changed) = &WAS_ASKED;
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = changed.wait_timeout_while(asked, limit, |asked| !*asked);
    *waited.unwrap_or_else(PoisonError::into_inner).0
}

fn remember_asked() {
    let (asked, changed) = &WAS_ASKED;
    *asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
    changed.notify_all();
}

/// The signals of this process, which are caught from its creation on.
pub struct Signals {
    interrupt: Signal,
    others: Vec<Signal>,
}

impl Signals {
    /// Starts to catch the signals.
    pub fn catch() -> std::io::Result<Self> {
        let others = [
            SignalKind::terminate(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
            URG,
        ];
        let hangup = (!ignores_hangup()).then(SignalKind::hangup);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            others: others.into_iter().chain(hangup).map(signal).collect::<Result<_, _>>()?,
        })
    }

    /// Waits for the next signal. No signal is lost if the wait is cancelled.
    pub async fn next(&mut self) -> Asked {
        let asked = poll_fn(|context| {
            if self.interrupt.poll_recv(context).is_ready() {
                return Poll::Ready(Asked::Interrupt);
            }
            let mut others = self.others.iter_mut();
            match others.any(|signal| signal.poll_recv(context).is_ready()) {
                true => Poll::Ready(Asked::Leave),
                false => Poll::Pending,
            }
        })
        .await;
        remember_asked();
        asked
    }
}
