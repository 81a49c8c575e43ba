//! Finds commands, groups and comments in TeX, as TeX does with its usual categories of characters.
//!
//! Braces in comments and in the argument of `\url` are not counted.

/// Length in bytes of the longest group that is an argument. In a longer one, a closing brace is
/// probably missing.
pub(super) const MAX_GROUP_BYTES: usize = 64 << 10;
/// Length in bytes of the longest name of an environment or a file, and of the longest options of
/// `\lstinline`.
const MAX_NAME_BYTES: usize = 1 << 10;
/// Length in bytes of the longest value of a macro.
const MAX_VALUE_BYTES: usize = 1 << 20;
/// Number of bytes of a group in which ends of arguments that are taken as they are may be searched
/// in vain; later ones in it are read like other text.
const MAX_SEARCHED_BYTES: usize = 1 << 16;
/// Length in bytes of the longest argument that is taken as it is.
const MAX_RAW_BYTES: usize = 16 << 10;

/// Commands whose argument is taken as it is: `%` starts no comment in it.
const RAW_ARGUMENT: [&str; 7] =
    ["url", "path", "nolinkurl", "href", "hyperref@url", "burl", "urlprefix"];

/// Returns whether the argument of a command is taken as it is.
pub(super) fn has_raw_argument(name: &str) -> bool {
    RAW_ARGUMENT.contains(&name)
}

/// Returns the name of the command at the start of a text, without its backslash. It consists of
/// letters, or is one other character. With `at_letter`, `@` is a letter.
pub(super) fn command(text: &str, at_letter: bool) -> Option<&str> {
    let after = text.strip_prefix('\\')?;
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || at_letter && *byte == b'@';
    let letters = after.bytes().take_while(is_letter).count();
    if letters > 0 {
        return Some(&after[..letters]);
    }
    Some(after.chars().next().map_or("", |sign| &after[..sign.len_utf8()]))
}

/// Returns whether the name of a command consists of letters, so that TeX ignores spaces after it.
pub(super) fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '@')
}

/// Returns the number of bytes of white space at the start of a text, up to an empty line.
pub(super) fn blank_len(text: &str) -> usize {
    let mut lines = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b' ' | b'\t' => {}
            b'\n' if lines == 0 => lines = 1,
            b'\n' => return text[..at].rfind('\n').unwrap_or(at),
            _ => return at,
        }
    }
    text.len()
}

/// Returns the number of bytes of white space and comments at the start of a text.
pub(super) fn skip_len(text: &str) -> usize {
    let mut at = blank_len(text);
    while text[at..].starts_with('%') {
        at += line_len(&text[at..]);
        at += blank_len(&text[at..]);
    }
    at
}

/// Returns the length of the first line, with its line feed.
pub(super) fn line_len(text: &str) -> usize {
    memchr::memchr(b'\n', text.as_bytes()).map_or(text.len(), |at| at + 1)
}

/// A part of a text in brackets, and the length of all that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group<'t> {
    pub(super) inner: &'t str,
    pub(super) len: usize,
}

/// Reads a group in braces after white space and comments.
pub(super) fn group(text: &str) -> Option<Group<'_>> {
    bracketed(text, b'{', b'}', MAX_GROUP_BYTES)
}

/// Reads a longer group in braces, such as the value of a macro.
pub(super) fn long_group(text: &str) -> Option<Group<'_>> {
    bracketed(text, b'{', b'}', MAX_VALUE_BYTES)
}

/// Reads a group in braces that is a name.
pub(super) fn name_group(text: &str) -> Option<Group<'_>> {
    bracketed(text, b'{', b'}', MAX_NAME_BYTES)
}

/// Reads the options of a command that prints text as it is.
pub(super) fn short_option(text: &str) -> Option<Group<'_>> {
    bracketed(text, b'[', b']', MAX_NAME_BYTES)
}

/// Reads an optional argument.
pub(super) fn option(text: &str) -> Option<Group<'_>> {
    bracketed(text, b'[', b']', MAX_GROUP_BYTES)
}

