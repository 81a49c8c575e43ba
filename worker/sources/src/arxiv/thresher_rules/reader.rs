//! Reads a paper from its root file as TeX does: removes comments and what conditions leave out,
//! inserts the files that are input, and expands macros.
//!
//! ```text
//! frames: the root file › files that it inputs › values of macros      → out
//! ```
//! TeX is not rendered: all other markup stays in the text.
//!
//! **Invariant:** the text has at most `max_bytes`, or reading fails; the work is bounded by the
//! budgets of `expansion.rs` and `inputs.rs`.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::budget::Budget;
use super::conditions::Conditions;
use super::definitions::{
    Defines, Definition, blank_line_len, definition, is_definition, is_prefix,
};
use super::files::Files;
use super::lexer::{command, ends_with_word, has_raw_argument, line_len};
use super::macros::Macro;
use super::table::Table;
use crate::arxiv::unusable::Unusable;

/// What was read of a paper.
#[derive(Debug, Default)]
pub(super) struct Paper {
    pub(super) text: String,
    /// The position after `\begin{document}`.
    pub(super) document: Option<usize>,
    /// Positions of calls of macros that start with a heading and are not expanded.
    pub(super) headings: Vec<usize>,
    /// Names of files that are input and are not there.
    pub(super) missing: BTreeSet<String>,
    /// Number of inputs that were not inserted because of a limit.
    pub(super) omitted: u64,
    /// Whether the end of the document was read.
    pub(super) ends: bool,
}

impl Paper {
    /// Shortens the text. The positions in it stay positions of it: what started in the part that
    /// is removed starts where the text ends now.
    pub(super) fn truncate(&mut self, len: usize) {
        self.text.truncate(len);
        self.document = self.document.map(|at| at.min(len));
        self.headings.retain(|at| *at < len);
    }
}

/// Bounds of one reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_bytes: usize,
    /// Whether macros are expanded.
    pub(super) expands: bool,
}

/// Reads a paper from a root file.
pub(super) fn read(files: &Files, root: usize, limits: Limits) -> Result<Paper, Unusable> {
    let mut reader = Reader {
        files,
        limits,
        paper: Paper::default(),
        frames: Vec::new(),
        macros: Table::default(),
        conditions: Conditions::default(),
        verbatim: BTreeSet::new(),
        excluded: BTreeSet::new(),
        at_letter: false,
        is_joint: false,
        ends_line: false,
        used: BTreeSet::new(),
        repeated_bytes: 0,
        budget: Budget::default(),
    };
    reader.push_file(root, String::new());
    while !reader.frames.is_empty() {
        reader.step()?;
    }
    Ok(reader.paper)
}

/// A text that is being read.
pub(super) struct Frame {
    pub(super) text: Rc<str>,
    pub(super) at: usize,
    pub(super) source: FrameSource,
    /// Environments whose end is not in the rest of the text.
    pub(super) unended: BTreeSet<String>,
}

/// Where the text of a frame comes from.
pub(super) enum FrameSource {
    /// A file by its number. Files that it inputs are first searched in `folder`.
    File { number: usize, folder: String },
    /// The value of a macro, in which `@` is a letter or not.
    Macro { at_letter: bool },
}

/// The state of a reading.
pub(super) struct Reader<'f> {
    pub(super) files: &'f Files,
    pub(super) limits: Limits,
    pub(super) paper: Paper,
    pub(super) frames: Vec<Frame>,
    pub(super) macros: Table,
    pub(super) conditions: Conditions,
    /// Environments that the paper defines, whose content is printed as it is.
    pub(super) verbatim: BTreeSet<String>,
    /// Environments that the paper defines, whose content is not printed.
    pub(super) excluded: BTreeSet<String>,
    /// Whether `@` is a letter in files.
    pub(super) at_letter: bool,
    /// Whether the text so far comes from another frame than what follows.
    pub(super) is_joint: bool,
    /// Whether a file has ended, which ends a line.
    pub(super) ends_line: bool,
    /// Files that were inserted.
    pub(super) used: BTreeSet<usize>,
    pub(super) repeated_bytes: usize,
    pub(super) budget: Budget,
}

