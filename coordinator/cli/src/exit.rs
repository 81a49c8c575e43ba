//! The exit statuses, so that scripts need not parse text.

use std::process::ExitCode;

use thresher_proto::pb::JobState;

/// The result of a command. The parser of the command line adds 2, for wrong usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded; the job is complete.
    Done = 0,
    /// The command failed; the error is on stderr.
    Error = 1,
    /// The job or output is complete, except for units that failed permanently.
    MissingUnits = 3,
    /// The job failed permanently, or was cancelled.
    JobFailed = 4,
    /// The job was drained or is not finished.
    Unfinished = 5,
    /// An output differs from its manifest.
    Differs = 6,
}

/// The text for `--help`.
pub(super) const EXIT_HELP: &str = "\
Exit status:
  0  done; for `run` and `status`: the job is complete
  1  error; its message is on stderr
  2  wrong usage
  3  the job is complete, but units failed permanently (see `thresher status`)
  4  the job failed permanently, or was cancelled
  5  the job was drained, or is not finished
  6  `verify` found differences";

impl Exit {
    /// Returns the status for the state of a job.
    pub(super) const fn of_job(state: JobState) -> Self {
        match state {
            JobState::Complete => Self::Done,
            JobState::CompleteWithGaps => Self::MissingUnits,
            JobState::Failed | JobState::Cancelled => Self::JobFailed,
            JobState::None | JobState::Running | JobState::Drained => Self::Unfinished,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
