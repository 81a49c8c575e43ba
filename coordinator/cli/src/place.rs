//! Finds the job file, the output and the state directory of a job.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use thresher_coordinator::batch::{History, Records};
use thresher_job::{JobError, JobSpec};
use thresher_worker::stages::with_corpora;
use toml::{Table, Value};

/// Names a job that was started, by its job file or by its state directory.
#[derive(Debug, Clone, Args)]
pub(super) struct StatePlace {
    /// Job file; the state directory is `<output>.state`
    #[arg(value_name = "JOB.toml", required_unless_present = "state")]
    job: Option<PathBuf>,
    /// State directory of the job
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl StatePlace {
    /// Returns the state directory. The one that a job file implies need not exist.
    pub(super) fn directory(&self) -> anyhow::Result<PathBuf> {
        match (&self.state, &self.job) {
            (Some(state), _) => {
                let state = absolute(state)?;
                match state.metadata() {
                    Ok(found) if found.is_dir() => Ok(state),
                    Ok(_) | Err(_) => bail!(
                        "`{}` is not a directory\nhint: the state directory is `<output>.state`, \
                         or what \
                         `--state` was",
                        state.display()
                    ),
                }
            }
            (None, Some(job)) => state_directory(&JobSpec::load(job)?),
            (None, None) => bail!("no job was named\nhint: name a job file, or `--state DIR`"),
        }
    }
}

/// Reads a job file whose output may be chosen on the command line.
pub(super) fn load_job(path: &Path, output: Option<&Path>) -> anyhow::Result<JobSpec> {
    let Some(output) = output else { return Ok(JobSpec::load(path)?) };
    let is_address = output.to_string_lossy().contains("://");
    let output = if is_address { output.to_owned() } else { absolute(output)? };
    let output = output.to_str().context("the output's path is not valid UTF-8")?;
    match JobSpec::load(path) {
        Ok(job) => Ok(job.with_output(output)?),
        // The file needs no output if the command line names one.
        Err(JobError::Invalid { key, .. }) if key == "output.path" => with_output(path, output),
        Err(error) => Err(error.into()),
    }
}

/// Reads a job file that is to run: corpora that it reads are replaced by their sources.
pub(super) fn load_whole_job(path: &Path, output: Option<&Path>) -> anyhow::Result<JobSpec> {
    Ok(with_corpora(load_job(path, output)?)?)
}

/// Returns the default state directory of a job, which is beside its output.
pub(super) fn state_directory(job: &JobSpec) -> anyhow::Result<PathBuf> {
    let output = &job.output.path;
    if output.contains("://") {
        bail!(
            "the output `{output}` is not a local directory, so the state needs its own\n\
             hint: use `--state DIR`, a directory that all workers share"
        );
    }
    let mut name = OsString::from(output.trim_end_matches('/'));
    name.push(".state");
    Ok(PathBuf::from(name))
}

/// Returns the state directory that the command line names, or the default one of the job.
pub(super) fn choose_state(state: Option<&Path>, job: &JobSpec) -> anyhow::Result<PathBuf> {
    state.map_or_else(|| state_directory(job), absolute)
}

/// Returns the command, in words, that resumes the job of a state directory.
pub(super) fn resume_command(state: &Path) -> anyhow::Result<String> {
    let submitted = History::of(&Records::of(state).read()?).submission.is_some();
    Ok(match submitted {
        true => format!("`thresher resume --state {}`", state.display()),
        false => "the same `thresher run` or `thresher serve`".to_owned(),
    })
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("`{}` is not a valid path", path.display()))
}

fn with_output(path: &Path, output: &str) -> anyhow::Result<JobSpec> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read the job file `{}`", path.display()))?;
    let mut table: Table = text.parse().context("the job file is not valid TOML")?;
    let section = table.entry("output").or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        section.insert("path".to_owned(), Value::String(output.to_owned()));
    }
    let folder = absolute(path)?;
    Ok(JobSpec::parse(&table.to_string(), folder.parent().unwrap_or(Path::new("/")))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "[job]\nname = \"a\"\n[[source]]\nslice = \"commoncrawl\"\n\
                       listing = \"x\"\n[language]\nmodel = \"none\"\n";

    #[test]
    fn the_state_directory_is_beside_the_output() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        std::fs::write(&path, format!("{JOB}[output]\npath = \"out/corpus/\"\n")).unwrap();
        let job = load_job(&path, None).unwrap();
        let expected = folder.path().join("out/corpus.state");
        assert_eq!(state_directory(&job).unwrap(), expected);
        let place = StatePlace { job: Some(path), state: None };
        assert_eq!(place.directory().unwrap(), expected);
    }

    #[test]
    fn an_output_on_the_command_line_replaces_that_of_the_job_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        for rest in ["", "[output]\nzstd_level = 5\n", "[output]\npath = \"there\"\n"] {
            std::fs::write(&path, format!("{JOB}{rest}")).unwrap();
            let job = load_job(&path, Some(Path::new("/here"))).unwrap();
            assert_eq!(job.output.path, "/here", "{rest}");
        }
        std::fs::write(&path, JOB).unwrap();
        assert!(load_job(&path, None).unwrap_err().to_string().contains("output.path"));
    }
}
