//! The named fields in the head of a WARC record.
//!
//! Fields are found by name, never by position, and stay bytes: the caller decides whether they are
//! text. Invariant: a `Header` borrows what was read and allocates nothing.

use super::{REASON_CONTENT_LENGTH_MISSING, REASON_CONTENT_LENGTH_WRONG, REASON_HEADER_TOO_LARGE};
use super::{REASON_HEADER_MALFORMED, RECORD_START};

/// The head of a record, from its version line to the empty line.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    raw: &'a [u8],
}

/// Number of blanks that a version line can end with.
const BLANKS_MAX: usize = 4;

/// What is wrong with a record: a reason, and details.
pub(super) type Defect = (&'static str, String);

impl<'a> Header<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// Returns the value of the first field of this name, in any case, without surrounding blanks.
    /// A folded value keeps its line breaks.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let mut lines = Lines { rest: after_line(self.raw) };
        loop {
            let value = value_of(lines.next()?, name.as_bytes());
            if value.is_some() {
                return value;
            }
        }
    }

    /// Returns the record type: `conversion`, `response`, `warcinfo`, …
    pub fn warc_type(&self) -> Option<&'a [u8]> {
        self.get("WARC-Type")
    }

    /// Returns the URL of the page, without the angle brackets that some writers put around it.
    pub fn target_uri(&self) -> Option<&'a [u8]> {
        let uri = self.get("WARC-Target-URI")?;
        Some(uri.strip_prefix(b"<").and_then(|uri| uri.strip_suffix(b">")).unwrap_or(uri))
    }

    /// Returns the `WARC-Date`.
    pub fn date(&self) -> Option<&'a [u8]> {
        self.get("WARC-Date")
    }

    /// Returns the `WARC-Record-ID`.
    pub fn record_id(&self) -> Option<&'a [u8]> {
        self.get("WARC-Record-ID")
    }

    /// Returns the `WARC-Payload-Digest`.
    pub fn payload_digest(&self) -> Option<&'a [u8]> {
        self.get("WARC-Payload-Digest")
    }

    /// Returns the `WARC-Block-Digest`.
    pub fn block_digest(&self) -> Option<&'a [u8]> {
        self.get("WARC-Block-Digest")
    }

    /// Returns the languages that the crawler identified, such as `eng,deu`.
    pub fn identified_language(&self) -> Option<&'a [u8]> {
        self.get("WARC-Identified-Content-Language")
    }

    /// Returns the `Content-Type` of the record.
    pub fn content_type(&self) -> Option<&'a [u8]> {
        self.get("Content-Type")
    }

    /// Returns all fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut lines = Lines { rest: after_line(self.raw) };
        std::iter::from_fn(move || {
            loop {
                let line = lines.next()?;
                if let Some(colon) = memchr::memchr(b':', line) {
                    return Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()));
                }
            }
        })
    }

    /// Checks the format and returns the length of the body.
    pub(super) fn check(&self, fields_max: usize) -> Result<u64, Defect> {
        if version_line(self.raw).is_none() {
            return malformed(self.raw, "not a WARC version");
        }
        let mut length: Option<&[u8]> = None;
        let mut lines = Lines { rest: after_line(self.raw) };
        let mut count = 0;
        while let Some(line) = lines.next() {
            count += 1;
            if count > fields_max {
                let text = format!("more than {fields_max} fields");
                return Err((REASON_HEADER_TOO_LARGE, text));
            }
            let Some(colon) = memchr::memchr(b':', line) else {
                return malformed(line, "no colon in");
            };
            if line[..colon].eq_ignore_ascii_case(b"Content-Length") {
                let value = line[colon + 1..].trim_ascii();
                if length.is_some_and(|before| before != value) {
                    let text = format!("two of them, the second is `{}`", shown(value));
                    return Err((REASON_CONTENT_LENGTH_WRONG, text));
                }
                length = Some(value);
            }
        }
        let Some(value) = length else {
            return Err((REASON_CONTENT_LENGTH_MISSING, String::new()));
        };
        number(value).ok_or_else(|| {
            (REASON_CONTENT_LENGTH_WRONG, format!("`{}` is not a length", shown(value)))
        })
    }
}

/// Returns the length of the version line at the start of `bytes`, including its line end. Letters
/// can have any case, and the line can end with blanks and with a single LF.
pub(super) fn version_line(bytes: &[u8]) -> Option<usize> {
    let (start, rest) = bytes.split_at_checked(RECORD_START.len())?;
    let [major @ (b'0' | b'1'), b'.', minor @ ..] = rest else {
        return None;
    };
    let digits = minor.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let known = match major {
        b'0' => digits == 2,
        _ => digits == 1,
    };
    let blanks = minor[digits..].iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    let version = digits + blanks.take(BLANKS_MAX).count();
    let line_end = match minor[version..] {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => return None,
    };
    let named = start.eq_ignore_ascii_case(RECORD_START);
    (known && named).then_some(RECORD_START.len() + 2 + version + line_end)
}

/// Returns whether a record may start with these bytes, which can be cut off.
pub(super) fn may_start_record(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(RECORD_START.len())];
    RECORD_START[..start.len()].eq_ignore_ascii_case(start)
}

