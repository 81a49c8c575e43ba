//! How a job continues that its state directory knows: as it is, with another job file, or again
//! from an earlier stage.
//!
//! ```text
//! job file of now ⇄ job of the state directory, and what is done
//!     → nothing to do · a restart · a refusal
//! ```
//! A job file may change freely until the first unit that depends on the change is done. Missing
//! units, and an output that is gone, are made again from the earliest stage that they need;
//! `repairs.rs` decides what a repaired input or program of missing units means.
//!
//! **Invariant:** nothing is removed before it is decided that the job can start, and nothing that
//! another job wrote is removed at all.

use std::path::{Path, PathBuf};

use anyhow::bail;
use thresher_domain::Stage;
use thresher_job::JobSpec;
use thresher_proto::pb::{self, JobState};
use thresher_scheduler::MissingUnit;

use crate::command_files::with_hashes;
use crate::driver::Driver;
use crate::job_changes::{Done, JobChanges};
use crate::repairs::{Missing, Redo, Relist, RepairedInputsOf};
use crate::work_folders::{move_kept, next, root_of};

/// What only the worker's code can do for a job, because it reads models and outputs.
#[derive(Clone, Copy)]
pub struct JobTools {
    /// Refuses a job that could not run. An output of the second job, which is the one of the state
    /// directory, is no obstacle.
    pub check: fn(&JobSpec, Option<&JobSpec>) -> anyhow::Result<()>,
    /// Returns what is wrong with a complete output, or `None` if it is whole.
    pub output_loss: fn(&JobSpec) -> anyhow::Result<Option<String>>,
    /// Removes what a job published, the manifest first. The second argument is its work directory,
    /// which has the list of its shards; without it only the manifest is removed.
    pub remove_output: fn(&JobSpec, Option<&Path>) -> anyhow::Result<()>,
    /// Returns which inputs of missing units have changed since they were listed. The second
    /// argument is the directory with the job's work files.
    pub repaired_inputs: RepairedInputsOf,
    /// Shows a person what a restart does.
    pub note: fn(&str),
}

/// What a person wants beside the job itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether to start over, whatever was done.
    pub fresh: bool,
    /// Whether units that failed permanently may be missing in the output.
    pub accept_missing: bool,
}

/// How a job continues from one of its stages.
#[derive(Debug)]
pub(crate) struct Restart {
    /// The job with its work directory.
    job: JobSpec,
    /// The first stage whose units run again; `None` changes only limits and names.
    from: Option<Stage>,
    /// Whether units of `from` that are done stay done.
    keep_done: bool,
    /// What the restart does, for a person.
    note: String,
    /// Writes what is known of repaired inputs into the new work directory.
    relist: Option<Relist>,
}

/// A job as its state directory knows it.
pub(crate) struct Known<'a> {
    pub(crate) job: &'a JobSpec,
    pub(crate) status: pb::StatusResponse,
    /// The missing units of the first stage that has some.
    pub(crate) missing: Vec<MissingUnit>,
}

/// Returns the job with what only this machine knows: its work directory, unless the job file names
/// one, and the hashes of its commands.
pub(crate) fn completed(mut job: JobSpec, state: &Path) -> anyhow::Result<JobSpec> {
    if job.job.work_dir.is_empty() {
        job.job.work_dir = state.join("work").to_string_lossy().into_owned();
    }
    with_hashes(job)
}

