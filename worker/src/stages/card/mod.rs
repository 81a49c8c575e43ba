//! The files that describe an output to people and to other tools: the dataset card `README.md`,
//! `croissant.json`, the checksums `B3SUMS`, and the arguments for trainers.
//!
//! **Invariant:** each is a function of the manifest alone, so that two runs of a job write the
//! same bytes, and `verify` proves every number by making them again.

mod croissant;
mod limits;
mod tables;
mod yaml;

use std::fmt::Write as _;

use super::manifest::Manifest;
use super::tokens::trainer_files;

/// The dataset card.
pub(crate) const CARD: &str = "README.md";
/// Metadata by the vocabulary of MLCommons.
const CROISSANT: &str = "croissant.json";
/// Checksums for `b3sum --check`.
const SUMS: &str = "B3SUMS";

/// The files beside the manifest, without those in the folder of tokens.
pub(crate) const CARD_FILES: [&str; 3] = [CARD, CROISSANT, SUMS];

/// A line that every card has, so that another file of its name is not replaced.
pub(crate) const CARD_MARK: &str =
    "<!-- Made from manifest.json; `thresher verify` compares them. -->";

/// Returns the name and the content of every file that is made from a manifest.
pub(crate) fn companions(manifest: &Manifest) -> Vec<(String, String)> {
    let mut files =
        vec![(CARD.to_owned(), card(manifest)), (CROISSANT.to_owned(), croissant::of(manifest))];
    files.extend(trainer_files(manifest));
    files.push((SUMS.to_owned(), sums(manifest, &files)));
    files
}

fn card(manifest: &Manifest) -> String {
    let mut card = yaml::header(manifest);
    let _ = writeln!(card, "{CARD_MARK}\n");
    card.push_str(&tables::body(manifest));
    card
}

/// Returns a line with hash and path for every file of the manifest, and for those made from it.
fn sums(manifest: &Manifest, made: &[(String, String)]) -> String {
    let mut lines = String::new();
    for (path, _, blake3) in manifest.files() {
        let _ = writeln!(lines, "{blake3}  {path}");
    }
    for (path, content) in made {
        let _ = writeln!(lines, "{}  {path}", blake3::hash(content.as_bytes()).to_hex());
    }
    lines
}

/// Returns a number with a comma between thousands.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
