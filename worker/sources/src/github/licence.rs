//! Identifies the licence of a repository by its licence files, and the licence in such a file by
//! sentences that only this licence contains.
//!
//! Only the permissive licences that the recipe keeps are distinguished. A repository has none of
//! them if one of its licence files has terms that are not permissive: a copyleft licence beside a
//! permissive one may be a choice, but may also cover a part of the files.
//!
//! **Invariant:** the licence of a repository does not depend on the order of its licence files.

use std::collections::BTreeMap;

/// Size in bytes of the largest file that is read as a licence.
pub(super) const MAX_BYTES: u64 = 256 << 10;
/// The folder that has one file for each licence, by the REUSE specification.
pub(super) const LICENCES_FOLDER: &str = "LICENSES/";

/// What one licence file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    /// The licence of this name, as BigQuery writes it.
    Permissive(&'static str),
    /// Copyleft, or a limit on use.
    Restricted,
    /// No licence that is distinguished.
    Unknown,
}

/// The licence files of one repository.
#[derive(Debug, Default)]
pub(super) struct LicenceFiles {
    /// Permissive licences by the path of the file.
    permissive: BTreeMap<String, &'static str>,
    restricted: bool,
}

/// Number of permissive licence files of one repository that are remembered.
const MAX_FILES: usize = 100;

impl LicenceFiles {
    /// Adds the licence file at `path` in the repository.
    pub(super) fn add(&mut self, path: &str, text: &str) {
        match detect(text) {
            Terms::Permissive(name) if self.permissive.len() < MAX_FILES => {
                self.permissive.insert(path.to_owned(), name);
            }
            Terms::Restricted => self.restricted = true,
            Terms::Permissive(_) | Terms::Unknown => {}
        }
    }

    /// Returns the licence of the repository: of the first permissive file by path, unless another
    /// file has terms that are not permissive.
    pub(super) fn licence(&self) -> Option<&'static str> {
        if self.restricted {
            return None;
        }
        self.permissive.values().next().copied()
    }
}

/// Endings of files that contain code, whatever the rest of their names is.
const CODE: &[&str] = &[
    "bat", "c", "cc", "cfg", "cpp", "cs", "css", "go", "h", "hpp", "hs", "java", "jl", "js",
    "json", "kt", "lua", "php", "pl", "pm", "png", "ps1", "py", "pyc", "r", "rb", "rs", "scala",
    "scss", "sh", "sql", "svg", "swift", "toml", "ts", "tsx", "vb", "xml", "yaml", "yml",
];

