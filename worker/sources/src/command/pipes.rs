//! Our ends of a program's pipes, which never block for longer than the timeout.
//!
//! A pipe closes only when the last process that holds it exits. A program can leave other
//! processes behind, so its own exit does not end our reads and writes.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use thresher_formats::stop::Stop;
use thresher_storage::clock;

/// Interval at which a waiting pipe checks whether it must stop.
const LOOK: Duration = Duration::from_millis(50);

/// One end of a pipe, which fails with [`io::ErrorKind::TimedOut`] at a set time, and with another
/// error once `stop` is set.
pub(super) struct Timed<F> {
    pipe: F,
    until: Instant,
    stop: Stop,
}

impl<F: AsFd> Timed<F> {
    /// Wraps our end of a pipe. The deadline is now, until [`Timed::allow`] sets another.
    pub(super) fn over(pipe: F, stop: &Stop) -> io::Result<Self> {
        stop_blocking(&pipe)?;
        Ok(Self { pipe, until: clock::now(), stop: stop.clone() })
    }

    /// Sets the deadline of all following reads and writes to `time` from now.
    pub(super) fn allow(&mut self, time: Duration) {
        self.until = clock::now() + time;
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        if self.stop.is_set() {
            return Err(io::Error::other("the unit was asked to stop"));
        }
        let left = self.until.saturating_duration_since(clock::now());
        match is_ready(&self.pipe, flags, left.min(LOOK))? {
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

/// A stdin to which an input is written until `stop` is set; then writes fail with a broken
/// pipe.
pub(super) struct Feeding<F> {
    pipe: F,
    stop: Arc<AtomicBool>,
}

impl<F: AsFd> Feeding<F> {
    /// Wraps our end of the program's stdin.
    pub(super) fn over(pipe: F, stop: &Arc<AtomicBool>) -> io::Result<Self> {
        stop_blocking(&pipe)?;
        Ok(Self { pipe, stop: Arc::clone(stop) })
    }
}

impl<F: AsFd + Write> Write for Feeding<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while !self.stop.load(Ordering::Relaxed) {
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

/// Makes our end of a pipe non-blocking. The program's end has a file description of its own and
/// stays as it is.
fn stop_blocking(pipe: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&pipe)?;
    Ok(fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?)
}

/// Waits for at most `time`, and returns whether the pipe can be read or written, or its other end
/// is closed.
fn is_ready(pipe: impl AsFd, flags: PollFlags, time: Duration) -> io::Result<bool> {
    let time = Timespec::try_from(time).ok();
    let mut polled = [PollFd::new(&pipe, flags)];
    match poll(&mut polled, time.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
