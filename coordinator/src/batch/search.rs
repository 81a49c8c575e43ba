//! Finds an allocation whose id the submitting command did not print.
//!
//! `bsub` and `sbatch` may submit and yet fail, hang or print nothing: the controller answers late,
//! a variable or a wrapper of the site swallows the id. Then the allocation is found by its name
//! and a path below the state directory, or the error says what is not known.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use thresher_site::batch::{AllocationId, BatchSystem};

use super::command::{CommandError, run_command};
use super::history::History;

const FIND_LIMIT: Duration = Duration::from_secs(30);
/// Searches for an allocation that was probably submitted, and the pause between them: a busy
/// controller lists it late.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);

/// Why there is no id.
#[derive(Debug)]
pub(super) enum NoId {
    /// The command was not run.
    NotRun(String),
    /// The command refused, so that there is most likely nothing to find.
    Refused(String),
    /// The command hung, or succeeded without printing an id.
    Unknown(String),
}

impl NoId {
    pub(super) fn of(error: CommandError) -> Self {
        match error {
            CommandError::Start { .. } | CommandError::Input { .. } => {
                Self::NotRun(error.to_string())
            }
            CommandError::Failed { .. } => Self::Refused(error.to_string()),
            CommandError::TooSlow { .. } | CommandError::Output { .. } => {
                Self::Unknown(error.to_string())
            }
        }
    }
}

/// What identifies an allocation of this job.
pub(super) struct Search<'a> {
    /// Name of the job.
    pub name: &'a str,
    /// Its state directory, which is part of the paths in each request.
    pub state: &'a Path,
    /// The allocations that are recorded.
    pub known: &'a History,
}

impl Search<'_> {
    /// Returns the allocations that were submitted although the command failed to say so, or an
    /// error that says whether there may be any.
    pub(super) fn after(
        &self,
        system: &dyn BatchSystem,
        failure: NoId,
    ) -> anyhow::Result<Vec<AllocationId>> {
        let (why, tries) = match failure {
            NoId::NotRun(why) => return Err(anyhow!("nothing was submitted: {why}")),
            NoId::Refused(why) => (why, 1),
            NoId::Unknown(why) => (why, TRIES),
        };
        let mut found = self.once(system);
        for _ in 1..tries {
            if matches!(&found, Ok(ids) if !ids.is_empty()) {
                break;
            }
            std::thread::sleep(PAUSE);
            found = self.once(system);
        }
        let search = system.find(self.name).to_string();
        match found {
            Ok(ids) if !ids.is_empty() => {
                let first = why.lines().next().unwrap_or_default();
                tracing::warn!(?ids, "submitted, found by name: {first}");
                Ok(ids)
            }
            Ok(_) if tries == 1 => Err(anyhow!("nothing was submitted: {why}")),
            Ok(_) => Err(anyhow!(
                "it is not known whether an allocation was submitted: {why}\nhint: the queue does \
                 not list it yet; `{search}` shows it, and `thresher status` after its start"
            )),
            Err(error) => Err(anyhow!(
                "it is not known whether an allocation was submitted: {why}\n{error}\nhint: \
                 `{search}` shows it when the batch system answers"
            )),
        }
    }

    /// Looks once; returns what is not recorded yet, oldest first.
    fn once(&self, system: &dyn BatchSystem) -> anyhow::Result<Vec<AllocationId>> {
        let line = system.find(self.name);
        let out = match run_command(&line, FIND_LIMIT) {
            Ok(out) => out,
            // It fails also if there is none of that name.
            Err(CommandError::Failed { said, .. }) if said.lines().all(|l| system.forgets(l)) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let below = format!("{}/", self.state.display());
        // A row that cannot be read is not one of ours.
        let rows = system.rows(&out);
        let listed = rows.iter().filter_map(|row| system.parse_find(row).ok()).flatten();
        let ours = listed.filter(|listed| listed.path.contains(&below));
        let mut ids: Vec<AllocationId> = ours
            .map(|listed| listed.id)
            .filter(|id| self.known.allocation(id.as_str()).is_none())
            .collect();
        ids.sort_by_key(|id| (id.as_str().len(), id.as_str().to_owned()));
        ids.dedup();
        Ok(ids)
    }
}
