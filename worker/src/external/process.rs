//! A program and its pipes: started with limits, fed, read line by line, and ended.
//!
//! Its stdin is written and its stderr read by threads of their own, so that no full pipe can stop
//! both sides. A watch ends the program's process group when nothing came from it for too long.
//!
//! **Invariant:** no process of the group outlives its [`Program`].

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, kill_process_group, prlimit, waitid,
};

use super::CommandLine;

/// So much of what it said last on stderr is told.
const TAIL_BYTES: usize = 2 << 10;
/// The begin of an answer that is shown.
const SHOWN_CHARS: usize = 120;
/// How long a dead program's stderr is waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

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
    stdin: Option<ChildStdin>,
    feeding: Option<JoinHandle<io::Result<()>>>,
    stdout: BufReader<ChildStdout>,
    tail: Arc<Mutex<Vec<u8>>>,
    /// Ends when its stderr does.
    telling: Receiver<()>,
    watch: Watch,
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
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(refuse("its pipes are missing".to_owned()));
        };
        let (stdin, feeding) = match feed {
            Feed::Lines => (Some(stdin), None),
            Feed::Bytes(mut bytes) => {
                let feed = move || io::copy(&mut bytes, &mut stdin).map(|_| ());
                (None, Some(std::thread::spawn(feed)))
            }
        };
        let tail = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&tail);
        let (told, telling) = channel();
        std::thread::spawn(move || keep_tail(stderr, &kept, told));
        Ok(Self {
            name: line.name.to_owned(),
            line_max_bytes: line.line_max_bytes,
            timeout: line.timeout,
            child,
            stdin,
            feeding,
            stdout: BufReader::new(stdout),
            tail,
            telling,
            watch: Watch::over(group, line.timeout),
            waited: false,
        })
    }

    /// Writes to its stdin; it may not be slower with reading than with answering.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let Some(stdin) = &mut self.stdin else {
            return Err(self.failed("its stdin is closed"));
        };
        self.watch.begin();
        let written = stdin.write_all(bytes).and_then(|()| stdin.flush());
        let fired = self.watch.end();
        match written {
            Ok(()) if !fired => Ok(()),
            Ok(()) => Err(self.silent()),
            Err(error) => Err(self.broken(fired, &format!("it does not read: {error}"))),
        }
    }

    /// Its next line without the line feed; none at its end.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>, CommandError> {
        let mut line = Vec::new();
        self.watch.begin();
        let limit = self.line_max_bytes as u64 + 1;
        let read = self.stdout.by_ref().take(limit).read_until(b'\n', &mut line);
        let fired = self.watch.end();
        match read {
            _ if fired => return Err(self.silent()),
            Err(error) => return Err(self.broken(false, &format!("its output: {error}"))),
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
        self.watch.begin();
        let group = Pid::from_child(&self.child);
        // Not reaped yet, so that what is left of its group can be named.
        let ended = waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let fired = self.watch.end();
        ended.map_err(|error| self.failed(&error.to_string()))?;
        self.waited = true;
        let _ = kill_process_group(group, Signal::KILL);
        let status = self.child.wait().map_err(|error| self.failed(&error.to_string()))?;
        if fired {
            return Err(self.silent());
        }
        if !status.success() {
            return Err(self.broken(false, &format!("{status}")));
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
        let _ = self.telling.recv_timeout(LAST_WORDS);
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&tail);
        let said = said.trim();
        let tail = match said.is_empty() {
            true => String::new(),
            false => format!("\nit said on stderr:\n{said}"),
        };
        CommandError { name: self.name.clone(), what: what.to_owned(), tail }
    }

    /// The error of an answer that is none.
    pub fn answered(&mut self, line: &[u8], why: &str) -> CommandError {
        let shown: String = String::from_utf8_lossy(line).chars().take(SHOWN_CHARS).collect();
        self.failed(&format!("its answer `{shown}` is none: {why}"))
    }

    fn silent(&mut self) -> CommandError {
        let seconds = self.timeout.as_secs_f64();
        self.failed(&format!("it was silent for {seconds} s\nhint: raise its `timeout`"))
    }

    /// The error of a program that went away: its status says more than the pipe.
    fn broken(&mut self, fired: bool, what: &str) -> CommandError {
        if fired {
            return self.silent();
        }
        self.kill();
        match self.child.wait() {
            Ok(status) if status.code().is_some_and(|code| code != 0) => {
                self.failed(&format!("{status}"))
            }
            Ok(_) | Err(_) => self.failed(what),
        }
    }

    /// Ends the whole group. Its id is the group's own until its first process was waited for.
    fn kill(&mut self) {
        if !std::mem::replace(&mut self.waited, true) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `told` hangs up when there is no more.
fn keep_tail(mut stderr: impl Read, kept: &Mutex<Vec<u8>>, told: Sender<()>) {
    let mut piece = [0; TAIL_BYTES];
    while let Ok(count @ 1..) = stderr.read(&mut piece) {
        let mut tail = kept.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&piece[..count]);
        let surplus = tail.len().saturating_sub(TAIL_BYTES);
        tail.drain(..surplus);
    }
    drop(told);
}

/// Ends a process group when something that was begun does not end in time.
struct Watch {
    orders: Sender<Order>,
    /// Whether it has ended the group.
    fired: Arc<Mutex<bool>>,
}

enum Order {
    Begin,
    End,
}

impl Watch {
    fn over(group: Pid, timeout: Duration) -> Self {
        let (orders, received) = channel();
        let fired = Arc::new(Mutex::new(false));
        let shared = Arc::clone(&fired);
        std::thread::spawn(move || watch(&received, group, timeout, &shared));
        Self { orders, fired }
    }

    fn begin(&self) {
        // The thread ends after it has fired; then the pipes are at their ends anyhow.
        let _ = self.orders.send(Order::Begin);
    }

    fn end(&self) -> bool {
        let fired = *self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.orders.send(Order::End);
        fired
    }
}

fn watch(orders: &Receiver<Order>, group: Pid, timeout: Duration, fired: &Mutex<bool>) {
    while let Ok(order) = orders.recv() {
        if matches!(order, Order::End) {
            continue;
        }
        match orders.recv_timeout(timeout) {
            Ok(Order::Begin | Order::End) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let mut fired = fired.lock().unwrap_or_else(PoisonError::into_inner);
                *fired = true;
                let _ = kill_process_group(group, Signal::KILL);
                return;
            }
        }
    }
}
