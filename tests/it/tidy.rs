//! Rules of the code that no compiler knows: who may know whom, what may stand where, how long a
//! file gets. Each failure names the place and the rule; an exception is an entry with a reason.
//!
//! It looks at text, not at syntax: comments are cut off, and that is all it understands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod crates;
mod cycles;
mod licences;

/// The crate of the scheduler.
const SCHEDULER: &str = "coordinator/scheduler";

/// What the scheduler may not name. Hash maps are here because somebody would iterate over them.
const IMPURE: &[&str] = &[
    "async ",
    ".await",
    "tokio",
    "tonic",
    "Instant",
    "SystemTime",
    "std::time",
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "std::sync",
    "rand::",
    "HashMap",
    "HashSet",
    "static mut",
    "thread_local",
    "Mutex",
    "println!",
    "tracing",
];

/// Files that may hold `unsafe`.
const UNSAFE: &[(&str, &str)] = &[
    (
        "worker/formats/src/inflate.rs",
        "libdeflate is a C library; its calls are wrapped here, once",
    ),
    (
        "worker/near/src/vector.rs",
        "code for instructions that only some processors have is called here alone",
    ),
    ("tests/src/bench/lines.rs", "the floor is the C library itself, without our wrapper"),
    (
        "worker/formats/benches/warc_inflate.rs",
        "the floor is the C library itself, without our wrapper",
    ),
];

/// Files that may lift a lint of the workspace, by `#[expect]`.
const LIFTED: &[(&str, &str)] = &[
    ("coordinator/src/clock.rs", "clippy::disallowed_methods"),
    ("worker/storage/src/clock.rs", "clippy::disallowed_methods"),
    ("worker/formats/src/inflate.rs", "unsafe_code"),
    ("worker/near/src/vector.rs", "unsafe_code"),
];

const MAX_LINES: usize = 500;
const MAX_COLUMNS: usize = 100;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_ARCHITECTURE_LINES: usize = 250;

/// Functions that are longer, each for a reason.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

/// Words that say nothing of what a file is for.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "manager", "handler", "misc"];

/// A file of the repository: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/benches/")
    }

    /// Lines with their numbers, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, without_comment(line)))
    }

    /// The same text without comments and without the tests below the code.
    fn shipped_text(&self) -> String {
        let lines = self.code().take_while(|(_, line)| *line != "mod tests {");
        lines.map(|(_, line)| format!("{line}\n")).collect()
    }
}

/// What stands before `//`. A `//` in a string cuts too much, which costs a finding, never makes
/// one.
fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the package lies in the workspace").to_owned()
}

/// All text files below the root, in the order of their paths.
fn text_files() -> Vec<Source> {
    let mut files = Vec::new();
    collect(&root(), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.iter().filter(|file| file.path.ends_with(".rs")).count() > 50, "few files");
    files
}

fn collect(folder: &Path, files: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let skipped = name.starts_with("target") || name == ".git" || name == "__pycache__";
        // Fixtures are other people's bytes.
        if skipped || name == "testdata" || name == "crawl-data" || name == "seeds" {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            files.push(Source { path, text });
        }
    }
}

fn rust_files() -> Vec<Source> {
    text_files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

/// Fails with all findings at once.
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[test]
fn the_scheduler_is_pure() {
    let mut findings = Vec::new();
    let files = rust_files();
    let source = format!("{SCHEDULER}/src/");
    let scheduler = files.iter().filter(|file| file.path.starts_with(&source));
    let mut seen = 0;
    for file in scheduler.filter(|file| !file.is_test()) {
        seen += 1;
        for (number, line) in file.code() {
            for word in IMPURE.iter().filter(|word| has_word(line, word)) {
                findings.push(format!("{}:{number}: `{word}`", file.path));
            }
            let external = line.trim_start().strip_prefix("use ").map(first_segment);
            if let Some(name) = external.filter(|name| !is_pure_root(name, &files)) {
                findings.push(format!("{}:{number}: `use {name}`", file.path));
            }
        }
    }
    assert!(seen > 10, "the scheduler was not found");
    assert_none(
        "the scheduler imports `thresher-domain`, `std` and itself, and does nothing",
        &findings,
    );
}

fn is_pure_root(name: &str, files: &[Source]) -> bool {
    let own = format!("{SCHEDULER}/src/{name}.rs");
    ["std", "super", "self", "crate", "thresher_domain"].contains(&name)
        || files.iter().any(|file| file.path == own)
}

/// Whether `word` stands in the line, and not as the beginning of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let ends_a_name = word.ends_with(|c: char| c.is_alphanumeric());
    line.match_indices(word).any(|(at, _)| {
        let longer = line[at + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        !(ends_a_name && longer)
    })
}

fn first_segment(path: &str) -> &str {
    path.split([':', ';', '{', ' ']).next().unwrap_or(path)
}

fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = rust_files().into_iter().filter(|file| !file.text.starts_with("//! "));
    let findings: Vec<String> = silent.map(|file| file.path).collect();
    assert_none("a file opens with `//!`", &findings);
}

