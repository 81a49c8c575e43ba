//! Reads files of plain source trees: each input is one file, `<repository>/<path>` below the base.
//!
//! The licence of its repository is read from all licence files at the repository's root and in its
//! folder `LICENSES`. Where folders cannot be listed (S3, https), files with usual names are tried.

use std::io::Read;

use serde_json::json;
use thresher_job::JobSpec;

use super::licence::{self, LICENCES_FOLDER, LicenceFiles, is_licence_path};
use super::{CodeFile, Evaluated};
use crate::{Input, Meta, ReadRecord, RecordOutcome, RecordSink};
use thresher_formats::gzip::InputDigest;
use thresher_formats::hashed::HashedReader;
use thresher_unit::UnitError;

/// Names of files that are tried where folders cannot be listed.
const LICENCE_FILES: [&str; 13] = [
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "LICENCE",
    "license",
    "license.txt",
    "COPYING",
    "COPYING.txt",
    "License",
    "License.txt",
    "LICENSE-COMMONS",
];

/// Reads one file of a source tree, and returns the digest of the input.
pub(super) fn read(
    job: &JobSpec,
    input: &Input<'_>,
    sink: &mut RecordSink<'_>,
) -> Result<InputDigest, UnitError> {
    let limit = job.records.max_bytes.0;
    let mut reader = HashedReader::new(input.open()?);
    let mut content = Vec::new();
    let bounded = reader.by_ref().take(limit + 1).read_to_end(&mut content);
    bounded.map_err(|error| input.failed(&error))?;
    let digest = reader.finish().map_err(|error| input.failed(&error))?;
    let id = input.path();
    let mut emit = |outcome: RecordOutcome<'_>| {
        sink(ReadRecord { offset: 0, record: 0, bytes: digest.bytes, outcome })
    };
    let quarantined = |reason, detail| RecordOutcome::Quarantined { id, url: "", reason, detail };
    if digest.bytes > limit {
        emit(quarantined("record_too_large", &format!("{} bytes", digest.bytes)))?;
        return Ok(digest);
    }
    if content.contains(&0) {
        emit(RecordOutcome::Dropped { id, url: "", reason: "github/binary", detail: "" })?;
        return Ok(digest);
    }
    let text = match simdutf8::compat::from_utf8(&content) {
        Ok(text) => text,
        Err(error) => {
            let detail = format!("byte {} of the file is no UTF-8", error.valid_up_to());
            emit(quarantined("invalid_utf8", &detail))?;
            return Ok(digest);
        }
    };
    let (repository, path) = id.split_once('/').unwrap_or(("", id));
    let licence = licence_of(input, repository)?.unwrap_or_default();
    let mut columns = Meta::new();
    columns.insert("repo_name".into(), json!(repository));
    columns.insert("path".into(), json!(path));
    columns.insert("license".into(), json!(licence));
    columns.insert("size".into(), json!(digest.bytes));
    let evaluated = Evaluated::of(&job.github, CodeFile { path, licence, content: text, columns });
    emit(evaluated.outcome((id, ""), path, licence))?;
    Ok(digest)
}

/// Returns the licence of a repository by all its licence files.
fn licence_of(input: &Input<'_>, repository: &str) -> Result<Option<&'static str>, UnitError> {
    let root = if repository.is_empty() { String::new() } else { format!("{repository}/") };
    let mut names = Vec::new();
    match input.names_beside(&root)? {
        Some(listed) => {
            names.extend(listed);
            let more = input.names_beside(&format!("{root}{LICENCES_FOLDER}"))?;
            let more = more.into_iter().flatten();
            names.extend(more.map(|name| format!("{LICENCES_FOLDER}{name}")));
        }
        None => names.extend(LICENCE_FILES.map(str::to_owned)),
    }
    let mut files = LicenceFiles::default();
    for name in names.iter().filter(|name| is_licence_path(name)) {
        if let Some(raw) = input.beside(&format!("{root}{name}"), licence::MAX_BYTES)? {
            files.add(name, &String::from_utf8_lossy(&raw));
        }
    }
    Ok(files.licence())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Github;
    use crate::testing::Seen;
    use crate::testing::{job, read_stored};

    #[test]
    fn the_licence_files_of_its_repository_decide_on_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &[u8]| {
            let path: PathBuf = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        let mit = "Permission is hereby granted, free of charge, to any person obtaining a copy";
        put("a/LICENSE", b"unknown terms");
        put("a/COPYING", mit.as_bytes());
        put("a/src/x.py", b"x = 1\n");
        put("a/y.py", b"y\0");
        put("a/z.py", b"# caf\xe9");
        put("b/src/x.py", b"x = 1\n");
        for (repository, licence) in [
            ("c", "License.txt"),
            ("d", "LICENSES/MIT.txt"),
            ("e", "doc/legal.txt"),
            ("f", "LICENSE"),
        ] {
            put(&format!("{repository}/x.py"), b"x = 1\n");
            put(&format!("{repository}/{licence}"), mit.as_bytes());
        }
        std::os::unix::fs::symlink("doc/legal.txt", folder.path().join("e/LICENSE")).unwrap();
        put("f/COPYING", b"GNU General Public License");
        let job = job("github", "thresher", "[github]\ntrees = true\n");
        let outcome_of = |path: &str| read_stored(&Github, &job, folder.path(), path)[0].outcome();
        assert_eq!(outcome_of("a/src/x.py"), "x = 1\n");
        assert_eq!(outcome_of("a/y.py"), "github/binary");
        assert_eq!(outcome_of("a/z.py"), "invalid_utf8");
        assert_eq!(outcome_of("b/src/x.py"), "github/licence");
        for (path, outcome) in [
            ("c/x.py", "x = 1\n"),
            ("d/x.py", "x = 1\n"),
            ("e/x.py", "x = 1\n"),
            ("f/x.py", "github/licence"),
        ] {
            assert_eq!(outcome_of(path), outcome, "{path}");
        }
        let seen = read_stored(&Github, &job, folder.path(), "a/src/x.py");
        let Seen::Page { title, licence, .. } = &seen[0] else { panic!("{seen:?}") };
        assert_eq!((title.as_str(), licence.as_deref()), ("src/x.py", Some("mit")));
    }
}
