//! The terminal that progress bars are drawn on, which may go away at any time: it is closed, or
//! its network connection is lost, while the job drains.
//!
//! **Invariant:** no call returns an error, which the library that draws the bars would answer with
//! a panic. After the first one nothing more is written.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use console::Term;
use indicatif::TermLike;

/// The terminal of stderr.
#[derive(Debug)]
pub(super) struct Terminal {
    term: Term,
    is_gone: AtomicBool,
}

impl Terminal {
    /// Returns the terminal of stderr, if it can move its cursor.
    pub(super) fn on_stderr() -> Option<Self> {
        let term = Term::buffered_stderr();
        let kind = std::env::var_os("TERM").filter(|kind| kind != "dumb" && !kind.is_empty());
        let is_gone = AtomicBool::new(false);
        (term.is_term() && kind.is_some()).then_some(Self { term, is_gone })
    }

    fn write(&self, call: impl FnOnce(&Term) -> io::Result<()>) -> io::Result<()> {
        if !self.is_gone.load(Ordering::Relaxed) && call(&self.term).is_err() {
            self.is_gone.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.write(|term| term.move_cursor_up(n))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.write(|term| term.move_cursor_down(n))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.write(|term| term.move_cursor_right(n))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.write(|term| term.move_cursor_left(n))
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write(|term| term.write_line(text))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.write(|term| term.write_str(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write(Term::clear_line)
    }

    fn flush(&self) -> io::Result<()> {
        self.write(Term::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_is_gone_is_not_an_error_and_is_left_alone() {
        let terminal = Terminal { term: Term::stderr(), is_gone: AtomicBool::new(false) };
        assert!(terminal.write(|_| Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(terminal.write(|_| unreachable!("nothing more is written")).is_ok());
    }
}
