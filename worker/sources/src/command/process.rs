//! Starts a program with limits, writes its input, reads its output line by line, and ends it.
//!
//! Separate threads write the input to its stdin and read its stderr, so that a full pipe cannot
//! block both sides.
//!
//! **Invariants:** no process of the program's process group outlives its [`Program`]. A process
//! that left the group can, but nothing waits for it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, kill_process_group, prlimit, waitid,
};

use super::CommandLine;
use super::pipes::{Feeding, Timed};
use thresher_storage::clock;

/// Number of last bytes of stderr that an error contains.
const TAIL_BYTES: usize = 2 << 10;
/// Number of first characters of an answer that an error contains.
const SHOWN_CHARS: usize = 120;
/// Time to wait for the end of stderr, and for the exit of a program that closed a pipe.
const EXIT_WAIT: Duration = Duration::from_secs(2);
/// The longest time between two checks whether the program has exited.
const LOOK: Duration = Duration::from_millis(20);

/// The failure of one of the user's programs.
#[derive(Debug, thiserror::Error)]
#[error("command `{name}` failed: {what}{tail}")]
pub struct CommandError {
    name: String,
    what: String,
    /// The last output on stderr with a heading, or an empty text.
    tail: String,
}

/// The source of a program's stdin.
pub enum Feed {
    /// The bytes that are passed to [`Program::write`].
    Lines,
    /// All bytes of this reader, which a separate thread writes.
    Bytes(Box<dyn Read + Send>),
}

/// A running program. It is killed with its process group when this is dropped.
pub struct Program {
    name: String,
    line_max_bytes: usize,
    timeout: Duration,
    child: Child,
    stdin: Option<Timed<ChildStdin>>,
    feeding: Option<JoinHandle<io::Result<()>>>,
    /// Stops `feeding` when it is set.
    stop: Arc<AtomicBool>,
    stdout: BufReader<Timed<ChildStdout>>,
    tail: Arc<Mutex<Vec<u8>>>,
    /// Disconnects when the program's stderr is closed.
    stderr_closed: Receiver<()>,
    /// Whether the program was waited for. After that its process id can belong to another process.
    waited: bool,
}

