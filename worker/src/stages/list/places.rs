//! Checks places before a job reads or writes anything there: the names in a listing that came
//! from elsewhere, and that the output is not among the inputs.
//!
//! **Invariant:** a listing that was read from a server names nothing but files below `base`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use glob::Pattern;
use thresher_job::SourceSpec;
use thresher_sources::locate;
use thresher_storage::Location;
use thresher_unit::UnitError;
use thresher_unit::staging::InputRow;

use super::walk::is_pattern;

/// Returns why a name in a listing that was read from a server must not be opened, if so. Whoever
/// wrote the listing must not choose local files, or other servers, to be published.
pub(super) fn leaves_base(base: &str, name: &str) -> Option<&'static str> {
    let below = name.strip_prefix(base.trim_end_matches('/')).and_then(|it| it.strip_prefix('/'));
    let base_is_address = base.contains("://");
    let relative = match below {
        Some(below) if base_is_address => below,
        _ if name.contains("://") => return Some("is the address of another place"),
        _ if name.starts_with('/') => return Some("is an absolute path"),
        _ if has_scheme(name) => return Some("is an address"),
        _ => name,
    };
    let climbs = relative.split(['/', '\\']).any(|part| {
        let part = part.to_ascii_lowercase().replace("%2e", ".");
        part == ".."
    });
    climbs.then_some("leaves the folder with `..`")
}

/// Returns whether a name starts like `file:` and is not a name with a colon in its folder.
fn has_scheme(name: &str) -> bool {
    name.split_once(':').is_some_and(|(scheme, _)| {
        ["file", "http", "https", "s3", "ftp"].contains(&scheme.to_ascii_lowercase().as_str())
    })
}

/// Returns the error for inputs that are not where the job file says: this node's if its `base` is
/// an empty folder, as the place of a file system that is not mounted is; else the job file's.
pub(super) fn blame_for_base(base: &str, text: String) -> UnitError {
    if is_empty(base) {
        return UnitError::Node(format!(
            "{text}\nhint: `{base}` is empty on this node; see whether its file system is mounted"
        ));
    }
    UnitError::JobFile(text)
}

/// Returns whether the base is a folder without any file.
pub(super) fn is_empty(base: &str) -> bool {
    matches!(base.parse(), Ok(Location::Path(folder))
        if folder.read_dir().is_ok_and(|mut entries| entries.next().is_none()))
}

/// Returns an error if the output is one of the folders in which inputs are, or where a pattern
/// finds files: another run could read what this one writes.
pub(super) fn refuse_output_among_inputs(
    output: &Location,
    source: &SourceSpec,
    rows: &[InputRow],
) -> Result<(), UnitError> {
    let Location::Path(output) = output else { return Ok(()) };
    let output = canonical(output);
    for folder in input_folders(source, rows)? {
        let folder = canonical(&folder);
        let is_below = output.starts_with(&folder) && is_pattern(&source.listing);
        if is_below && reaches(source, &output) || output == folder {
            return Err(UnitError::JobFile(among_inputs(&output, &folder, source)));
        }
    }
    Ok(())
}

/// Returns whether the pattern of a source can match the output, or a file below it.
fn reaches(source: &SourceSpec, output: &Path) -> bool {
    let base = locate(source, "");
    let Ok(Location::Path(base)) = base else { return false };
    let Ok(below) = output.strip_prefix(canonical(&base)) else { return true };
    let parts: Vec<&str> = source.listing.split('/').collect();
    let names: Vec<_> = below.iter().map(|name| name.to_string_lossy()).collect();
    let is_recursive = |parts: &[&str]| parts.iter().any(|part| part.contains("**"));
    let beyond = names.len().min(parts.len());
    let starts = parts.iter().zip(&names).all(|(part, name)| {
        part.contains("**") || Pattern::new(part).is_ok_and(|pattern| pattern.matches(name))
    });
    is_recursive(&parts[..beyond]) || starts && names.len() <= parts.len()
}

/// Returns the message for an output where a pattern can find files, without looking for any.
pub(in crate::stages) fn output_below_pattern(
    output: &Location,
    source: &SourceSpec,
) -> Option<String> {
    let Location::Path(output) = output else { return None };
    let parts = source.listing.split('/').take_while(|part| !is_pattern(part));
    let literal = parts.collect::<Vec<_>>().join("/");
    let folder = is_pattern(&source.listing).then(|| locate(source, &literal))?;
    let Ok(Location::Path(folder)) = folder else { return None };
    let (output, folder) = (canonical(output), canonical(&folder));
    let is_reached = output.starts_with(&folder) && reaches(source, &output);
    is_reached.then(|| among_inputs(&output, &folder, source))
}

