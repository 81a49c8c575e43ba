//! Files of an output that its manifest does not name.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::InspectError;

/// The paths of all files below `folder` of an output that are not in `known`, in order.
pub(super) fn surplus(
    output: &Path,
    folder: &str,
    known: &BTreeSet<&str>,
) -> Result<Vec<String>, InspectError> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![output.join(folder)];
    while let Some(folder) = folders.pop() {
        let fail = |source| InspectError::Io { path: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(fail(error)),
        };
        for entry in entries {
            let entry = entry.map_err(fail)?;
            if entry.file_type().map_err(fail)?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path();
            let below = path.strip_prefix(output).unwrap_or(&path).to_string_lossy().into_owned();
            if !known.contains(below.as_str()) {
                found.push(below);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
