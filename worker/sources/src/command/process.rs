//! A program and its pipes: started with limits, fed, read line by line, and ended.
//!
//! An input is written to its stdin, and its stderr read, by threads of their own, so that no full
//! pipe can stop both sides.
//!
//! **Invariants:** no process of the group outlives its [`Program`]; one that left the group may,
//! but nothing waits for it.

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

/// So much of what it said last on stderr is told.
const TAIL_BYTES: usize = 2 << 10;
/// The begin of an answer that is shown.
const SHOWN_CHARS: usize = 120;
/// How long a dead program's stderr is waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The longest time between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Why a program of the user's could not do its work.
#[derive(Debug, thiserror::Error)]
#[error("command `{name}` failed: {what}{tail}")]
pub struct CommandError {
    name: String,
    what: String,
    /// Empty, or what it said on stderr.
    tail: String,
}

/// What goes to its stdin.
pub enum Feed {
    /// What [`Program::write`] is given.
    Lines,
    /// All of this, by a thread of its own.
    Bytes(Box<dyn Read + Send>),
}

/// A running program.
pub struct Program {
    name: String,
    line_max_bytes: usize,
    timeout: Duration,
    child: Child,
    stdin: Option<Timed<ChildStdin>>,
    feeding: Option<JoinHandle<io::Result<()>>>,
    /// Ends `feeding`.
    unwanted: Arc<AtomicBool>,
    stdout: BufReader<Timed<ChildStdout>>,
    tail: Arc<Mutex<Vec<u8>>>,
    /// Ends when its stderr does.
    stderr_closed: Receiver<()>,
    /// Whether its end was taken, after which its id may be another's.
    waited: bool,
}

impl Program {
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
                     its arguments; it must be there on every worker",
                    line.folder.display()
                ))
            })?;
        let group = Pid::from_child(&child);
        let memory = Some(line.memory_bytes);
        let limit = Rlimit { current: memory, maximum: memory };
        // A program that has ended already needs no limit; its status tells the rest.
        let _ = prlimit(Some(group), Resource::As, limit);
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(refuse("its pipes are missing".to_owned()));
        };
        let pipe = |error: io::Error| refuse(format!("its pipes: {error}"));
        let unwanted = Arc::default();
        let (stdin, feeding) = match feed {
            Feed::Lines => (Some(Timed::over(stdin).map_err(pipe)?), None),
            Feed::Bytes(mut bytes) => {
                let mut stdin = Feeding::over(stdin, &unwanted).map_err(pipe)?;
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
            unwanted,
            stdout: BufReader::new(Timed::over(stdout).map_err(pipe)?),
            tail,
            stderr_closed,
            waited: false,
        })
    }

    /// Writes to its stdin; it may not be slower with reading than with answering.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let Some(stdin) = &mut self.stdin else {
            return Err(self.failed("its stdin is closed"));
        };
        stdin.allow(self.timeout);
        match stdin.write_all(bytes).and_then(|()| stdin.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(self.silent()),
            Err(error) => Err(self.gone(&format!("it does not read: {error}"))),
        }
    }

    /// Its next line without the line feed; none at its end.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>, CommandError> {
        let mut line = Vec::new();
        self.stdout.get_mut().allow(self.timeout);
        let limit = self.line_max_bytes as u64 + 1;
        match self.stdout.by_ref().take(limit).read_until(b'\n', &mut line) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(self.silent()),
            Err(error) => return Err(self.gone(&format!("its output: {error}"))),
            Ok(0) => return Ok(None),
            Ok(_) => {}
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(Some(line));
        }
        if line.len() > self.line_max_bytes {
            let limit = self.line_max_bytes;
            return Err(self.failed(&format!("a line of more than {limit} bytes")));
        }
        Err(self.failed("its last line has no end: it was cut"))
    }

    /// Closes its stdin and waits for its end; output that nobody asked for is an error.
    pub fn finish(mut self) -> Result<(), CommandError> {
        self.stdin = None;
        if let Some(more) = self.line()? {
            return Err(self.answered(&more, "nothing was asked"));
        }
        self.end()
    }

    /// Waits for its end after its output has ended; its status and the feed decide.
    pub fn end(&mut self) -> Result<(), CommandError> {
        let status = match self.status_within(self.timeout) {
            Ok(Some(status)) => status,
            Ok(None) => return Err(self.silent()),
            Err(error) => return Err(self.failed(&error.to_string())),
        };
        if !status.success() {
            return Err(self.failed(&format!("{status}")));
        }
        match self.feeding.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            // It may have seen enough.
            Some(Ok(Err(error))) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(self.failed("it ended before it had read its input"))
            }
            Some(Ok(Err(error))) => Err(self.failed(&format!("its input: {error}"))),
            Some(Err(_)) => Err(self.failed("its input could not be read")),
        }
    }

    /// The error, with what the program said last.
    pub fn failed(&mut self, what: &str) -> CommandError {
        self.kill();
        // The group is dead, so its stderr is at its end, unless somebody left the group with it.
        let _ = self.stderr_closed.recv_timeout(LAST_WORDS);
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let said = plain(&tail);
        let tail = match said.is_empty() {
            true => String::new(),
            false => format!("\nit said on stderr:\n{said}"),
        };
        CommandError { name: self.name.clone(), what: what.to_owned(), tail }
    }

    /// The error of an answer that is none.
    pub fn answered(&mut self, line: &[u8], why: &str) -> CommandError {
        let shown: String = plain(line).chars().take(SHOWN_CHARS).collect();
        self.failed(&format!("its answer `{shown}` is none: {why}"))
    }

    /// The error of a program that closed a pipe: how it ended says why, if it ends.
    pub fn gone(&mut self, what: &str) -> CommandError {
        match self.status_within(LAST_WORDS) {
            Ok(Some(status)) if !status.success() => self.failed(&format!("{what} ({status})")),
            Ok(_) | Err(_) => self.failed(what),
        }
    }

    fn silent(&mut self) -> CommandError {
        let seconds = self.timeout.as_secs_f64();
        let what = match self.status_within(Duration::ZERO) {
            Ok(Some(status)) => format!(
                "it ended ({status}), and what it started still held its pipes after {seconds} s\n\
                 hint: let it wait for what it starts"
            ),
            Ok(None) | Err(_) => {
                format!("it was silent for {seconds} s\nhint: raise its `timeout`")
            }
        };
        self.failed(&what)
    }

    /// How it ended, if it does in time; then nothing of its group is left.
    fn status_within(&mut self, time: Duration) -> io::Result<Option<ExitStatus>> {
        let until = clock::now() + time;
        let group = Pid::from_child(&self.child);
        let mut pause = Duration::from_micros(100);
        // Not reaped before its group is ended, so that nobody else can have the group's number.
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

    /// Ends the whole group. Its id is the group's own until its first process was waited for.
    fn kill(&mut self) {
        self.unwanted.store(true, Ordering::Relaxed);
        if !std::mem::replace(&mut self.waited, true) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// What a program wrote, fit for a terminal: nothing in it moves a cursor or changes colours.
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

/// `told` hangs up when there is no more.
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
