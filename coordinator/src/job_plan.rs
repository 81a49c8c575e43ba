//! Derives the plan for the scheduler from the job file. It is a pure function, so that a replay
//! gives the same plan as at submission.

use thresher_domain::{BAND_KEY, DOCUMENT_KEY, LINE_KEY};
use thresher_job::{JobError, JobSpec, LeaseOrder as Order, OnFailedUnits};

use thresher_scheduler::{JobPlan, LeaseOrder, Limits, SourcePlan};

/// Largest number of key ranges; with more, a resolve stage would be mostly overhead.
const MAX_RANGES: u32 = 1 << 16;

/// Returns the plan of a job.
pub fn plan_of(job: &JobSpec) -> JobPlan {
    let plan_source = |source| SourcePlan {
        name: name_of(source),
        needs_lines: job.reads_twice(source),
        compares_near: job.compares_bands(source),
        is_earlier: source.earlier,
    };
    JobPlan {
        name: job.job.name.clone(),
        output: job.output.path.clone(),
        sources: job.source.iter().map(plan_source).collect(),
        limits: Limits {
            lease_millis: job.units.lease.millis(),
            heartbeat_millis: job.units.heartbeat.millis(),
            retries: job.units.attempts,
            stop_at_failed_units: job.units.on_failed_units == OnFailedUnits::Stop,
            max_quarantined_permille: (job.units.max_quarantined_share * 1000.0).round() as u32,
            max_removed_permille: (job.near.max_removed_share * 1000.0).round() as u32,
            outage_millis: job.units.outage.millis().into(),
            crash_limit: job.units.crash_limit,
            key_memory_bytes: job.dedup.memory.fixed(),
            bytes_per_line_key: LINE_KEY.memory_bytes,
            bytes_per_document_key: DOCUMENT_KEY.memory_bytes,
            bytes_per_band_key: BAND_KEY.memory_bytes,
            max_ranges: MAX_RANGES,
        },
        lease_order: match job.units.order {
            Order::Canonical => LeaseOrder::Canonical,
            Order::Shuffled(seed) => LeaseOrder::Shuffled(seed),
        },
    }
}

/// Returns the plan of a job from its text in the journal.
pub fn plan_of_text(resolved: &str) -> Result<JobPlan, JobError> {
    JobSpec::from_resolved(resolved).map(|job| plan_of(&job))
}

fn name_of(source: &thresher_job::SourceSpec) -> String {
    source.name.clone()
}
