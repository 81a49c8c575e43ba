//! Files below a directory whose names fit a pattern.
//!
//! The pattern is matched component by component, so that only directories that it can reach are
//! read. Names that begin with a dot fit only a component that begins with one. What is no UTF-8
//! and would fit is an error: no input is left out in silence.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use glob::{MatchOptions, Pattern};

use thresher_unit::UnitError;

/// As a shell matches: `*` stops at a slash and takes no hidden files.
pub(super) const LIKE_A_SHELL: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Whether a name in a listing is a pattern.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

pub(super) fn compiled(pattern: &str) -> Result<Pattern, UnitError> {
    Pattern::new(pattern).map_err(|error| {
        UnitError::Fatal(format!("`listing = \"{pattern}\"` is no pattern: {error}"))
    })
}

/// The files, relative to `base`, in order.
pub(super) fn files_below(base: &Path, pattern: &str) -> Result<Vec<String>, UnitError> {
    compiled(pattern)?;
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let mut found = BTreeSet::new();
    walk(base, "", &parts, &mut found)?;
    Ok(found.into_iter().collect())
}

/// `below` is where `folder` lies below the base, empty or with a slash at its end.
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
        UnitError::Retry(format!("failed to list `{}`: {error}", folder.display()))
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
        // Links could lead around in a circle.
        if anywhere && !entry.file_type().map_err(|error| failed(&error))?.is_dir() {
            continue;
        }
        let Some(name) = name.to_str() else {
            return Err(UnitError::Fatal(format!(
                "`{}` fits `listing`, but its name is no UTF-8\nhint: rename it, or write a \
                 pattern that it does not fit",
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

/// `path` fits so far, and `rest` of the pattern is left.
fn reached(
    path: &Path,
    below: String,
    rest: &[&str],
    found: &mut BTreeSet<String>,
) -> Result<(), UnitError> {
    if !rest.is_empty() {
        return walk(path, &format!("{below}/"), rest, found);
    }
    // A link that leads nowhere is listed, and then missing.
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
    fn a_pattern_finds_what_a_shell_would_find() {
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
            // What a link's parent holds is the system's business.
            let found = found.unwrap().into_iter().filter(|it| !it.contains("loop"));
            let expected = expected.iter().filter(|it| !it.contains("loop"));
            assert!(found.eq(expected.copied()), "{pattern}");
        }
        assert!(files_below(base.path(), "a**").unwrap_err().to_string().contains("no pattern"));
    }

    #[test]
    fn a_name_that_is_no_utf8_is_an_error_where_it_would_be_read() {
        let base = tempfile::tempdir().unwrap();
        std::fs::write(base.path().join(OsStr::from_bytes(b"\xff.json.gz")), "").unwrap();
        for pattern in ["*.json.gz", "**/*.json.gz"] {
            let error = files_below(base.path(), pattern).unwrap_err();
            assert!(error.to_string().contains(".json.gz` fits"), "{error}");
        }
        assert!(files_below(base.path(), "*.txt").unwrap().is_empty());
    }
}
