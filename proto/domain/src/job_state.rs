//! The state of a job, and the predicates that follow from it.

/// The state of a job, as people and programs see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobState {
    /// No job was submitted.
    #[default]
    None,
    /// Units are leased, or may be.
    Running,
    /// Stopped by a drain; the next coordinator resumes it.
    Drained,
    /// Complete, with every unit.
    Complete,
    /// Complete, but without the units that failed permanently.
    CompleteWithGaps,
    /// It cannot be planned: it has more units, or key ranges, than are allowed.
    Failed,
    /// Stopped for good by a person.
    Cancelled,
}

impl JobState {
    /// Returns whether the coordinator that reports this state has nothing left to do. A drained
    /// job resumes with the next coordinator; see [`Self::is_final`].
    pub const fn is_over(self) -> bool {
        match self {
            Self::None | Self::Running => false,
            Self::Drained
            | Self::Complete
            | Self::CompleteWithGaps
            | Self::Failed
            | Self::Cancelled => true,
        }
    }

    /// Returns whether no coordinator can change the job any more.
    pub const fn is_final(self) -> bool {
        self.is_over() && !matches!(self, Self::Drained)
    }

    /// Returns whether the output is sealed: it has a manifest.
    pub const fn is_complete(self) -> bool {
        matches!(self, Self::Complete | Self::CompleteWithGaps)
    }

    /// Returns the state in words, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no job yet",
            Self::Running => "running",
            Self::Drained => "drained",
            Self::Complete => "complete",
            Self::CompleteWithGaps => "complete with missing units",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drained_job_is_over_for_its_coordinator_but_not_final() {
        assert!(JobState::Drained.is_over() && !JobState::Drained.is_final());
        assert!(JobState::Cancelled.is_final() && !JobState::Cancelled.is_complete());
        assert!(JobState::CompleteWithGaps.is_complete() && !JobState::Running.is_over());
    }
}