impl Program {
    /// Starts the program in a process group of its own, with its memory limit.
    pub fn start(line: &CommandLine<'_>, feed: Feed) -> Result<Self, CommandError> {
        let refuse =
            |what: String| CommandError { name: line.name.to_owned(), what, tail: String::new() };
        let (program, arguments) =
            line.run.split_first().ok_or_else(|| refuse("`run` is empty".to_owned()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(line.folder)
            .envs(line.input.map(|input| ("THRESHER_INPUT", input)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| {
                refuse(format!(
                    "`{program}` cannot be started in `{}`: {error}\nhint: `run` is a program and \
                     its arguments; it must exist on every worker",
                    line.folder.display()
                ))
            })?;
        let group = Pid::from_child(&child);
        let memory = Some(line.memory_bytes);
        let limit = Rlimit { current: memory, maximum: memory };
        // If the program has already exited it needs no limit, and its status shows the cause.
        let _ = prlimit(Some(group), Resource::As, limit);
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(refuse("its pipes are missing".to_owned()));
        };
        let pipe = |error: io::Error| refuse(format!("its pipes cannot be set up: {error}"));
        let stop = Arc::default();
        let (stdin, feeding) = match feed {
            Feed::Lines => (Some(Timed::over(stdin, &line.stop).map_err(pipe)?), None),
            Feed::Bytes(mut bytes) => {
                let mut stdin = Feeding::over(stdin, &stop).map_err(pipe)?;
                let feed = move || io::copy(&mut bytes, &mut stdin).map(|_| ());
                (None, Some(std::thread::spawn(feed)))
            }
        };
        let tail = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&tail);
        let (closed, stderr_closed) = channel();
        std::thread::spawn(move || keep_tail(stderr, &kept, closed));
        Ok(Self {
            name: line.name.to_owned(),
            line_max_bytes: line.line_max_bytes,
            timeout: line.timeout,
            child,
            stdin,
            feeding,
            stop,
            stdout: BufReader::new(Timed::over(stdout, &line.stop).map_err(pipe)?),
            tail,
            stderr_closed,
            waited: false,
        })
    }

    /// Writes to the program's stdin. The program must read within the same timeout as it must
    /// answer.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let Some(stdin) = &mut self.stdin else {
            return Err(self.failed("its stdin is closed"));
        };
        stdin.allow(self.timeout);
        match stdin.write_all(bytes).and_then(|()| stdin.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(self.timed_out()),
            Err(error) => Err(self.pipe_closed(&format!("writing to its stdin failed: {error}"))),
        }
    }

    /// Returns the program's next line without the line feed, or `None` at the end of its output.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>, CommandError> {
        let mut line = Vec::new();
        self.stdout.get_mut().allow(self.timeout);
        let limit = self.line_max_bytes as u64 + 1;
        match self.stdout.by_ref().take(limit).read_until(b'\n', &mut line) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(self.timed_out()),
            Err(error) => {
                return Err(self.pipe_closed(&format!("reading its output failed: {error}")));
            }
            Ok(0) => return Ok(None),
            Ok(_) => {}
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(Some(line));
        }
        if line.len() > self.line_max_bytes {
            let limit = self.line_max_bytes;
            return Err(self.failed(&format!("it wrote a line of more than {limit} bytes")));
        }
        Err(self.failed("its last line is incomplete: it has no line feed"))
    }

    /// Closes the program's stdin and waits until it exits. Any further output is an error.
    pub fn finish(mut self) -> Result<(), CommandError> {
        self.stdin = None;
        if let Some(more) = self.line()? {
            return Err(self.invalid_answer(&more, "no answer was expected"));
        }
        self.end()
    }

    /// Waits until the program exits, after the end of its output. A status other than 0, or input
    /// that could not be written, is an error.
    pub fn end(&mut self) -> Result<(), CommandError> {
        let status = match self.status_within(self.timeout) {
            Ok(Some(status)) => status,
            Ok(None) => return Err(self.timed_out()),
            Err(error) => return Err(self.failed(&error.to_string())),
        };
        if !status.success() {
            return Err(self.failed(&format!("{status}")));
        }
        match self.feeding.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(self.failed("it exited before it read all of its input"))
            }
            Some(Ok(Err(error))) => Err(self.failed(&format!("writing its input failed: {error}"))),
            Some(Err(_)) => Err(self.failed("its input could not be read")),
        }
    }

    /// Kills the program, and returns an error with its last output on stderr.
    pub fn failed(&mut self, what: &str) -> CommandError {
        self.kill();
        // The group is dead, so stderr is closed, unless a process left the group and holds it.
        let _ = self.stderr_closed.recv_timeout(EXIT_WAIT);
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let output = plain(&tail);
        let tail = match output.is_empty() {
            true => String::new(),
            false => format!("\nits last output on stderr:\n{output}"),
        };
        CommandError { name: self.name.clone(), what: what.to_owned(), tail }
    }

    /// Kills the program, and returns the error of an answer that is not valid.
    pub fn invalid_answer(&mut self, line: &[u8], why: &str) -> CommandError {
        let shown: String = plain(line).chars().take(SHOWN_CHARS).collect();
        self.failed(&format!("its answer `{shown}` is not valid: {why}"))
    }

    /// Returns the error of a program that closed a pipe. It contains the exit status if the
    /// program exits soon.
    pub fn pipe_closed(&mut self, what: &str) -> CommandError {
        match self.status_within(EXIT_WAIT) {
            Ok(Some(status)) if !status.success() => self.failed(&format!("{what} ({status})")),
            Ok(_) | Err(_) => self.failed(what),
        }
    }

    /// Returns the error of a program that did not respond in time.
    fn timed_out(&mut self) -> CommandError {
        let seconds = self.timeout.as_secs_f64();
        let what = match self.status_within(Duration::ZERO) {
            Ok(Some(status)) => format!(
                "it exited ({status}), but processes that it started kept its pipes open for \
                 {seconds} s\nhint: make it wait for the processes that it starts"
            ),
            Ok(None) | Err(_) => {
                format!("it did not respond for {seconds} s\nhint: raise its `timeout`")
            }
        };
        self.failed(&what)
    }

    /// Waits for at most `time`. If the program exits, kills the rest of its process group and
    /// returns the exit status.
    fn status_within(&mut self, time: Duration) -> io::Result<Option<ExitStatus>> {
        let until = clock::now() + time;
        let group = Pid::from_child(&self.child);
        let mut pause = Duration::from_micros(100);
        // The process is reaped only after its group is killed, so that its number is not reused.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while !self.waited && waitid(WaitId::Pid(group), look)?.is_none() {
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(pause.min(left));
            pause = LOOK.min(pause * 2);
        }
        self.kill();
        self.child.wait().map(Some)
    }

    /// Kills the process group. Its number is valid until its first process was waited for.
    fn kill(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if !std::mem::replace(&mut self.waited, true) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Returns output of a program with control characters escaped, so that it cannot move the cursor
/// or change the colours of a terminal.
fn plain(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for character in String::from_utf8_lossy(bytes).trim().chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Keeps the last [`TAIL_BYTES`] of stderr; `closed` is dropped at its end.
fn keep_tail(mut stderr: impl Read, kept: &Mutex<Vec<u8>>, closed: Sender<()>) {
    let mut piece = [0; TAIL_BYTES];
    while let Ok(count @ 1..) = stderr.read(&mut piece) {
        let mut tail = kept.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&piece[..count]);
        let surplus = tail.len().saturating_sub(TAIL_BYTES);
        tail.drain(..surplus);
    }
    drop(closed);
}
