//! No cycle of imports between the files of a crate: each file can be read knowing only those that
//! it imports.
//!
//! It looks at text: a path that starts with `crate::` or `super::` is an import of the file that
//! has that module. What a crate's root declares and re-exports is no import.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Crates whose files import each other without a cycle.
const ACYCLIC: &[&str] = &["proto/domain", "coordinator/scheduler"];

/// The modules that each module imports; a module is its path from the crate's root.
type Imports = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it lies in the workspace").to_owned()
}

/// The files below `folder` with their modules, without tests and the crate's root.
fn modules(folder: &Path, module: &[String], found: &mut BTreeMap<Vec<String>, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let inner: Vec<String> = module.iter().cloned().chain([name.clone()]).collect();
        if name == "tests" || module.is_empty() && ["lib", "main"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            modules(&path, &inner, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let module = if name == "mod" { module.to_vec() } else { inner };
            found.insert(module, text);
        }
    }
}

fn imports(files: &BTreeMap<Vec<String>, String>) -> Imports {
    let mut imports = Imports::new();
    for (module, text) in files {
        let shipped = text.split("\n#[cfg(test)]\n").next().unwrap_or(text);
        let code: Vec<&str> = shipped.lines().map(|l| l.split("//").next().unwrap_or(l)).collect();
        let code = code.join("\n");
        let grouped = code.contains("crate::{") || code.contains("super::{");
        assert!(!grouped, "{module:?} groups imports of several files, which is not understood");
        let parent = &module[..module.len() - 1];
        let starts = [("crate::", &[][..]), ("super::", parent)];
        let paths = starts.iter().flat_map(|(start, base)| {
            code.match_indices(start).map(|(at, _)| (*base, &code[at + start.len()..]))
        });
        let known = paths.filter_map(|(base, rest)| longest_module(files, base, rest));
        let known: BTreeSet<_> = known.filter(|known| known != module).collect();
        imports.insert(module.clone(), known);
    }
    imports
}

/// The file that has the longest module at the beginning of a path.
fn longest_module(
    files: &BTreeMap<Vec<String>, String>,
    base: &[String],
    path: &str,
) -> Option<Vec<String>> {
    let mut module = base.to_vec();
    let mut longest = None;
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    for name in path[..end.unwrap_or(path.len())].split("::") {
        module.push(name.to_owned());
        if files.contains_key(&module) {
            longest = Some(module.clone());
        }
    }
    longest
}

/// A cycle, if there is one.
fn cycle(imports: &Imports) -> Option<Vec<String>> {
    // Whoever imports nothing, or only those that are in no cycle, is in none.
    let mut left = imports.clone();
    loop {
        let before = left.len();
        let remaining: BTreeSet<_> = left.keys().cloned().collect();
        left.retain(|_, known| known.iter().any(|one| remaining.contains(one)));
        if left.len() == before {
            let names = left.keys().map(|module| module.join("::"));
            return (!left.is_empty()).then(|| names.collect());
        }
    }
}

#[test]
fn files_of_a_crate_import_each_other_without_a_cycle() {
    for folder in ACYCLIC {
        let mut files = BTreeMap::new();
        modules(&root().join(folder).join("src"), &[], &mut files);
        assert!(files.len() > 5, "the files of {folder} were not found");
        assert_eq!(cycle(&imports(&files)), None, "in or above a cycle of {folder}");
    }
}

#[test]
fn a_cycle_is_found_and_a_line_is_not_one() {
    let files = |texts: &[(&str, &str)]| -> BTreeMap<Vec<String>, String> {
        let file = |(module, text): &(&str, &str)| {
            (module.split("::").map(str::to_owned).collect(), (*text).to_owned())
        };
        texts.iter().map(file).collect()
    };
    let line = files(&[("a", "use crate::b::c::D;"), ("b", ""), ("b::c", "use super::super::x;")]);
    assert_eq!(cycle(&imports(&line)), None);
    let circle = files(&[("a", "use crate::b::c::D;"), ("b::c", "// crate::x\nuse crate::a;")]);
    assert_eq!(cycle(&imports(&circle)).unwrap(), ["a", "b::c"]);
}
