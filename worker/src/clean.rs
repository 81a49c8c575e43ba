//! `clean`: removes what killed attempts left behind, on disk and in buckets.
//!
//! Private files end in `.part`; on S3 they are uploads that were not completed. If an output is
//! complete, the commit records of its large objects are not needed and are removed too.
//!
//! **Invariant:** nothing that a manifest could name is touched. If a job is cleaned while it runs,
//! it only has to repeat attempts.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::inspect::{DROPPED_FOLDER, SHARD_FOLDER, output_place};
use crate::stages::card::CARD_FILES;
use crate::stages::{INDEX_FOLDER, PARQUET_FOLDER, TOKEN_FOLDER};
use thresher_storage::commit::is_private;
use thresher_storage::{COMMIT_FOLDER, Location, ReadOptions, s3};

const MANIFEST: &str = "manifest.json";

/// Remove the private files and unfinished uploads of killed attempts
///
/// Files that a manifest names are never removed.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  thresher clean job.toml\n  \
                        thresher clean s3://bucket/corpus --dry-run")]
pub struct CleanArgs {
    /// Directory, `s3://bucket/prefix`, or job file
    #[arg(value_name = "OUTPUT|JOB.toml")]
    pub output: String,
    /// State directory of the job, whose work files are cleaned too (default: `<output>.state`)
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Clean an incomplete output without a state directory, because no job works on it any more
    #[arg(long)]
    pub abandoned: bool,
    /// List what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What was found, and was removed unless this was a dry run.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cleaned {
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// Unfinished files.
    pub files: Vec<String>,
    /// Unfinished uploads.
    pub uploads: Vec<String>,
    /// Commit records of a complete output.
    pub commit_records: Vec<String>,
}

impl CleanArgs {
    /// Cleans what the arguments name. The caller must check that no coordinator works on it.
    /// Without a state directory to check, an output must be complete.
    pub fn run(&self) -> anyhow::Result<Cleaned> {
        let output = output_place(&self.output)?;
        if self.state.is_none() && !self.abandoned && !self.dry_run && !is_complete(&output)? {
            bail!(
                "`{output}` has no manifest: a job may still work on it\nhint: name its job file, \
                 or its state directory by `--state DIR`, so that this can be checked; use \
                 `--abandoned` if there is none"
            );
        }
        let mut cleaned = clean(&output, self.dry_run)?;
        if let Some(state) = &self.state {
            clean_folder(&state.join("work"), &mut cleaned)?;
        }
        Ok(cleaned)
    }
}

/// Returns whether the job of this output has ended, so that none can work on it.
fn is_complete(output: &Location) -> anyhow::Result<bool> {
    match output.join(MANIFEST) {
        Location::Path(manifest) => Ok(manifest.try_exists()?),
        Location::S3 { bucket, key } => {
            let found = thresher_storage::list_objects(&bucket, &key, &ReadOptions::default())?;
            Ok(found.iter().any(|object| object.key == key))
        }
        Location::Http(_) => Ok(false),
    }
}

/// Returns whether jobs write files of this name below an output.
fn is_ours(name: &str) -> bool {
    let folder = name.split_once('/').map(|(folder, _)| folder);
    let documents = [SHARD_FOLDER, PARQUET_FOLDER, DROPPED_FOLDER];
    let folders = [&documents[..], &[TOKEN_FOLDER, INDEX_FOLDER, COMMIT_FOLDER]].concat();
    folder.is_some_and(|folder| folders.contains(&folder))
        || CARD_FILES.contains(&name)
        || [MANIFEST, "report.json", "REPORT.md", ".probe"].contains(&name)
}

/// Removes the leftovers of an output.
pub fn clean(output: &Location, dry_run: bool) -> anyhow::Result<Cleaned> {
    let mut cleaned = Cleaned { dry_run, ..Cleaned::default() };
    match output {
        Location::Path(folder) => clean_folder(folder, &mut cleaned)?,
        Location::S3 { bucket, key } => clean_bucket(output, bucket, key, &mut cleaned)?,
        Location::Http(url) => {
            bail!("`{url}` cannot be cleaned\nhint: name a directory or `s3://bucket/prefix`")
        }
    }
    Ok(cleaned)
}