fn bracketed(text: &str, open: u8, close: u8, most: usize) -> Option<Group<'_>> {
    let start = skip_len(text);
    let bytes = text.as_bytes();
    if bytes.get(start) != Some(&open) {
        return None;
    }
    let (mut at, mut depth, mut searched) = (start + 1, 0_usize, 0);
    while at < bytes.len() && at - start <= most {
        match bytes[at] {
            byte if byte == close && depth == 0 => {
                return Some(Group { inner: &text[start + 1..at], len: at + 1 });
            }
            b'{' => depth += 1,
            b'}' => depth = depth.checked_sub(1)?,
            b'%' => {
                at += line_len(&text[at..]);
                continue;
            }
            b'\\' => {
                let name = command(&text[at..], false).unwrap_or_default();
                at += 1 + name.len();
                at += raw_len(name, &text[at..], &mut searched);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Returns the length of the argument of a command that takes it as it is, and 0 for others. Adds
/// to the bytes that were searched in vain.
fn raw_len(name: &str, after: &str, searched: &mut usize) -> usize {
    if !has_raw_argument(name) || *searched >= MAX_SEARCHED_BYTES {
        return 0;
    }
    let found = raw_group(after);
    *searched += if found.is_none() { unended_raw_len(after) } else { 0 };
    found.map_or(0, |found| found.len)
}

/// Returns the number of bytes in which the end of an argument that is taken as it is was searched
/// in vain, if it could not be read.
pub(super) fn unended_raw_len(text: &str) -> usize {
    let rest = text.trim_start_matches([' ', '\t']);
    match rest.bytes().next() {
        Some(b'{') => rest.len().min(MAX_RAW_BYTES),
        Some(sign) if sign.is_ascii_punctuation() => line_len(rest).min(MAX_GROUP_BYTES),
        _ => 0,
    }
}

/// Returns the number of bytes in which the end of a group was searched in vain, if it could not be
/// read. A text without the bracket is not searched.
pub(super) fn unended_len(text: &str, open: char) -> usize {
    let rest = &text[skip_len(text)..];
    if rest.starts_with(open) { rest.len().min(MAX_GROUP_BYTES) } else { 0 }
}

/// Reads an argument that is taken as it is: in braces, or between two equal characters. It must
/// end before an empty line.
pub(super) fn raw_group(text: &str) -> Option<Group<'_>> {
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    let bytes = text.as_bytes();
    match bytes.get(start)? {
        b'{' => {
            let (mut at, mut depth) = (start + 1, 0_usize);
            while at < bytes.len() && at - start <= MAX_RAW_BYTES {
                match bytes[at] {
                    b'\n' if bytes.get(at + 1) == Some(&b'\n') => return None,
                    b'}' if depth == 0 => {
                        return Some(Group { inner: &text[start + 1..at], len: at + 1 });
                    }
                    b'{' => depth += 1,
                    b'}' => depth -= 1,
                    b'\\' => at += 1,
                    _ => {}
                }
                at += 1;
            }
            None
        }
        sign if sign.is_ascii_punctuation() && *sign != b'}' && *sign != b'\\' => {
            delimited(&text[start..]).map(|found| Group { len: start + found.len, ..found })
        }
        _ => None,
    }
}

/// Reads the argument of `\verb`: the text between two equal characters on one line.
pub(super) fn delimited(text: &str) -> Option<Group<'_>> {
    let sign = text.chars().next().filter(|sign| !sign.is_whitespace())?;
    let from = sign.len_utf8();
    let line = &text[from..];
    let line = &line[..line.floor_char_boundary(MAX_GROUP_BYTES)];
    let end = line.find(['\n', sign]).filter(|end| !line[*end..].starts_with('\n'))?;
    Some(Group { inner: &line[..end], len: from + end + from })
}

/// Removes the comments of a text that becomes the value or an argument of a macro, with the line
/// feed and the indentation that TeX ignores after a comment.
pub(super) fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut at, mut searched) = (0, 0);
    while let Some(found) = memchr::memchr2(b'%', b'\\', &text.as_bytes()[at..]) {
        out.push_str(&text[at..at + found]);
        at += found;
        if text.as_bytes()[at] == b'%' {
            at += line_len(&text[at..]);
            at += text[at..].len() - text[at..].trim_start_matches([' ', '\t']).len();
            continue;
        }
        let name = command(&text[at..], false).unwrap_or_default();
        let mut len = 1 + name.len();
        len += raw_len(name, &text[at + len..], &mut searched);
        out.push_str(&text[at..at + len]);
        at += len;
    }
    out.push_str(&text[at..]);
    out
}

