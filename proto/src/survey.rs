//! What a worker measured of a job's inputs before the job runs: `thresher-worker survey --json`
//! writes it, `thresher plan` reads it. What follows from it is the planner's business.

use serde::{Deserialize, Serialize};

/// A job's sources, listed and sampled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// In the order of the job file.
    pub sources: Vec<SourceSurvey>,
    /// Of the language model in memory, about; 0 without one.
    pub model_bytes: u64,
}

/// One source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceSurvey {
    /// As in the job file.
    pub name: String,
    /// Inputs that are listed.
    pub inputs: u64,
    /// Of those, how many are not there.
    pub missing: u64,
    /// Of those, how many do not tell their size; `bytes` guesses it from those that were asked.
    pub of_unknown_size: u64,
    /// Compressed, of all inputs.
    pub bytes: u64,
    /// Names of what is listed and not read, because a key of the job says so.
    pub left_out: Vec<String>,
    /// Units of LINES and of PREPARE.
    pub units: u64,
    /// What was measured on some of the inputs.
    pub sample: Sample,
}

/// What a sample of the inputs holds, and the CPU time of one thread for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Inputs that were read, whole or in part.
    pub inputs: u64,
    /// Compressed bytes that were read.
    pub bytes: u64,
    /// Records, and the bytes of their bodies.
    pub records: u64,
    /// See `records`.
    pub record_bytes: u64,
    /// Records with a text to judge, and its bytes.
    pub pages: u64,
    /// See `pages`.
    pub page_bytes: u64,
    /// Lines of the pages, and how many differ.
    pub lines: u64,
    /// See `lines`.
    pub distinct_lines: u64,
    /// Pages that the recipe keeps.
    pub documents: u64,
    /// Of the documents as JSON lines, and compressed as they are published.
    pub json_bytes: u64,
    /// See `json_bytes`.
    pub shard_bytes: u64,
    /// Reading, normalising, hashing and sorting the lines.
    pub lines_cpu_micros: u64,
    /// Reading, language identification, filters.
    pub prepare_cpu_micros: u64,
    /// Compressing the documents.
    pub publish_cpu_micros: u64,
}
