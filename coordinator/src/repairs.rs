//! What a person repaired so that missing units can be made: inputs of theirs, or the program of
//! the user's that failed.
//!
//! ```text
//! missing units · their inputs as they are now · changed commands → stages that run again, why
//! ```
//! Only what depends on the repaired thing runs again. If units that are done depend on it too,
//! their whole stage does, since results of single units cannot be subtracted from its sums.
//!
//! **Invariant:** the bytes are those of a job that found the repaired things when it started.

use std::fmt;
use std::path::{Path, PathBuf};

use thresher_domain::{FailureClass, Stage, UnitKey};
use thresher_job::JobSpec;
use thresher_proto::pb;
use thresher_scheduler::MissingUnit;

use crate::job_changes::{Done, JobChanges};
use crate::work_folders::next;

/// Number of repaired inputs that a note names.
const MAX_NAMED: usize = 5;

/// Inputs of missing units that differ from what the job listed.
#[derive(Debug)]
pub struct RepairedInputs {
    /// The inputs, each with what has changed.
    pub named: Vec<String>,
    /// Their sources in the job file.
    pub sources: Vec<usize>,
    /// Whether units that are not missing read other inputs now.
    pub moves_others: bool,
    /// Writes what is known of them into a work directory.
    pub relist: Relist,
}

/// A function that writes into a work directory.
type WriteInto = dyn FnOnce(&Path) -> anyhow::Result<()>;

/// Writes the inputs as they are now into a work directory.
pub struct Relist(Box<WriteInto>);

impl Relist {
    /// Returns what `write` does.
    pub fn new(write: impl FnOnce(&Path) -> anyhow::Result<()> + 'static) -> Self {
        Self(Box::new(write))
    }

    pub(crate) fn write(self, work_dir: &Path) -> anyhow::Result<()> {
        (self.0)(work_dir)
    }
}

impl fmt::Debug for Relist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relist")
    }
}

/// A function that compares the inputs of units of LINES or PREPARE with what the job listed.
pub(crate) type RepairedInputsOf =
    fn(&JobSpec, &Path, &[UnitKey]) -> anyhow::Result<Option<RepairedInputs>>;

/// The missing units of a job, as its state directory knows it.
pub(crate) struct Missing<'a> {
    pub(crate) job: &'a JobSpec,
    pub(crate) status: &'a pb::StatusResponse,
    /// Those of the first stage that has some.
    pub(crate) units: &'a [MissingUnit],
}

/// How missing units are made.
pub(crate) struct Redo {
    /// The first stage whose units run again.
    pub(crate) from: Stage,
    /// Whether units of it that are done stay done.
    pub(crate) keep_done: bool,
    /// What runs again and why, for a person.
    pub(crate) note: String,
    /// Writes what is known of repaired inputs.
    pub(crate) relist: Option<Relist>,
}

/// What a redo starts with.
struct Again {
    from: Stage,
    keep_done: bool,
}

