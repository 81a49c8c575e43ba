//! What a survey measured of a job's inputs. What follows for the whole job is for the planner to
//! calculate.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The sources of a job, listed and sampled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// One entry for each source, in the order of the job file.
    pub sources: Vec<SourceSurvey>,
    /// Approximate size of the language model in memory; 0 without one.
    pub model_bytes: u64,
}

/// One source: what is listed, and what a sample of it showed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceSurvey {
    /// The name of the source in the job file.
    pub name: String,
    /// Number of inputs that are listed.
    pub inputs: u64,
    /// Number of listed inputs that do not exist.
    pub missing: u64,
    /// Number of listed inputs whose size is not known; `bytes` has an estimate for them, from
    /// those whose size was requested.
    pub of_unknown_size: u64,
    /// Compressed size of all inputs.
    pub bytes: u64,
    /// Names of inputs that are listed and not read, because a key of the job excludes them.
    pub left_out: Vec<String>,
    /// Number of units of LINES, and of PREPARE.
    pub units: u64,
    /// What was measured on some of the inputs.
    pub sample: Sample,
    /// The most frequent reason for which records of the sample are quarantined; empty if none is.
    pub quarantined_as: String,
}

/// What a sample of the inputs holds, and the CPU time of one thread for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Number of inputs that were read, completely or in part.
    pub inputs: u64,
    /// Number of compressed bytes that were read.
    pub bytes: u64,
    /// Number of records.
    pub records: u64,
    /// Size of the bodies of the records.
    pub record_bytes: u64,
    /// Number of records that are quarantined.
    pub quarantined: u64,
    /// Number of records that have a text.
    pub pages: u64,
    /// Size of these texts.
    pub page_bytes: u64,
    /// Size of the file that keeps these records for PREPARE; 0 if it reads the inputs again.
    pub kept_text_bytes: u64,
    /// Number of lines of the pages.
    pub lines: u64,
    /// Number of lines that differ.
    pub distinct_lines: u64,
    /// Number of pages that the recipe keeps.
    pub documents: u64,
    /// Size of the documents as JSON lines.
    pub json_bytes: u64,
    /// Size of the documents compressed, as they are published.
    pub shard_bytes: u64,
    /// CPU time for reading, normalising, hashing and sorting the lines, and for keeping the text.
    pub lines_cpu_micros: u64,
    /// CPU time for reading, unless the text is kept, language identification and filters.
    pub prepare_cpu_micros: u64,
    /// CPU time for compressing the documents.
    pub publish_cpu_micros: u64,
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sources.iter().try_for_each(|source| write!(f, "{source}"))
    }
}

impl fmt::Display for SourceSurvey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, inputs, missing, bytes, units, sample, .. } = self;
        writeln!(
            f,
            "source `{name}`: {inputs} inputs ({missing} missing), {bytes} bytes, {units} units"
        )?;
        let Sample { bytes, records, pages, documents, .. } = sample;
        let Sample { lines_cpu_micros, prepare_cpu_micros, publish_cpu_micros, .. } = sample;
        writeln!(
            f,
            "  sample: {bytes} bytes, {records} records, {pages} pages, {documents} documents; \
             CPU: lines {lines_cpu_micros} us, prepare {prepare_cpu_micros} us, publish \
             {publish_cpu_micros} us"
        )
    }
}
