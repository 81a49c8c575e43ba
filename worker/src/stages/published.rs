//! What a job has published, for a coordinator that restarts it: whether a complete output is still
//! whole, and the removal of what will be published again.
//!
//! **Invariant:** only files are removed that the manifest of this job or its own list of shards
//! names, and the manifest first, so that no output looks complete while files are missing.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use thresher_job::JobSpec;
use thresher_proto::pb::Stage;

use super::JobContext;
use super::card::companions;
use super::manifest::{MANIFEST_FORMAT, Manifest, read_manifest};
use super::publish::read_facts;
use thresher_storage::{COMMIT_FOLDER, Location, Output, ReadOptions, s3};

const MANIFEST: &str = "manifest.json";

/// Returns what is wrong with the output of a complete job: its manifest is gone or another job's,
/// or files that it names are gone or have another size. Returns `None` if the output is whole; the
/// content of the files is not read.
pub fn output_loss(job: &JobSpec) -> anyhow::Result<Option<String>> {
    s3::configure(&job.s3);
    let root: Location = job.output.path.parse()?;
    let options = ReadOptions { attempts_max: 2, ..ReadOptions::default() };
    let Some(manifest) = read_manifest(&root, &options)? else {
        return Ok(Some(format!("the output is gone: `{}` does not exist", root.join(MANIFEST))));
    };
    let Some(manifest) = manifest.ok().filter(|manifest| is_of(job, manifest)) else {
        return Ok(Some(format!("`{}` is not the manifest of this job", root.join(MANIFEST))));
    };
    let sizes = sizes_below(&root, &options)?;
    restore_companions(job, &manifest, &sizes)?;
    let lost: Vec<&str> = files_of(&manifest)
        .filter(|(path, bytes)| sizes.size(path) != Some(*bytes))
        .map(|(path, _)| path)
        .collect();
    Ok(lost.first().map(|first| {
        let files = if lost.len() == 1 { "a file is" } else { "files are" };
        format!(
            "{files} missing or incomplete in the output: `{}`{}",
            root.join(first),
            more(&lost)
        )
    }))
}

/// Writes the files that are made from the manifest again, if they are gone. One that was edited is
/// left as it is.
fn restore_companions(job: &JobSpec, manifest: &Manifest, sizes: &Sizes<'_>) -> anyhow::Result<()> {
    if manifest.format < MANIFEST_FORMAT {
        return Ok(());
    }
    let output = Output::new(&job.output.path)?;
    for (name, content) in companions(manifest) {
        if sizes.size(&name).is_none() {
            let mut file = output.create(&name, "restored")?;
            file.write_all(content.as_bytes())
                .with_context(|| format!("failed to write `{}`", output.root().join(&name)))?;
            file.commit_replacing()?;
        }
    }
    Ok(())
}

fn more(lost: &[&str]) -> String {
    match lost.len() {
        0 | 1 => String::new(),
        all => format!(" and {} more", all - 1),
    }
}

/// Removes the manifest of a job and, if its work directory is given, everything that it published.
pub fn remove_output(job: &JobSpec, work: Option<&Path>) -> anyhow::Result<()> {
    s3::configure(&job.s3);
    let root: Location = job.output.path.parse()?;
    let options = ReadOptions::default();
    let manifest = read_manifest(&root, &options)?.and_then(Result::ok);
    let manifest = manifest.filter(|manifest| is_of(job, manifest));
    if manifest.is_some() {
        for name in [MANIFEST, "report.json", "REPORT.md"] {
            remove(&root, name, &options)?;
        }
        for (name, _) in manifest.iter().flat_map(companions) {
            remove(&root, &name, &options)?;
        }
    }
    let Some(work) = work else { return Ok(()) };
    let listed = manifest.iter().flat_map(files_of).map(|(path, _)| path.to_owned());
    for path in listed.chain(published_shards(job, work)?) {
        remove(&root, &path, &options)?;
    }
    Ok(())
}

fn is_of(job: &JobSpec, manifest: &Manifest) -> bool {
    manifest.job_name == job.job.name && manifest.recipe == job.recipe().resolved()
}

/// Returns the files that a manifest names, with their sizes.
fn files_of(manifest: &Manifest) -> impl Iterator<Item = (&str, u64)> {
    manifest.files().map(|(path, bytes, _)| (path, bytes))
}

/// The sizes of the files of an output.
enum Sizes<'a> {
    Disk(&'a Path),
    Objects(BTreeMap<String, u64>),
}

impl Sizes<'_> {
    fn size(&self, path: &str) -> Option<u64> {
        match self {
            Self::Disk(root) => std::fs::metadata(root.join(path)).ok().map(|file| file.len()),
            Self::Objects(sizes) => sizes.get(path).copied(),
        }
    }
}

fn sizes_below<'a>(root: &'a Location, options: &ReadOptions) -> anyhow::Result<Sizes<'a>> {
    Ok(match root {
        Location::Path(root) => Sizes::Disk(root),
        Location::S3 { bucket, key } => {
            let prefix = match key.trim_end_matches('/') {
                "" => String::new(),
                key => format!("{key}/"),
            };
            let objects = thresher_storage::list_objects(bucket, &prefix, options)?;
            let sizes = objects.into_iter().filter_map(|object| {
                object.key.strip_prefix(&prefix).map(|path| (path.to_owned(), object.bytes))
            });
            Sizes::Objects(sizes.collect())
        }
        Location::Http(url) => anyhow::bail!("`{url}` cannot be an output"),
    })
}

/// Returns the files that units of PUBLISH have listed in the work directory.
fn published_shards(job: &JobSpec, work: &Path) -> anyhow::Result<Vec<String>> {
    let mut job = job.clone();
    job.job.work_dir = work.to_string_lossy().into_owned();
    let context = JobContext::new(job, 1, "restart".to_owned())?;
    let mut paths = Vec::new();
    for folder in entries(&context.work.stage(Stage::Publish))? {
        for file in entries(&folder)? {
            let number = file.file_name().and_then(|name| name.to_str()?.strip_suffix(".facts"));
            let Some(number) = number.and_then(|number| number.parse().ok()) else { continue };
            // A list that is damaged names nothing; then a shard may stay, and PUBLISH refuses to
            // replace it.
            let Ok(facts) = read_facts(&context, number) else { continue };
            paths.extend(facts.paths());
        }
    }
    // Shards have pairs of token files in common.
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let failed = || format!("failed to list `{}`", folder.display());
    match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        entries => {
            let entries = entries.with_context(failed)?;
            entries.map(|entry| Ok(entry.with_context(failed)?.path())).collect()
        }
    }
}

fn remove(root: &Location, name: &str, options: &ReadOptions) -> anyhow::Result<()> {
    match root.join(name) {
        Location::Path(path) => match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("failed to remove `{}`", path.display()))
            }
            _ => Ok(()),
        },
        Location::S3 { bucket, key } => {
            s3::remove_object(&bucket, &key, options)?;
            // The commit record of a large object would count for the next one.
            if let Location::S3 { key, .. } = root.join(&format!("{COMMIT_FOLDER}/{name}.json")) {
                s3::remove_object(&bucket, &key, options)?;
            }
            Ok(())
        }
        Location::Http(url) => anyhow::bail!("`{url}` cannot be an output"),
    }
}