impl Missing<'_> {
    /// Returns how missing units are made: of a job that is complete without them, or for
    /// what was repaired of a job that stopped for them. `changes` are those of the job file.
    /// Returns `None` if there is nothing to make, or if it does not explain the changes.
    pub(crate) fn redo(
        &self,
        job: &JobSpec,
        changes: &JobChanges,
        repaired_inputs: RepairedInputsOf,
    ) -> Option<Redo> {
        let stage = self.units.first()?.key.stage;
        let depends = changes.from();
        if depends.is_some() && !self.failed_in(&changes.only_commands(job)?) {
            return None;
        }
        let reads_inputs = matches!(stage, Stage::Lines | Stage::Prepare);
        let lists = self.lists();
        if reads_inputs && lists.is_none() {
            return Some(self.without_lists(changes));
        }
        let lists = lists.filter(|_| reads_inputs);
        let inputs = lists.and_then(|work| self.repaired_inputs(&work, repaired_inputs));
        if depends.is_none() && inputs.is_none() && !self.status.state().is_complete() {
            return None;
        }
        let mut again = Again { from: stage, keep_done: true };
        if let Some(depends) = depends.filter(|depends| *depends <= stage) {
            again = Again { from: depends, keep_done: false };
        }
        if let Some(inputs) = &inputs {
            again.include(self.stages_of(inputs, stage));
        }
        let why = match inputs.as_ref().is_some_and(|inputs| inputs.moves_others) {
            true => "units that are done would read other inputs",
            false => "units that are done depend on it",
        };
        let note = self.note(&again, changes, inputs.as_ref(), why);
        // A table of inputs that LIST writes again need not be corrected.
        let relist = inputs.map(|inputs| inputs.relist).filter(|_| again.from > Stage::List);
        let Again { from, keep_done } = again;
        Some(Redo { from, keep_done, note, relist })
    }

    /// Returns whether a missing unit failed in one of these commands.
    fn failed_in(&self, commands: &[String]) -> bool {
        let failed = self.units.iter().filter(|unit| unit.class == Some(FailureClass::Program));
        let mut sources = failed.filter_map(|unit| self.job.source.get(unit.source?));
        sources.any(|source| {
            let mut named = source.commands.iter().chain([&source.reader]);
            named.any(|name| commands.contains(name))
        })
    }

    /// Returns the work directory that has the lists of inputs, if one has them.
    fn lists(&self) -> Option<PathBuf> {
        let work = PathBuf::from(&self.job.job.work_dir);
        // A restart that was interrupted has moved it already.
        let moved = next(&work);
        [work, moved].into_iter().find(|work| work.join(Stage::List.name()).is_dir())
    }

    /// Returns the redo of a job whose lists of inputs are gone. Nobody can say which inputs have
    /// changed since, so nothing that was made of them is used any more.
    fn without_lists(&self, changes: &JobChanges) -> Redo {
        let again = Again { from: Stage::List, keep_done: false };
        let why = "the lists of inputs in the work directory are gone";
        let note = self.note(&again, changes, None, why);
        Redo { from: again.from, keep_done: again.keep_done, note, relist: None }
    }

    fn repaired_inputs(&self, work: &Path, look: RepairedInputsOf) -> Option<RepairedInputs> {
        let missing: Vec<UnitKey> = self.units.iter().map(|unit| unit.key).collect();
        look(self.job, work, &missing).unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known whether inputs of missing units were repaired");
            None
        })
    }

    /// Returns what must run again for inputs of missing units of `stage`.
    fn stages_of(&self, inputs: &RepairedInputs, stage: Stage) -> Again {
        if inputs.moves_others {
            return Again { from: Stage::List, keep_done: false };
        }
        let mut sources = inputs.sources.iter().filter_map(|source| self.job.source.get(*source));
        // PREPARE compares with what LINES read.
        match stage == Stage::Prepare && sources.any(|source| self.job.reads_twice(source)) {
            true => Again { from: Stage::Lines, keep_done: false },
            false => Again { from: stage, keep_done: true },
        }
    }

    fn note(
        &self,
        again: &Again,
        changes: &JobChanges,
        inputs: Option<&RepairedInputs>,
        why_for_all: &str,
    ) -> String {
        let Again { from, keep_done } = *again;
        let missing = self.units.len();
        let stage = self.units.first().map_or(from, |unit| unit.key.stage);
        let (units, are) = if missing == 1 { ("unit", "is") } else { ("units", "are") };
        let mut note = format!("{missing} {units} of stage {stage} {are} missing");
        if !changes.is_empty() {
            note += &format!("; the job file has changed: {}", changes.in_one_line());
        }
        if let Some(RepairedInputs { named, .. }) = inputs {
            note += &format!("; their inputs have changed: {}", listed(named));
        }
        if keep_done {
            let them = if missing == 1 { "it" } else { "them" };
            return format!("{note}; stage {from} runs for {them}, and every later stage again");
        }
        let done = Done::from(from, self.status);
        format!(
            "{note}; {why_for_all}, so stage {from} and every later one run again for all: {done}"
        )
    }
}

impl Again {
    /// Extends it to what another repair needs.
    fn include(&mut self, other: Self) {
        self.keep_done = match self.from.cmp(&other.from) {
            std::cmp::Ordering::Less => self.keep_done,
            std::cmp::Ordering::Equal => self.keep_done && other.keep_done,
            std::cmp::Ordering::Greater => other.keep_done,
        };
        self.from = self.from.min(other.from);
    }
}

fn listed(named: &[String]) -> String {
    let first = named.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match named.len().saturating_sub(MAX_NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
