//! The states of an allocation, in terms that hold for every batch system.
//!
//! An adapter maps every word of its batch system to one of these; the coordinator decides what
//! follows. Pending may follow running: a requeued allocation keeps its id.

use std::fmt;
use std::time::Duration;

use super::AllocationId;

/// The state of an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllocationState {
    /// It has no nodes: it never had any, or it lost them and waits to start again.
    Pending {
        /// The batch system's explanation; empty if it gives none.
        reason: String,
    },
    /// It has no nodes, and does not start until its owner or an operator releases it.
    Held {
        /// The batch system's explanation; empty if it gives none.
        reason: String,
    },
    /// It holds nodes and is charged for them.
    Running {
        /// What the nodes do.
        condition: Condition,
        /// Number of nodes that it holds, if known; a lost node may have been subtracted.
        nodes: Option<u32>,
        /// Time until its walltime ends, if known.
        time_left: Option<Duration>,
    },
    /// It does not run again under this id, unless somebody requeues it by hand.
    Ended {
        /// Why it ended, as far as the batch system says.
        ending: Ending,
        /// The batch system's explanation; empty if it gives none.
        reason: String,
        /// How long its last run lasted, if known.
        ran: Option<Duration>,
    },
}

/// What the nodes of a running allocation do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The nodes are being prepared; the script has not started.
    Starting,
    /// The script runs.
    Working,
    /// The script is suspended, for a more important job or by an operator.
    Suspended,
    /// The script has ended or is being ended.
    Finishing,
    /// The batch system cannot reach the nodes; it may reach them again.
    Unreachable,
}

/// Why an allocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The script returned 0.
    Completed,
    /// The script failed.
    Failed {
        /// Its exit status, if known.
        code: Option<u8>,
        /// The signal that killed it, if known.
        signal: Option<u8>,
    },
    /// A person cancelled it.
    Cancelled,
    /// Its walltime ended.
    Walltime,
    /// The batch system gave the nodes to a more important job.
    Preempted,
    /// A node failed, or never started.
    NodeFailed,
    /// It used more memory than it was given.
    OutOfMemory,
    /// It could not have ended before the deadline that its owner set.
    Deadline,
    /// The batch system lost it and does not know its last state.
    Lost,
}

impl Ending {
    /// Returns whether the script is not at fault, so that the job should resume in another
    /// allocation.
    pub fn is_normal(self) -> bool {
        match self {
            Self::Completed | Self::Walltime | Self::Preempted | Self::NodeFailed | Self::Lost => {
                true
            }
            Self::Failed { .. } | Self::Cancelled | Self::OutOfMemory | Self::Deadline => false,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Failed { signal: Some(signal), .. } => write!(f, "killed by signal {signal}"),
            Self::Failed { code: Some(code), signal: None } => write!(f, "failed with code {code}"),
            Self::Failed { code: None, signal: None } => f.write_str("failed"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Walltime => f.write_str("walltime exceeded"),
            Self::Preempted => f.write_str("preempted"),
            Self::NodeFailed => f.write_str("node failed"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Deadline => f.write_str("deadline missed"),
            Self::Lost => f.write_str("lost"),
        }
    }
}

/// What the environment says about the allocation in which a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The id of the allocation.
    pub allocation: AllocationId,
    /// Names of the compute nodes, in the batch system's order; empty if it does not say.
    pub nodes: Vec<String>,
    /// Number of times that it was started again under this id; `None` if the batch system never
    /// says, so that only the state directory can distinguish a first run from a later one.
    pub restarts: Option<u32>,
    /// End of its walltime, in seconds since 1970, if known.
    pub ends_unix_seconds: Option<u64>,
}

impl Inside {
    /// Returns the time left at `now_unix_seconds`; zero after the end of its walltime.
    pub fn time_left(&self, now_unix_seconds: u64) -> Option<Duration> {
        let ends = self.ends_unix_seconds?;
        Some(Duration::from_secs(ends.saturating_sub(now_unix_seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_out_but_never_below_zero() {
        let allocation = AllocationId::parse("7").unwrap();
        let inside =
            Inside { allocation, nodes: vec![], restarts: None, ends_unix_seconds: Some(100) };
        assert_eq!(inside.time_left(40), Some(Duration::from_secs(60)));
        assert_eq!(inside.time_left(101), Some(Duration::ZERO));
        assert_eq!(Inside { ends_unix_seconds: None, ..inside }.time_left(40), None);
    }

    #[test]
    fn walltime_and_preemption_are_normal_ends() {
        for ending in [Ending::Completed, Ending::Walltime, Ending::Preempted, Ending::NodeFailed] {
            assert!(ending.is_normal(), "{ending}");
        }
        let killed = Ending::Failed { code: None, signal: Some(9) };
        assert!(!killed.is_normal());
        assert_eq!(killed.to_string(), "killed by signal 9");
    }
}
