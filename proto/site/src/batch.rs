//! The contract between the coordinator and the adapter of a batch system: values in, command lines
//! out; text in, values out.
//!
//! The coordinator runs the commands (with a time limit, a log and a dry run) and knows scripts and
//! sites. An adapter is pure: it uses no process, file, clock or environment of its own. One status
//! call covers all allocations, and a word that the adapter does not know is an error that names
//! it, never a guess.

mod request;
mod state;

use std::borrow::Cow;
use std::fmt;

pub use request::{
    AllocationRequest, CommandLine, Directives, ID_PLACEHOLDER, RequestError, Rerun, shell_quoted,
};
pub use state::{AllocationState, Condition, Ending, Inside};

/// Longest id that is accepted.
const ID_BYTES_MAX: usize = 128;
// Longest part of the batch system's text that an error repeats.
const QUOTED_CHARS_MAX: usize = 120;

/// A batch system: how to send requests to it, and how to read its answers.
pub trait BatchSystem: Sync {
    /// Returns the name of the batch system in job files and messages, such as `slurm`.
    fn name(&self) -> &'static str;

    /// Returns the lines at the top of the script that request its allocation, or why this system
    /// cannot give such a one. `request.after` is not among them: all allocations of a chain have
    /// one script.
    fn directives(&self, request: &AllocationRequest) -> Result<Directives, RequestError>;

    /// Returns the command that submits the script, with what its directives cannot say.
    fn submit(&self, request: &AllocationRequest) -> Result<CommandLine, RequestError>;

    /// Returns what the batch script has to know about this system.
    fn script(&self) -> ScriptParts;

    /// Reads the output of the command that submits.
    fn parse_submit(&self, out: &str) -> Result<AllocationId, ParseError>;

    /// Returns the command that prints the state of all of `ids`, or `None` if there are none.
    fn status(&self, ids: &[AllocationId]) -> Option<CommandLine>;

    /// Splits the output of the commands that print states and lists into parts that can be read
    /// one by one, so that an allocation that cannot be read hides no other.
    fn rows(&self, out: &str) -> Vec<String> {
        out.lines().map(str::to_owned).collect()
    }

    /// Reads the output of that command, in its order, or one row of it. The command may have
    /// failed because of one id, and printed the others. An allocation that is missing from the
    /// output is one that the batch system has forgotten, which does not say how it ended.
    fn parse_status(&self, out: &str) -> Result<Vec<(AllocationId, AllocationState)>, ParseError>;

    /// Returns whether this line of the errors of the status command says only that the batch
    /// system has no record of an id.
    fn forgets(&self, line: &str) -> bool;

    /// Returns what to do about a status command that failed with this text, if it is about a
    /// setting of the site's profile.
    fn advice(&self, _failure: &str) -> Option<&'static str> {
        None
    }

    /// Returns the command that lists the allocations of this user with this name: for one whose
    /// id the submitting command did not print.
    fn find(&self, name: &str) -> CommandLine;

    /// Reads the output of that command, or one row of it.
    fn parse_find(&self, out: &str) -> Result<Vec<Listed>, ParseError>;

    /// Returns the command that ends all of `ids`, pending or running, or `None` if there are none.
    fn cancel(&self, ids: &[AllocationId]) -> Option<CommandLine>;

    /// Returns how often a script may start under one id before the system holds its allocation,
    /// so that it is replaced by another one in time; `None` if there is no such limit.
    fn starts_max(&self) -> Option<u32> {
        None
    }

    /// Reads from the environment of a process what allocation it runs in; `None` outside any.
    fn inside(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Inside>, ParseError>;
}

