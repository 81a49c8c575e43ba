//! Converts tables to values. A value of the wrong type is reported with its line, its whole key,
//! and an example from the defaults.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::{Table, Value};

use crate::JobError;
use crate::lines::{Path, Step, Written};

/// A longer default is not shown as an example.
const MAX_SHOWN_CHARS: usize = 60;

/// Reads `table`, which must be complete; `known` has every key with its default.
pub fn read<T: DeserializeOwned>(
    table: Table,
    known: &Table,
    written: Written<'_>,
) -> Result<T, JobError> {
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let mut path = written.start();
        let mut example = Some(Value::Table(known.clone()));
        let mut last = written.under.to_owned();
        for segment in error.path() {
            match segment {
                // A table's fields could be read from a list, too.
                Segment::Seq { .. } if matches!(example, Some(Value::Table(_))) => {
                    return not_a_table(path, "a list", written.text);
                }
                Segment::Seq { index } => path.push(Step::Item(*index)),
                Segment::Map { key } => {
                    path.push(Step::Key(key.clone()));
                    example = example.and_then(|example| below(&example, key));
                    last.clone_from(key);
                }
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        let example = example.as_ref().and_then(|example| write_it_like(&path, &last, example));
        let (problem, hint) = explained(error.inner().message(), example);
        JobError::Value { key: path.to_string(), line: path.line_in(written.text), problem, hint }
    })
}

/// Returns the error for a value of the right type; `key` is a key of the table that `written`
/// means.
pub fn refuse(key: &str, problem: &str, hint: &str, written: Written<'_>) -> JobError {
    let mut path = written.start();
    path.push(Step::Key(key.to_owned()));
    let (problem, hint) = (problem.to_owned(), Some(hint.to_owned()));
    JobError::Value { key: path.to_string(), line: path.line_in(written.text), problem, hint }
}

/// Returns the error for a key of the whole file that must be a table.
pub fn key_is_not_a_table(key: &str, found: &Value, text: &str) -> JobError {
    let mut path = Path::default();
    path.push(Step::Key(key.to_owned()));
    let found = match found.is_array() {
        true => "a list".to_owned(),
        false => format!("the {} `{found}`", found.type_str()),
    };
    not_a_table(path, &found, text)
}

fn not_a_table(path: Path, found: &str, text: &str) -> JobError {
    let key = path.to_string();
    let problem = format!("is {found}, and must be a table");
    let hint = Some(format!("write it as `[{key}]`"));
    JobError::Value { key, line: path.line_in(text), problem, hint }
}

/// Returns the example of a key, in a table or in the entries of a list of tables.
fn below(example: &Value, key: &str) -> Option<Value> {
    let entry = || example.as_array()?.first()?.as_table();
    example.as_table().or_else(entry)?.get(key).cloned()
}

/// Rewrites a message of serde in terms of the job file, and adds a hint.
fn explained(message: &str, example: Option<String>) -> (String, Option<String>) {
    let kind = ["invalid type: ", "invalid value: "];
    let kind = kind.iter().find_map(|kind| message.strip_prefix(kind));
    if let Some((found, expected)) = kind.and_then(|rest| rest.split_once(", expected ")) {
        return (format!("is {}, and must be {}", given(found), wanted(expected)), example);
    }
    let unknown = message.strip_prefix("unknown variant ");
    if let Some((found, expected)) = unknown.and_then(|rest| rest.split_once(", expected ")) {
        let choices = expected.trim_start_matches("one of ").replace(" or ", ", ");
        let hint = format!("choose one of {choices}");
        return (format!("is {found}, which is unknown"), Some(hint));
    }
    // The type that reads a string says how it is written.
    (format!("is wrong: {message}"), None)
}

fn given(found: &str) -> String {
    match found.split_once(' ') {
        Some(("string", text)) => {
            let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            format!("the string `{}`", text.unwrap_or_default())
        }
        Some(("floating", point)) => format!("the number {}", point.trim_start_matches("point ")),
        Some((kind @ ("integer" | "boolean"), value)) => format!("the {kind} {value}"),
        _ if found == "sequence" => "a list".to_owned(),
        _ if found == "map" => "a table".to_owned(),
        _ => found.to_owned(),
    }
}

fn wanted(expected: &str) -> String {
    let up_to = |largest: u64| format!("a whole number from 0 to {largest}");
    match expected {
        "u8" => up_to(u8::MAX.into()),
        "u16" => up_to(u16::MAX.into()),
        "u32" | "u64" | "usize" => "a whole number from 0".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "string or table" | "string or map" => "a string".to_owned(),
        _ if expected.starts_with("struct ") => "a table".to_owned(),
        _ => expected.to_owned(),
    }
}

fn write_it_like(path: &Path, key: &str, example: &Value) -> Option<String> {
    let whole = path.without_items();
    if example.is_table() {
        return Some(format!("write it as `[{whole}]`"));
    }
    let tables = example.as_array().and_then(|items| items.first()).is_some_and(Value::is_table);
    if tables {
        return Some(format!("write it as `[[{whole}]]`"));
    }
    // An empty value shows no form, and is a different choice.
    let line = if example.as_array().is_some_and(Vec::is_empty) {
        format!("{key} = [\"...\"]")
    } else if example.as_str().is_some_and(str::is_empty) {
        format!("{key} = \"...\"")
    } else {
        format!("{key} = {example}")
    };
    let fits = line.chars().count() <= MAX_SHOWN_CHARS;
    fits.then(|| format!("write it like `{line}`"))
}