impl Known<'_> {
    /// Returns how the job continues as `job`; `None` if nothing has to be made again. `job` was
    /// completed. Returns an error for a change that comes too late.
    pub(crate) fn restart(
        &self,
        mut job: JobSpec,
        wanted: Wanted,
        tools: &JobTools,
    ) -> anyhow::Result<Option<Restart>> {
        let work_dir = Path::new(&self.job.job.work_dir);
        if root_of(work_dir) == Path::new(&job.job.work_dir) {
            job.job.work_dir.clone_from(&self.job.job.work_dir);
        }
        let restart = |job, from, note| Restart { job, from, keep_done: false, note, relist: None };
        if wanted.fresh {
            self.refuse_fresh_of_another(&job)?;
            let done = Done::from(Stage::List, &self.status);
            let note = format!("starts over; until now {done}");
            return Ok(Some(restart(job, Some(Stage::List), note)));
        }
        let state = self.status.state();
        let changes = JobChanges::between(self.job, &job);
        if let Some(from) = changes.from() {
            let ended = matches!(state, JobState::Failed | JobState::Cancelled);
            if ended || !Done::from(from, &self.status).is_nothing() {
                let is_redone = !ended && !self.accepts_missing(wanted);
                if let Some(redo) = is_redone.then(|| self.redo(&job, &changes, tools)).flatten() {
                    return Ok(Some(redo));
                }
                bail!(self.refusal(&changes));
            }
            let note = format!(
                "the job file has changed: {}; no unit that depends on it is done, so stage \
                 {from} starts with the new values",
                changes.in_one_line()
            );
            return Ok(Some(restart(job, Some(from), note)));
        }
        if let Some(again) = self.made_again(&job, wanted, tools) {
            return Ok(Some(again));
        }
        let is_judged_again = state.is_complete() && changes.change_what_is_expected();
        if changes.is_empty() || (state.is_final() && !is_judged_again) {
            return Ok(None);
        }
        let note = format!("the job file has changed: {}", changes.in_one_line());
        Ok(Some(restart(job, None, note)))
    }

    /// Returns the restart that makes missing units.
    fn redo(&self, job: &JobSpec, changes: &JobChanges, tools: &JobTools) -> Option<Restart> {
        let missing = Missing { job: self.job, status: &self.status, units: &self.missing };
        let Redo { from, keep_done, note, relist } =
            missing.redo(job, changes, tools.repaired_inputs)?;
        Some(Restart { job: job.clone(), from: Some(from), keep_done, note, relist })
    }

    /// Returns whether the job is complete, and a person wants no more of the missing units.
    fn accepts_missing(&self, wanted: Wanted) -> bool {
        wanted.accept_missing && self.status.state().is_complete()
    }

    /// Returns the restart for what is missing.
    fn made_again(&self, job: &JobSpec, wanted: Wanted, tools: &JobTools) -> Option<Restart> {
        if !self.accepts_missing(wanted)
            && let Some(redo) = self.redo(job, &JobChanges::default(), tools)
        {
            return Some(redo);
        }
        if !self.status.state().is_complete() {
            return None;
        }
        let loss = (tools.output_loss)(self.job).unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known whether the output is whole");
            None
        })?;
        // The work directory of a complete job was emptied, unless units are missing.
        let kept = Path::new(&self.job.job.work_dir).join(Stage::Layout.name()).is_dir();
        let from = if kept { Stage::Publish } else { Stage::List };
        let note = format!("{loss}; the output is made again from stage {from} on");
        let job = job.clone();
        Some(Restart { job, from: Some(from), keep_done: false, note, relist: None })
    }

    /// Refuses to start over with a job of another name: what is there was not made by it.
    fn refuse_fresh_of_another(&self, job: &JobSpec) -> anyhow::Result<()> {
        let (there, name) = (&self.job.job.name, &job.job.name);
        if there == name {
            return Ok(());
        }
        bail!(
            "the state directory and the output belong to the job `{there}`, and `--fresh` of \
             `{name}` does not remove what another job has done\nhint: choose another \
             `output.path`, or `--state`; or write `name = \"{there}\"` if it is the same job"
        )
    }

    /// Returns the error for changes on which finished units depend.
    fn refusal(&self, changes: &JobChanges) -> String {
        let name = &self.status.job_name;
        let head = format!(
            "the job file differs from that of the job `{name}`, which has started{}",
            changes.with_cost(&self.status)
        );
        if changes.rename_the_job() {
            return format!(
                "{head}\nhint: choose another `output.path` for another job, or `--state`; if it \
                 is the same job, undo the changes and run the same command again"
            );
        }
        format!(
            "{head}\nhint: undo the changes and run the same command again, or start over with \
             `--fresh`, which removes what this job has done and published; to keep that, choose \
             another `output.path` and `--state`"
        )
    }
}