/// What differs in the batch script between batch systems, as bash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptParts {
    /// Lines that set `id`, the id of the allocation, on the node where the script starts and on
    /// all others. They may export variables that [`BatchSystem::inside`] reads.
    pub surroundings: &'static str,
    /// Command that has the script run again: under the same id, or as a new allocation.
    pub requeue: &'static str,
    /// Environment, as `NAME=value` words of bash, of a command that asks the batch system about
    /// this allocation from inside it; empty if it needs none.
    pub asking: &'static str,
    /// Name of the file in the log folder that the batch system writes by itself, with
    /// [`ID_PLACEHOLDER`], while the script appends its output to the log; `None` if the batch
    /// system does that. An empty name is the folder.
    pub own_log: Option<&'static str>,
}

/// An allocation, by the id that its batch system gave it. It is safe in a command line: it never
/// looks like an option, a list or shell syntax.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId(String);

impl AllocationId {
    /// Accepts ids such as `4711`, `4711.server`, `f2xJ9`: letters, digits and `._-[]`, starting
    /// with a letter or digit. Rejects `0`, which means all jobs of the user in LSF.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fine = text.len() <= ID_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-[]".contains(&b))
            && text.bytes().any(|b| b != b'0');
        if fine { Ok(Self(text.to_owned())) } else { Err(ParseError::bad("allocation id", text)) }
    }

    /// Returns the id as the batch system writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AllocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An allocation that was found by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: AllocationId,
    /// A path from its request, of the script or the log, by which its job can be recognised.
    pub path: String,
}

/// Why a batch system's text cannot be read.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ParseError {
    /// The output names a state that the adapter does not know.
    #[error(
        "`{command}` printed an unknown state: `{word}`\n\
         hint: this version of the batch system may be newer than this program; report the word"
    )]
    UnknownState {
        /// The program that printed it.
        command: &'static str,
        /// The word as printed.
        word: String,
    },

    /// The submitting command did not print the id of what it submitted.
    #[error("`{command}` printed no allocation id: `{text}`")]
    NoAllocationId {
        /// The program that was run.
        command: &'static str,
        /// What it printed, truncated.
        text: String,
    },

    /// A line has too few or too many fields.
    #[error("`{command}` printed {found} fields instead of {expected}: `{line}`")]
    Fields {
        /// The program that printed it.
        command: &'static str,
        /// The whole line, truncated.
        line: String,
        /// Number of fields requested.
        expected: usize,
        /// Number of fields in the line.
        found: usize,
    },

    /// A number, time, id or name is not valid.
    #[error("`{text}` is not a valid {what}")]
    Value {
        /// What was expected: `walltime`, `node list`.
        what: &'static str,
        /// What was found, truncated.
        text: String,
    },

    /// A text expands to more items than the limit.
    #[error("`{text}` expands to more than {limit} {what}")]
    TooMany {
        /// Kind of the items.
        what: &'static str,
        /// Largest number of items that is accepted.
        limit: usize,
        /// What was found, truncated.
        text: String,
    },
}

impl ParseError {
    /// Returns the error that `text` is not a valid `what`.
    pub fn bad(what: &'static str, text: &str) -> Self {
        Self::Value { what, text: cut(text).into_owned() }
    }

    /// Returns the error that `command` printed the unknown state `word`.
    pub fn unknown_state(command: &'static str, word: &str) -> Self {
        Self::UnknownState { command, word: cut(word).into_owned() }
    }

    /// Returns the error that the output `out` of a submitting `command` has no id.
    pub fn no_id(command: &'static str, out: &str) -> Self {
        Self::NoAllocationId { command, text: cut(out.trim()).into_owned() }
    }

    /// Returns the error that `line` of `command` does not have the expected number of fields.
    pub fn fields(command: &'static str, line: &str, expected: usize, found: usize) -> Self {
        Self::Fields { command, line: cut(line).into_owned(), expected, found }
    }

    /// Returns the error that `text` expands to more than `limit` `what`.
    pub fn too_many(what: &'static str, limit: usize, text: &str) -> Self {
        Self::TooMany { what, limit, text: cut(text).into_owned() }
    }
}

/// Truncates untrusted text to a length that fits a message.
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
