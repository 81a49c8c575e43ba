//! What the coordinator and a batch system's adapter agree on: values in, command lines out; text
//! in, values out.
//!
//! Whoever runs the commands (with a time limit, a log and a dry run) is the coordinator's affair,
//! and so are scripts and sites. An adapter is pure: no process, file, clock or environment of its
//! own. One status call covers all allocations, and a word that the adapter does not know is an
//! error which names it, never a guess.

mod request;
mod state;

use std::borrow::Cow;
use std::fmt;

pub use request::{
    AllocationRequest, CommandLine, ID_PLACEHOLDER, RequestError, Rerun, shell_quoted,
};
pub use state::{AllocationState, Condition, Ending, Inside};

/// Longest id that is taken, and longest piece of foreign text that an error repeats.
const ID_BYTES_MAX: usize = 64;
const QUOTED_CHARS_MAX: usize = 120;

/// A batch system: how to ask it, and how to read its answers.
pub trait BatchSystem: Sync {
    /// As in job files and messages: `slurm`.
    fn name(&self) -> &'static str;

    /// The command that asks for an allocation, or why this system cannot give such a one.
    fn submit(&self, request: &AllocationRequest) -> Result<CommandLine, RequestError>;

    /// Reads what the submitting command printed.
    fn parse_submit(&self, out: &str) -> Result<AllocationId, ParseError>;

    /// The command that tells the state of all of `ids`; nothing to ask when there are none.
    fn status(&self, ids: &[AllocationId]) -> Option<CommandLine>;

    /// Reads what that command printed, in its order. An allocation that it left out is one that
    /// the batch system has forgotten: that says nothing about how it ended.
    fn parse_status(&self, out: &str) -> Result<Vec<(AllocationId, AllocationState)>, ParseError>;

    /// The command that ends all of `ids`, pending or running; nothing to do when there are none.
    fn cancel(&self, ids: &[AllocationId]) -> Option<CommandLine>;

    /// What the environment of a process says about the allocation around it: `None` outside any.
    fn inside(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Inside>, ParseError>;
}

/// An allocation, by the name that its batch system gave it. It is safe to put in a command line:
/// it never looks like an option, a list or a word of the shell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId(String);

impl AllocationId {
    /// Takes `4711`, `4711.server`, `f2xJ9`: letters, digits and `._-[]`, a letter or digit first.
    /// Never `0`, which stands for all jobs of the user in LSF.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fine = text.len() <= ID_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-[]".contains(&b))
            && text.bytes().any(|b| b != b'0');
        if fine { Ok(Self(text.to_owned())) } else { Err(ParseError::bad("allocation id", text)) }
    }

    /// As the batch system spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AllocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a batch system's text cannot be read.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ParseError {
    /// A state that the adapter has never heard of.
    #[error(
        "`{command}` names a state that is not known: `{word}`\n\
         hint: this version of the batch system may be newer than this program; report the word"
    )]
    UnknownState {
        /// The program that printed it.
        command: &'static str,
        /// As printed.
        word: String,
    },

    /// The submitting command did not say what it submitted.
    #[error("`{command}` printed no allocation id: `{text}`")]
    NoAllocationId {
        /// The program that was run.
        command: &'static str,
        /// What it printed, cut short.
        text: String,
    },

    /// A line with too few or too many fields.
    #[error("`{command}` printed {found} fields instead of {expected}: `{line}`")]
    Fields {
        /// The program that printed it.
        command: &'static str,
        /// The whole line, cut short.
        line: String,
        /// Fields that were asked for.
        expected: usize,
        /// Fields that came.
        found: usize,
    },

    /// A number, time, id or name that does not read as one.
    #[error("`{text}` is no {what}")]
    Value {
        /// What was wanted: `walltime`, `node list`.
        what: &'static str,
        /// What was found, cut short.
        text: String,
    },

    /// A text that stands for more than anybody has.
    #[error("`{text}` stands for more than {limit} {what}")]
    TooMany {
        /// Of which there are too many.
        what: &'static str,
        /// How many are taken.
        limit: usize,
        /// What was found, cut short.
        text: String,
    },
}

impl ParseError {
    /// `text` is no `what`.
    pub fn bad(what: &'static str, text: &str) -> Self {
        Self::Value { what, text: cut(text).into_owned() }
    }

    /// `word` is a state that `command` is not known to print.
    pub fn unknown_state(command: &'static str, word: &str) -> Self {
        Self::UnknownState { command, word: cut(word).into_owned() }
    }

    /// `command` submitted, but `out` holds no id.
    pub fn no_id(command: &'static str, out: &str) -> Self {
        Self::NoAllocationId { command, text: cut(out.trim()).into_owned() }
    }

    /// `line` of `command` has not the number of fields that were asked for.
    pub fn fields(command: &'static str, line: &str, expected: usize, found: usize) -> Self {
        Self::Fields { command, line: cut(line).into_owned(), expected, found }
    }

    /// `text` stands for more than `limit` `what`.
    pub fn too_many(what: &'static str, limit: usize, text: &str) -> Self {
        Self::TooMany { what, limit, text: cut(text).into_owned() }
    }
}

/// As much of a foreign text as a message can bear.
fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_is_printed() {
        for text in ["4711", "4711.pbs-1", "12[]", "f2xJ9"] {
            assert_eq!(AllocationId::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn nothing_that_a_command_line_would_misread_is_an_id() {
        let long = "1".repeat(ID_BYTES_MAX + 1);
        for text in
            ["", "0", "00", "-f", "1,2", "1 2", "1;rm", "$(x)", "1\n", "ä", ".1", long.as_str()]
        {
            assert!(AllocationId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_error_repeats_a_bounded_piece_of_foreign_text() {
        let error = ParseError::unknown_state("squeue", &"é".repeat(100_000));
        assert!(error.to_string().len() < 600, "{error}");
        assert!(ParseError::unknown_state("squeue", "BAKING").to_string().contains("`BAKING`"));
    }
}
