//! How the exchange of a key range fails: by whose fault, so that the caller knows what has to run
//! again.

use std::io;
use std::path::PathBuf;

use crate::comm::CommError;
use crate::comm::agreement::RankError;
use thresher_formats::blocks::BlocksError;

/// Why a key range was not resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A unit's key file cannot be read; the unit has to run again.
    #[error("failed to read the keys of unit `{unit}`: {source}")]
    KeyFile {
        /// The unit.
        unit: u32,
        /// What is wrong with its file.
        source: BlocksError,
    },
    /// The keys of a group cannot be read; they have to be gathered again.
    #[error("failed to read the keys of group `{group}`: {source}")]
    GroupFile {
        /// The group.
        group: u32,
        /// What is wrong with its file.
        source: BlocksError,
    },
    /// A key file belongs to another unit.
    #[error("`{}` holds the keys of unit `{found}`, expected `{expected}`", file.display())]
    WrongUnit {
        /// The key file.
        file: PathBuf,
        /// The unit that the task names.
        expected: u32,
        /// The unit in the file.
        found: u32,
    },
    /// The task names two key files for one unit.
    #[error("unit `{unit}` has two key files")]
    UnitTwice {
        /// The unit.
        unit: u32,
    },
    /// The ranks were given different tasks.
    #[error(
        "the ranks do not have the same task\n\nhint: the launcher mixed two gang units or versions"
    )]
    TasksDiffer,
    /// The file with what was found could not be written.
    #[error("failed to write what was found in a key range: {0}")]
    Output(#[source] io::Error),
    /// Another rank failed; its own error says why.
    #[error("rank `{rank}` failed\n\nhint: see that rank's error")]
    OtherRank {
        /// The highest rank that failed.
        rank: usize,
    },
    /// A rank received bytes that are not a message of this exchange.
    #[error("rank `{from}` sent an invalid message")]
    Message {
        /// The sender.
        from: usize,
    },
    /// Keys or verdicts were lost on the way.
    #[error("`{sent}` {what} were sent and `{received}` arrived")]
    Lost {
        /// What was counted: keys or verdicts.
        what: &'static str,
        /// Number counted by the senders.
        sent: u64,
        /// Number counted by the receivers.
        received: u64,
    },
    /// A rank on a thread panicked, which is a defect of this program.
    #[error("rank `{rank}` panicked: {message}")]
    Panicked {
        /// The rank.
        rank: usize,
        /// The message of the panic.
        message: String,
    },
    /// The ranks can no longer communicate.
    #[error(transparent)]
    Comm(#[from] CommError),
}

impl ResolveError {
    /// Returns whether it only says that another rank, with an error of its own, has failed.
    pub fn is_echo(&self) -> bool {
        matches!(self, Self::OtherRank { .. } | Self::Comm(CommError::RankLost { .. }))
    }
}

impl RankError for ResolveError {
    fn other_rank(rank: usize) -> Self {
        Self::OtherRank { rank }
    }

    fn panicked(rank: usize, message: String) -> Self {
        Self::Panicked { rank, message }
    }

    fn is_echo(&self) -> bool {
        Self::is_echo(self)
    }
}
