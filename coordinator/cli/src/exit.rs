//! The exit statuses, so that scripts need not parse text.

use std::process::ExitCode;

use thresher_proto::pb::{JobState, StatusResponse};

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
    /// The job is complete, but a person should look at the output before it is used.
    Attention = 7,
}

/// The text for `--help`.
pub(super) const EXIT_HELP: &str = "\
Exit status:
  0  done; for `run` and `status`: the job is complete
  1  error; its message is on stderr
  2  wrong usage
  3  the job is complete, but units are missing because they failed permanently
  4  the job failed permanently, or was cancelled
  5  the job is not finished: it runs, was drained, or is blocked until you fix something
  6  `verify` found differences
  7  the job is complete, but look at this: a source published nothing, or the output is gone";

impl Exit {
    /// Returns the exit status for the status of a job.
    pub(super) fn of_job(status: &StatusResponse) -> Self {
        match status.state() {
            JobState::Complete if !status.attention.is_empty() => Self::Attention,
            JobState::CompleteWithGaps if status.output_lost => Self::Attention,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_and_the_help_list_the_same_exit_statuses() {
        let guide = include_str!("../../../deploy/guide/faults.md");
        let rows = guide.lines().filter_map(|line| {
            let number = line.strip_prefix("| ")?.split(" |").next()?;
            number.parse::<u8>().ok()
        });
        let help =
            EXIT_HELP.lines().filter_map(|line| line.trim().split("  ").next()?.parse().ok());
        let (rows, help): (Vec<u8>, Vec<u8>) = (rows.collect(), help.collect());
        assert_eq!(rows, help);
        assert_eq!(help, (0..=Exit::Attention as u8).collect::<Vec<_>>());
    }

    #[test]
    fn a_complete_job_that_needs_a_look_has_a_status_of_its_own() {
        let status = |state: JobState, attention: &[&str]| StatusResponse {
            state: state.into(),
            attention: attention.iter().map(|text| (*text).to_owned()).collect(),
            ..StatusResponse::default()
        };
        for (state, attention, exit) in [
            (JobState::Complete, &[][..], Exit::Done),
            (JobState::Complete, &["nothing was published"], Exit::Attention),
            (JobState::CompleteWithGaps, &["nothing was published"], Exit::MissingUnits),
            (JobState::Cancelled, &[], Exit::JobFailed),
            (JobState::Drained, &[], Exit::Unfinished),
        ] {
            assert_eq!(Exit::of_job(&status(state, attention)), exit, "{state:?}");
        }
        let lost = StatusResponse {
            output_lost: true,
            ..status(JobState::CompleteWithGaps, &["the output is gone"])
        };
        assert_eq!(Exit::of_job(&lost), Exit::Attention, "what is missing is everything");
    }
}
