//! Tables over tables, and keys that nobody knows.
//!
//! The shape of the default job file is the list of known keys, so documenting a key and accepting
//! it are the same act.

use toml::{Table, Value};

use super::JobError;

/// Keys that have no default, and so stand commented out in the default file.
const KEYS_WITHOUT_DEFAULT: [&str; 3] =
    ["filters.c4_quality.max_page_chars", "filters.c4_quality.bad_words_file", "source.steps"];

/// Lays `upper` over `lower`: tables are merged, everything else is replaced.
pub(crate) fn overlay(lower: &mut Table, upper: &Table) {
    for (key, value) in upper {
        match (lower.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            _ => {
                lower.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Refuses the first key of `user` that `known` lacks, naming its line and the nearest known key.
pub(crate) fn refuse_unknown(user: &Table, known: &Table, text: &str) -> Result<(), JobError> {
    walk(user, known, "", text)
}

fn walk(user: &Table, known: &Table, path: &str, text: &str) -> Result<(), JobError> {
    for (key, value) in user {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if KEYS_WITHOUT_DEFAULT.contains(&full.as_str()) {
            continue;
        }
        let Some(pattern) = known.get(key) else {
            return Err(unknown(key, &full, path, known, text));
        };
        match (value, pattern) {
            (Value::Table(inner), Value::Table(pattern)) => walk(inner, pattern, &full, text)?,
            (Value::Array(items), Value::Array(patterns)) => {
                let Some(Value::Table(pattern)) = patterns.first() else { continue };
                for item in items.iter().filter_map(Value::as_table) {
                    walk(item, pattern, &full, text)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn unknown(key: &str, full: &str, path: &str, known: &Table, text: &str) -> JobError {
    let mut candidates: Vec<&str> = known.keys().map(String::as_str).collect();
    let prefix = format!("{path}.");
    candidates.extend(KEYS_WITHOUT_DEFAULT.iter().filter_map(|k| k.strip_prefix(&prefix)));
    let nearest = candidates
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(name, key), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().max(key.len()) / 2)
        .map(|(_, name)| name.to_owned());
    let table = (!path.is_empty()).then(|| path.to_owned());
    JobError::UnknownKey { key: full.to_owned(), line: line_of(key, text), nearest, table }
}

/// The first line on which the key seems to be set or opens a table.
fn line_of(key: &str, text: &str) -> Option<usize> {
    let sets = |line: &str| {
        let line = line.trim_start();
        let opens = line.starts_with('[')
            && line.trim_matches(['[', ']', ' ']).split('.').next_back() == Some(key);
        let assigns = line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
        opens || assigns
    };
    text.lines().position(sets).map(|index| index + 1)
}
