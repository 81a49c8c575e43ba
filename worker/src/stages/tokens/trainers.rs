//! The arguments by which trainers read the pairs of an output: `--data-path` of Megatron-LM and
//! NeMo, and a YAML of GPT-NeoX.
//!
//! The weight of a pair is its share of the tokens, so a trainer reads each document once per
//! epoch. Paths start at the folder of the output; start the trainer there, or put the folder
//! before them.

use std::fmt::Write as _;

use crate::stages::manifest::{Manifest, TOKEN_FOLDER, TokenEntry};
use crate::stages::splits::VALIDATION;

/// Returns the names and contents of the files; none for an output without pairs.
pub(crate) fn trainer_files(manifest: &Manifest) -> Vec<(String, String)> {
    let pairs: Vec<(&str, &TokenEntry)> = manifest
        .tokens
        .iter()
        .filter_map(|entry| Some((entry.path.strip_suffix(".bin")?, entry)))
        .collect();
    if pairs.is_empty() {
        return Vec::new();
    }
    let of_side = |validation: bool| -> Vec<(&str, f64)> {
        let chosen = pairs
            .iter()
            .filter(|(_, entry)| (entry.split.as_deref() == Some(VALIDATION)) == validation);
        let chosen: Vec<_> = chosen.collect();
        let all: u64 = chosen.iter().map(|(_, entry)| entry.tokens).sum();
        let weight = |tokens: u64| tokens as f64 / all.max(1) as f64;
        chosen.into_iter().map(|(prefix, entry)| (*prefix, weight(entry.tokens))).collect()
    };
    let (train, validation) = (of_side(false), of_side(true));
    let mut files = vec![(path("data-path.txt"), data_path(&train))];
    if !validation.is_empty() {
        files.push((path("validation-data-path.txt"), data_path(&validation)));
    }
    files.push((path("neox.yml"), neox(&train, &validation)));
    files
}

fn path(name: &str) -> String {
    format!("{TOKEN_FOLDER}/megatron/{name}")
}

/// Returns the words after `--data-path`: a weight before each prefix.
fn data_path(pairs: &[(&str, f64)]) -> String {
    let words: Vec<String> =
        pairs.iter().map(|(prefix, weight)| format!("{weight:.9} {prefix}")).collect();
    words.join(" ") + "\n"
}

fn neox(train: &[(&str, f64)], validation: &[(&str, f64)]) -> String {
    let mut yaml = String::new();
    for (side, pairs) in [("train", train), ("valid", validation)] {
        if pairs.is_empty() {
            continue;
        }
        let paths: Vec<String> = pairs.iter().map(|(prefix, _)| format!("\"{prefix}\"")).collect();
        let weights: Vec<String> = pairs.iter().map(|(_, weight)| format!("{weight:.9}")).collect();
        let _ = writeln!(yaml, "\"{side}-data-paths\": [{}]", paths.join(", "));
        let _ = writeln!(yaml, "\"{side}-data-weights\": [{}]", weights.join(", "));
    }
    yaml
}
