//! Writes to stdout and stderr; no other module does. Results go to stdout, everything else to
//! stderr.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;

/// Writes a result to stdout. A closed pipe (`| head`) is not an error.
pub(super) fn result(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes an answer, as text for people or as JSON.
pub(super) fn answer(answer: &(impl Display + Serialize), json: bool) -> anyhow::Result<()> {
    let text = match json {
        true => format!("{}\n", serde_json::to_string_pretty(answer)?),
        false => answer.to_string(),
    };
    Ok(result(&text)?)
}

/// Writes anything that is not a result. If stderr is closed, there is no other place for it.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
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
    fn causes_are_printed_once_and_hints_last() {
        let cause = anyhow::anyhow!("disk is full\nhint: make room");
        let error = cause.context("failed to write `a`: disk is full").context("failed to run");
        assert_eq!(
            error_text(&error),
            "error: failed to run: failed to write `a`: disk is full\nhint: make room"
        );
    }
}
