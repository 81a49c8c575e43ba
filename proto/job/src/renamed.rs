//! Keys and values of the job file that were renamed. Job files with the old names still work, but
//! no message or hint offers them.

use thresher_settings::JobError;
use toml::{Table, Value};

/// The old and the new name of each renamed key, with its tables.
pub(super) const RENAMED: &[(&str, &str)] = &[("units.on_set_aside", "units.on_failed_units")];

/// The key, the old and the new name of each renamed value. A key also stands for what is below it,
/// and for the same key in every entry of a list.
pub(super) const RENAMED_VALUES: &[(&str, &str, &str)] = &[
    ("arxiv.latex", "mended", "thresher"),
    ("steps", "told", "label"),
    ("source.steps", "told", "label"),
    ("units.on_failed_units", "go-on", "continue"),
];

/// Replaces the old names of values.
pub(super) fn rename_values(user: &mut Table, renamed: &[(&str, &str, &str)]) {
    for (key, old, new) in renamed {
        let (tables, name) = split(key);
        let path: Vec<&str> = tables.chain([name]).collect();
        if let Some(value) = user.get_mut(path[0]) {
            replace(value, &path[1..], old, new);
        }
    }
}

fn replace(value: &mut Value, path: &[&str], old: &str, new: &str) {
    match (value, path) {
        (Value::Array(items), _) => {
            items.iter_mut().for_each(|item| replace(item, path, old, new));
        }
        (Value::Table(table), [first, rest @ ..]) => {
            if let Some(inner) = table.get_mut(*first) {
                replace(inner, rest, old, new);
            }
        }
        (Value::Table(table), []) => {
            table.iter_mut().for_each(|(_, inner)| replace(inner, path, old, new));
        }
        (Value::String(text), []) if text == old => new.clone_into(text),
        _ => {}
    }
}

/// Moves the value of each old key of `user` to the new key. Returns an error if the file has both,
/// because one of the two values would be ignored.
pub(super) fn move_renamed(user: &mut Table, renamed: &[(&str, &str)]) -> Result<(), JobError> {
    for (old, new) in renamed {
        let Some(value) = take(user, old) else { continue };
        if let Some(value) = insert(user, new, value) {
            let problem = format!("the old name of `{new}`, and the job file has both");
            let hint = format!("remove `{old} = {value}`");
            return Err(JobError::invalid(old, problem, hint));
        }
    }
    Ok(())
}

/// Removes a key from its table, and returns its value.
fn take(user: &mut Table, key: &str) -> Option<Value> {
    let (tables, name) = split(key);
    let mut table = user;
    for step in tables {
        table = table.get_mut(step)?.as_table_mut()?;
    }
    table.remove(name)
}

/// Sets a key, whose tables are added if they are missing. Returns `value` if the key is already
/// set, or if one of its tables is not a table.
fn insert(user: &mut Table, key: &str, value: Value) -> Option<Value> {
    let (tables, name) = split(key);
    let mut table = user;
    for step in tables {
        let entry = table.entry(step).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else { return Some(value) };
        table = inner;
    }
    if table.contains_key(name) {
        return Some(value);
    }
    table.insert(name.to_owned(), value);
    None
}

/// Returns the names of a key's tables, and its own name.
fn split(key: &str) -> (impl Iterator<Item = &str>, &str) {
    let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
    (tables.split('.').filter(|step| !step.is_empty()), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    fn moved(mut user: Table) -> Result<Table, JobError> {
        let renamed = [("units.old", "units.new"), ("top", "output.inner.deep")];
        move_renamed(&mut user, &renamed)?;
        Ok(user)
    }

    #[test]
    fn values_of_old_keys_are_moved_to_the_new_keys() {
        let user = table("top = 1\n[units]\nold = \"stop\"\nother = 2\n");
        let expected = "[units]\nnew = \"stop\"\nother = 2\n[output.inner]\ndeep = 1\n";
        assert_eq!(moved(user).unwrap(), table(expected));
        let without = "[units]\nnew = \"stop\"\n";
        assert_eq!(moved(table(without)).unwrap(), table(without));
    }

    #[test]
    fn old_values_are_replaced_only_below_their_key() {
        let renamed = [("a.b", "old", "new"), ("list.steps", "old", "new"), ("all", "old", "new")];
        let mut user = table(
            "c = \"old\"\n[a]\nb = \"old\"\nd = \"old\"\n[all]\nx = [\"old\", \"y\"]\n\
             [[list]]\nsteps = [\"y\", \"old\"]\nname = \"old\"\n",
        );
        rename_values(&mut user, &renamed);
        let expected = "c = \"old\"\n[a]\nb = \"new\"\nd = \"old\"\n[all]\nx = [\"new\", \"y\"]\n\
                        [[list]]\nsteps = [\"y\", \"new\"]\nname = \"old\"\n";
        assert_eq!(user, table(expected));
    }

    #[test]
    fn old_and_new_key_in_one_file_are_refused() {
        let error = moved(table("[units]\nold = 1\nnew = 2\n")).unwrap_err().to_string();
        assert!(error.contains("`units.old`") && error.contains("`units.new`"), "{error}");
        assert!(error.contains("hint: remove `units.old = 1`"), "{error}");
    }
}
