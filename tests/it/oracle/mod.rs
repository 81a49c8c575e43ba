//! The oracle: published bytes are the same whatever the workers, slots, order, memory, and
//! whatever died on the way.

mod addresses;
mod against;
mod corpora;
mod fields;
mod formats;
mod kept_text;
mod kills;
mod models;
mod near;
mod recipes;
mod scratch;
mod shapes;
mod slices;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use thresher_tests::process::{succeed, thresher};

/// What was published: every file below the output but the report, by its hash.
pub(crate) fn published(output: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![output.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(output).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name != "report.json" && name != "REPORT.md" {
                let hash = blake3::hash(&std::fs::read(&path).unwrap());
                files.insert(name, hash.to_hex().to_string());
            }
        }
    }
    files
}

/// The output of a job, and where its state is.
pub(crate) fn places(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("corpus"), folder.join("state"))
}

/// `thresher run` of a job file in the folder.
pub(crate) fn run(job: &Path, state: &Path) -> Command {
    let mut command = thresher();
    command.arg("run").arg(job).arg("--state").arg(state);
    command
}

/// Checks the output with the product's own means.
pub(crate) fn verify(output: &Path) {
    succeed(thresher().arg("verify").arg(output));
}

/// Takes away what killed attempts left unfinished, as a person would: nothing else may go.
pub(crate) fn clean(output: &Path) {
    succeed(thresher().arg("clean").arg(output));
}
