//! Merges tables, and finds unknown keys.
//!
//! The default job file is the list of known keys, so every key that is accepted is documented.

use toml::{Table, Value};

use crate::JobError;
use crate::lines::{Path, Step, Written};

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
/// known key. `optional` has the whole keys without a default, which `known` cannot have.
pub fn refuse_unknown(
    user: &Table,
    known: &Table,
    optional: &[String],
    written: Written<'_>,
) -> Result<(), JobError> {
    walk(user, known, &mut Place { path: written.start(), optional, text: written.text })
}

/// The current position of a walk through a file.
struct Place<'a> {
    path: Path,
    optional: &'a [String],
    text: &'a str,
}

fn walk(user: &Table, known: &Table, place: &mut Place<'_>) -> Result<(), JobError> {
    for (key, value) in user {
        place.path.push(Step::Key(key.clone()));
        let Some(pattern) = known.get(key) else {
            if place.optional.contains(&place.path.without_items()) {
                place.path.pop();
                continue;
            }
            return Err(unknown(key, place, known));
        };
        match (value, pattern) {
            (Value::Table(inner), Value::Table(pattern)) => walk(inner, pattern, place)?,
            (Value::Array(items), Value::Array(patterns)) => {
                let Some(Value::Table(pattern)) = patterns.first() else {
                    place.path.pop();
                    continue;
                };
                for (item, table) in items.iter().enumerate() {
                    let Value::Table(table) = table else { continue };
                    place.path.push(Step::Item(item));
                    walk(table, pattern, place)?;
                    place.path.pop();
                }
            }
            _ => {}
        }
        place.path.pop();
    }
    Ok(())
}

fn unknown(key: &str, place: &Place<'_>, known: &Table) -> JobError {
    let full = place.path.without_items();
    let table = full.strip_suffix(key).unwrap_or_default();
    let mut candidates: Vec<&str> = known.keys().map(String::as_str).collect();
    candidates.extend(place.optional.iter().filter_map(|k| k.strip_prefix(table)));
    let nearest = candidates
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(name, key), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().max(key.len()) / 2)
        .map(|(_, name)| name.to_owned());
    let table = table.strip_suffix('.').map(str::to_owned);
    JobError::UnknownKey { key: full, line: place.path.line_in(place.text), nearest, table }
}
