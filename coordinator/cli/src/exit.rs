//! What the exit status says, so that scripts need not read text.

use std::process::ExitCode;

use thresher_proto::pb::JobState;

/// How a command ended. 2 is a wrong command line, and given by its parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; the job is complete.
    Done = 0,
    /// Nothing came of it; the error was told.
    Error = 1,
    /// The job is complete, but for units that were set aside.
    Gaps = 3,
    /// The job failed for good, or was cancelled.
    JobFailed = 4,
    /// The job was drained or is not finished.
    Unfinished = 5,
}

/// For `--help`. 6 is given by `thresher-worker verify`.
pub(super) const EXIT_HELP: &str = "\
Exit status:
  0  done; for `run` and `status`: the job is complete
  1  error, told on stderr
  2  wrong usage
  3  the job is complete, but units were set aside (see `thresher status`)
  4  the job failed for good, or was cancelled
  5  the job was drained, or is not finished
  6  `verify` found differences";

impl Exit {
    /// Of the job that a command was about.
    pub(super) const fn of_job(state: JobState) -> Self {
        match state {
            JobState::Complete => Self::Done,
            JobState::CompleteWithGaps => Self::Gaps,
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
