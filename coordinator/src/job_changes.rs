//! What a changed job file means for a job that has run: from which stage on its units are of no
//! use, and what they cost.
//!
//! **Invariant:** a key that this file does not know counts as one on which everything depends.

use std::fmt;

use thresher_domain::Stage;
use thresher_job::{
    DedupPolicy, JobSpec, KeyChange, NearPreset, Slice, SourceSpec, Step, changed_keys,
};
use thresher_proto::pb;

use crate::amounts::{count, span};

/// Number of changed keys that a message lists.
const MAX_LISTED: usize = 20;

/// The changed keys between two versions of a job file.
#[derive(Default)]
pub(crate) struct JobChanges {
    changes: Vec<Change>,
}

/// A changed key, and the earliest stage that depends on it.
struct Change {
    key: KeyChange,
    /// `None` if no unit depends on the key.
    from: Option<Stage>,
}

impl JobChanges {
    /// Compares two versions of a job.
    pub(crate) fn between(old: &JobSpec, new: &JobSpec) -> Self {
        let both = Both { old, new };
        let changes = changed_keys(old, new).into_iter().map(|key| {
            let from = both.first_stage(&key.key);
            Change { key, from }
        });
        Self { changes: changes.collect() }
    }

    /// Returns whether the versions are equal.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns whether a complete job may need to be looked at for another reason than before.
    pub(crate) fn change_what_is_expected(&self) -> bool {
        const EXPECTED: [&str; 2] = ["units.max_quarantined_share", "near.max_removed_share"];
        self.changes.iter().any(|change| EXPECTED.contains(&change.key.key.as_str()))
    }

    /// Returns whether the job has another name, so that it may be another job.
    pub(crate) fn rename_the_job(&self) -> bool {
        self.changes.iter().any(|change| change.key.key == "job.name")
    }

    /// Returns the earliest stage that depends on a changed key; `None` if no stage does.
    pub(crate) fn from(&self) -> Option<Stage> {
        self.changes.iter().filter_map(|change| change.from).min()
    }

    /// Returns the names of the commands that differ, if units depend on no other changed key.
    pub(crate) fn only_commands(&self, new: &JobSpec) -> Option<Vec<String>> {
        let depended_on = self.changes.iter().filter(|change| change.from.is_some());
        let named = depended_on.map(|change| {
            let (number, key) = change.key.key.strip_prefix("command[")?.split_once("].")?;
            let command = new.command.get(number.parse::<usize>().ok()?)?;
            (key != "name").then(|| command.name.clone())
        });
        named.collect()
    }

    /// Returns the changed keys with their values, in one line.
    pub(crate) fn in_one_line(&self) -> String {
        let named = self.changes.iter().take(MAX_LISTED).map(|Change { key, .. }| {
            let KeyChange { key, old, new } = key;
            format!("`{key}` ({old} -> {new})")
        });
        named.collect::<Vec<_>>().join(", ")
    }

    /// Returns the list of changes with their cost, for a job that cannot take them over.
    pub(crate) fn with_cost(&self, status: &pb::StatusResponse) -> String {
        let width = self.changes.iter().map(|change| change.key.key.len()).max().unwrap_or(0);
        let listed = self.changes.iter().take(MAX_LISTED).map(|Change { key, from }| {
            let KeyChange { key, old, new } = key;
            let from = match from {
                Some(stage) => format!("from {stage} on: {}", Done::from(*stage, status)),
                None => "no stage depends on it".to_owned(),
            };
            format!("\n  {key:width$}  {old} -> {new}  ({from})")
        });
        let mut text: String = listed.collect();
        if let Some(more) = self.changes.len().checked_sub(MAX_LISTED).filter(|more| *more > 0) {
            text += &format!("\n  and {more} more keys");
        }
        text
    }
}

/// The units of a stage and of all later ones that are done, and their CPU time.
pub(crate) struct Done {
    units: u64,
    cpu_millis: u64,
}

impl Done {
    /// Adds up what is done from a stage on.
    pub(crate) fn from(stage: Stage, status: &pb::StatusResponse) -> Self {
        let is_later =
            |of: &&pb::StageStatus| Stage::try_from(of.stage()).is_ok_and(|of| of >= stage);
        let stages = status.stages.iter().filter(is_later);
        stages.fold(Self { units: 0, cpu_millis: 0 }, |sum, stage| Self {
            units: sum.units + u64::from(stage.done),
            cpu_millis: sum.cpu_millis + stage.cpu_millis,
        })
    }

    /// Returns whether no unit is done.
    pub(crate) fn is_nothing(&self) -> bool {
        self.units == 0
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = if self.units == 1 { "unit is" } else { "units are" };
        write!(f, "{} {units} done, with {} of CPU time", count(self.units), span(self.cpu_millis))
    }
}

/// Two versions of a job.
struct Both<'a> {
    old: &'a JobSpec,
    new: &'a JobSpec,
}

