//! What a person asks a site for.

use std::time::Duration;

/// The size of a job that somebody wants to submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Number of nodes.
    pub nodes: u32,
    /// Time limit of each allocation.
    pub walltime: Duration,
    /// Number of allocations, one after the other.
    pub allocations: u32,
}
