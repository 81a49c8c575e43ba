//! Reads and checks the job file.
//!
//! A job is read in three layers, and the later one has precedence: `default.toml` (embedded; it is
//! the reference documentation), the preset, the user's file. This crate converts text to
//! [`JobSpec`] and back. It reads no file except the job file; a missing model is found by the code
//! that loads it.
//!
//! **Invariant:** [`JobSpec::resolved`] of one job gives the same text on every machine, and
//! reading that text gives the same job, because workers, journal and manifest all have it.

mod against;
mod changes;
mod checks;
mod commands;
mod corpus;
mod key_memory;
mod model_choice;
mod models;
mod near;
mod output;
mod places;
mod renamed;
mod s3;
mod slice;
mod slices;
mod spec;
mod text_slices;

use std::path::{Path, PathBuf};

use thresher_settings::{Written, keys, typed};
use toml::{Table, Value};

pub use thresher_filters::FiltersSpec;
pub use thresher_settings::{Bytes, JobError, Span};

pub use changes::{KeyChange, changed_keys};
pub use commands::CommandSpec;
pub use corpus::{SampleSpec, SelectSpec, slices_in_recipe};
pub use key_memory::KeyMemory;
pub use model_choice::ModelChoice;
pub use models::{ClassifierSpec, MissingModel, PerplexitySpec, TokensSpec};
pub use near::{NearAction, NearPreset, NearSpec, Preference, ShinglesSpec, Survivors, Verify};
pub use output::{
    DroppedRows, Folders, Format, OutputSpec, Schema, SplitBy, SplitsSpec, TokenFormat,
    TokensOutputSpec, Validation,
};
pub use s3::{PathStyle, S3Spec};
pub use slice::{PublishedTokens, Slice, Step, StepsSpec};
pub use slices::{BooksSpec, ColumnsSpec, Compares, GithubSpec, HeaderCut, RecordsSpec};
pub use spec::*;
pub use text_slices::{
    AnswerOrder, ArxivSpec, LatexRules, StackExchangeSpec, TextForm, TitleForm, WikipediaSpec,
};

/// The default job file: every key with its default and its meaning, except `[filters]`, which each
/// filter documents itself ([`thresher_filters::documentation`]).
pub const DEFAULT_JOB: &str = include_str!("default.toml");
const REDPAJAMA_V1: &str = include_str!("redpajama-v1.toml");
const C4: &str = include_str!("c4.toml");

/// The presets, with the keys that each changes.
const PRESETS: [(&str, &str); 3] = [("thresher", ""), ("redpajama-v1", REDPAJAMA_V1), ("c4", C4)];

/// Lists of tables. Their entries have their own defaults.
const LISTS: [&str; 2] = ["source", "command"];

impl JobSpec {
    /// Reads a job file. Relative paths in it start at its folder.
    pub fn load(path: &Path) -> Result<Self, JobError> {
        let refuse = |source| JobError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(refuse)?;
        let folder = std::path::absolute(path).map_err(refuse)?;
        let folder = folder.parent().map(Path::to_owned).unwrap_or_default();
        Self::parse(&text, &folder)
    }