impl Restart {
    /// Removes what is of no use any more, and writes the restart into the journal.
    pub(crate) fn perform(
        self,
        driver: &mut Driver,
        known: &JobSpec,
        tools: &JobTools,
    ) -> anyhow::Result<()> {
        let Self { mut job, from, keep_done, note, relist } = self;
        (tools.check)(&job, Some(known))?;
        (tools.note)(&note);
        if let Some(from) = from {
            let old = PathBuf::from(&known.job.work_dir);
            (tools.remove_output)(known, Some(&*old).filter(|_| from <= Stage::Publish))?;
            let new = match root_of(&old) == root_of(Path::new(&job.job.work_dir)) {
                true => next(&old),
                false => PathBuf::from(&job.job.work_dir),
            };
            move_kept(&old, &new, |stage| stage < from || (keep_done && stage == from))?;
            job.job.work_dir = new.to_string_lossy().into_owned();
        }
        let work_dir = PathBuf::from(&job.job.work_dir);
        driver.restart(job, from, keep_done)?;
        // Until then the tables of before are needed: the same restart may be repeated.
        relist.map_or(Ok(()), |relist| relist.write(&work_dir))
    }
}

#[cfg(test)]
mod tests {
    use thresher_domain::{FailureClass, UnitKey};

    use super::*;

    const JOB: &str = "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"x\"\n\
                       [language]\nmodel = \"none\"\n[output]\npath = \"/out\"\n";

    fn job(text: &str) -> JobSpec {
        let job = JobSpec::parse(text, Path::new("/jobs")).expect("the job is valid");
        completed(job, Path::new("/state")).expect("it has no commands")
    }

    fn tools(loss: fn(&JobSpec) -> anyhow::Result<Option<String>>) -> JobTools {
        JobTools {
            check: |_, _| Ok(()),
            output_loss: loss,
            remove_output: |_, _| Ok(()),
            repaired_inputs: |_, _, _| Ok(None),
            note: |_| {},
        }
    }

    /// Returns the status of a job with these numbers of done and failed units.
    fn status(state: JobState, stages: &[(pb::Stage, u32, u32)]) -> pb::StatusResponse {
        let stage = |(stage, done, failed): &(pb::Stage, u32, u32)| pb::StageStatus {
            stage: (*stage).into(),
            done: *done,
            set_aside: *failed,
            ..pb::StageStatus::default()
        };
        let stages = stages.iter().map(stage).collect();
        pb::StatusResponse { state: state.into(), stages, ..pb::StatusResponse::default() }
    }

    /// Returns the failed units of the first stage that has some.
    fn missing_in(status: &pb::StatusResponse) -> Vec<MissingUnit> {
        let failed = status.stages.iter().find(|stage| stage.set_aside > 0);
        let units = failed.into_iter().flat_map(|stage| {
            let of = Stage::try_from(stage.stage()).unwrap();
            (0..stage.set_aside).map(move |ordinal| UnitKey { stage: of, ordinal })
        });
        let class = Some(FailureClass::Program);
        units.map(|key| MissingUnit { key, source: Some(0), class }).collect()
    }

    fn restart(
        status: pb::StatusResponse,
        text: &str,
        wanted: Wanted,
    ) -> anyhow::Result<Option<(Option<Stage>, bool)>> {
        let missing = missing_in(&status);
        let known = Known { job: &job(JOB), status, missing };
        let restart = known.restart(job(text), wanted, &tools(|_| Ok(None)))?;
        Ok(restart.map(|restart| (restart.from, restart.keep_done)))
    }

