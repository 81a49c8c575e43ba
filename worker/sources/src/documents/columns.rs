//! Finds the columns of a row by the names that the job file gives them.
//!
//! A name is that of a column, or leads with dots into objects. A column whose name has a dot
//! itself takes precedence.

use std::collections::BTreeSet;

use serde_json::Value;
use thresher_job::SourceSpec;

use crate::Meta;
use crate::parquet_rows::named;
use thresher_unit::UnitError;

/// Number of names of columns that are remembered for an error.
const NAMES_MAX: usize = 1000;

/// Removes a value from a row, and returns it. An empty name is no column.
pub(super) fn take(row: &mut Meta, name: &str) -> Option<Value> {
    let (inside, name) = place_of(row, name)?;
    inside.shift_remove(name)
}

/// Replaces a value of a row by a text.
pub(super) fn replace(row: &mut Meta, name: &str, text: String) {
    if let Some(value) = place_of(row, name).and_then(|(inside, name)| inside.get_mut(name)) {
        *value = Value::String(text);
    }
}

/// Removes a text or a number from a row, and returns it as a text. A value of another type stays
/// in the row, and the text is empty.
pub(super) fn take_text(row: &mut Meta, name: &str) -> String {
    take_if(row, name, |value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some(String::new()),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

/// Removes a licence from a row, and returns it: a text, or a list of one text. Of several licences
/// it is not known which applies, so they stay in the row.
pub(super) fn take_licence(row: &mut Meta, name: &str) -> String {
    take_if(row, name, |value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => match items.as_slice() {
            [Value::String(text)] => Some(text.clone()),
            _ => None,
        },
        Value::Null => Some(String::new()),
        Value::Number(_) | Value::Bool(_) | Value::Object(_) => None,
    })
}

fn take_if(row: &mut Meta, name: &str, usable: impl Fn(&Value) -> Option<String>) -> String {
    let Some((inside, name)) = place_of(row, name) else { return String::new() };
    let text = inside.get(name).and_then(usable);
    if text.is_some() {
        inside.shift_remove(name);
    }
    text.unwrap_or_default()
}

/// Returns the object that has the value, and the name of the value in it.
fn place_of<'r, 'n>(row: &'r mut Meta, name: &'n str) -> Option<(&'r mut Meta, &'n str)> {
    if row.contains_key(name) {
        return Some((row, name));
    }
    let (outer, inner) = name.split_once('.')?;
    place_of(row.get_mut(outer)?.as_object_mut()?, inner)
}

fn has(row: &Meta, name: &str) -> bool {
    row.contains_key(name)
        || name.split_once('.').is_some_and(|(outer, inner)| {
            row.get(outer).and_then(Value::as_object).is_some_and(|row| has(row, inner))
        })
}

/// The names of the columns of an input, until a row has one with the text.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: BTreeSet<String>,
    rows: u64,
    has_text: bool,
}

impl Names {
    /// Notes the columns of a row; `text` is the name of the one with the text.
    pub(super) fn see(&mut self, text: &str, row: &Meta) {
        if self.has_text {
            return;
        }
        self.rows += 1;
        self.has_text = has(row, text);
        for name in row.keys() {
            if self.names.len() < NAMES_MAX && !self.names.contains(name) {
                self.names.insert(name.clone());
            }
        }
    }

    /// Returns an error if there were rows, and none had the column with the text.
    pub(super) fn check(&self, input: &str, source: &SourceSpec) -> Result<(), UnitError> {
        if self.rows == 0 || self.has_text {
            return Ok(());
        }
        let names: Vec<&String> = self.names.iter().collect();
        Err(no_text_column(input, source, &names))
    }
}

/// Returns the error for an input without the column of the text.
pub(super) fn no_text_column<T: AsRef<str>>(
    input: &str,
    source: &SourceSpec,
    columns: &[T],
) -> UnitError {
    let there = match columns {
        [] => "it has no columns at all".to_owned(),
        columns => format!("its columns are {}", named(columns)),
    };
    UnitError::JobFile(format!(
        "the input `{input}` has no column `{}`, in which source `{}` has its texts; {there}\n\
         hint: name the column with the text in that `[[source]]`, such as `columns = {{ text = \
         \"content\" }}`, or correct `listing`",
        source.columns.text, source.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_lead_into_objects_and_other_types_stay() {
        let row = json!({"a.b": 1, "a": {"b": 2, "c": {"d": "x"}}, "l": ["MIT"], "m": ["a", "b"]});
        let Value::Object(mut row) = row else { panic!("{row}") };
        assert_eq!(take_text(&mut row, "a.b"), "1");
        assert_eq!(take_text(&mut row, "a.b"), "2");
        assert_eq!(take_text(&mut row, "a.b"), "");
        assert_eq!(take_text(&mut row, "a.c.d"), "x");
        assert_eq!(take_text(&mut row, "a.c"), "");
        assert_eq!(take_text(&mut row, ""), "");
        assert_eq!(
            (take_text(&mut row, "l"), take_licence(&mut row, "l")),
            ("".into(), "MIT".into())
        );
        assert_eq!(take_licence(&mut row, "m"), "");
        assert_eq!(Value::Object(row), json!({"a": {"c": {}}, "m": ["a", "b"]}));
    }
}