impl Both<'_> {
    /// Returns the earliest stage that depends on a key, or `None` if no unit does. Keys that only
    /// the recipe in the manifest contains belong to SEAL.
    fn first_stage(&self, key: &str) -> Option<Stage> {
        let (table, rest) = key.split_once('.').unwrap_or((key, ""));
        let (table, entry) = match table.split_once('[') {
            Some((list, number)) => (list, number.trim_end_matches(']').parse().ok()),
            None => (table, None),
        };
        match table {
            "job" => match rest {
                "name" => Some(Stage::Seal),
                "preset" => Some(Stage::Prepare),
                _ => Some(Stage::List),
            },
            "source" => Some(self.of_source(entry, rest)),
            "command" => Some(self.of_command(entry, rest)),
            "units" => (rest == "target_bytes").then_some(Stage::List),
            "steps" => Some(self.of_steps(rest)),
            "dedup" => self.of_dedup(rest),
            "near" if rest == "max_removed_share" => None,
            "near" => Some(self.of_near(rest)),
            "stackexchange" if rest == "sort_memory" => None,
            "stackexchange" if rest == "largest_sites" => Some(self.if_read(Stage::List, table)),
            "github" if rest == "trees" => Some(self.if_read(Stage::List, table)),
            "github" | "books" | "wikipedia" | "stackexchange" | "arxiv" | "commoncrawl" => {
                Some(self.if_read(self.reading(), table))
            }
            "html" => Some(self.if_read(self.reading(), Slice::Commoncrawl.name())),
            "records" => Some(self.reading()),
            "language" | "perplexity" | "classifier" | "tokens" | "filters" => Some(Stage::Prepare),
            "output" => Some(match rest {
                "zstd_level" | "path" | "formats" | "folders" => Stage::Publish,
                "schema" | "dropped" => Stage::Prepare,
                // What is cut, and where it is written.
                _ => Stage::Layout,
            }),
            "s3" => None,
            _ => Some(Stage::List),
        }
    }

    /// Returns the first stage that reads records.
    fn reading(&self) -> Stage {
        let twice = |job: &JobSpec| job.source.iter().any(|source| job.reads_twice(source));
        if twice(self.old) || twice(self.new) { Stage::Lines } else { Stage::Prepare }
    }

    /// Returns `stage` if a source has this slice, and otherwise SEAL.
    fn if_read(&self, stage: Stage, slice: &str) -> Stage {
        if self.any_source(|source| source.slice.name() == slice) { stage } else { Stage::Seal }
    }

    fn any_source(&self, is: impl Fn(&SourceSpec) -> bool) -> bool {
        self.old.source.iter().chain(&self.new.source).any(is)
    }

    fn of_source(&self, entry: Option<usize>, key: &str) -> Stage {
        let steps = |job: &JobSpec| {
            let source = job.source.get(entry?)?;
            Some(job.reads_twice(source))
        };
        match key.split('[').next().unwrap_or_default() {
            "name" | "dump" | "commands" => Stage::Prepare,
            "steps" if steps(self.old) == steps(self.new) => Stage::Prepare,
            "reader" => self.reading(),
            _ if key == "steps" => Stage::Lines,
            _ => Stage::List,
        }
    }

    fn of_command(&self, entry: Option<usize>, key: &str) -> Stage {
        if matches!(key, "timeout" | "memory" | "reads") {
            return Stage::Seal;
        }
        let named = |job: &JobSpec| {
            let command = entry.and_then(|entry| job.command.get(entry));
            command.map(|command| command.name.clone()).unwrap_or_default()
        };
        let names = [named(self.old), named(self.new)];
        if self.any_source(|source| names.contains(&source.reader)) {
            self.reading()
        } else if self.any_source(|source| source.commands.iter().any(|one| names.contains(one))) {
            Stage::Prepare
        } else {
            Stage::Seal
        }
    }

    fn of_steps(&self, slice: &str) -> Stage {
        let has_lines = |job: &JobSpec| {
            job.steps.get(slice).is_some_and(|steps: &Vec<Step>| steps.contains(&Step::Lines))
        };
        let first =
            if has_lines(self.old) == has_lines(self.new) { Stage::Prepare } else { Stage::Lines };
        self.if_read(first, slice)
    }

    fn of_dedup(&self, key: &str) -> Option<Stage> {
        let compares = |policies: [DedupPolicy; 2]| !policies.contains(&DedupPolicy::Off);
        let lines = [self.old, self.new].map(|job| job.dedup.lines.policy);
        let documents = [self.old, self.new].map(|job| job.dedup.documents.policy);
        match key {
            "memory" | "lines.keep_text" => None,
            "lines.policy" if compares(lines) => Some(Stage::ResolveLines),
            "documents.policy" if compares(documents) => Some(Stage::ResolveDocuments),
            _ if key.starts_with("documents.") => Some(Stage::Prepare),
            _ => Some(Stage::Lines),
        }
    }

    fn of_near(&self, key: &str) -> Stage {
        let by_signature = |job: &JobSpec| job.near.preset == NearPreset::RedpajamaV1;
        if !(self.old.compares_near() || self.new.compares_near()) {
            return Stage::Seal;
        }
        match key {
            // PREPARE signs what is compared by a SimHash.
            "preset" if by_signature(self.old) != by_signature(self.new) => Stage::Prepare,
            "preset" | "shingles" | "bands" | "rows" => Stage::Sign,
            "verify" | "prefer" => Stage::Collect,
            "threshold" | "survivors" | "first_kept" => Stage::Compare,
            "action" => Stage::Layout,
            "index" => Stage::Publish,
            _ if key.starts_with("against") => Stage::List,
            _ => Stage::Seal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "[job]\nname = \"a\"\n[[source]]\nslice = \"commoncrawl\"\nlisting = \"x\"\n\
                       commands = [\"mine\"]\n[[command]]\nname = \"mine\"\nrun = [\"cat\"]\n\
                       [language]\nmodel = \"none\"\n[output]\npath = \"/out\"\n";

    fn job(text: &str) -> JobSpec {
        JobSpec::from_resolved(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
    }

    #[test]
    fn each_key_costs_the_stages_that_depend_on_it() {
        let old = job(JOB);
        let more = |text: &str| format!("{JOB}{text}\n");
        for (text, from) in [
            (JOB.replace("\"x\"", "\"y\""), Some(Stage::List)),
            (more("[units]\ntarget_bytes = \"1MiB\""), Some(Stage::List)),
            (more("[units]\nattempts = 7\non_failed_units = \"continue\""), None),
            (more("[units]\nmax_quarantined_share = 1.0"), None),
            (more("[dedup]\nmemory = \"2GiB\"\n[s3]\nregion = \"eu\""), None),
            (more("[dedup.lines]\nkeep_text = \"never\""), None),
            (more("[dedup.lines]\nhash = \"sha1\""), Some(Stage::Lines)),
            (more("[dedup.lines]\npolicy = \"off\""), Some(Stage::Lines)),
            (more("[dedup.lines]\npolicy = \"drop-all\""), Some(Stage::ResolveLines)),
            (more("[dedup.documents]\npolicy = \"drop-all\""), Some(Stage::ResolveDocuments)),
            (more("[dedup.documents]\nkey = \"url\""), Some(Stage::Prepare)),
            (more("[commoncrawl]\nmin_chars = 3"), Some(Stage::Lines)),
            (more("[arxiv]\nlatex = \"redpajama-v1\""), Some(Stage::Seal)),
            (more("[steps]\nc4 = [\"documents\"]"), Some(Stage::Seal)),
            (more("[steps]\ncommoncrawl = [\"documents\"]"), Some(Stage::Lines)),
            (more("[steps]\ncommoncrawl = [\"lines\"]"), Some(Stage::Prepare)),
            (
                JOB.replace("model = \"none\"", "model = \"none\"\nkeep = [\"de\"]"),
                Some(Stage::Prepare),
            ),
            (JOB.replace("[\"cat\"]", "[\"tac\"]"), Some(Stage::Prepare)),
            (JOB.replace("[\"cat\"]", "[\"cat\"]\ntimeout = \"9s\""), Some(Stage::Seal)),
            (more("shard_bytes = \"1MiB\""), Some(Stage::Layout)),
            (more("zstd_level = 9"), Some(Stage::Publish)),
            (more("[near]\nverify = \"none\""), Some(Stage::Seal)),
            (more("[near]\nmax_removed_share = 0.5"), None),
            (more("schema = \"redpajama-v1\""), Some(Stage::Prepare)),
            (JOB.replace("\"a\"", "\"b\""), Some(Stage::Seal)),
            (more("[[source]]\nname = \"b\"\nslice = \"c4\"\nlisting = \"z\""), Some(Stage::List)),
        ] {
            let changes = JobChanges::between(&old, &job(&text));
            assert!(!changes.is_empty(), "{text}");
            assert_eq!(changes.from(), from, "{text}");
        }
        assert!(JobChanges::between(&old, &old).is_empty());
    }

    #[test]
    fn a_list_of_changes_has_values_and_costs() {
        let new = job(&format!("{JOB}zstd_level = 9\n[units]\nattempts = 7\n"));
        let changes = JobChanges::between(&job(JOB), &new);
        let stage = |stage: pb::Stage, done, cpu_millis| pb::StageStatus {
            stage: stage.into(),
            done,
            cpu_millis,
            ..pb::StageStatus::default()
        };
        let stages = vec![
            stage(pb::Stage::Prepare, 70, 9_000_000),
            stage(pb::Stage::Publish, 3, 60_000),
            stage(pb::Stage::Seal, 1, 1000),
        ];
        let status = pb::StatusResponse { stages, ..pb::StatusResponse::default() };
        let text = changes.with_cost(&status);
        assert_eq!(
            text,
            "\n  output.zstd_level  3 -> 9  (from publish on: 4 units are done, with 1m 01s of CPU \
             time)\n  units.attempts     3 -> 7  (no stage depends on it)"
        );
        assert_eq!(
            changes.in_one_line(),
            "`output.zstd_level` (3 -> 9), `units.attempts` (3 -> 7)"
        );
    }
}