#[test]
fn files_functions_and_lines_are_short() {
    let exempt: BTreeSet<_> = LONG_FUNCTIONS.iter().map(|(name, _)| *name).collect();
    let mut findings = Vec::new();
    for file in rust_files() {
        let lines = file.text.lines().count();
        if lines > MAX_LINES && !file.is_test() {
            findings.push(format!("{}: {lines} lines, at most {MAX_LINES}", file.path));
        }
        for (name, at, lines) in functions(&file.text) {
            let known = exempt.contains(format!("{}::{name}", file.path).as_str());
            if lines > MAX_FUNCTION_LINES && !known {
                findings.push(format!("{}:{at}: `{name}` has {lines} lines", file.path));
            }
        }
    }
    let measured = [".rs", ".proto", ".toml", ".sh"];
    for file in text_files() {
        if !measured.iter().any(|ending| file.path.ends_with(ending)) {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            // Cargo and clippy want an entry on one line; rustfmt cuts no string.
            let uncut = file.path.ends_with("Cargo.toml") || file.path == "clippy.toml";
            let string = file.path.ends_with(".rs") && without_comment(line).contains('"');
            if columns > MAX_COLUMNS && !uncut && !string {
                findings.push(format!("{}:{}: {columns} columns", file.path, index + 1));
            }
        }
    }
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    if architecture.lines().count() > MAX_ARCHITECTURE_LINES {
        findings.push("ARCHITECTURE.md is too long to be read".to_owned());
    }
    assert_none("what is short is read", &findings);
}

/// Name, first line and number of lines of every function, as rustfmt lays them out: a function
/// ends at the first closing brace with its own indentation.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let mut words = line.trim_start().split(' ').skip_while(|word| {
            word.starts_with("pub") || ["const", "async", "unsafe", "in"].contains(word)
        });
        if words.next() != Some("fn") {
            continue;
        }
        let end = format!("{}}}", &line[..indent]);
        let Some(length) = length_of_body(&lines[index..], &end) else { continue };
        found.push((name_at(words.next().unwrap_or_default()).to_owned(), index + 1, length));
    }
    found
}

/// Lines up to `end`; nothing for a function without a body or on one line.
fn length_of_body(lines: &[&str], end: &str) -> Option<usize> {
    let opened = lines.iter().position(|line| line.ends_with([';', '{', '}']))?;
    if !lines[opened].ends_with('{') {
        return None;
    }
    lines.iter().position(|line| *line == end).map(|last| last + 1)
}

#[test]
fn names_of_files_say_something() {
    let mut findings = Vec::new();
    for file in text_files() {
        let words = file.path.split(['/', '_', '-', '.']);
        for word in words.filter(|word| EMPTY_NAMES.contains(word)) {
            findings.push(format!("{}: `{word}`", file.path));
        }
    }
    for file in rust_files() {
        for (number, line) in file.code() {
            let declared = line.trim().trim_end_matches([';', '{', ' ']);
            let name = declared.rsplit_once("mod ").map_or("", |(_, name)| name);
            if name.split('_').any(|word| EMPTY_NAMES.contains(&word)) {
                findings.push(format!("{}:{number}: `mod {name}`", file.path));
            }
        }
    }
    assert_none("a name says what is there", &findings);
}

#[test]
fn unsafe_stands_only_where_it_is_listed() {
    let listed: BTreeSet<_> = UNSAFE.iter().map(|(path, _)| *path).collect();
    let keyword = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"];
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for file in rust_files().iter().filter(|file| file.path != "tests/it/tidy.rs") {
        for (number, line) in file.code() {
            if !keyword.iter().any(|keyword| line.contains(keyword)) {
                continue;
            }
            match listed.get(file.path.as_str()) {
                Some(path) => drop(used.insert(*path)),
                None => findings.push(format!("{}:{number}", file.path)),
            }
        }
    }
    findings.extend(listed.difference(&used).map(|path| format!("{path} needs no entry")));
    assert_none("`unsafe` stands in the files of UNSAFE", &findings);
}

#[test]
fn lints_are_lifted_only_where_listed() {
    let listed: BTreeSet<_> = LIFTED.iter().copied().collect();
    let guarded: BTreeSet<_> = LIFTED.iter().map(|(_, lint)| *lint).collect();
    let mut findings = Vec::new();
    for file in rust_files().iter().filter(|file| file.path != "tests/it/tidy.rs") {
        for (number, line) in file.code() {
            if line.contains("[allow(") {
                findings.push(format!("{}:{number}: `allow`, not `expect`", file.path));
            }
            let lifted =
                guarded.iter().filter(|lint| line.contains("expect(") && line.contains(*lint));
            for lint in lifted.filter(|lint| !listed.contains(&(file.path.as_str(), **lint))) {
                if !file.is_test() {
                    findings.push(format!("{}:{number}: `{lint}`", file.path));
                }
            }
        }
    }
    assert_none("lints that keep an invariant are lifted in the files of LIFTED", &findings);
}

#[test]
fn no_file_names_a_persons_machine() {
    // In pieces, or this file would be found.
    let places = [["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"], ["/wo", "rk/"]];
    let places: Vec<String> = places.iter().map(|pieces| pieces.concat()).collect();
    let mut findings = Vec::new();
    for file in text_files() {
        for (index, line) in file.text.lines().enumerate() {
            for place in places.iter().filter(|place| begins_a_path(line, place)) {
                findings.push(format!("{}:{}: `{place}`", file.path, index + 1));
            }
        }
    }
    assert_none("paths of one machine mean nothing on another", &findings);
}

/// Whether an absolute path in `line` begins with `place`.
fn begins_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && !"._-/}>)$".contains(before))
    })
}

#[test]
fn the_rules_can_fail() {
    assert!(begins_a_path("see `/tmp/x`", "/tmp/") && !begins_a_path("state/tmp/x", "/tmp/"));
    let long =
        format!("impl A {{\n    pub(crate) fn b() {{\n{}    }}\n}}\n", "        x();\n".repeat(80));
    assert_eq!(functions(&long), [("b".to_owned(), 2, 82)]);
    assert_eq!(without_comment("a(); // Instant"), "a(); ");
}
