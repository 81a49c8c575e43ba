//! Keys of the job file that were renamed. Job files with the old name still work.

use thresher_settings::JobError;
use toml::{Table, Value};

/// The old and the new name of each renamed key, with its tables.
pub(super) const RENAMED: &[(&str, &str)] = &[("units.on_set_aside", "units.on_failed_units")];

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
    fn old_and_new_key_in_one_file_are_refused() {
        let error = moved(table("[units]\nold = 1\nnew = 2\n")).unwrap_err().to_string();
        assert!(error.contains("`units.old`") && error.contains("`units.new`"), "{error}");
        assert!(error.contains("hint: remove `units.old = 1`"), "{error}");
    }
}
