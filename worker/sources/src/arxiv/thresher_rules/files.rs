//! The text files of a paper: decoded, and found by the names that input commands use.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::encodings;
use crate::arxiv::paths::normal_path;

/// The endings that TeX adds to the name of a file.
const ADDED_ENDINGS: [&str; 4] = [".tex", "", ".ltx", ".latex"];

/// A file with its path inside the paper.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: Rc<str>,
}

/// All text files of a paper, in the order of its tar.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) all: Vec<File>,
    by_path: BTreeMap<String, usize>,
    by_lower_path: BTreeMap<String, usize>,
    /// Files by the last part of their path, in lower case. Two files can have the same.
    by_lower_name: BTreeMap<String, Vec<usize>>,
}

impl Files {
    /// Decodes the files.
    pub(super) fn of(files: &[(String, Vec<u8>)]) -> Self {
        let names = files.iter().map(|(name, _)| normal_path(name));
        let all: Vec<File> = names
            .zip(encodings::texts(files))
            .map(|(path, text)| File { path, text: text.into() })
            .collect();
        let mut found = Self {
            by_path: BTreeMap::new(),
            by_lower_path: BTreeMap::new(),
            by_lower_name: BTreeMap::new(),
            all,
        };
        for (number, File { path, .. }) in found.all.iter().enumerate() {
            let lower = path.to_lowercase();
            let name = lower.rsplit('/').next().unwrap_or(&lower).to_owned();
            // The last of several members with one name is the one that is left after unpacking.
            found.by_path.insert(path.clone(), number);
            found.by_lower_path.entry(lower).or_insert(number);
            found.by_lower_name.entry(name).or_default().push(number);
        }
        found
    }

    /// Finds the file that an input command names, in the first folder that has it. Letter case and
    /// folders are ignored if no file has exactly that name.
    pub(super) fn find(&self, wanted: &str, folders: &[&str]) -> Option<usize> {
        let wanted = wanted.trim().trim_matches('"').trim();
        if wanted.is_empty() {
            return None;
        }
        let paths: Vec<String> = folders
            .iter()
            .flat_map(|folder| {
                let folder = folder.trim_end_matches('/');
                ADDED_ENDINGS.map(|ending| normal_path(&format!("{folder}/{wanted}{ending}")))
            })
            .collect();
        let exact = paths.iter().find_map(|path| self.by_path.get(path));
        let lower = || paths.iter().find_map(|path| self.by_lower_path.get(&path.to_lowercase()));
        let name = wanted.rsplit('/').next().unwrap_or(wanted).to_lowercase();
        let by_name = || {
            ADDED_ENDINGS.iter().find_map(|ending| {
                match self.by_lower_name.get(&format!("{name}{ending}")).map(Vec::as_slice) {
                    Some([only]) => Some(only),
                    _ => None,
                }
            })
        };
        exact.or_else(lower).or_else(by_name).copied()
    }

    /// Returns the folder of a file; empty for the top.
    pub(super) fn folder(&self, number: usize) -> &str {
        self.all[number].path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Files {
        let files: Vec<_> = names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
        Files::of(&files)
    }

    #[test]
    fn files_are_found_by_every_name_that_inputs_use() {
        let files =
            files(&["./main.tex", "sec/a.tex", "sec/B.TEX", "c.txt", "d/e.ltx", "x/n", "y/n"]);
        let cases = [
            ("sec/a", "", Some(1)),
            ("a", "sec", Some(1)),
            ("../sec/a.tex", "d", Some(1)),
            ("./main", "", Some(0)),
            ("\"c.txt\"", "", Some(3)),
            ("SEC/A", "", Some(1)),
            ("sec/b", "", Some(2)),
            // The folder is wrong, and only one file has the name.
            ("other/e", "", Some(4)),
            ("n", "", None),
            ("n", "y", Some(6)),
            ("missing", "", None),
            ("", "", None),
        ];
        for (wanted, folder, expected) in cases {
            assert_eq!(files.find(wanted, &[folder, ""]), expected, "{wanted}");
        }
        assert_eq!((files.folder(0), files.folder(4)), ("", "d"));
    }
}
