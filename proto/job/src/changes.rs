//! The difference between two jobs, key by key.
//!
//! Which stages depend on a key is not known here; the coordinator decides what a change costs.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{JobSpec, LISTS};

/// What a message shows for a key that one of the two jobs does not have.
const NOT_SET: &str = "not set";
/// Longest value in characters that a message shows in full.
const MAX_SHOWN_CHARS: usize = 60;

/// A key whose value differs between two jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The key with its tables; entries of lists are counted from 0, such as `source[1].listing`.
    pub key: String,
    /// The value in the earlier job, as TOML.
    pub old: String,
    /// The value in the later job.
    pub new: String,
}

/// Returns every key whose value differs, sorted by key. An entry of a list that only one of the
/// jobs has is one change.
pub fn changed_keys(old: &JobSpec, new: &JobSpec) -> Vec<KeyChange> {
    let (old, new) = (flat(old), flat(new));
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    let mut changes: BTreeMap<String, KeyChange> = BTreeMap::new();
    for key in keys.filter(|key| old.get(*key) != new.get(*key)) {
        let one_sided = whole_entry(key).filter(|entry| has(&old, entry) != has(&new, entry));
        let change = match one_sided {
            Some(entry) => {
                let name = |side: &BTreeMap<String, String>| {
                    let name = side.get(&format!("{entry}.name"));
                    name.cloned().unwrap_or_else(|| NOT_SET.to_owned())
                };
                KeyChange { key: entry.to_owned(), old: name(&old), new: name(&new) }
            }
            None => {
                KeyChange { key: key.clone(), old: shown(old.get(key)), new: shown(new.get(key)) }
            }
        };
        changes.insert(change.key.clone(), change);
    }
    changes.into_values().collect()
}

/// Returns the entry of a list of tables that a key belongs to, such as `source[1]`.
fn whole_entry(key: &str) -> Option<&str> {
    let (entry, _) = key.split_once("].")?;
    let (list, _) = entry.split_once('[')?;
    LISTS.contains(&list).then(|| &key[..=entry.len()])
}

fn has(side: &BTreeMap<String, String>, entry: &str) -> bool {
    side.contains_key(&format!("{entry}.name"))
}

fn shown(value: Option<&String>) -> String {
    let Some(value) = value else { return NOT_SET.to_owned() };
    if value.chars().count() <= MAX_SHOWN_CHARS {
        return value.clone();
    }
    let start: String = value.chars().take(MAX_SHOWN_CHARS).collect();
    format!("{start}…")
}

fn flat(job: &JobSpec) -> BTreeMap<String, String> {
    let table = Table::try_from(job).expect("a job file is plain tables, strings and numbers");
    let mut keys = BTreeMap::new();
    for (key, value) in &table {
        flatten(key.clone(), value, &mut keys);
    }
    keys
}

fn flatten(key: String, value: &Value, keys: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            for (name, inner) in table {
                flatten(format!("{key}.{name}"), inner, keys);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            for (number, inner) in items.iter().enumerate() {
                flatten(format!("{key}[{number}]"), inner, keys);
            }
        }
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_) => {
            keys.insert(key, value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn job(more: &str) -> JobSpec {
        let text = format!(
            "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"x\"\n[language]\n\
             model = \"none\"\n[output]\npath = \"/out\"\n{more}"
        );
        JobSpec::parse(&text, Path::new("/jobs")).expect("the job is valid")
    }

    #[test]
    fn each_changed_key_has_its_old_and_new_value() {
        assert_eq!(changed_keys(&job(""), &job("")), []);
        let changed = job("zstd_level = 5\n[filters.length]\nmin_chars = 7\n");
        let changes = changed_keys(&job(""), &changed);
        let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
        assert_eq!(keys, ["filters.length.min_chars", "output.zstd_level"]);
        assert_eq!((changes[1].old.as_str(), changes[1].new.as_str()), ("3", "5"));
    }

    #[test]
    fn an_added_source_is_one_change() {
        let two = job("[[source]]\nname = \"b\"\nslice = \"books\"\nlisting = \"y\"\n");
        let added = KeyChange {
            key: "source[1]".to_owned(),
            old: "not set".to_owned(),
            new: "\"b\"".to_owned(),
        };
        assert_eq!(changed_keys(&job(""), &two), [added]);
    }
}
