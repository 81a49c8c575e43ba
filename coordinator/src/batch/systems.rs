//! The adapter of a site, and the request that it is given.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use thresher_lsf::{Layout as LsfLayout, Lsf};
use thresher_site::batch::{AllocationId, AllocationRequest, BatchSystem, ID_PLACEHOLDER, Rerun};
use thresher_site::{Layout, Records, SiteProfile, System};
use thresher_slurm::{Records as SlurmRecords, Slurm};

use super::log::{log_path, lsf_log_path};
use super::records::Submission;

/// Largest part of the walltime that the warning may come before the end, as a divisor.
const WARNING_SHARE: u32 = 3;

/// Returns the adapter of a site.
pub fn batch_system(site: &SiteProfile) -> Box<dyn BatchSystem> {
    match site.system {
        System::Slurm => Box::new(Slurm {
            records: match site.records {
                Records::Queue => SlurmRecords::Queue,
                Records::Accounting => SlurmRecords::Accounting,
            },
        }),
        System::Lsf => Box::new(Lsf { layout: lsf_layout(site) }),
    }
}

fn lsf_layout(site: &SiteProfile) -> LsfLayout {
    match site.layout {
        Layout::WholeNodes => LsfLayout::WholeNodes,
        Layout::Slots => LsfLayout::Slots {
            per_node: NonZeroU32::new(site.cores_per_node).unwrap_or(NonZeroU32::MIN),
        },
    }
}

/// Returns the request for one allocation of a chain.
pub(super) fn request(
    submission: &Submission,
    state: &Path,
    job_name: &str,
    after: Option<AllocationId>,
) -> AllocationRequest {
    let site = &submission.site;
    let walltime = submission.walltime();
    let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let log = match site.system {
        System::Slurm => log_path(state, ID_PLACEHOLDER),
        // The script writes the log itself.
        System::Lsf => lsf_log_path(state, ID_PLACEHOLDER),
    };
    AllocationRequest {
        name: job_name.to_owned(),
        nodes: NonZeroU32::new(submission.nodes).unwrap_or(NonZeroU32::MIN),
        walltime,
        queue: named(&site.queue),
        account: named(&site.account),
        qos: named(&site.qos),
        reservation: named(&site.reservation),
        features: site.features.clone(),
        // A warning that comes at the start would leave no time for work.
        warn_before: Some(site.warn_before.0.min(walltime / WARNING_SHARE))
            .filter(|lead| !lead.is_zero()),
        output: Some(log.to_string_lossy().into_owned()),
        errors: None,
        after,
        rerun: Rerun::Allowed,
        extra: site.submit_options.clone(),
        script: PathBuf::from(&submission.script),
    }
}