    /// Reads the text of a job file. Relative paths in it start at `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, JobError> {
        let user: Table =
            text.parse().map_err(|error: toml::de::Error| JobError::syntax(&error))?;
        let (spec, changes_near) = Self::of_table(user, text, folder)?;
        spec.check()?;
        if changes_near && !spec.compares_near() {
            let problem = "set, and no source has the step `near`, so nothing would use it";
            let hint = "add `near` to the `steps` of the sources whose documents are compared, or \
                        remove the table";
            return Err(JobError::invalid("near", problem, hint));
        }
        Ok(spec)
    }

    /// Reads the table of a job file, which was written as `text`. Also returns whether it changes
    /// `[near]`: a resolved job has this table whether it is used or not.
    fn of_table(mut user: Table, text: &str, folder: &Path) -> Result<(Self, bool), JobError> {
        renamed::move_renamed(&mut user, renamed::RENAMED)?;
        renamed::rename_values(&mut user, renamed::RENAMED_VALUES);
        // Where a job runs is not part of the job; only the spelling of these keys is checked here.
        thresher_site::take_table(&mut user, text)?;
        let mut job = default_table();
        let templates = LISTS.map(|list| (list, template(&mut job, list)));
        let known = with_templates(&job, &templates);
        let written = Written { text, under: "" };
        keys::refuse_unknown(&user, &known, &keys_without_default(), written)?;
        let preset = user
            .get("job")
            .and_then(|job| job.get("preset"))
            .and_then(Value::as_str)
            .unwrap_or(PRESETS[0].0);
        let (_, overlay) = PRESETS
            .iter()
            .find(|(name, _)| *name == preset)
            .ok_or_else(|| JobError::choice("job.preset", preset, PRESETS.map(|(name, _)| name)))?;
        let mut near_of_preset = None;
        for upper in [&embedded(overlay), &user] {
            let (filters, changes) = (job.get_mut("filters"), upper.get("filters"));
            let filters = filters.and_then(Value::as_table_mut);
            if let (Some(filters), Some(changes)) = (filters, changes.and_then(Value::as_table)) {
                thresher_filters::give_way(filters, changes);
            }
            keys::overlay(&mut job, upper);
            near_of_preset.get_or_insert_with(|| job.get("near").cloned());
        }
        let changes_near = near_of_preset.is_some_and(|near| near.as_ref() != job.get("near"));
        for (list, template) in &templates {
            fill(&mut job, list, template);
        }
        let mut spec: Self = typed::read(job, &known, written)?;
        spec.filters = spec.filters.completed(written)?;
        spec.make_absolute(folder);
        Ok((spec, changes_near))
    }

    /// Reads what [`JobSpec::resolved`] wrote.
    pub fn from_resolved(text: &str) -> Result<Self, JobError> {
        let table = text.parse().map_err(|error: toml::de::Error| JobError::syntax(&error))?;
        let (spec, _) = Self::of_table(table, text, Path::new("/"))?;
        spec.check()?;
        Ok(spec)
    }

    /// Reads the recipe of a manifest, which has no places, so that it could not run as it is.
    pub fn from_recipe(text: &str) -> Result<Self, JobError> {
        let table = text.parse().map_err(|error: toml::de::Error| JobError::syntax(&error))?;
        Ok(Self::of_table(table, text, Path::new("/"))?.0)
    }

    /// Returns the job file with every key filled in and every path absolute.
    pub fn resolved(&self) -> String {
        toml::to_string(self).expect("a job file is plain tables, strings and numbers")
    }

    fn make_absolute(&mut self, folder: &Path) {
        for source in &mut self.source {
            source.base = absolute(folder, &source.base);
            if source.name.is_empty() {
                source.name = source.slice.name().to_owned();
            }
        }
        for output in self.near.against.iter_mut().filter(|output| !output.is_empty()) {
            *output = absolute(folder, output);
        }
        for command in &mut self.command {
            command.folder = absolute(folder, &command.folder);
        }
        if !self.job.work_dir.is_empty() {
            self.job.work_dir = absolute(folder, &self.job.work_dir);
        }
        if !self.output.path.is_empty() {
            self.output.path = absolute(folder, &self.output.path);
        }
        for model in self.models_mut() {
            model.change_path(|path| absolute(folder, path));
        }
        self.filters.change_files(|path| absolute(folder, path));
    }
}

/// Makes a plain path absolute and free of `.` and `..`. An address is not changed.
fn absolute(folder: &Path, path: &str) -> String {
    if path.contains("://") {
        // Otherwise the names below it would have two slashes.
        let place = path.trim_end_matches('/');
        return if place.ends_with(':') { path } else { place }.to_owned();
    }
    let mut clean = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            std::path::Component::CurDir => {}
            std::path::Component::Prefix(_)
            | std::path::Component::RootDir
            | std::path::Component::Normal(_) => clean.push(part),
        }
    }
    clean.to_string_lossy().into_owned()
}

fn default_table() -> Table {
    let mut job = embedded(DEFAULT_JOB);
    job.insert("filters".to_owned(), Value::Table(thresher_filters::default_sections()));
    job
}

/// Returns the keys that the defaults show only in a comment.
fn keys_without_default() -> Vec<String> {
    let mut keys = thresher_filters::keys_without_default();
    keys.extend(
        ["source.steps", "source.sample", "source.earlier", "command.files"].map(str::to_owned),
    );
    keys.extend(["shingles", "bands", "rows", "threshold"].map(|key| format!("near.{key}")));
    keys
}

fn embedded(text: &str) -> Table {
    text.parse().expect("the embedded job files are TOML, as a test proves")
}

/// Removes the example of a list from the defaults: it documents keys, but is not an entry of the
/// job.
fn template(job: &mut Table, list: &str) -> Table {
    match job.remove(list) {
        Some(Value::Array(mut entries)) => match entries.pop() {
            Some(Value::Table(template)) => template,
            _ => Table::new(),
        },
        _ => Table::new(),
    }
}

fn with_templates(job: &Table, templates: &[(&str, Table)]) -> Table {
    let mut known = job.clone();
    for (list, template) in templates {
        known.insert((*list).into(), Value::Array(vec![Value::Table(template.clone())]));
    }
    known
}

fn fill(job: &mut Table, list: &str, template: &Table) {
    if let Some(Value::Array(entries)) = job.get_mut(list) {
        for entry in entries {
            if let Value::Table(given) = entry {
                let mut filled = template.clone();
                keys::overlay(&mut filled, given);
                *given = filled;
            }
        }
    }
}

#[cfg(test)]
mod tests;
