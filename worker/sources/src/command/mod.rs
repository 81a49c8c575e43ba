//! Runs the user's commands: a program that writes documents, or filters them, over pipes.
//!
//! ```text
//! source   bytes of the input ─▶ stdin │ stdout ─▶ a JSON object on each line: a document
//! filter   a document on each line ─▶ stdin │ stdout ─▶ an answer on each line, in the same order
//! ```
//! A program fails its unit if it does not respond in time, exceeds its memory limit, exits with a
//! status other than 0, or writes too few, too many or invalid answers. The error contains its last
//! output on stderr. None of its output is used then, so no document is lost unnoticed. Valid
//! answers are used unchanged: the output of a job is reproducible only if the program gives the
//! same answer for the same input.

mod pipes;
mod process;
mod reasons;

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thresher_formats::stop::Stop;
use thresher_job::{CommandSpec, JobSpec};
use thresher_unit::UnitError;

pub use process::{CommandError, Feed, Program};
pub use reasons::Reasons;

/// The command line of a program, with its folder and its limits.
#[derive(Debug, Clone)]
pub struct CommandLine<'a> {
    /// The name of the command in the job file, for error messages.
    pub name: &'a str,
    /// The program and its arguments.
    pub run: &'a [String],
    /// The working directory of the program.
    pub folder: &'a Path,
    /// The value of `THRESHER_INPUT` in the program's environment; `None` leaves it unset.
    pub input: Option<&'a str>,
    /// The longest time for which the program may neither read nor write.
    pub timeout: Duration,
    /// The limit of the program's address space in bytes.
    pub memory_bytes: u64,
    /// The length in bytes of the longest line that the program may write.
    pub line_max_bytes: usize,
    /// Ends every wait for the program.
    pub stop: Stop,
}

/// A document as it is written to a filter.
#[derive(Debug, Serialize)]
pub struct Question<'a> {
    /// The id of the document.
    pub id: &'a str,
    /// The address of the document; empty if it has none.
    pub url: &'a str,
    /// The title of the document; empty if it has none.
    pub title: &'a str,
    /// The language, if it is known.
    pub language: Option<&'a str>,
    /// The text of the document.
    pub text: &'a str,
}

/// The answer of a filter.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    keep: Option<bool>,
    #[serde(default)]
    reason: Option<String>,
    /// The text that replaces the document's.
    #[serde(default)]
    text: Option<String>,
}

/// The decision of a filter about one document.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The document is kept.
    Keep,
    /// The document is kept with this text.
    Rewritten(String),
    /// The document is dropped for this reason.
    Dropped(String),
}

/// A running filter: one program for one unit.
pub struct ExternalFilter {
    program: Program,
    question: Vec<u8>,
    reasons: Reasons,
}

impl ExternalFilter {
    /// Starts the program of a filter.
    pub fn start(line: &CommandLine<'_>) -> Result<Self, CommandError> {
        let program = Program::start(line, Feed::Lines)?;
        Ok(Self { program, question: Vec::new(), reasons: Reasons::default() })
    }

    /// Sends one document to the program and waits for the answer.
    pub fn evaluate(&mut self, question: &Question<'_>) -> Result<Verdict, CommandError> {
        self.question.clear();
        serde_json::to_writer(&mut self.question, question).map_err(|error| {
            self.program.failed(&format!("a document cannot be written as JSON: {error}"))
        })?;
        self.question.push(b'\n');
        self.program.write(&self.question)?;
        let Some(line) = self.program.line()? else {
            return Err(self.program.pipe_closed("it exited before it answered"));
        };
        let answer = serde_json::from_slice::<Answer>(&line);
        let answer =
            answer.map_err(|error| self.program.invalid_answer(&line, &error.to_string()))?;
        verdict(answer, &mut self.reasons).map_err(|why| self.program.invalid_answer(&line, &why))
    }

    /// Closes the program's stdin and waits until it exits.
    pub fn finish(self) -> Result<(), CommandError> {
        self.program.finish()
    }
}

fn verdict(answer: Answer, reasons: &mut Reasons) -> Result<Verdict, String> {
    match answer {
        Answer { keep: Some(false), reason, text: None } => {
            let reason = reason.unwrap_or_else(|| "dropped".to_owned());
            reasons.check(&reason)?;
            Ok(Verdict::Dropped(reason))
        }
        Answer { keep: None | Some(true), reason: None, text: Some(text) } => {
            Ok(Verdict::Rewritten(text))
        }
        Answer { keep: Some(true), reason: None, text: None } => Ok(Verdict::Keep),
        _ => {
            let forms =
                "write {\"keep\": true}, {\"keep\": false, \"reason\": \"…\"} or {\"text\": \"…\"}";
            Err(forms.to_owned())
        }
    }
}

/// Returns the command line for `command` of the job; `input` becomes its `THRESHER_INPUT`.
pub fn command_line<'a>(
    job: &JobSpec,
    command: &'a CommandSpec,
    input: Option<&'a str>,
    stop: &Stop,
) -> CommandLine<'a> {
    CommandLine {
        name: &command.name,
        run: &command.run,
        folder: Path::new(&command.folder),
        input,
        timeout: command.timeout.0,
        memory_bytes: command.memory.0,
        line_max_bytes: job.records.max_bytes.0 as usize,
        stop: stop.clone(),
    }
}

impl From<CommandError> for UnitError {
    fn from(error: CommandError) -> Self {
        // The cause may be the machine, such as too little memory or a missing file system.
        Self::Program(error.to_string())
    }
}

#[cfg(test)]
mod tests;