    #[test]
    fn a_change_is_free_until_a_unit_that_depends_on_it_is_done() {
        let changed = JOB.replace("\"none\"", "\"none\"\nkeep = [\"de\"]");
        let listed = [(pb::Stage::List, 1, 0), (pb::Stage::Prepare, 0, 0)];
        let free = restart(status(JobState::Drained, &listed), &changed, Wanted::default());
        assert_eq!(free.unwrap(), Some((Some(Stage::Prepare), false)));
        let prepared = [(pb::Stage::List, 1, 0), (pb::Stage::Prepare, 1, 0)];
        let late = restart(status(JobState::Drained, &prepared), &changed, Wanted::default());
        let error = late.unwrap_err().to_string();
        assert!(
            error.contains("language.keep  [] -> [\"de\"]  (from prepare on: 1 unit"),
            "{error}"
        );
        assert!(error.contains("`--fresh`"), "{error}");
        let fresh = Wanted { fresh: true, ..Wanted::default() };
        let over = restart(status(JobState::Complete, &prepared), &changed, fresh);
        assert_eq!(over.unwrap(), Some((Some(Stage::List), false)));
    }

    #[test]
    fn a_job_of_another_name_does_not_start_over_and_no_hint_says_so() {
        let prepared = [(pb::Stage::List, 1, 0), (pb::Stage::Prepare, 1, 0)];
        let other = JOB.replace("\"a\"", "\"b\"").replace("\"x\"", "\"y\"");
        for (fresh, wanted) in [(true, "`--fresh` of `b` does not remove"), (false, "differs")] {
            let wanted_of = Wanted { fresh, ..Wanted::default() };
            let error = restart(status(JobState::Complete, &prepared), &other, wanted_of);
            let error = error.unwrap_err().to_string();
            assert!(error.contains(wanted) && error.contains("hint: choose another"), "{error}");
            assert!(!error.contains("start over"), "{error}");
        }
    }

    #[test]
    fn a_key_on_which_no_unit_depends_is_taken_over_at_once() {
        let changed = format!("{JOB}[units]\nattempts = 9\n");
        let done = [(pb::Stage::List, 1, 0), (pb::Stage::Seal, 0, 0)];
        let taken = restart(status(JobState::Drained, &done), &changed, Wanted::default());
        assert_eq!(taken.unwrap(), Some((None, false)));
        let complete = restart(status(JobState::Complete, &done), &changed, Wanted::default());
        assert_eq!(complete.unwrap(), None);
        assert_eq!(
            restart(status(JobState::Drained, &done), JOB, Wanted::default()).unwrap(),
            None
        );
    }

    #[test]
    fn missing_units_run_again_unless_they_are_accepted() {
        let done = [(pb::Stage::Lines, 5, 0), (pb::Stage::Prepare, 3, 2), (pb::Stage::Seal, 1, 0)];
        let gaps = || status(JobState::CompleteWithGaps, &done);
        let state = tempfile::tempdir().unwrap();
        let job =
            completed(JobSpec::parse(JOB, Path::new("/jobs")).unwrap(), state.path()).unwrap();
        let again = |wanted| {
            let known = Known { job: &job, status: gaps(), missing: missing_in(&gaps()) };
            let restart = known.restart(job.clone(), wanted, &tools(|_| Ok(None))).unwrap();
            restart.map(|restart| (restart.from, restart.keep_done))
        };
        let accepted = Wanted { accept_missing: true, ..Wanted::default() };
        assert_eq!(again(accepted), None);
        assert_eq!(again(Wanted::default()), Some((Some(Stage::List), false)), "no lists are left");
        std::fs::create_dir_all(state.path().join("work/list")).unwrap();
        assert_eq!(again(Wanted::default()), Some((Some(Stage::Prepare), true)));
    }

    #[test]
    fn an_output_that_is_gone_is_made_again_and_one_that_cannot_be_asked_is_not() {
        let complete = || status(JobState::Complete, &[(pb::Stage::Seal, 1, 0)]);
        let known = job(JOB);
        let known = || Known { job: &known, status: complete(), missing: Vec::new() };
        let gone = tools(|_| Ok(Some("`/out/manifest.json` does not exist".to_owned())));
        let again = known().restart(job(JOB), Wanted::default(), &gone).unwrap().unwrap();
        assert_eq!(again.from, Some(Stage::List));
        assert!(again.note.contains("does not exist; the output is made again"), "{}", again.note);
        let silent = tools(|_| bail!("no answer"));
        assert!(known().restart(job(JOB), Wanted::default(), &silent).unwrap().is_none());
    }
}