fn clean_folder(folder: &Path, cleaned: &mut Cleaned) -> anyhow::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.with_context(|| format!("failed to list `{}`", folder.display()))?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if is_private(&entry.file_name().to_string_lossy()) {
                let path = entry.path();
                if !cleaned.dry_run {
                    remove(&path)?;
                }
                cleaned.files.push(path.display().to_string());
            }
        }
    }
    cleaned.files.sort_unstable();
    Ok(())
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

fn clean_bucket(
    output: &Location,
    bucket: &str,
    key: &str,
    cleaned: &mut Cleaned,
) -> anyhow::Result<()> {
    let options = ReadOptions::default();
    // The slash keeps `out` from matching `out-2`.
    let prefix = match key.trim_end_matches('/') {
        "" => String::new(),
        key => format!("{key}/"),
    };
    for upload in s3::unfinished(bucket, &prefix, &options)? {
        if !upload.key.strip_prefix(&prefix).is_some_and(is_ours) {
            continue;
        }
        if !cleaned.dry_run {
            upload.abort(&options)?;
        }
        cleaned.uploads.push(upload.to_string());
    }
    if !is_complete(output)? {
        return Ok(());
    }
    let records = format!("{prefix}{COMMIT_FOLDER}/");
    for record in thresher_storage::list_objects(bucket, &records, &options)? {
        if !cleaned.dry_run {
            s3::remove_object(bucket, &record.key, &options)?;
        }
        cleaned.commit_records.push(format!("s3://{bucket}/{}", record.key));
    }
    Ok(())
}

impl fmt::Display for Cleaned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dry_run, files, uploads, commit_records } = self;
        for (what, names) in
            [("file", files), ("upload", uploads), ("commit record", commit_records)]
        {
            names.iter().try_for_each(|name| writeln!(f, "{what} {name}"))?;
        }
        let verb = if *dry_run { "would be removed" } else { "removed" };
        writeln!(
            f,
            "{} unfinished files, {} unfinished uploads and {} commit records {verb}",
            files.len(),
            uploads.len(),
            commit_records.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_private_files_are_removed_and_a_dry_run_removes_none() {
        let folder = tempfile::tempdir().unwrap();
        let documents = folder.path().join("documents");
        fs::create_dir(&documents).unwrap();
        for name in ["a.jsonl.zst", ".a.jsonl.zst.host-1-2-1.part", ".hidden", "b.part"] {
            fs::write(documents.join(name), name).unwrap();
        }
        let place = Location::from(folder.path());
        assert_eq!(clean(&place, true).unwrap().files.len(), 1);
        assert_eq!(fs::read_dir(&documents).unwrap().count(), 4);
        let cleaned = clean(&place, false).unwrap();
        assert!(cleaned.files[0].ends_with(".a.jsonl.zst.host-1-2-1.part"), "{cleaned:?}");
        assert_eq!(fs::read_dir(&documents).unwrap().count(), 3);
        assert_eq!(clean(&place, false).unwrap(), Cleaned::default());
    }

    #[test]
    fn an_output_that_a_job_may_work_on_is_not_cleaned() {
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join(".a.jsonl.zst.host-1-2-1.part");
        let with = |abandoned, dry_run| CleanArgs {
            output: folder.path().to_string_lossy().into_owned(),
            state: None,
            abandoned,
            dry_run,
            json: false,
        };
        for (args, goes, stays) in [
            (with(false, false), false, true),
            (with(false, true), true, true),
            (with(true, false), true, false),
        ] {
            fs::write(&private, "half of it").unwrap();
            assert_eq!(args.run().is_ok(), goes, "{args:?}");
            assert_eq!(private.try_exists().unwrap(), stays, "{args:?}");
        }
        fs::write(&private, "half of it").unwrap();
        fs::write(folder.path().join(MANIFEST), "{}").unwrap();
        assert!(with(false, false).run().is_ok());
        assert!(!private.try_exists().unwrap());
    }

    #[test]
    fn uploads_of_others_are_not_removed() {
        for ours in ["documents/a", "dropped/c4-01xxx/b", ".commits/documents/a.json", MANIFEST] {
            assert!(is_ours(ours), "{ours}");
        }
        for others in ["documents", "backup/documents/a", "a.tar", "documents-2/a", ""] {
            assert!(!is_ours(others), "{others}");
        }
    }
}
