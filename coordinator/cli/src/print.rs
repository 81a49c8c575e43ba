//! Writes to stdout and stderr; no other module does. Results go to stdout, everything else to
//! stderr, above the progress bars if there are any.
//!
//! **Invariants:** what comes from outside cannot control the terminal, because all text is escaped
//! here. A terminal that is gone is not an error, and never ends the process.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::MultiProgress;
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use serde::Serialize;
use thresher_domain::escape;
use tracing_subscriber::fmt::MakeWriter;

/// Clears the terminal and goes to its first column.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// The progress bars that are on the terminal.
static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Writes a result to stdout.
pub(super) fn result(text: &str) -> io::Result<()> {
    to_stdout(&escape::block(text))
}

/// Writes a result in JSON to stdout.
pub(super) fn json(text: &str) -> io::Result<()> {
    to_stdout(&escape::json(text))
}

/// Writes a script of ours to stdout as it is: nothing in it comes from outside.
pub(super) fn verbatim(script: &str) -> io::Result<()> {
    to_stdout(script)
}

/// Clears the terminal before the next result.
pub(super) fn clear() -> io::Result<()> {
    to_stdout(CLEAR)
}

/// A closed pipe (`| head`) or terminal is not an error.
fn to_stdout(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe || is_hangup(&error) => Ok(()),
        written => written,
    }
}

/// Returns whether the terminal of stdout was closed. The same error of a disk has to be reported.
fn is_hangup(error: &io::Error) -> bool {
    let is_device = || {
        fstat(io::stdout())
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice)
    };
    Errno::from_io_error(error) == Some(Errno::IO) && is_device()
}

/// Writes an answer, as text for people or as JSON.
pub(super) fn answer(answer: &(impl Display + Serialize), json: bool) -> anyhow::Result<()> {
    match json {
        true => self::json(&format!("{}\n", serde_json::to_string_pretty(answer)?))?,
        false => result(&answer.to_string())?,
    }
    Ok(())
}

/// Writes anything that is not a result.
pub(super) fn note(text: &str) {
    to_stderr(&format!("{}\n", escape::block(text)));
}

/// Returns the width of the terminal of stderr.
pub(super) fn columns_of_stderr() -> Option<u16> {
    console::Term::stderr().size_checked().map(|(_, columns)| columns)
}

/// Draws notes above these bars from now on, or draws them without any.
pub(super) fn set_bars(bars: Option<MultiProgress>) {
    *BARS.lock().unwrap_or_else(PoisonError::into_inner) = bars;
}

/// If stderr is closed, there is no other place for the text.
fn to_stderr(text: &str) {
    let write = || {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    };
    match &*BARS.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// Writes events of the log to stderr, each with one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log;

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        to_stderr(&log_text(&String::from_utf8_lossy(event), has_colours()));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

/// Returns an event as it is shown. Its further lines are indented, so that no text in it looks
/// like another event.
fn log_text(event: &str, colours: bool) -> String {
    let mut shown = String::new();
    for (place, part) in event.trim_end_matches('\n').split('\x1b').enumerate() {
        let colour = part.find('m').filter(|end| {
            let code = part[..*end].strip_prefix('[');
            colours
                && code.is_some_and(|code| code.bytes().all(|b| b.is_ascii_digit() || b == b';'))
        });
        match colour {
            _ if place == 0 => shown += &escape::block(part),
            Some(end) => {
                shown += &format!("\x1b{}{}", &part[..=end], escape::block(&part[end + 1..]));
            }
            None => shown += &escape::block(&format!("\x1b{part}")),
        }
    }
    shown.replace('\n', "\n  ") + "\n"
}

/// Returns whether notes may be coloured: not in files and pipes, and not if `NO_COLOR` is set.
pub(super) fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Returns the text of an error with its causes, and with all hints at the end.
pub(super) fn error_text(error: &anyhow::Error) -> String {
    let mut body = String::new();
    let mut hints = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let (message, hint) = match text.split_once("\nhint:") {
            Some((message, hint)) => (message, Some(hint.trim())),
            None => (text.as_str(), None),
        };
        // Most errors of this project already quote their cause.
        if !body.contains(message) {
            if !body.is_empty() {
                body.push_str(": ");
            }
            body.push_str(message);
        }
        if let Some(hint) = hint.filter(|hint| !hints.contains(hint)) {
            hints.push_str("\nhint: ");
            hints.push_str(hint);
        }
    }
    format!("error: {body}{hints}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_log_cannot_control_the_terminal_or_look_like_two() {
        let event = "\x1b[2mnow\x1b[0m WARN lost host=\x1b]0;x\x07\n2026 ERROR forged\x1b[8K\n";
        assert_eq!(
            log_text(event, true),
            "\x1b[2mnow\x1b[0m WARN lost host=\\u{1b}]0;x\\u{7}\n  2026 ERROR forged\\u{1b}[8K\n"
        );
        assert!(!log_text(event, false).contains('\x1b'));
    }

    #[test]
    fn causes_are_printed_once_and_hints_last() {
        let cause = anyhow::anyhow!("disk is full\nhint: make room");
        let error = cause.context("failed to write `a`: disk is full").context("failed to run");
        assert_eq!(
            error_text(&error),
            "error: failed to run: failed to write `a`: disk is full\nhint: make room"
        );
    }
}
