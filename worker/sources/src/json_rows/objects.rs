//! Finds the objects of a line that has more than one, or that starts with the record separator of
//! RFC 7464.
//!
//! Only brackets and strings are recognised. **Invariant:** the parts of a line are in order and
//! contain each of its bytes except white space and separators once.

use std::ops::Range;

/// The byte before each text of a JSON text sequence (RFC 7464).
const RECORD_SEPARATOR: u8 = 0x1e;

/// The byte order mark, which is between two objects if files were joined.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns the line without the white space, the commas, the NULs, the record separators and the
/// byte order marks around it, and the position at which it starts.
pub(super) fn trimmed(line: &[u8]) -> (usize, &[u8]) {
    let mut rest = line;
    while let Some((first, after)) = rest.split_first() {
        rest = match rest.strip_prefix(MARK) {
            Some(after) => after,
            None if is_blank(*first) => after,
            None => break,
        };
    }
    let start = line.len() - rest.len();
    while let Some((last, before)) = rest.split_last() {
        rest = match rest.strip_suffix(MARK) {
            Some(before) => before,
            None if is_blank(*last) => before,
            None => break,
        };
    }
    (start, rest)
}

/// Returns whether a line consists of bytes that are allowed between rows and in files that were
/// joined.
pub(super) fn is_padding(line: &[u8]) -> bool {
    trimmed(line).1.is_empty() && !line.contains(&b',')
}

/// Returns the objects of a line and what is between them, if it starts with an object and more
/// follows it.
pub(super) fn parts(line: &[u8]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut at = trimmed(line).0;
    while at < line.len() {
        let end = match line[at] {
            b'{' => at + object_len(&line[at..]),
            _ => at + line[at..].iter().take_while(|byte| **byte != b'{').count(),
        };
        let (blank, part) = trimmed(&line[at..end]);
        if !part.is_empty() {
            parts.push(at + blank..at + blank + part.len());
        }
        at = end;
    }
    let starts_with_object = parts.first().is_some_and(|part| line[part.start] == b'{');
    if parts.len() > 1 && starts_with_object { parts } else { Vec::new() }
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b',' | RECORD_SEPARATOR | 0)
}

/// Returns the length of the object with which `bytes` start, or of all bytes if it does not end.
fn object_len(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(found) = memchr::memchr3(b'"', b'{', b'}', &bytes[at..]) {
        at += found + 1;
        match bytes[at - 1] {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => at += string_len(&bytes[at..]),
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Returns the length of a string after its first quotation mark, with its last one, or of all
/// bytes if it does not end.
pub(super) fn string_len(bytes: &[u8]) -> usize {
    end_of_string(bytes).unwrap_or(bytes.len())
}

/// Returns the length of a string after its first quotation mark, with its last one.
pub(super) fn end_of_string(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return Some(at);
        }
        at = (at + 1).min(bytes.len());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_between_its_objects() {
        for (line, expected) in [
            (r#"{"a": 1}{"b": 2}"#, &[r#"{"a": 1}"#, r#"{"b": 2}"#][..]),
            (r#"{"a": "}\"{"} {"b": {"c": []}}"#, &[r#"{"a": "}\"{"}"#, r#"{"b": {"c": []}}"#]),
            ("\u{1e}{\"a\": 1}\u{1e}{\"b\": 2} ", &["{\"a\": 1}", "{\"b\": 2}"]),
            (r#"{"a": 1} x {"b": "#, &[r#"{"a": 1}"#, "x", r#"{"b":"#]),
            ("{\"a\": 1}\u{feff}{\"b\": 2}\0\0", &["{\"a\": 1}", "{\"b\": 2}"]),
            (r#"{"a": 1}, {"b": 2}"#, &[r#"{"a": 1}"#, r#"{"b": 2}"#]),
            (r#"{"a": 1}"#, &[]),
            (r#"x {"a": 1}"#, &[]),
            (r#"{"a": "x"#, &[]),
            (r#"{"a": "\"#, &[]),
            ("", &[]),
        ] {
            let found = parts(line.as_bytes());
            let found: Vec<&str> = found.into_iter().map(|part| &line[part]).collect();
            assert_eq!(found, expected, "{line}");
        }
        assert_eq!(trimmed(b"\x1e {} \n"), (2, &b"{}"[..]));
        assert_eq!(trimmed(b"\x1e "), (2, &b""[..]));
    }
}
