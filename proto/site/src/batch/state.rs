//! What becomes of an allocation, in words that hold for every batch system.
//!
//! An adapter maps every word of its batch system to one of these; what to do about it is the
//! coordinator's decision. Pending may follow running: a requeued allocation keeps its id.

use std::fmt;
use std::time::Duration;

use super::AllocationId;

/// Where an allocation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllocationState {
    /// It has no nodes: never had any, or lost them and waits to start again.
    Pending {
        /// In the batch system's words; empty when it gives none.
        reason: String,
    },
    /// It holds nodes, and is charged for them.
    Running {
        /// What the nodes do.
        condition: Condition,
        /// How many it holds, where told; a lost node may have been taken off.
        nodes: Option<u32>,
        /// Until its walltime ends, where told.
        time_left: Option<Duration>,
    },
    /// It will not run again under this id, unless somebody requeues it by hand.
    Ended {
        /// Why, as far as the batch system says.
        ending: Ending,
        /// In the batch system's words; empty when it gives none.
        reason: String,
    },
}

/// What the nodes of a running allocation do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// They are being made ready; the script has not begun.
    Starting,
    /// They work.
    Working,
    /// They stand still, for a more important job or by an operator's hand.
    Suspended,
    /// The script has ended or is being ended.
    Finishing,
    /// The batch system has lost sight of them; it may find them again.
    Unreachable,
}

/// Why an allocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The script returned 0.
    Completed,
    /// The script failed.
    Failed {
        /// What it returned, where told.
        code: Option<u8>,
        /// What killed it, where told.
        signal: Option<u8>,
    },
    /// A person ended it.
    Cancelled,
    /// Its time was over.
    Walltime,
    /// A more important job took the nodes.
    Preempted,
    /// A node died, or never came up.
    NodeFailed,
    /// It took more memory than it was given.
    OutOfMemory,
    /// It could not have ended by the time that its owner had set.
    Deadline,
    /// The batch system gave up on it, and cannot say what it did last.
    Lost,
}

impl Ending {
    /// Ends that are no fault of the script: going on in another allocation is the right answer.
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
            Self::Walltime => f.write_str("walltime over"),
            Self::Preempted => f.write_str("preempted"),
            Self::NodeFailed => f.write_str("node failed"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Deadline => f.write_str("deadline missed"),
            Self::Lost => f.write_str("lost"),
        }
    }
}

/// What a process inside an allocation can know from its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Which one it is in.
    pub allocation: AllocationId,
    /// The nodes that work, in the batch system's order; empty where it does not say.
    pub nodes: Vec<String>,
    /// How often it was started again under this id; `None` where the batch system never says, so
    /// that only the state directory can tell a first run from a later one.
    pub restarts: Option<u32>,
    /// When its time is over, in seconds since 1970, where told.
    pub ends_unix_seconds: Option<u64>,
}

impl Inside {
    /// How long it has at `now_unix_seconds`; zero when its time is over.
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
