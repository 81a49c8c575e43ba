//! Finds the files below a directory whose names match a pattern.
//!
//! The pattern is matched component by component, so that only directories that it can reach are
//! read. Names that start with a dot match only a component that starts with one. A name that
//! would match but is not valid UTF-8 is an error, so that no input is skipped silently.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use glob::{MatchOptions, Pattern};

use thresher_unit::UnitError;

/// Matches like a shell: `*` stops at a slash and does not match hidden files.
pub(super) const LIKE_A_SHELL: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Returns whether a name in a listing is a pattern.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

pub(super) fn compiled(pattern: &str) -> Result<Pattern, UnitError> {
    Pattern::new(pattern).map_err(|error| {
        UnitError::JobFile(format!("`listing = \"{pattern}\"` is not a valid pattern: {error}"))
    })
}

/// Returns the files in order, relative to `base`.
pub(super) fn files_below(base: &Path, pattern: &str) -> Result<Vec<String>, UnitError> {
    compiled(pattern)?;
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let mut found = BTreeSet::new();
    walk(base, "", &parts, &mut found)?;
    Ok(found.into_iter().collect())
}

/// Searches `folder`. `below` is its path relative to the base, empty or with a slash at its end.
fn walk(
    folder: &Path,
    below: &str,
    parts: &[&str],
    found: &mut BTreeSet<String>,
) -> Result<(), UnitError> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    if !is_pattern(part) {
        let path = folder.join(part);
        return reached(&path, format!("{below}{part}"), rest, found);
    }
    let anywhere = *part == "**";
    if anywhere {
        walk(folder, below, rest, found)?;
    }
    let part = if anywhere { compiled("*")? } else { compiled(part)? };
    let failed = |error: &io::Error| {
        UnitError::Node(format!("failed to list `{}`: {error}", folder.display()))
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(());
        }
        Err(error) => return Err(failed(&error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed(&error))?;
        let (name, path) = (entry.file_name(), entry.path());
        if !part.matches_with(&name.to_string_lossy(), LIKE_A_SHELL) {
            continue;
        }
        // Links could form a cycle.
        if anywhere && !entry.file_type().map_err(|error| failed(&error))?.is_dir() {
            continue;
        }
        let Some(name) = name.to_str() else {
            return Err(UnitError::JobFile(format!(
                "`{}` matches `listing`, but its name is not valid UTF-8\nhint: rename it, or \
                 write a pattern that it does not fit",
                path.display()
            )));
        };
        let below = format!("{below}{name}");
        match anywhere {
            true => walk(&path, &format!("{below}/"), parts, found)?,
            false => reached(&path, below, rest, found)?,
        }
    }
    Ok(())
}

/// Handles a `path` that matches so far, with the `rest` of the pattern.
fn reached(
    path: &Path,
    below: String,
    rest: &[&str],
    found: &mut BTreeSet<String>,
) -> Result<(), UnitError> {
    if !rest.is_empty() {
        return walk(path, &format!("{below}/"), rest, found);
    }
    // A broken link is listed, and then counts as missing.
    if path.symlink_metadata().is_ok() && !path.is_dir() {
        found.insert(below);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_pattern_matches_like_a_shell() {
        let base = tempfile::tempdir().unwrap();
        for path in ["a.gz", "b.gz", ".hid.gz", "c.txt", "x/a.gz", "x/y/d.gz", "x/.git/e.gz"] {
            let path = base.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(base.path(), base.path().join("x/loop")).unwrap();
        for (pattern, expected) in [
            ("*.gz", vec!["a.gz", "b.gz"]),
            ("[ab].gz", vec!["a.gz", "b.gz"]),
            (".*.gz", vec![".hid.gz"]),
            ("*/*.gz", vec!["x/a.gz"]),
            ("**/*.gz", vec!["a.gz", "b.gz", "x/a.gz", "x/y/d.gz"]),
            ("x/**/?.gz", vec!["x/a.gz", "x/y/d.gz"]),
            ("x/*/../a.*", vec!["x/loop/../a.gz", "x/y/../a.gz"]),
            ("nothing/*", vec![]),
        ] {
            let found = files_below(base.path(), pattern);
            // The system resolves the parent of a link.
            let found = found.unwrap().into_iter().filter(|it| !it.contains("loop"));
            let expected = expected.iter().filter(|it| !it.contains("loop"));
            assert!(found.eq(expected.copied()), "{pattern}");
        }
        assert!(
            files_below(base.path(), "a**")
                .unwrap_err()
                .to_string()
                .contains("not a valid pattern")
        );
    }

    #[test]
    fn a_matching_name_that_is_not_utf8_is_an_error() {
        let base = tempfile::tempdir().unwrap();
        std::fs::write(base.path().join(OsStr::from_bytes(b"\xff.json.gz")), "").unwrap();
        for pattern in ["*.json.gz", "**/*.json.gz"] {
            let error = files_below(base.path(), pattern).unwrap_err();
            assert!(error.to_string().contains(".json.gz` matches"), "{error}");
        }
        assert!(files_below(base.path(), "*.txt").unwrap().is_empty());
    }
}
