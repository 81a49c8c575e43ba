//! The only writer to stdout and stderr: results to the one, everything about them to the other.

use std::io::{self, ErrorKind, IsTerminal, Write};

/// Writes results. A reader that has seen enough (`| head`) is no error.
pub(super) fn result(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes what is no result. Where stderr is gone, nobody is left to be told of it.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether notes may be coloured: not in files and pipes, and not for who does not want it.
pub(super) fn has_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// An error with its causes, and what to do about it last.
pub(super) fn error_text(error: &anyhow::Error) -> String {
    let mut body = String::new();
    let mut hints = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let (told, hint) = match text.split_once("\nhint:") {
            Some((told, hint)) => (told, Some(hint.trim())),
            None => (text.as_str(), None),
        };
        // Most of our errors quote their cause themselves.
        if !body.contains(told) {
            if !body.is_empty() {
                body.push_str(": ");
            }
            body.push_str(told);
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
    fn causes_are_told_once_and_hints_last() {
        let cause = anyhow::anyhow!("disk is full\nhint: make room");
        let error = cause.context("failed to write `a`: disk is full").context("failed to run");
        assert_eq!(
            error_text(&error),
            "error: failed to run: failed to write `a`: disk is full\nhint: make room"
        );
    }
}
