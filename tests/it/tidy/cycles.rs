//! Modules of one crate import one another in one direction only.
//!
//! The rule is checked level by level: the modules that lie in one folder, each with everything
//! below it, form a graph without cycles. A module may use its parent's items, since a child file
//! only spells out a part of its parent. Names that the parent re-exports count as the sibling's
//! that defines them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, assert_none, name_at, rust_files};

/// A module: its path from the crate's root.
type Module = Vec<String>;

/// The modules of one crate with their text.
struct Crate {
    folder: String,
    modules: BTreeMap<Module, String>,
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut findings = Vec::new();
    let crates = crates(&rust_files());
    assert!(crates.len() > 10, "few crates were found");
    for found in &crates {
        findings
            .extend(found.cycles().into_iter().map(|cycle| format!("{}: {cycle}", found.folder)));
    }
    assert_none("modules import in one direction", &findings);
}

/// Groups the shipped files by the `src` folder that they lie in.
fn crates(files: &[Source]) -> Vec<Crate> {
    let mut crates: BTreeMap<String, BTreeMap<Module, String>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        let Some((folder, inner)) = file.path.split_once("src/") else { continue };
        if inner == "main.rs" || inner.starts_with("bin/") || inner.ends_with("testing.rs") {
            continue;
        }
        let path = inner.trim_end_matches(".rs").trim_end_matches("/mod");
        let module = path.split('/').filter(|name| *name != "lib").map(str::to_owned).collect();
        crates.entry(folder.to_owned()).or_default().insert(module, file.shipped_text());
    }
    crates.into_iter().map(|(folder, modules)| Crate { folder, modules }).collect()
}

impl Crate {
    /// The cycles of every level, as text.
    fn cycles(&self) -> Vec<String> {
        let mut levels: BTreeMap<&[String], BTreeMap<&str, BTreeSet<String>>> = BTreeMap::new();
        for (module, text) in &self.modules {
            for target in imports(module, text) {
                let target = self.resolved(&target);
                let shared = module.iter().zip(&target).take_while(|(a, b)| a == b).count();
                if let (Some(from), Some(to)) = (module.get(shared), target.get(shared)) {
                    let level = levels.entry(&module[..shared]).or_default();
                    level.entry(from).or_default().insert(to.clone());
                }
            }
        }
        let shown = |(level, graph): (&[String], BTreeMap<&str, BTreeSet<String>>)| {
            cycle(&graph).map(|names| format!("{}::{{{}}}", level.join("::"), names.join(" → ")))
        };
        levels.into_iter().filter_map(shown).collect()
    }

    /// The module in which `path` ends: a name that a module re-exports leads to where it is
    /// defined.
    fn resolved(&self, path: &[String]) -> Module {
        let mut module = Module::new();
        for (at, name) in path.iter().enumerate() {
            let mut inner = module.clone();
            inner.push(name.clone());
            if self.modules.contains_key(&inner) {
                module = inner;
                continue;
            }
            let text = self.modules.get(&module).map_or("", String::as_str);
            if let Some(mut target) = re_exported(&module, text, name) {
                target.extend_from_slice(&path[at + 1..]);
                return if target == path { module } else { self.resolved(&target) };
            }
            break;
        }
        module
    }
}

/// Where `name` comes from if `module` re-exports it from a module of its own.
fn re_exported(module: &[String], text: &str, name: &str) -> Option<Module> {
    let exports = text.match_indices("pub use ").chain(text.match_indices("pub(crate) use "));
    for (at, keyword) in exports {
        let statement = text[at + keyword.len()..].split(';').next().unwrap_or_default();
        for path in expanded(statement) {
            let matches = path.last().is_some_and(|last| last == name);
            if matches && path.len() > 1 && !["crate", "super"].contains(&path[0].as_str()) {
                return Some([module, &path].concat());
            }
        }
    }
    None
}

/// What a module names of its own crate: paths that start with `crate` or `super`, and the children
/// that a `use` names.
fn imports(module: &[String], text: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            for path in expanded(&text[at..]) {
                found.push(absolute(module, &path));
            }
        }
    }
    found
}

fn absolute(module: &[String], path: &[String]) -> Module {
    let mut base = module.to_vec();
    for (at, name) in path.iter().enumerate() {
        match name.as_str() {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            _ => return [base, path[at..].to_vec()].concat(),
        }
    }
    base
}

/// The paths at the start of `text`: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn expanded(text: &str) -> Vec<Module> {
    let mut prefix = Module::new();
    let mut rest = text;
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            let inner = parts(group).into_iter().flat_map(|part| expanded(part.trim()));
            return inner.map(|path| [prefix.clone(), path].concat()).collect();
        }
        let name = name_at(rest);
        if name.is_empty() {
            break;
        }
        if name != "self" {
            prefix.push(name.to_owned());
        }
        match rest[name.len()..].strip_prefix("::") {
            Some(further) => rest = further,
            None => break,
        }
    }
    if prefix.is_empty() { Vec::new() } else { vec![prefix] }
}

/// The parts of a group up to its closing brace, cut at its own commas.
fn parts(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[start..at]);
                return found;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The names of a cycle of the graph, if it has one.
fn cycle(graph: &BTreeMap<&str, BTreeSet<String>>) -> Option<Vec<String>> {
    let reaches = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(name) = open.pop() {
            for next in graph.get(name).into_iter().flatten() {
                if seen.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let in_cycle = |from: &&str| reaches(from).contains(from);
    let names: Vec<String> = graph.keys().copied().filter(in_cycle).map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

#[test]
fn a_circle_is_found_and_a_parent_is_none() {
    let module = |path: &str| -> Module { path.split("::").map(str::to_owned).collect() };
    let found = |modules: &[(&str, &str)]| {
        let mut all: BTreeMap<Module, String> =
            modules.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect();
        all.insert(Module::new(), "pub use b::B;\npub use a::{A, c::C};".to_owned());
        Crate { folder: String::new(), modules: all }.cycles()
    };
    assert_eq!(found(&[("a", "use crate::b::B;"), ("b", "use super::a::A;")]), ["::{a → b}"]);
    assert_eq!(found(&[("a", "use crate::B;"), ("b", "use crate::{A};")]), ["::{a → b}"]);
    assert!(found(&[("a", "use crate::b::B;"), ("b", "use crate::top;")]).is_empty());
    assert!(found(&[("a", "use self::c::C;"), ("a::c", "use super::A;"), ("b", "")]).is_empty());
    assert_eq!(
        found(&[("a", ""), ("a::c", "use super::{d::D, e};"), ("a::d", "use crate::a::c::C;")]),
        ["a::{c → d}"]
    );
}
