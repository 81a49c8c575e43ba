//! Rewrites a line that Python reads as JSON, although it is not, into JSON.
//!
//! | in the line | becomes |
//! |---|---|
//! | an escape of half a surrogate pair | `\ufffd` |
//! | surrogates in three bytes each, as CESU-8 has them | their character, or U+FFFD for a half |
//! | `NaN`, `Infinity`, a number that no float can hold | `null` |
//! | a control character inside a string | its escape |
//! | a few other bytes that are not UTF-8 | U+FFFD |
//!
//! **Invariant:** what is valid JSON stays as it is.

use std::borrow::Cow;

use thresher_formats::utf8::{Evidence, Utf8Text};

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

/// Returns the text of a line whose only deviations from UTF-8 are surrogates in three bytes and a
/// few damaged sequences, or the offset of the first of those if there are more.
pub(super) fn text_of(line: &[u8]) -> Result<Utf8Text<'_>, usize> {
    let mut out = String::new();
    let (mut evidence, mut first) = (Evidence::default(), None);
    let mut at = 0;
    loop {
        let (valid, damaged_bytes) = match simdutf8::compat::from_utf8(&line[at..]) {
            Ok(text) if at == 0 => return Ok(Utf8Text { text: Cow::Borrowed(text), damaged: 0 }),
            Ok(text) => {
                out.push_str(text);
                evidence.add_valid(text);
                let damaged = evidence.damaged().ok_or(first.unwrap_or_default())?;
                return Ok(Utf8Text { text: Cow::Owned(out), damaged });
            }
            Err(error) => (error.valid_up_to(), error.error_len()),
        };
        let valid = str::from_utf8(&line[at..at + valid]).unwrap_or_default();
        out.push_str(valid);
        evidence.add_valid(valid);
        at += valid.len();
        let Some(high) = surrogate(&line[at..]) else {
            first.get_or_insert(at);
            evidence.add_damaged();
            out.push(char::REPLACEMENT_CHARACTER);
            at = damaged_bytes.map_or(line.len(), |bytes| at + bytes);
            continue;
        };
        let low = surrogate(&line[at + 3..]).filter(|low| (0xdc00..=0xdfff).contains(low));
        match low {
            Some(low) if high < 0xdc00 => {
                let code = 0x10000 + ((u32::from(high) - 0xd800) << 10) + u32::from(low) - 0xdc00;
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                at += 6;
            }
            _ => {
                out.push(char::REPLACEMENT_CHARACTER);
                at += 3;
            }
        }
    }
}

/// Returns the surrogate that the first three bytes encode.
fn surrogate(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
            Some(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f))
        }
        _ => None,
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

    #[test]
    fn surrogates_in_three_bytes_become_characters() {
        for (line, expected) in [
            (&b"a\xed\xa0\xbd\xed\xb8\x80b"[..], Ok(("a\u{1f600}b", 0))),
            (b"\xed\xa0\xbd", Ok(("\u{fffd}", 0))),
            (b"\xed\xb8\x80\xed\xa0\xbdx", Ok(("\u{fffd}\u{fffd}x", 0))),
            (b"z\xc3\xbcr", Ok(("z\u{fc}r", 0))),
            (b"ab\xff", Ok(("ab\u{fffd}", 1))),
            (b"ab\xe3\x81", Ok(("ab\u{fffd}", 1))),
            (b"a\xffb\xed\xa0\xbd\xed\xb8\x80", Ok(("a\u{fffd}b\u{1f600}", 1))),
            (b"ab\xffc\xff", Err(2)),
            (b"\xed\xa0", Err(0)),
        ] {
            let found = text_of(line).map(|it| (it.text.into_owned(), it.damaged));
            assert_eq!(found, expected.map(|(text, damaged)| (text.to_owned(), damaged)));
        }
    }
}
