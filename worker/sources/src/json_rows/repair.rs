//! Rewrites a line that Python reads as JSON, although it is not, into JSON.
//!
//! | in the line | becomes |
//! |---|---|
//! | an escape of half a surrogate pair | `\ufffd` |
//! | `NaN`, `Infinity`, a number that no float can hold | `null` |
//! | a control character inside a string | its escape |
//!
//! **Invariant:** what is valid JSON stays as it is.

/// Returns the line as JSON, as far as the table above goes.
pub(super) fn repaired(line: &str) -> String {
    let bytes = line.as_bytes();
    let mut out = String::with_capacity(line.len() + 16);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b'"' => string(line, at, &mut out),
            b'-' | b'+' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => word(line, at, &mut out),
            _ => {
                let end = at + line[at..].chars().next().map_or(1, char::len_utf8);
                out.push_str(&line[at..end]);
                end
            }
        };
        at = end;
    }
    out
}

/// Copies a number or a name, and returns its end.
fn word(line: &str, at: usize, out: &mut String) -> usize {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    let end = at + line.as_bytes()[at..].iter().take_while(|byte| is_part(byte)).count();
    let text = &line[at..end];
    let unknown = matches!(text, "NaN" | "Infinity" | "-Infinity");
    // Only what starts like a number is parsed, because `parse` also accepts `inf`.
    let starts_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let infinite = starts_number && text.parse().is_ok_and(f64::is_infinite);
    out.push_str(if unknown || infinite { "null" } else { text });
    end
}

/// Copies a string with its quotes, and returns its end.
fn string(line: &str, at: usize, out: &mut String) -> usize {
    out.push('"');
    let mut at = at + 1;
    loop {
        let rest = &line[at..];
        let plain = rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=31)).count();
        out.push_str(&rest[..plain]);
        at += plain;
        match line.as_bytes().get(at) {
            None => return at,
            Some(b'"') => {
                out.push('"');
                return at + 1;
            }
            Some(b'\\') => at = escape(line, at, out),
            Some(control) => {
                out.push_str(&format!("\\u{control:04x}"));
                at += 1;
            }
        }
    }
}

/// Copies an escape, with the one after it if both are a surrogate pair, and returns the end.
fn escape(line: &str, at: usize, out: &mut String) -> usize {
    let unit = |at: usize| {
        let digits = line.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
    };
    match unit(at) {
        Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => {
            out.push_str(&line[at..at + 12]);
            at + 12
        }
        Some(0xd800..=0xdfff) => {
            out.push_str("\\ufffd");
            at + 6
        }
        _ => {
            let next = line[at + 1..].chars().next().map_or(0, char::len_utf8);
            out.push_str(&line[at..at + 1 + next]);
            at + 1 + next
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_reads_becomes_json() {
        for (line, expected) in [
            (r#"{"a": "\ud83d\ude00"}"#, r#"{"a": "\ud83d\ude00"}"#),
            (r#"{"a": "\ud83d"}"#, r#"{"a": "\ufffd"}"#),
            (r#"{"a": "\ude00\ud83d"}"#, r#"{"a": "\ufffd\ufffd"}"#),
            (r#"{"a": "\ud83d\ud83d\ude00"}"#, r#"{"a": "\ufffd\ud83d\ude00"}"#),
            (r#"{"a": "\\ud83d \"\ud83dx"}"#, r#"{"a": "\\ud83d \"\ufffdx"}"#),
            (r#"{"a": NaN, "b": -Infinity}"#, r#"{"a": null, "b": null}"#),
            (r#"{"a": [1e999, -1E999, 1e9]}"#, r#"{"a": [null, null, 1e9]}"#),
            (r#"{"a": "NaN 1e999", "b": true}"#, r#"{"a": "NaN 1e999", "b": true}"#),
            ("{\"a\": \"x\ty\u{1}\"}", r#"{"a": "x\u0009y\u0001"}"#),
            ("\"cut \\", "\"cut \\"),
            ("\"\\u12", "\"\\u12"),
        ] {
            assert_eq!(repaired(line), expected, "{line}");
        }
    }
}