impl Reader<'_> {
    /// Reads up to the next special character of the current frame, and what it starts.
    fn step(&mut self) -> Result<(), Unusable> {
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let text = Rc::clone(&frame.text);
        let from = frame.at;
        let special = |byte: &u8| matches!(byte, b'\\' | b'%' | b'{' | b'}');
        let Some(found) = text.as_bytes()[from..].iter().position(special) else {
            frame.at = text.len();
            self.emit(&text[from..])?;
            self.pop();
            return Ok(());
        };
        let at = from + found;
        frame.at = at + 1;
        let is_file = matches!(frame.source, FrameSource::File { .. });
        self.emit(&text[from..at])?;
        match text.as_bytes()[at] {
            b'\\' => self.command(&text, at),
            b'%' if is_file => {
                self.comment(&text, at);
                Ok(())
            }
            b'{' => {
                self.open_group();
                self.emit("{")
            }
            b'}' => {
                self.macros.close();
                self.emit("}")
            }
            _ => self.emit(&text[at..=at]),
        }
    }

    /// Removes a comment. A line that contains only a comment is removed with its line feed. After
    /// a word, TeX continues the word on the next line.
    fn comment(&mut self, text: &str, at: usize) {
        let end = at + line_len(&text[at..]);
        let line = text[..at].rfind('\n').map_or(0, |feed| feed + 1);
        if text[line..at].trim().is_empty() {
            let kept = self.paper.text.trim_end_matches([' ', '\t']).len();
            self.paper.truncate(kept);
            return self.set_at(end);
        }
        let next = text[end..].trim_start_matches([' ', '\t']);
        let is_word = |c: char| c.is_alphanumeric();
        if text[..at].ends_with(is_word) && next.starts_with(is_word) {
            return self.set_at(text.len() - next.len());
        }
        self.set_at(if text[..end].ends_with('\n') { end - 1 } else { end });
    }

    /// Handles the command whose backslash is at `at`.
    fn command(&mut self, text: &str, at: usize) -> Result<(), Unusable> {
        let at_letter = self.is_at_letter();
        let name = command(&text[at..], at_letter).unwrap_or_default();
        let after_at = at + 1 + name.len();
        let after = &text[after_at..];
        self.set_at(after_at);
        match name {
            "begin" => return self.begin_environment(text, at, after_at),
            "end" => return self.end_environment(after),
            "verb" | "Verb" | "lstinline" | "mintinline" => return self.inline(name, text, at),
            "makeatletter" => self.at_letter = true,
            "makeatother" => self.at_letter = false,
            "endinput" if self.conditions.entered.is_empty() => self.end_file(false),
            "bye" => self.end_file(true),
            "begingroup" | "bgroup" => {
                self.open_group();
                return self.emit(&text[at..after_at]);
            }
            "endgroup" | "egroup" => {
                self.macros.close();
                return self.emit(&text[at..after_at]);
            }
            _ if has_raw_argument(name) => {
                let len = self.raw(after).map_or(0, |found| found.len);
                self.set_at(after_at + len);
                return self.emit(&text[at..after_at + len]);
            }
            _ if is_prefix(name, after) => {}
            _ => return self.other_command(name, after, after_at),
        }
        Ok(())
    }

    /// Handles a command that inputs a file, belongs to a condition, defines something, or is a
    /// macro. Other commands are printed.
    fn other_command(&mut self, name: &str, after: &str, at: usize) -> Result<(), Unusable> {
        if self.input(name, after, at)? {
            return Ok(());
        }
        if let Some(step) = self.conditions.follow(name, after) {
            self.set_at(at + step.skip);
            return if step.prints { self.emit_command(name) } else { Ok(()) };
        }
        if let Some(found) = self.definition(name, after) {
            let len = found.len;
            self.define(found.defines);
            self.set_at(at + len);
            self.close_gap(&after[len..]);
            return Ok(());
        }
        self.expand(name, at)
    }

    /// Reads a definition, as long as the work for definitions without an end is bounded.
    fn definition(&mut self, name: &str, after: &str) -> Option<Definition> {
        if !is_definition(name) || self.budget.is_searched() {
            return None;
        }
        let found = definition(name, after, self.is_at_letter());
        if found.is_none() {
            self.budget.search(after.len());
        }
        found
    }

    fn define(&mut self, defines: Defines) {
        match defines {
            Defines::Macro { name, provides: true, .. } if self.macros.get(&name).is_some() => {}
            Defines::Macro { name, meaning, global, .. } => {
                self.macros.define(name, Rc::new(meaning), global);
            }
            Defines::Copy { name, of } => {
                let meaning = self.macros.get(&of).map(Rc::clone);
                let meaning = meaning.unwrap_or_else(|| Rc::new(Macro::alias(&of)));
                self.macros.define(name, meaning, false);
            }
            Defines::Verbatim { environment } => {
                self.verbatim.insert(environment);
            }
            Defines::Excluded { environment } => {
                self.excluded.insert(environment);
            }
            Defines::Nothing => {}
        }
    }

    /// Enters a group. Definitions in a group of the preamble are taken as global, because packages
    /// are often loaded and adapted in arguments.
    fn open_group(&mut self) {
        if self.paper.document.is_some() {
            self.macros.open();
        }
    }

    /// Removes the line on which something was removed, if nothing else is on it.
    pub(super) fn close_gap(&mut self, after: &str) {
        let is_file =
            matches!(self.frames.last(), Some(Frame { source: FrameSource::File { .. }, .. }));
        let Some(len) = blank_line_len(after).filter(|_| is_file) else { return };
        let kept = self.paper.text.trim_end_matches([' ', '\t']).len();
        if kept == 0 || self.paper.text[..kept].ends_with('\n') {
            self.paper.truncate(kept);
            if let Some(frame) = self.frames.last_mut() {
                frame.at += len;
            }
        }
    }

    /// Appends a text. If it would continue the name of a command that another frame printed, a
    /// space is inserted.
    pub(super) fn emit(&mut self, text: &str) -> Result<(), Unusable> {
        if text.is_empty() {
            return Ok(());
        }
        let out = &mut self.paper.text;
        if std::mem::take(&mut self.ends_line)
            && !out.ends_with(char::is_whitespace)
            && text.starts_with(|c: char| c.is_alphanumeric() || c == '\\')
        {
            out.push('\n');
        }
        if std::mem::take(&mut self.is_joint)
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && ends_with_word(&out[out.floor_char_boundary(out.len().saturating_sub(64))..])
        {
            out.push(' ');
        }
        if out.len() + text.len() > self.limits.max_bytes {
            return Err(Unusable::TooLarge { max_bytes: self.limits.max_bytes });
        }
        out.push_str(text);
        Ok(())
    }

    /// Appends a command.
    pub(super) fn emit_command(&mut self, name: &str) -> Result<(), Unusable> {
        self.emit("\\")?;
        self.emit(name)
    }

    /// Continues the current frame at this position.
    pub(super) fn set_at(&mut self, at: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.at = at;
        }
    }

    /// Ends the current frame.
    pub(super) fn pop(&mut self) {
        match self.frames.pop().map(|frame| frame.source) {
            Some(FrameSource::Macro { .. }) => self.is_joint = true,
            Some(FrameSource::File { .. }) => {
                self.ends_line = !self.paper.text.is_empty();
                self.skip_line_end();
            }
            None => {}
        }
    }

    /// Skips the line end after the command that input a file, if the file has ended the line. Two
    /// would be a paragraph.
    fn skip_line_end(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        let len = blank_line_len(&frame.text[frame.at..]);
        frame.at += len.filter(|_| self.paper.text.ends_with('\n')).unwrap_or(0);
    }

    fn is_at_letter(&self) -> bool {
        match self.frames.last().map(|frame| &frame.source) {
            Some(FrameSource::Macro { at_letter }) => *at_letter,
            _ => self.at_letter,
        }
    }
}
