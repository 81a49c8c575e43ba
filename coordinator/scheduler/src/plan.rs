//! A job as the scheduler sees it: plain numbers and names, made from the job file by others.
//!
//! Invariant: the plan decides which units exist and in which order they are leased, never what
//! is in the output.

/// A job, without anything that the scheduler does not need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPlan {
    /// The job's name, for status.
    pub name: String,
    /// Where the output goes, for status.
    pub output: String,
    /// In the order of the job file: a LIST unit's ordinal counts these.
    pub sources: Vec<SourcePlan>,
    /// Numbers that bound the run.
    pub limits: Limits,
    /// The order in which waiting units are handed out.
    pub lease_order: LeaseOrder,
}

/// One source of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePlan {
    /// The source's name, for explanations.
    pub name: String,
    /// Whether its inputs go through the LINES stage; if not, its units are skipped there.
    pub needs_lines: bool,
    /// Whether its documents are compared for near-duplicates; if not, its units are skipped in the
    /// SIGN stage.
    pub compares_near: bool,
    /// Whether it is an earlier output, of which nothing is published again.
    pub is_earlier: bool,
}

/// The order in which units that were never leased are handed out; others go before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseOrder {
    /// As they were listed.
    Canonical,
    /// Any order, decided by the seed: to show that the order does not matter.
    Shuffled(u64),
}

/// Numbers that bound the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A worker is lost if it does not call for this long.
    pub lease_millis: u32,
    /// How often a worker should call.
    pub heartbeat_millis: u32,
    /// Number of failed attempts after which a unit fails permanently.
    pub retries: u32,
    /// Whether the job stops at the end of a stage whose units failed permanently.
    pub stop_at_failed_units: bool,
    /// Share of a source's records, in thousandths, that may be quarantined.
    pub max_quarantined_permille: u32,
    /// Share of a source's documents, in thousandths, that are expected to be near-duplicates.
    pub max_removed_permille: u32,
    /// How long servers may leave every unit without an answer.
    pub outage_millis: u64,
    /// Number of workers that a unit may take with it while running alone, before it fails
    /// permanently.
    pub crash_limit: u32,
    /// Memory for keys of one rank of a gang unit; `None` if its node decides.
    pub key_memory_bytes: Option<u64>,
    /// Memory that a key of LINES needs.
    pub bytes_per_line_key: u64,
    /// Memory that a key of PREPARE needs.
    pub bytes_per_document_key: u64,
    /// Memory that a key of SIGN needs.
    pub bytes_per_band_key: u64,
    /// More key ranges than this are refused.
    pub max_ranges: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lease_millis: 60_000,
            heartbeat_millis: 10_000,
            retries: 3,
            stop_at_failed_units: false,
            max_quarantined_permille: 100,
            max_removed_permille: 1000,
            outage_millis: 600_000,
            crash_limit: 3,
            key_memory_bytes: None,
            bytes_per_line_key: 32,
            bytes_per_document_key: 64,
            bytes_per_band_key: 32,
            max_ranges: 1 << 16,
        }
    }
}
