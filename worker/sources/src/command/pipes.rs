//! The ends of a program's pipes that are ours: none of them blocks for longer than it may.
//!
//! A pipe closes only when the last process that holds it is gone, and a program may leave others
//! behind, so its death alone ends no reading and no writing.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use thresher_storage::clock;

/// How often a feed looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// One end, which fails with [`io::ErrorKind::TimedOut`] at a set time.
pub(super) struct Timed<F> {
    pipe: F,
    until: Instant,
}

impl<F: AsFd> Timed<F> {
    pub(super) fn over(pipe: F) -> io::Result<Self> {
        stop_blocking(&pipe)?;
        Ok(Self { pipe, until: clock::now() })
    }

    /// All that follows must be done within `time` from now.
    pub(super) fn allow(&mut self, time: Duration) {
        self.until = clock::now() + time;
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        let left = self.until.saturating_duration_since(clock::now());
        match is_ready(&self.pipe, flags, left)? {
            true => Ok(()),
            false if left.is_zero() => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
    }
}

impl<F: AsFd + Read> Read for Timed<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.pipe.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::IN)?;
                }
                read => return read,
            }
        }
    }
}

impl<F: AsFd + Write> Write for Timed<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.pipe.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::OUT)?;
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

/// A stdin that takes an input for as long as somebody wants it to; then it is a broken pipe.
pub(super) struct Feeding<F> {
    pipe: F,
    unwanted: Arc<AtomicBool>,
}

impl<F: AsFd> Feeding<F> {
    pub(super) fn over(pipe: F, unwanted: &Arc<AtomicBool>) -> io::Result<Self> {
        stop_blocking(&pipe)?;
        Ok(Self { pipe, unwanted: Arc::clone(unwanted) })
    }
}

impl<F: AsFd + Write> Write for Feeding<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while !self.unwanted.load(Ordering::Relaxed) {
            match self.pipe.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    is_ready(&self.pipe, PollFlags::OUT, LOOK)?;
                }
                written => return written,
            }
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

/// Of our end alone: the program's is another description.
fn stop_blocking(pipe: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&pipe)?;
    Ok(fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?)
}

/// Whether something can be done with it, or its other end is closed, within `time`.
fn is_ready(pipe: impl AsFd, flags: PollFlags, time: Duration) -> io::Result<bool> {
    let time = Timespec::try_from(time).ok();
    let mut polled = [PollFd::new(&pipe, flags)];
    match poll(&mut polled, time.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
