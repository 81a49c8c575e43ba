//! Makes rows readable that are nested deeper than the parser allows.
//!
//! In such a row, each value that is nested deeper than [`KEPT_LEVELS`] becomes a string of its
//! JSON. **Invariant:** any other row stays as it is; the work is linear, without recursion.

use std::borrow::Cow;

/// Number of levels that the parser of the library allows, of which the row is the first.
const PARSED_LEVELS: usize = 127;
/// Number of levels that are kept in a deeper row. There is room for those around the row in files
/// that are written later.
const KEPT_LEVELS: usize = 100;

/// Returns the row with its deepest values as strings, if the parser does not read it otherwise.
pub(super) fn bounded(row: &str) -> Cow<'_, str> {
    let mut deepest = 0;
    brackets(row.as_bytes(), |_, _, level| deepest = deepest.max(level));
    if deepest <= PARSED_LEVELS {
        return Cow::Borrowed(row);
    }
    let (mut out, mut copied, mut from) = (String::with_capacity(row.len() + 64), 0, 0);
    brackets(row.as_bytes(), |at, opens, level| {
        if level != KEPT_LEVELS + 1 {
            return;
        }
        if opens {
            from = at;
            return;
        }
        out.push_str(&row[copied..from]);
        out.push_str(&serde_json::Value::from(&row[from..=at]).to_string());
        copied = at + 1;
    });
    out.push_str(&row[copied..]);
    Cow::Owned(out)
}

/// Passes each bracket outside of strings to `each`: its position, whether it opens, and the level
/// of the value that it opens or closes.
fn brackets(row: &[u8], mut each: impl FnMut(usize, bool, usize)) {
    let (mut at, mut level) = (0, 0_usize);
    while let Some(byte) = row.get(at) {
        match byte {
            b'"' => at += super::objects::string_len(&row[at + 1..]),
            b'{' | b'[' => {
                level += 1;
                each(at, true, level);
            }
            b'}' | b']' => {
                each(at, false, level);
                level = level.saturating_sub(1);
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(levels: usize) -> String {
        let inner = format!("{}\"]\"{}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        format!("{{\"a\": {inner}, \"b\": {inner}}}")
    }

    #[test]
    fn only_rows_that_the_parser_refuses_are_changed() {
        for levels in [1, 2, KEPT_LEVELS, KEPT_LEVELS + 1, PARSED_LEVELS] {
            let row = row(levels);
            assert_eq!(bounded(&row), row);
            assert!(serde_json::from_str::<serde_json::Value>(&row).is_ok(), "{levels}");
        }
        assert!(serde_json::from_str::<serde_json::Value>(&row(PARSED_LEVELS + 1)).is_err());
        for levels in [PARSED_LEVELS + 1, 1000, 100_000] {
            let row = row(levels);
            let bounded = bounded(&row);
            let value: serde_json::Value = serde_json::from_str(&bounded).unwrap();
            for field in ["a", "b"] {
                let (mut value, mut level) = (&value[field], 1);
                while let Some(items) = value.as_array() {
                    (value, level) = (&items[0], level + 1);
                }
                assert_eq!(level, KEPT_LEVELS);
                let rest = levels - KEPT_LEVELS;
                let expected = format!("{}\"]\"{}", "[".repeat(rest), "]".repeat(rest));
                assert_eq!(value.as_str(), Some(expected.as_str()));
            }
        }
        for damaged in ["]]]", "{\"a", &"[".repeat(200), "\"\\"] {
            assert!(bounded(damaged).len() >= damaged.len());
        }
    }
}
