//! Submits allocations: writes files in the state directory, then runs the batch system's commands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use thresher_job::JobSpec;
use thresher_site::batch::{AllocationId, BatchSystem, CommandLine};
use thresher_site::{Chain, SiteProfile};

use super::command::run_command;
use super::history::History;
use super::records::{Record, Records, Submission};
use super::script::{ScriptValues, render};
use super::search::{NoId, Search};
use super::systems::{batch_system, request};

/// Limit for submitting. A busy controller takes its time; a hanging one must not block a person
/// for ever.
const SUBMIT_LIMIT: Duration = Duration::from_secs(120);
const CANCEL_LIMIT: Duration = Duration::from_secs(60);

const SCRIPT: &str = "-script.sh";
const JOB: &str = "-job.toml";

/// A submission that is checked and rendered, of which nothing has been done yet.
pub struct Prepared {
    /// The request, as it will be recorded.
    pub submission: Submission,
    /// The text of the batch script.
    pub script_text: String,
    job_text: String,
    state: PathBuf,
}

impl Prepared {
    /// Checks a job and a site, and renders the job file and the script, without writing anything.
    pub fn new(
        job: &JobSpec,
        site: SiteProfile,
        (nodes, walltime, allocations): (u32, Duration, u32),
        state: &Path,
        thresher: &Path,
    ) -> anyhow::Result<Self> {
        let records = Records::of(state);
        let submission = Submission {
            site,
            nodes,
            walltime_seconds: walltime.as_secs(),
            allocations,
            job_name: job.job.name.clone(),
            job: records.next_path(JOB)?,
            script: records.next_path(SCRIPT)?,
        };
        // All allocations of a chain have one script, so it does not name the one before.
        let system = batch_system(&submission.site);
        let directives =
            system.directives(&request(&submission, state, &submission.job_name, None))?;
        let script_text = render(&ScriptValues {
            job_name: &submission.job_name,
            site: &submission.site,
            nodes,
            state,
            script: &submission.script,
            job: &submission.job,
            thresher,
            directives: &directives,
            parts: system.script(),
        })?;
        let job_text = job.resolved();
        Ok(Self { submission, script_text, job_text, state: state.to_owned() })
    }

    /// Returns the commands that will be run, as a person would type them.
    pub fn commands(&self) -> anyhow::Result<Vec<String>> {
        let system = batch_system(&self.submission.site);
        let mut commands = Vec::new();
        for link in 0..links(&self.submission) {
            // The id of the previous allocation is not known yet.
            let after = (link > 0).then(|| AllocationId::parse("ID-OF-THE-ONE-BEFORE"));
            let request = request(
                &self.submission,
                &self.state,
                &self.submission.job_name,
                after.transpose()?,
            );
            commands.push(system.submit(&request)?.to_string());
        }
        Ok(commands)
    }

    /// Writes the files and submits the allocations.
    pub fn submit(self) -> anyhow::Result<Vec<AllocationId>> {
        let records = Records::create(&self.state)?;
        for (ending, text, path) in [
            (SCRIPT, &self.script_text, &self.submission.script),
            (JOB, &self.job_text, &self.submission.job),
        ] {
            let placed = records.put(ending, text.as_bytes())?;
            anyhow::ensure!(
                placed == *path,
                "another process submits this job at the same time: `{}` exists\nhint: `thresher \
                 status` shows what runs",
                path.display()
            );
        }
        submit_chain(&records, &self.submission, &self.state)
    }
}

/// Returns how many allocations are queued at once.
fn links(submission: &Submission) -> u32 {
    match submission.site.chain {
        Chain::Dependency => submission.allocations,
        Chain::Requeue => 1,
    }
}

/// Records the request, then submits its allocations, each after the previous one.
pub fn submit_chain(
    records: &Records,
    submission: &Submission,
    state: &Path,
) -> anyhow::Result<Vec<AllocationId>> {
    let system = batch_system(&submission.site);
    records.add(Record::Requested(Box::new(submission.clone())))?;
    let mut ids: Vec<AllocationId> = Vec::new();
    for _ in 0..links(submission) {
        let after = ids.last().cloned();
        let request = request(submission, state, &submission.job_name, after);
        let line = system.submit(&request)?;
        let submitted = match submit_one(&*system, &line) {
            Ok(id) => Ok(vec![id]),
            Err(failure) => {
                let known = History::of(&records.read()?);
                let search = Search { name: &submission.job_name, state, known: &known };
                search.after(&*system, failure)
            }
        };
        let submitted = submitted.with_context(|| match ids.last() {
            None => format!("`{}` failed", line.program),
            Some(last) => format!("{} were submitted, the last is `{last}`; then", ids.len()),
        })?;
        for id in submitted {
            records.add(Record::Submitted { id: id.to_string() })?;
            ids.push(id);
        }
    }
    Ok(ids)
}

fn submit_one(system: &dyn BatchSystem, line: &CommandLine) -> Result<AllocationId, NoId> {
    let out = run_command(line, SUBMIT_LIMIT).map_err(NoId::of)?;
    system.parse_submit(&out).map_err(|error| NoId::Unknown(error.to_string()))
}

/// Withdraws allocations. The records are written first, so that an allocation that starts at this
/// moment does nothing.
pub fn withdraw(
    records: &Records,
    system: &dyn BatchSystem,
    ids: &[AllocationId],
    why: &str,
) -> anyhow::Result<()> {
    for id in ids {
        records.add(Record::Withdrawn { id: id.to_string(), why: why.to_owned() })?;
    }
    if let Some(line) = system.cancel(ids) {
        run_command(&line, CANCEL_LIMIT)?;
    }
    Ok(())
}

/// Withdraws all allocations that wait, according to the records.
pub fn withdraw_waiting(records: &Records, history: &History, why: &str) -> anyhow::Result<usize> {
    let waiting = history.waiting();
    if let Some(submission) = &history.submission {
        withdraw(records, &*batch_system(&submission.site), &waiting, why)?;
    }
    Ok(waiting.len())
}
