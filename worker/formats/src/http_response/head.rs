//! The status line and headers of a response, and the size lines of chunks, as browsers read them.
//!
//! Libraries for servers and clients refuse what browsers read and crawls are full of: lines that
//! end with LF, CR inside a value, folded values, lines that are no header, and versions such
//! as `HTTP/2`. Nothing here decides what a header means.

/// A parsed head.
pub(super) struct Head {
    pub(super) status: u16,
    /// Names in lower case, with their values.
    pub(super) headers: Vec<(String, String)>,
    /// Length of the head with its empty line.
    pub(super) bytes: usize,
}

/// Longest size line of a chunk, with its extensions.
const SIZE_LINE_MAX_BYTES: usize = 4096;

/// Returns the number of bytes of blank lines at the start.
pub(super) fn blank_bytes(bytes: &[u8]) -> usize {
    bytes.len() - bytes.trim_ascii_start().len()
}

/// Returns whether a response starts here.
pub(super) fn is_start(bytes: &[u8]) -> bool {
    bytes.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/"))
}

/// Parses the head at the start of `window`; an error says what is wrong. More headers than
/// `headers_max` are ignored.
pub(super) fn parse(window: &[u8], headers_max: usize) -> Result<Head, &'static str> {
    let end = if ends_lines_with_cr(window) { b'\r' } else { b'\n' };
    let mut lines = Lines { window, at: 0, end };
    let first = lines.next().ok_or("the status line does not end")?;
    let status = status(first).ok_or("no status line")?;
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let line = lines.next().ok_or("the headers do not end")?;
        if line.is_empty() {
            return Ok(Head { status, headers, bytes: lines.at });
        }
        let text = String::from_utf8_lossy(line).replace('\r', " ");
        if text.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                if !value.is_empty() {
                    value.push(' ');
                }
                value.push_str(text.trim());
            }
        } else if let Some((name, value)) = text.split_once(':')
            && headers.len() < headers_max
        {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

/// Returns the status code of a line such as `HTTP/1.1 200 OK` or `HTTP/2 200`.
fn status(line: &[u8]) -> Option<u16> {
    let line = str::from_utf8(&line[..line.len().min(64)]).unwrap_or_else(|error| {
        // A reason phrase can be in any encoding.
        str::from_utf8(&line[..error.valid_up_to()]).unwrap_or_default()
    });
    let mut words = line.split_ascii_whitespace();
    if !words.next()?.to_ascii_uppercase().starts_with("HTTP/") {
        return None;
    }
    words.next()?.parse().ok().filter(|code| (100..1000).contains(code))
}

/// Returns whether the status line ends with a single CR, as all lines then do.
fn ends_lines_with_cr(window: &[u8]) -> bool {
    let at = memchr::memchr2(b'\r', b'\n', window);
    let next = at.filter(|at| window[*at] == b'\r').and_then(|at| window.get(at + 1));
    next.is_some_and(|next| !matches!(next, b'\r' | b'\n'))
}

/// Lines without their ends: LF, or any number of CR and LF; or CR alone.
struct Lines<'a> {
    window: &'a [u8],
    at: usize,
    end: u8,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = &self.window[self.at..];
        let feed = memchr::memchr(self.end, rest)?;
        self.at += feed + 1;
        let line = &rest[..feed];
        let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |at| at + 1);
        Some(&line[..end])
    }
}

/// Returns the length of the size line of a chunk, and the size.
pub(super) fn chunk_size(bytes: &[u8]) -> Option<(usize, u64)> {
    let digits = bytes.iter().take(16).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let size = u64::from_str_radix(str::from_utf8(&bytes[..digits]).ok()?, 16).ok()?;
    let window = &bytes[..bytes.len().min(SIZE_LINE_MAX_BYTES)];
    let feed = memchr::memchr(b'\n', &window[digits..])?;
    let extension = window[digits..digits + feed].trim_ascii();
    (extension.is_empty() || extension[0] == b';').then_some((digits + feed + 1, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_browsers_read_them() {
        let page = "content-type=text/html";
        for (head, status, headers) in [
            ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", 200, page),
            ("HTTP/1.1 200 OK\nContent-Type: text/html\n\n", 200, page),
            ("HTTP/1.1 200 OK\rContent-Type: text/html\r\r", 200, page),
            ("HTTP/1.1 200 OK\rContent-Type:\r text/html\r\r", 200, page),
            ("HTTP/1.1 200 OK\r\r\nContent-Type:text/html\r\r\n\r\r\n", 200, page),
            ("http/1.0 404\r\nContent-Type : text/html\r\n\n", 404, page),
            ("HTTP/2 200\r\nno header\r\nContent-Type: text/html\r\n\r\n", 200, page),
            ("HTTP/1.1 200 OK\r\nContent-Type:\r\n text/html\r\n\r\n", 200, page),
            ("HTTP/1.1  200   Sch\u{f6}n\n folded\n\n", 200, ""),
            ("HTTP/1.1 200 OK\r\nX-A: b\rX-C: d\r\n\r\n", 200, "x-a=b X-C: d"),
            ("HTTP/1.1 200 OK\r\nA: b,\r\n\tc\r\nD:\r\n\r\n", 200, "a=b, c|d="),
        ] {
            let payload = [head, "body"].concat();
            let parsed = parse(payload.as_bytes(), 9).unwrap();
            let found: Vec<String> =
                parsed.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!((parsed.status, found.join("|").as_str()), (status, headers), "{head:?}");
            assert_eq!(&payload[parsed.bytes..], "body", "{head:?}");
        }
        for head in ["", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nA: b\r\n", "GET / HTTP/1.1\n\n"] {
            assert!(parse(head.as_bytes(), 9).is_err(), "{head:?}");
        }
        for head in
            ["ICY 200 OK\n\n", "20240220000000\nedge.example. 300 IN A\n\n", "HTTP/1.1 x\n\n"]
        {
            assert!(parse(head.as_bytes(), 9).is_err(), "{head:?}");
        }
        assert_eq!(parse(b"HTTP/1.1 200\nA: 1\nB: 2\n\n", 1).unwrap().headers.len(), 1);
    }

    #[test]
    fn size_lines_can_have_extensions_and_either_line_end() {
        for (line, expected) in [
            ("2bc\r\nx", Some((5, 0x2bc))),
            ("2BC\nx", Some((4, 0x2bc))),
            ("2bc ; a=b\r\n", Some((11, 0x2bc))),
            ("0\r\n", Some((3, 0))),
            ("ffffffffffffffff\n", Some((17, u64::MAX))),
            ("fffffffffffffffff\n", None),
            ("2bc", None),
            ("\r\n", None),
            ("-1\n", None),
            ("12 apples\n", None),
        ] {
            assert_eq!(chunk_size(line.as_bytes()), expected, "{line:?}");
        }
    }
}
