//! Which crate may depend on which. Cargo refuses a cycle; these rules refuse an arrow that points
//! the wrong way, and hold the picture in ARCHITECTURE.md to what Cargo knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use super::{assert_none, root};

/// A crate of ours and the others of ours that it depends on, as text after `thresher-`.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Crates that may not depend on one another, however many lie between, each with the reason.
const NEVER: &[(&str, &[&str], &str)] = &[
    ("coordinator", &["unit", "sources", "worker"], "the coordinator touches no document byte"),
    (
        "worker",
        &["coordinator", "scheduler", "slurm", "lsf", "pbs", "flux"],
        "workers know no schedule and no batch system",
    ),
    (
        "slurm",
        &["proto", "channel"],
        "an adapter is text handling: it compiles neither gRPC nor TLS",
    ),
    ("lsf", &["proto", "channel"], "an adapter is text handling: it compiles neither gRPC nor TLS"),
    ("pbs", &["proto", "channel"], "an adapter is text handling: it compiles neither gRPC nor TLS"),
    (
        "flux",
        &["proto", "channel"],
        "an adapter is text handling: it compiles neither gRPC nor TLS",
    ),
    ("formats", &["job", "proto", "storage"], "formats turn bytes into records and decide nothing"),
    ("models", &["job", "proto", "storage"], "models score a text and know no job"),
    ("sources", &["worker"], "a slice does not know the stages that read it"),
];

#[test]
fn the_picture_of_crates_is_what_cargo_knows() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let picture = architecture
        .split("```crates\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("ARCHITECTURE.md has a block `crates`");
    let drawn: Arrows = picture.lines().filter_map(drawn_arrows).collect();
    let known = arrows(&["normal", "build"]);
    let mut findings = Vec::new();
    for (name, wanted) in &known {
        match drawn.get(name) {
            Some(shown) if shown == wanted => {}
            Some(shown) => findings.push(format!("`{name}` is drawn with {shown:?}: {wanted:?}")),
            None => findings.push(format!("`{name}` is not drawn: {wanted:?}")),
        }
    }
    let gone = drawn.keys().filter(|name| !known.contains_key(*name));
    findings.extend(gone.map(|name| format!("`{name}` is drawn and does not exist")));
    assert_none("ARCHITECTURE.md shows each crate with the crates it depends on", &findings);
}

/// Reads `name → a b c` of the picture; what follows two spaces is a remark.
fn drawn_arrows(line: &str) -> Option<(String, BTreeSet<String>)> {
    let (name, rest) = line.split_once('→')?;
    let targets = rest.trim_start().split("  ").next().unwrap_or_default();
    let targets = targets.split(' ').filter(|target| !["", "-"].contains(target));
    Some((name.trim().to_owned(), targets.map(str::to_owned).collect()))
}

#[test]
fn the_scheduler_depends_on_plain_types_alone() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let named = |package: &&serde_json::Value| package["name"] == "thresher-scheduler";
    let scheduler = packages.iter().find(named).expect("the scheduler is a crate");
    let plain = ["thresher-domain", "thiserror"];
    let dependencies = scheduler["dependencies"].as_array().unwrap();
    let names = dependencies.iter().filter_map(|dependency| dependency["name"].as_str());
    let impure: Vec<String> =
        names.filter(|name| !plain.contains(name)).map(str::to_owned).collect();
    assert_none("the scheduler needs nothing that can read a clock, a file or a socket", &impure);
}

#[test]
fn no_crate_depends_on_one_above_it() {
    let known = arrows(&["normal", "build", "dev"]);
    let mut findings = Vec::new();
    for (from, never, reason) in NEVER {
        assert!(known.contains_key(*from), "NEVER names `{from}`, which is no crate");
        let below = reachable(&known, from);
        for target in never.iter().filter(|target| below.contains(**target)) {
            findings.push(format!("`{from}` reaches `{target}`: {reason}"));
        }
    }
    for (name, targets) in &known {
        if name != "tests" && targets.contains("tests") {
            findings.push(format!("`{name}` depends on `tests`"));
        }
    }
    assert_none("arrows between crates point one way", &findings);
}

fn reachable(known: &Arrows, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        for target in known.get(&name).into_iter().flatten() {
            if found.insert(target.clone()) {
                open.push(target.clone());
            }
        }
    }
    found
}

/// What `cargo metadata` says of the workspace's own packages.
fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo is there: it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The dependencies between the crates of the workspace.
fn arrows(kinds: &[&str]) -> Arrows {
    let metadata = metadata();
    let mut arrows = Arrows::new();
    for package in metadata["packages"].as_array().unwrap() {
        let targets =
            package["dependencies"].as_array().unwrap().iter().filter(|dependency| {
                kinds.contains(&dependency["kind"].as_str().unwrap_or("normal"))
            });
        let targets = targets.filter_map(|dependency| own(&dependency["name"]));
        let name = own(&package["name"]).expect("a package of ours is called `thresher-…`");
        arrows.insert(name, targets.collect());
    }
    assert!(arrows.len() > 10, "few crates: {arrows:?}");
    arrows
}

fn own(name: &serde_json::Value) -> Option<String> {
    name.as_str()?.strip_prefix("thresher-").map(str::to_owned)
}

#[test]
fn a_line_of_the_picture_is_read() {
    let (name, targets) = drawn_arrows("  text → formats job  normal forms → filters").unwrap();
    assert_eq!((name.as_str(), targets.len()), ("text", 2));
    assert_eq!(drawn_arrows("domain → -").unwrap().1.len(), 0);
    assert_eq!(drawn_arrows("what people install"), None);
}
