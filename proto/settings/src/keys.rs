//! Merges tables, and finds unknown keys.
//!
//! The default job file is the list of known keys, so every key that is accepted is documented.

use toml::{Table, Value};

use crate::JobError;
use crate::lines::{Path, Step, Written};

/// Keys that have no default, and so are commented out in the default file.
const KEYS_WITHOUT_DEFAULT: [&str; 3] =
    ["filters.c4_quality.max_page_chars", "filters.c4_quality.bad_words_file", "source.steps"];

/// Merges `upper` into `lower`: tables are merged, everything else is replaced.
pub fn overlay(lower: &mut Table, upper: &Table) {
    for (key, value) in upper {
        match (lower.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            _ => {
                lower.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Refuses the first key of `user` that `known` does not have, with its line and the most similar
/// known key.
pub fn refuse_unknown(user: &Table, known: &Table, written: Written<'_>) -> Result<(), JobError> {
    walk(user, known, &mut written.start(), written.text)
}

fn walk(user: &Table, known: &Table, path: &mut Path, text: &str) -> Result<(), JobError> {
    for (key, value) in user {
        path.push(Step::Key(key.clone()));
        let Some(pattern) = known.get(key) else {
            if KEYS_WITHOUT_DEFAULT.contains(&path.without_items().as_str()) {
                path.pop();
                continue;
            }
            return Err(unknown(key, path, known, text));
        };
        match (value, pattern) {
            (Value::Table(inner), Value::Table(pattern)) => walk(inner, pattern, path, text)?,
            (Value::Array(items), Value::Array(patterns)) => {
                let Some(Value::Table(pattern)) = patterns.first() else {
                    path.pop();
                    continue;
                };
                for (item, table) in items.iter().enumerate() {
                    let Value::Table(table) = table else { continue };
                    path.push(Step::Item(item));
                    walk(table, pattern, path, text)?;
                    path.pop();
                }
            }
            _ => {}
        }
        path.pop();
    }
    Ok(())
}

fn unknown(key: &str, path: &Path, known: &Table, text: &str) -> JobError {
    let full = path.without_items();
    let table = full.strip_suffix(key).unwrap_or_default();
    let mut candidates: Vec<&str> = known.keys().map(String::as_str).collect();
    candidates.extend(KEYS_WITHOUT_DEFAULT.iter().filter_map(|k| k.strip_prefix(table)));
    let nearest = candidates
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(name, key), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().max(key.len()) / 2)
        .map(|(_, name)| name.to_owned());
    let table = table.strip_suffix('.').map(str::to_owned);
    JobError::UnknownKey { key: full, line: path.line_in(text), nearest, table }
}
