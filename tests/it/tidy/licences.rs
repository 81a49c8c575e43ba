//! The crates below this one have the licences and come from the places that `deny.toml` allows.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, ParseMode};

use super::root;

/// What `cargo metadata` says of all packages that are compiled on Linux.
fn packages() -> Vec<Value> {
    let said = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let metadata: Value = serde_json::from_slice(&said.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn every_crate_has_a_licence_and_a_source_that_are_allowed() {
    let rules = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let rules: toml::Table = rules.parse().unwrap();
    let allowed: BTreeSet<&str> = rules["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    let packages = packages();
    assert!(packages.len() > 300, "{}", packages.len());
    for package in &packages {
        let name = &package["name"];
        let stated = package["license"].as_str().unwrap_or_else(|| panic!("{name} states none"));
        let licence = Expression::parse_mode(stated, ParseMode::LAX)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let is_allowed = licence.evaluate(|one| allowed.contains(one.to_string().as_str()));
        assert!(is_allowed, "{name} has the licence `{stated}`, which deny.toml does not allow");
        if let Some(source) = package["source"].as_str() {
            assert!(source.starts_with("registry+"), "{name} comes from `{source}`");
        }
    }
}