/// Returns whether the file at `path` in a repository can contain its licence: a file at the root
/// that is named after licences, or one in the folder `LICENSES`.
pub(super) fn is_licence_path(path: &str) -> bool {
    let upper = path.to_ascii_uppercase();
    let name = match upper.strip_prefix(LICENCES_FOLDER) {
        Some(name) => return !name.is_empty() && !name.contains('/'),
        None if upper.contains('/') => return false,
        None => upper.as_str(),
    };
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    if CODE.contains(&ending.to_ascii_lowercase().as_str()) {
        return false;
    }
    let starts = |word: &str| {
        let rest = name.strip_prefix(word).and_then(|rest| rest.strip_prefix('S').or(Some(rest)));
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    let ends = |word: &str| {
        let rest = stem.strip_suffix(word);
        rest.is_some_and(|rest| rest.ends_with(['-', '_', '.']))
    };
    ["LICENSE", "LICENCE", "COPYING", "UNLICENSE"].into_iter().any(starts)
        || ["LICENSE", "LICENCE"].into_iter().any(ends)
}

/// Sentences of licences and clauses that are not permissive, in lower case.
const RESTRICTED: &[&str] = &[
    "gnu general public license",
    "gnu lesser general public license",
    "gnu library general public license",
    "gnu affero general public license",
    "mozilla public license",
    "eclipse public license",
    "common development and distribution license",
    "european union public licence",
    "open software license",
    "server side public license",
    "commons clause",
    "business source license",
    "elastic license",
    "polyform",
    "creative commons attribution-sharealike",
    "creative commons attribution-noncommercial",
    "attribution-sharealike 4.0 international",
    "attribution-noncommercial",
];

/// Returns the terms of a licence file.
pub(super) fn detect(text: &str) -> Terms {
    let plain: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let plain = plain.join(" ");
    let has = |sentence: &str| plain.contains(sentence);
    if RESTRICTED.iter().any(|sentence| has(sentence)) {
        return Terms::Restricted;
    }
    if has("apache license") && has("version 2.0") {
        return Terms::Permissive("apache-2.0");
    }
    if has("permission is hereby granted, free of charge, to any person obtaining a copy") {
        return Terms::Permissive("mit");
    }
    if has("redistribution and use in source and binary forms") {
        let third = has("neither the name") || has("may not be used to endorse or promote");
        return Terms::Permissive(if third { "bsd-3-clause" } else { "bsd-2-clause" });
    }
    Terms::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIT: &str = "MIT License\n\nPermission is hereby granted, free of charge, to\nany person \
                       obtaining a copy of this software";
    const GPL: &str = "GNU GENERAL\n  PUBLIC LICENSE\nVersion 3, 29 June 2007";
    const BSD: &str = "Redistribution and use in source and binary forms, with or without";

    #[test]
    fn licences_are_identified_by_their_own_sentences() {
        // The licence of this repository.
        let own = include_str!("../../../../LICENSE");
        assert_eq!(detect(own), Terms::Permissive("apache-2.0"));
        let third = format!("{BSD}\nNeither the name of the copyright holder");
        let cases = [
            (MIT, Terms::Permissive("mit")),
            (BSD, Terms::Permissive("bsd-2-clause")),
            (&third, Terms::Permissive("bsd-3-clause")),
            (GPL, Terms::Restricted),
            ("GNU AFFERO GENERAL PUBLIC LICENSE", Terms::Restricted),
            ("GNU Lesser General Public License", Terms::Restricted),
            ("Mozilla Public License Version 2.0", Terms::Restricted),
            ("Permission to use, copy, modify, and/or distribute", Terms::Unknown),
            ("", Terms::Unknown),
        ];
        for (text, terms) in cases {
            assert_eq!(detect(text), terms, "{text}");
        }
        // A choice with copyleft, and a permissive text with a limit, are not permissive.
        for more in ["or the GNU General Public License", "\"Commons Clause\" License Condition"] {
            assert_eq!(detect(&format!("{MIT}\n{more}")), Terms::Restricted, "{more}");
            assert_eq!(detect(&format!("{more}\n{MIT}")), Terms::Restricted, "{more}");
        }
    }

    #[test]
    fn all_licence_files_of_a_repository_decide() {
        let of = |files: &[(&str, &str)]| {
            let mut all = LicenceFiles::default();
            for (path, text) in files {
                all.add(path, text);
            }
            all.licence()
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("LICENSE", "unknown"), ("COPYING", MIT)]), Some("mit"));
        assert_eq!(of(&[("LICENSE-MIT", MIT), ("COPYING", GPL)]), None);
        assert_eq!(of(&[("COPYING", GPL), ("LICENSE-MIT", MIT)]), None);
        assert_eq!(of(&[("LICENSE", MIT), ("LICENSE-COMMONS", "Commons Clause")]), None);
        let both = [("LICENSE-MIT", MIT), ("LICENSE-BSD", BSD)];
        assert_eq!(of(&both), Some("bsd-2-clause"));
        assert_eq!(of(&[both[1], both[0]]), Some("bsd-2-clause"), "in any order");
    }

    #[test]
    fn licence_files_are_recognized_by_their_paths() {
        for path in [
            "LICENSE",
            "license.txt",
            "License.txt",
            "LICENSE-MIT",
            "LICENSE_1_0.txt",
            "Copying",
            "COPYING.LESSER",
            "LICENCE.md",
            "Licence.rst",
            "MIT-LICENSE",
            "MIT-LICENSE.txt",
            "GPL_LICENSE.txt",
            "UNLICENSE",
            "Licenses.txt",
            "LICENSES/MIT.txt",
            "LICENSES/GPL-2.0-only.txt",
            "LICENSE.apache2",
        ] {
            assert!(is_licence_path(path), "{path}");
        }
        for path in [
            "src",
            "licensing.md",
            "license.py",
            "LICENSE-checker.js",
            "src/LICENSE",
            "LICENSES/",
            "LICENSES/a/MIT.txt",
            "LICENSEE",
            "mylicense",
            "copyingtool.sh",
            "license.h",
        ] {
            assert!(!is_licence_path(path), "{path}");
        }
    }
}
