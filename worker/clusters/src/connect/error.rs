//! How the search for components fails: by whose fault, so that the caller knows what has to run
//! again.

use std::io;
use std::path::PathBuf;

use thresher_dedup::comm::CommError;
use thresher_dedup::comm::agreement::RankError;
use thresher_formats::blocks::BlocksError;

/// Why documents were not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file of edges cannot be read; its key range has to be searched again.
    #[error("failed to read edges: {source}")]
    EdgeFile {
        /// The place of the file in the task.
        file: usize,
        /// What is wrong with it.
        source: BlocksError,
    },
    /// The documents of a rank do not fit into its memory.
    #[error(
        "`{documents}` documents with near-duplicates need `{needed}` bytes of memory, and a rank has `{budget}`\n\nhint: set a larger `dedup.memory` in the job file, or run on more nodes"
    )]
    Memory {
        /// Number of documents with an edge that the rank owns.
        documents: u64,
        /// The smallest budget with which the rank can connect them.
        needed: u64,
        /// The budget of the rank.
        budget: u64,
    },
    /// A file for what does not fit into memory could not be written.
    #[error("failed to spill edges to `{}`: {source}", file.display())]
    Scratch {
        /// The file.
        file: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// What was spilled could not be read back.
    #[error("failed to read spilled edges: {0}")]
    ScratchRead(#[source] BlocksError),
    /// The ranks were given different tasks.
    #[error(
        "the ranks do not have the same task\n\nhint: the launcher mixed two gang units or versions"
    )]
    TasksDiffer,
    /// The file of labels could not be written.
    #[error("failed to write labels: {0}")]
    Output(#[source] io::Error),
    /// Another rank failed; its own error says why.
    #[error("rank `{rank}` failed\n\nhint: see that rank's error")]
    OtherRank {
        /// The highest rank that failed.
        rank: usize,
    },
    /// A rank received bytes that are not a message of this search.
    #[error("rank `{from}` sent an invalid message")]
    Message {
        /// The sender.
        from: usize,
    },
    /// Messages were lost on the way.
    #[error("`{sent}` bytes were sent and `{received}` arrived")]
    Lost {
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

impl ConnectError {
    /// Returns whether it only says that another rank, with an error of its own, has failed.
    pub fn is_echo(&self) -> bool {
        matches!(self, Self::OtherRank { .. } | Self::Comm(CommError::RankLost { .. }))
    }
}

impl RankError for ConnectError {
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
