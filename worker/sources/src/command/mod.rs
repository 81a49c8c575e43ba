//! Commands of the user's: a program that gives documents, or judges them, over pipes.
//!
//! ```text
//! source   input's bytes ─▶ stdin │ stdout ─▶ a JSON object a line: a document
//! filter   a document a line ─▶ stdin │ stdout ─▶ one answer a line, in the same order
//! ```
//! A program that is silent for too long, takes too much memory, ends with a status, answers what
//! is no answer, or too little or too much, fails its unit with what it said last on stderr.
//! Nothing of it is taken then, so no document is lost in silence. What it says is taken as it is:
//! the same input must give the same answer, or the promise of equal bytes does not hold.

mod pipes;
mod process;
mod reasons;

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thresher_job::{CommandSpec, JobSpec};
use thresher_unit::UnitError;

pub use process::{CommandError, Feed, Program};
pub use reasons::Reasons;

/// How a program is run.
#[derive(Debug, Clone)]
pub struct CommandLine<'a> {
    pub name: &'a str,
    pub run: &'a [String],
    pub folder: &'a Path,
    /// `THRESHER_INPUT` of its environment.
    pub input: Option<&'a str>,
    /// The longest silence.
    pub timeout: Duration,
    /// Address space of the program.
    pub memory_bytes: u64,
    /// The longest line that it may write.
    pub line_max_bytes: usize,
}

/// What a filter is asked about.
#[derive(Debug, Serialize)]
pub struct Question<'a> {
    pub id: &'a str,
    pub url: &'a str,
    pub title: &'a str,
    pub language: Option<&'a str>,
    pub text: &'a str,
}

/// What it says.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    keep: Option<bool>,
    #[serde(default)]
    reason: Option<String>,
    /// In place of the document's.
    #[serde(default)]
    text: Option<String>,
}

/// What becomes of a document.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    Rewritten(String),
    /// With the reason, which is a name.
    Dropped(String),
}

/// A filter at work: one program for one unit.
pub struct ExternalFilter {
    program: Program,
    question: Vec<u8>,
    reasons: Reasons,
}

impl ExternalFilter {
    pub fn start(line: &CommandLine<'_>) -> Result<Self, CommandError> {
        let program = Program::start(line, Feed::Lines)?;
        Ok(Self { program, question: Vec::new(), reasons: Reasons::default() })
    }

    /// Asks about one document and waits for the answer.
    pub fn judge(&mut self, question: &Question<'_>) -> Result<Verdict, CommandError> {
        self.question.clear();
        serde_json::to_writer(&mut self.question, question)
            .map_err(|error| self.program.failed(&format!("a question is no JSON: {error}")))?;
        self.question.push(b'\n');
        self.program.write(&self.question)?;
        let Some(line) = self.program.line()? else {
            return Err(self.program.gone("it ended before it had answered"));
        };
        let answer = serde_json::from_slice::<Answer>(&line);
        let answer = answer.map_err(|error| self.program.answered(&line, &error.to_string()))?;
        verdict(answer, &mut self.reasons).map_err(|why| self.program.answered(&line, &why))
    }

    /// Tells it that there is no more, and waits for its end.
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

/// Returns how the job runs `command`; `input` becomes its `THRESHER_INPUT`.
pub fn command_line<'a>(
    job: &JobSpec,
    command: &'a CommandSpec,
    input: Option<&'a str>,
) -> CommandLine<'a> {
    CommandLine {
        name: &command.name,
        run: &command.run,
        folder: Path::new(&command.folder),
        input,
        timeout: command.timeout.0,
        memory_bytes: command.memory.0,
        line_max_bytes: job.records.max_bytes.0 as usize,
    }
}

impl From<CommandError> for UnitError {
    fn from(error: CommandError) -> Self {
        // It may have been the machine's fault: memory, a missing file system.
        Self::Command(error.to_string())
    }
}

#[cfg(test)]
mod tests;