fn among_inputs(output: &Path, folder: &Path, source: &SourceSpec) -> String {
    format!(
        "`output.path = \"{}\"` is in `{}`, where source `{}` reads its inputs\nhint: choose an \
         `output.path` outside of it",
        output.display(),
        folder.display(),
        source.name
    )
}

/// Returns the folders in which the inputs are. Of a pattern that matches folders, it is the one
/// above all that can match.
fn input_folders(source: &SourceSpec, rows: &[InputRow]) -> Result<BTreeSet<PathBuf>, UnitError> {
    let mut folders = BTreeSet::new();
    let pattern_of_folders = source.listing.rsplit_once('/').filter(|(above, _)| is_pattern(above));
    if let Some((above, _)) = pattern_of_folders
        && rows.iter().any(|row| row.path != source.listing)
    {
        let literal = above.split('/').take_while(|part| !is_pattern(part));
        let literal: Vec<&str> = literal.collect();
        if let Location::Path(folder) = locate(source, &literal.join("/"))? {
            folders.insert(folder);
        }
        return Ok(folders);
    }
    for row in rows {
        if let Location::Path(path) = locate(source, &row.path)?
            && let Some(folder) = path.parent()
        {
            folders.insert(folder.to_owned());
        }
    }
    Ok(folders)
}

/// Returns the path without links, or as it is if it does not exist.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::list::tests::source;

    #[test]
    fn a_remote_listing_names_only_what_is_below_base() {
        let base = "https://data.example.org/crawl";
        for good in [
            "crawl-data/a.wet.gz",
            "a..b/c.gz",
            "time:12/a.gz",
            "https://data.example.org/crawl/a.gz",
        ] {
            assert_eq!(leaves_base(base, good), None, "{good}");
        }
        for bad in [
            "/etc/passwd",
            "file:///etc/passwd",
            "file:/etc/passwd",
            "FILE:secret",
            "../secret.gz",
            "a/../../secret.gz",
            "a/%2E%2e/secret.gz",
            "https://data.example.org/other/a.gz",
            "https://data.example.org/crawl/../other/a.gz",
            "https://data.example.org.evil.org/crawl/a.gz",
            "http://169.254.169.254/latest",
            "s3://other/key",
        ] {
            assert!(leaves_base(base, bad).is_some(), "{bad}");
        }
        assert!(leaves_base("/data", "/data/a.gz").is_some(), "a remote list for local files");
        assert_eq!(leaves_base("/data", "a.gz"), None);
    }

    #[test]
    fn an_empty_base_is_charged_to_the_node_and_a_wrong_one_to_the_job_file() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().display().to_string();
        let error = blame_for_base(&path, "nothing".to_owned());
        assert!(matches!(&error, UnitError::Node(text) if text.contains("mounted")), "{error}");
        let missing = blame_for_base("/no/such/folder", "nothing".to_owned());
        assert!(matches!(missing, UnitError::JobFile(_)));
        std::fs::write(base.path().join("a"), "").unwrap();
        assert!(matches!(blame_for_base(&path, String::new()), UnitError::JobFile(_)));
    }

    #[test]
    fn an_output_among_the_inputs_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().join("in");
        for folder in ["in/deep/er", "in/out", "in/deep/er/out", "out", "in-out"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let check = |listing: &str, rows: &[&str], output: &str| {
            let rows: Vec<_> = rows.iter().map(|it| InputRow::named((*it).to_owned())).collect();
            let output = Location::Path(root.path().join(output));
            refuse_output_among_inputs(&output, &source(&base, listing), &rows)
        };
        for (listing, row, output) in [
            ("*.gz", "a.gz", "in"),
            ("*", "a.gz", "in/out"),
            ("*/*.gz", "deep/a.gz", "in/deep/../out"),
            ("**/*.gz", "deep/er/a.gz", "in/out"),
            ("deep/**", "deep/er/a.gz", "in/deep/er/out"),
            ("deep/*/*", "deep/er/a.gz", "in/deep/er/out"),
            ("deep/er/*.gz", "deep/er/a.gz", "in/deep/er"),
            ("a.paths", "a.gz", "in"),
        ] {
            let error = check(listing, &[row], output).unwrap_err().to_string();
            assert!(error.contains("hint: choose an `output.path` outside"), "{error}");
        }
        for (listing, row, output) in [
            ("*.gz", "a.gz", "out"),
            ("*.gz", "a.gz", "in-out"),
            ("*.gz", "a.gz", "in/out"),
            ("deep/*/*.gz", "deep/er/a.gz", "in/deep/er/out"),
            ("deep/er/*.gz", "deep/er/a.gz", "in/out"),
            ("a.paths", "a.gz", "in/out"),
            ("a.paths", "https://host/a.gz", "in/out"),
        ] {
            check(listing, &[row], output).unwrap();
        }
    }
}
