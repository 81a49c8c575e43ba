//! Replaces the sources of a job that read a corpus by the sources of that corpus, before the job
//! starts.
//!
//! This is the only reading of a listing outside of LIST. Each source of a corpus must be a source
//! of the job, since shards, limits and figures belong to sources.
//!
//! **Invariant:** the result depends on the job file and the manifest alone.

use thresher_job::{JobError, JobSpec, SourceSpec};
use thresher_sources::corpus;
use thresher_unit::UnitError;

/// Why the sources of a corpus are not known.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The manifest cannot be read.
    #[error("failed to read the corpus of source `{source_name}`: {error}")]
    Manifest {
        /// Name of the source in the job file.
        source_name: String,
        /// Why it cannot be read.
        error: UnitError,
    },
    /// The sources of the corpus do not fit into the job.
    #[error(transparent)]
    Job(#[from] JobError),
}

/// Returns the job with a source for each source of the corpora that it reads.
pub fn with_corpora(job: JobSpec) -> Result<JobSpec, CorpusError> {
    thresher_storage::s3::configure(&job.s3);
    job.with_corpora(|source| {
        let sources = sources_of(source)?;
        Ok(sources.into_iter().map(|(name, _)| name).collect())
    })
}

/// Returns the sources of a corpus that a source of the job selects, with their documents.
pub fn sources_of(source: &SourceSpec) -> Result<Vec<(String, u64)>, CorpusError> {
    corpus::sources_of(source).map_err(|error| {
        let source_name = source.name.clone();
        CorpusError::Manifest { source_name, error }
    })
}
