//! What the verbs that read a corpus have in common: each writes a job file into the state
//! directory and runs it, so that it is resumed, distributed and accounted for like any other job.

use std::process::ExitCode;

use anyhow::Context;
use thresher_channel::private_file::ensure_private_directory;
use thresher_job::JobSpec;
use thresher_worker::inspect::manifest_of;
use toml::Value;

use super::place::choose_state;
use super::run::{RunSettings, run_job};

/// Writes the job file of a verb, which has only absolute paths, under `name` and runs it. `again`
/// is the command that resumes it.
pub(super) fn run_written(
    text: &str,
    name: &str,
    settings: RunSettings,
    again: &str,
) -> anyhow::Result<ExitCode> {
    let folder = std::env::current_dir().context("failed to find the current directory")?;
    let job = JobSpec::parse(text, &folder)?;
    let state = choose_state(settings.state(), &job)?;
    if let Some(above) = state.parent() {
        let failed = || format!("failed to create `{}`", above.display());
        std::fs::create_dir_all(above).with_context(failed)?;
    }
    ensure_private_directory(&state)?;
    let path = state.join(name);
    std::fs::write(&path, text).with_context(|| format!("failed to write `{}`", path.display()))?;
    run_job(&path, None, settings, again)
}

/// Returns an error if a corpus has several sides and none was chosen: documents for validation
/// must not become a part of training data unnoticed.
pub(super) fn refuse_open_split(corpus: &str, split: Option<&str>) -> anyhow::Result<()> {
    let manifest = manifest_of(corpus)?;
    if let (Some(splits), None) = (&manifest.splits, split) {
        anyhow::bail!(
            "the corpus `{corpus}` keeps {} for validation\nhint: choose a side with \
             `--split train` or `--split validation`",
            splits.validation
        );
    }
    Ok(())
}

/// Returns a table of these entries.
pub(super) fn table<'k>(entries: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Returns an address as it is, and a path as an absolute one.
pub(super) fn place(text: &str) -> anyhow::Result<String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let path =
        std::path::absolute(text).with_context(|| format!("`{text}` is not a valid path"))?;
    path.into_os_string().into_string().ok().context("the path is not valid UTF-8")
}
