//! Recipes from their inputs to published lines, where more than a reader is needed: what stages
//! and models do to a slice, in both presets.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use thresher_tests::job::JobText;
use thresher_tests::process::succeed;

use super::models::{documents, tokenizer};
use super::{places, run, verify};

const PRESETS: [&str; 2] = ["thresher", "redpajama-v1"];

/// Runs a job over one input of a slice; gives the documents, and how often a reason dropped one.
pub(super) fn outcome(
    slice: &str,
    preset: &str,
    (name, bytes): (&str, &[u8]),
    tables: &str,
) -> (Vec<Value>, BTreeMap<String, u64>) {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join(name);
    std::fs::create_dir_all(input.parent().unwrap()).unwrap();
    std::fs::write(input, bytes).unwrap();
    let job = JobText::of(format!(
        "[job]\nname = \"t\"\npreset = \"{preset}\"\n[[source]]\nslice = \"{slice}\"\n\
         listing = \"{name}\"\nbase = \"{}\"\ndump = \"2023-03-29\"\n[output]\npath = \
         \"corpus\"\n{tables}",
        folder.path().display()
    ));
    let (output, state) = places(folder.path());
    succeed(&mut run(&job.write(folder.path()), &state));
    verify(&output);
    let manifest = std::fs::read(output.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let dropped = serde_json::from_value(manifest["accounting"]["dropped"].clone()).unwrap();
    let found = if output.join("documents").is_dir() { documents(folder.path()) } else { vec![] };
    (found, dropped)
}

fn counts(reasons: &[(&str, u64)]) -> BTreeMap<String, u64> {
    reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

/// Code in BigQuery's form.
fn code(files: &[(&str, &str)]) -> Vec<u8> {
    let row = |(path, content): &(&str, &str)| {
        json!({"id": path, "content": content, "repo_name": "a/b", "ref": "refs/heads/main",
               "path": path, "license": "mit"})
        .to_string()
    };
    files.iter().map(row).collect::<Vec<_>>().join("\n").into_bytes()
}

fn tokens(folder: &Path) -> String {
    let file = tokenizer(folder);
    format!("[language]\nmodel = \"none\"\n[tokens]\ntokenizer = \"{}\"\n", file.display())
}

#[test]
fn code_is_compared_and_judged_by_its_tokens_in_the_order_of_each_preset() {
    let folder = tempfile::tempdir().unwrap();
    let table = "x = [11, 23, 35, 47, 59, 61, 73, 85, 97, 19, 21, 33, 45, 57, 69, 71, 83, 95]\n";
    let good = "def greeting(name):\n    return 'Hello ' + name\n";
    let input = code(&[
        ("notes.txt", "import sys\n"),
        ("notes.py", "import sys\n"),
        ("table.py", table),
        ("copy/table.py", table),
        ("good.py", good),
    ]);
    for preset in PRESETS {
        let tables = tokens(folder.path());
        let (found, dropped) = outcome("github", preset, ("code.json", &input), &tables);
        let texts: Vec<&str> = found.iter().map(|row| row["text"].as_str().unwrap()).collect();
        if preset == "thresher" {
            assert_eq!(texts, ["import sys\n", good]);
            let expected = [("github/ending", 1), ("github/few_letters_per_token", 2)];
            assert_eq!(dropped, counts(&expected));
        } else {
            // The first copies were dropped by rules, and the second ones for the first.
            assert_eq!(texts, [good]);
            let expected = [
                ("dedup/duplicate_document", 2),
                ("github/ending", 1),
                ("github/few_letters_per_token", 1),
            ];
            assert_eq!(dropped, counts(&expected));
        }
    }
}