/// Shows whether a `%` is before a place on its line. Places are asked in their order, so that no
/// part of a long line is searched twice.
pub(super) struct Percents<'t> {
    text: &'t str,
    at: usize,
    found: bool,
}

impl<'t> Percents<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, at: 0, found: false }
    }

    /// Returns whether a `%` is between the start of the line and `place`.
    pub(super) fn are_before(&mut self, place: usize) -> bool {
        let passed = &self.text[self.at..place];
        let line = match passed.rfind('\n') {
            Some(feed) => {
                self.found = false;
                &passed[feed..]
            }
            None => passed,
        };
        self.found |= line.contains('%');
        self.at = place;
        self.found
    }
}

/// Returns whether a text ends with a command whose name a following letter would extend.
pub(super) fn ends_with_word(text: &str) -> bool {
    let before = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let slashes = before.len() - before.trim_end_matches('\\').len();
    before.len() < text.len() && slashes % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_groups_and_raw_arguments_end_where_tex_ends_them() {
        assert_eq!(command("\\a@b c", false), Some("a"));
        assert_eq!(command("\\a@b c", true), Some("a@b"));
        assert_eq!((command("\\é", false), command("\\", false)), (Some("é"), Some("")));
        let groups = [
            ("{a{b}c} d", Some("a{b}c")),
            (" % }\n {a % }\n}", Some("a % }\n")),
            ("{a\\} b\\{}", Some("a\\} b\\{")),
            ("{\\url{x%20{y}}} z", Some("\\url{x%20{y}}")),
            ("{a", None),
            ("\n\n{a}", None),
            ("a{b}", None),
        ];
        for (text, inner) in groups {
            assert_eq!(group(text).map(|found| found.inner), inner, "{text:?}");
        }
        assert_eq!(option("[a{]}b]c").map(|found| found.inner), Some("a{]}b"));
        let raw = [
            ("{a%20{b}}", Some("a%20{b}")),
            ("|a%20b|c", Some("a%20b")),
            ("{a\n\nb}", None),
            ("x", None),
        ];
        for (text, inner) in raw {
            assert_eq!(raw_group(text).map(|found| found.inner), inner, "{text:?}");
        }
        assert_eq!(delimited("+a|b+ c"), Some(Group { inner: "a|b", len: 5 }));
        assert_eq!(delimited("+a\nb+"), None);
        assert_eq!(unended_len(" [a", '['), 2);
        assert_eq!(unended_len("{a", '['), 0);
    }

    #[test]
    fn comments_end_with_the_indentation_of_the_next_line() {
        let cases = [
            ("%\n  a#1%\n", "a#1"),
            ("5\\% b % c\n d", "5\\% b d"),
            ("\\\\% c\n\\url{a%b} %c", "\\\\\\url{a%b} "),
        ];
        for (text, expected) in cases {
            assert_eq!(without_comments(text), expected, "{text:?}");
        }
        let ends = [("a \\alpha", true), ("a\\\\alpha", false), ("alpha", false), ("\\a ", false)];
        for (text, expected) in ends {
            assert_eq!(ends_with_word(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_percent_sign_counts_on_its_own_line() {
        let text = "a % b\nc d\n% e";
        let mut percents = Percents::of(text);
        let found: Vec<bool> = (0..=text.len()).map(|at| percents.are_before(at)).collect();
        let expected = (0..=text.len()).map(|at| matches!(at, 3..=5 | 11..));
        assert_eq!(found, expected.collect::<Vec<_>>());
    }

    #[test]
    fn white_space_ends_at_an_empty_line() {
        let cases = [("  a", 2), (" \n b", 3), (" \n \nb", 1), ("", 0), ("\n\nb", 0), ("a", 0)];
        for (text, len) in cases {
            assert_eq!(blank_len(text), len, "{text:?}");
        }
        assert_eq!(skip_len(" % a\n  %b\n c"), 11);
    }
}
