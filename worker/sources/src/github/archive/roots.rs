//! Finds the repositories of an archive, and their licences.
//!
//! A forge or a registry packs one repository below one folder, `git archive` packs it without any,
//! and some archives have many repositories, each in a folder at the top. So the root of an archive
//! is the longest folder that all its files share. If this is the top and has licence files, the
//! archive is one repository; otherwise each folder at the top is one, and files beside them belong
//! to a repository that is named like the archive. Licence files that are links have the text of
//! the file that they lead to.
//!
//! **Invariant:** the licence of a repository does not depend on the order of files.

use std::collections::{BTreeMap, BTreeSet};

use super::super::licence::{self, LICENCES_FOLDER, LicenceFiles};

/// Number of licence files of one archive that are read; the others are ignored.
const MAX_LICENCE_FILES: usize = 100_000;
/// Number of links that are followed from one licence file.
const MAX_LINKS: usize = 8;

/// What is known of an archive after its first reading.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// The folder that all files so far share, with a slash at its end; `None` before the first.
    shared: Option<String>,
    /// The text of files that could be the licence of some root, by path.
    licences: BTreeMap<String, String>,
    /// Links that could be licence files, and where they lead.
    links: BTreeMap<String, String>,
    /// The licence of each repository, after `finish`.
    by_repository: BTreeMap<String, Option<&'static str>>,
}

impl Roots {
    /// Adds a file. `text` is only called for a file that could be a licence.
    pub(super) fn add_file(&mut self, path: &str, text: impl FnOnce() -> Option<String>) {
        let folder = &path[..path.rfind('/').map_or(0, |slash| slash + 1)];
        // The files in `LICENSES` do not make it the root.
        let folder = folder.strip_suffix(LICENCES_FOLDER).unwrap_or(folder);
        self.shared = Some(match self.shared.take() {
            None => folder.to_owned(),
            Some(shared) => shared_folder(&shared, folder).to_owned(),
        });
        if self.licences.len() < MAX_LICENCE_FILES
            && could_be_licence(path)
            && let Some(text) = text()
        {
            self.licences.insert(path.to_owned(), text);
        }
    }

    /// Adds a link from one path to another.
    pub(super) fn add_link(&mut self, path: String, target: String) {
        if self.links.len() < MAX_LICENCE_FILES && could_be_licence(&path) {
            self.links.insert(path, target);
        }
    }

    /// Returns the files to which links lead and whose texts are not known.
    pub(super) fn missing_targets(&self) -> BTreeSet<String> {
        let targets = self.links.keys().map(|path| self.target_of(path));
        targets.filter(|target| !self.licences.contains_key(*target)).map(str::to_owned).collect()
    }

    /// Adds the text of a file to which a link leads.
    pub(super) fn add_target(&mut self, path: &str, text: String) {
        self.licences.insert(path.to_owned(), text);
    }

    /// Follows the links that start at `path`.
    fn target_of<'a>(&'a self, path: &'a str) -> &'a str {
        let mut target = path;
        for _ in 0..MAX_LINKS {
            let Some(next) = self.links.get(target) else { break };
            target = next;
        }
        target
    }

    /// Finds the licence of each repository, after the last file was added.
    pub(super) fn finish(&mut self) {
        let of_links = self.links.keys().filter_map(|path| {
            let text = self.licences.get(self.target_of(path))?;
            Some((path.clone(), text.clone()))
        });
        let of_links: Vec<(String, String)> = of_links.collect();
        self.licences.extend(of_links);
        if self.shared.as_deref() == Some("") && self.licences.keys().any(|path| is_at_top(path)) {
            // One repository without a folder; nothing marks this better than its licence.
            self.by_repository.insert(String::new(), None);
        }
        let mut files: BTreeMap<String, LicenceFiles> = BTreeMap::new();
        for (path, text) in &self.licences {
            let (repository, inner) = self.split(path);
            if licence::is_licence_path(inner) {
                files.entry(repository.to_owned()).or_default().add(inner, text);
            }
        }
        self.licences.clear();
        let found = files.into_iter().map(|(repository, files)| (repository, files.licence()));
        self.by_repository.extend(found);
    }

    /// Splits the path of a file into its repository and the path in it. The name of the repository
    /// is empty if it has no folder.
    pub(super) fn split<'p>(&self, path: &'p str) -> (&'p str, &'p str) {
        let shared = self.shared.as_deref().unwrap_or_default();
        if let Some(inner) = path.strip_prefix(shared).filter(|_| !shared.is_empty()) {
            return (path[..shared.len()].trim_end_matches('/'), inner);
        }
        if self.by_repository.contains_key("") {
            return ("", path);
        }
        path.split_once('/').unwrap_or(("", path))
    }

    /// Returns the licence of a repository.
    pub(super) fn licence(&self, repository: &str) -> Option<&'static str> {
        self.by_repository.get(repository).copied().flatten()
    }
}

