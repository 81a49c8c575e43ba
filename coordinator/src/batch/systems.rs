//! The adapter of a site, and the request that it is given.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use thresher_flux::Flux;
use thresher_lsf::{Layout as LsfLayout, Lsf};
use thresher_pbs::Pbs;
use thresher_site::batch::{
    AllocationId, AllocationRequest, BatchSystem, ID_PLACEHOLDER, Inside, ParseError, Rerun,
};
use thresher_site::{Layout, Records, SiteProfile, System};
use thresher_slurm::{Records as SlurmRecords, Slurm};

use super::log::{log_path, own_log_path};
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
        System::Pbs => Box::new(Pbs),
        System::Flux => Box::new(Flux),
    }
}

/// Returns what the environment says of an allocation around this process, of any batch system.
pub fn inside_any(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Inside>, ParseError> {
    // What a site sets does not matter here.
    let slurm = Slurm { records: SlurmRecords::Queue };
    let lsf = Lsf { layout: LsfLayout::WholeNodes };
    for system in [&slurm as &dyn BatchSystem, &lsf, &Pbs, &Flux] {
        if let Some(inside) = system.inside(variable)? {
            return Ok(Some(inside));
        }
    }
    Ok(None)
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
    let log = match batch_system(site).script().own_log {
        None => log_path(state, ID_PLACEHOLDER),
        Some(name) => own_log_path(state, name),
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