/// Returns the length of a head that ends with an empty line, which is searched from `from` on.
pub(super) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &bytes[from..]).find_map(|at| match bytes[from + at + 1..] {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// Returns the position in a head at which that of another record starts, as where a file was cut
/// inside a head and another was appended: a version, followed by a whole head with a type. Behind
/// a colon it can also be part of a value, unless there is a type before it.
pub(super) fn head_inside(head: &[u8], fields_max: usize) -> Option<usize> {
    let mut versions = memchr::memmem::find_iter(head, b"WARC/").filter(|at| *at > 0);
    versions.find(|at| {
        let (before, rest) = (Header::new(&head[..*at]), Header::new(&head[*at..]));
        let line = memchr::memrchr(b'\n', &head[..*at]).map_or(0, |end| end + 1);
        let is_value = head[line..*at].contains(&b':');
        (!is_value || before.warc_type().is_some())
            && rest.check(fields_max).is_ok()
            && rest.warc_type().is_some()
    })
}

/// Returns the first bytes of untrusted data, escaped for a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    const SHOWN_BYTES: usize = 60;
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let dots = if cut.len() < bytes.len() { "…" } else { "" };
    format!("{}{dots}", cut.escape_ascii())
}

fn malformed<T>(bytes: &[u8], what: &str) -> Result<T, Defect> {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or(bytes);
    Err((REASON_HEADER_MALFORMED, format!("{what}: `{}`", shown(line))))
}

fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn after_line(bytes: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', bytes).map_or(&[], |at| &bytes[at + 1..])
}

/// Returns the value of a line if its field has this name. The name is compared first, so that
/// other lines, which are most, are not searched for their colon.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.trim_ascii_start().split_at_checked(name.len())?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii)
}

/// Logical lines up to the empty one: a line that starts with a blank continues the one before.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let mut end = 0;
        loop {
            let line = memchr::memchr(b'\n', &self.rest[end..]);
            end = line.map_or(self.rest.len(), |at| end + at + 1);
            if !matches!(self.rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        let line = line.trim_ascii_end();
        (!line.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &[u8] = b"WARC/1.0\r\nWARC-Type: response\r\nwarc-target-uri:<http://a/>\r\n\
        X-Folded: one\r\n two\r\nContent-Length:  12 \r\n\r\n";

    #[test]
    fn fields_are_found_by_name_in_any_case() {
        let header = Header::new(RAW);
        assert_eq!(header.warc_type(), Some(&b"response"[..]));
        assert_eq!(header.target_uri(), Some(&b"http://a/"[..]));
        assert_eq!(header.get("x-folded"), Some(&b"one\r\n two"[..]));
        assert_eq!(header.get("WARC"), None);
        let odd = Header::new(b"WARC/1.0\r\n First: a\r\nsecond \t: b:c\r\nWARC-Type\r\n\r\n");
        assert_eq!(odd.get("first"), Some(&b"a"[..]));
        assert_eq!(odd.get("Second"), Some(&b"b:c"[..]));
        assert_eq!(odd.warc_type(), None);
        for (name, value) in header.fields().chain(odd.fields()) {
            let name = std::str::from_utf8(name).unwrap();
            assert!([header, odd].iter().any(|header| header.get(name) == Some(value)), "{name}");
        }
        assert_eq!(header.fields().count(), 4);
        assert_eq!(header.check(4), Ok(12));
        assert_eq!(header.check(3).unwrap_err().0, REASON_HEADER_TOO_LARGE);
    }

    #[test]
    fn known_versions_pass_and_others_do_not() {
        for good in [
            "WARC/1.0\r\n",
            "WARC/1.1\r\n",
            "WARC/0.17\r\n",
            "WARC/0.18\r\n",
            "WARC/1.0\n",
            "warc/1.0\r\n",
            "Warc/1.0 \n",
        ] {
            assert_eq!(version_line(good.as_bytes()), Some(good.len()), "{good}");
        }
        for bad in ["WARC/2.0\r\n", "WARC/1.0", "WARC/1.\r\n", "WARC/10\r\n", "WARC/1.0\r"] {
            assert_eq!(version_line(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_length_has_only_digits_and_occurs_once() {
        let reason = |fields: &str| {
            let raw = format!("WARC/1.0\r\n{fields}\r\n\r\n");
            Header::new(raw.as_bytes()).check(100).map_err(|defect| defect.0)
        };
        assert_eq!(reason("A: b"), Err(REASON_CONTENT_LENGTH_MISSING));
        assert_eq!(reason("Content-Length: -1"), Err(REASON_CONTENT_LENGTH_WRONG));
        assert_eq!(reason("Content-Length: +1"), Err(REASON_CONTENT_LENGTH_WRONG));
        let huge = "Content-Length: 99999999999999999999999";
        assert_eq!(reason(huge), Err(REASON_CONTENT_LENGTH_WRONG));
        let twice = "Content-Length: 1\r\nContent-Length: 2";
        assert_eq!(reason(twice), Err(REASON_CONTENT_LENGTH_WRONG));
        assert_eq!(reason("Content-Length: 7\r\ncontent-length: 7"), Ok(7));
        assert_eq!(reason("no colon\r\nContent-Length: 7"), Err(REASON_HEADER_MALFORMED));
    }
}