/// Returns whether a path is that of a licence file in some folder.
fn could_be_licence(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    licence::is_licence_path(name) || licence_folder(path).is_some()
}

/// Returns the folder of which `path` is in the folder `LICENSES`.
fn licence_folder(path: &str) -> Option<&str> {
    let folder = &path[..=path.rfind('/')?];
    let root = folder.strip_suffix(LICENCES_FOLDER)?;
    (root.is_empty() || root.ends_with('/')).then_some(root)
}

fn is_at_top(path: &str) -> bool {
    !path.contains('/') || licence_folder(path) == Some("")
}

/// Returns the longest folder that both folders are in.
fn shared_folder<'a>(one: &'a str, other: &str) -> &'a str {
    let equal = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    &one[..one.as_bytes()[..equal].iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1)]
}

/// Returns a path of an archive without `.`, `..`, doubled slashes and a slash at its start. `path`
/// may be relative to `folder`.
pub(super) fn plain_path(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let folder = if path.starts_with('/') { "" } else { folder };
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the folder of a path, without a slash at its end.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIT: &str =
        "Permission is hereby granted, free of charge, to any person obtaining a copy";

    fn roots(files: &[&str], links: &[(&str, &str)]) -> Roots {
        let mut roots = Roots::default();
        for path in files {
            roots.add_file(path, || Some(MIT.to_owned()));
        }
        for (path, target) in links {
            roots.add_link((*path).to_owned(), (*target).to_owned());
        }
        for target in roots.missing_targets() {
            if files.contains(&target.as_str()) {
                roots.add_target(&target, MIT.to_owned());
            }
        }
        roots.finish();
        roots
    }

    #[test]
    fn repositories_are_found_however_an_archive_was_packed() {
        type Case<'a> =
            (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str, (&'a str, &'a str), bool);
        let cases: [Case<'_>; 11] = [
            (&["a-1/LICENSE", "a-1/src/x.py"], &[], "a-1/src/x.py", ("a-1", "src/x.py"), true),
            (&["src/x.py", "LICENSE"], &[], "src/x.py", ("", "src/x.py"), true),
            (&["src/x.py", "LICENSES/MIT.txt"], &[], "src/x.py", ("", "src/x.py"), true),
            (&["a/src/x.py", "a/LICENSES/MIT.txt"], &[], "a/src/x.py", ("a", "src/x.py"), true),
            (&["g/a/src/x.py", "g/a/License.txt"], &[], "g/a/src/x.py", ("g/a", "src/x.py"), true),
            (&["a/LICENSE", "b/x.py"], &[], "b/x.py", ("b", "x.py"), false),
            (&["a/LICENSE", "a/y.py", "b/x.py"], &[], "a/y.py", ("a", "y.py"), true),
            (&["a/x.py", "a/vendor/LICENSE"], &[], "a/x.py", ("a", "x.py"), false),
            (&["a/x.py", "a/y/z.py"], &[("a/LICENSE", "a/y/z.py")], "a/x.py", ("a", "x.py"), true),
            (
                &["a/x.py", "a/doc/mit"],
                &[("a/COPYING", "a/LICENSE"), ("a/LICENSE", "a/doc/mit")],
                "a/x.py",
                ("a", "x.py"),
                true,
            ),
            (
                &["a/x.py"],
                &[("a/LICENSE", "b/gone"), ("a/COPYING", "a/COPYING")],
                "a/x.py",
                ("a", "x.py"),
                false,
            ),
        ];
        for (files, links, path, split, known) in cases {
            for files in [files.to_vec(), files.iter().rev().copied().collect()] {
                let roots = roots(&files, links);
                assert_eq!(roots.split(path), split, "{files:?}");
                assert_eq!(roots.licence(split.0).is_some(), known, "{files:?}");
            }
        }
    }

    #[test]
    fn paths_are_plain() {
        for (folder, path, plain) in [
            ("", "./a/b", "a/b"),
            ("", "/a//b/", "a/b"),
            ("", "a/../b", "b"),
            ("a/b", "../c", "a/c"),
            ("a", "../../../c", "c"),
            ("a", "/c", "c"),
        ] {
            assert_eq!(plain_path(folder, path), plain);
        }
    }
}
