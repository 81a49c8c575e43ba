//! Parses HTML tags in wikitext, and classifies them by name.

use super::Form;

/// Tags that never have contents.
const EMPTY: [&str; 6] = ["br", "wbr", "hr", "meta", "link", "img"];
/// Tags that may lack their closing tag.
const UNCLOSED: [&str; 6] = ["li", "dt", "dd", "th", "td", "tr"];
/// Tags whose contents are not wikitext. They end at their own closing tag, whatever is between.
const VERBATIM: [&str; 17] = [
    "categorytree",
    "ce",
    "chem",
    "gallery",
    "graph",
    "hiero",
    "imagemap",
    "inputbox",
    "math",
    "nowiki",
    "pre",
    "score",
    "section",
    "source",
    "syntaxhighlight",
    "templatedata",
    "timeline",
];
/// Tags whose contents are not text to read.
const INVISIBLE: [&str; 10] = [
    "categorytree",
    "gallery",
    "graph",
    "imagemap",
    "inputbox",
    "math",
    "score",
    "section",
    "templatedata",
    "timeline",
];
/// Length in bytes of the longest open tag; a longer one is text.
const MAX_TAG_BYTES: usize = 4096;
/// Length in bytes of the longest name of a tag.
const MAX_NAME_BYTES: usize = 32;

/// An open tag, `<name …>`.
pub(super) struct OpenTag {
    /// The name in lower case.
    pub(super) name: String,
    /// Whether the name is written in lower case, which matters for some tags.
    pub(super) lower: bool,
    /// The position after its `>`.
    pub(super) end: usize,
    pub(super) self_closing: bool,
}

/// Parses the open tag at `at`, which is the position of a `<`.
///
/// In the published form a quote can contain any characters, as in mwparserfromhell. Otherwise it
/// contains no `<`, so that a quote that is not closed does not take prose, and a reference ends at
/// the first `>`, as in MediaWiki.
pub(super) fn open_tag(text: &str, at: usize, form: Form) -> Option<OpenTag> {
    let bytes = text.as_bytes();
    let (name, mut next) = name_at(bytes, at + 1)?;
    let limit = bytes.len().min(at + MAX_TAG_BYTES);
    let is_readable = form == Form::Readable;
    let has_quotes = !is_readable || !name.eq_ignore_ascii_case("ref");
    let mut after_equals = false;
    while next < limit {
        match bytes[next] {
            b'>' => {
                let mut before = bytes[at..next].iter().rev();
                let self_closing = match form {
                    Form::Published => bytes[next - 1] == b'/',
                    Form::Readable => before.find(|it| !it.is_ascii_whitespace()) == Some(&b'/'),
                };
                let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
                let name = name.to_ascii_lowercase();
                return Some(OpenTag { name, lower, end: next + 1, self_closing });
            }
            b'<' => {
                let comment = bytes[next..].starts_with(b"<!--");
                let end = comment.then(|| memchr::memmem::find(&bytes[next..limit], b"-->"));
                next += end.flatten()? + 2;
            }
            quote @ (b'"' | b'\'') if after_equals && has_quotes => {
                // A quote that is not closed is part of the value.
                let value = &bytes[next + 1..limit];
                let close = if is_readable {
                    memchr::memchr2(quote, b'<', value).filter(|close| value[*close] == quote)
                } else {
                    memchr::memchr(quote, value)
                };
                if let Some(length) = close {
                    next += length + 1;
                }
                after_equals = false;
            }
            b'=' => after_equals = true,
            byte if byte.is_ascii_whitespace() => {}
            _ => after_equals = false,
        }
        next += 1;
    }
    None
}

/// Returns the name of the closing tag at `at`, the position of `</`, and the position after its
/// `>`.
pub(super) fn closing_tag(text: &str, at: usize) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    let (name, mut next) = name_at(bytes, at + 2)?;
    while bytes.get(next).is_some_and(u8::is_ascii_whitespace) {
        next += 1;
    }
    (bytes.get(next) == Some(&b'>')).then(|| (name.to_ascii_lowercase(), next + 1))
}

fn name_at(bytes: &[u8], at: usize) -> Option<(&str, usize)> {
    let rest = bytes.get(at..)?;
    let fits = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-';
    let length = rest.iter().take(MAX_NAME_BYTES).take_while(fits).count();
    if length == 0 || rest[0] == b'-' {
        return None;
    }
    match rest.get(length)? {
        b'>' | b'/' => {}
        byte if byte.is_ascii_whitespace() => {}
        _ => return None,
    }
    Some((str::from_utf8(&rest[..length]).ok()?, at + length))
}

/// Returns whether a tag never has contents.
pub(super) fn is_empty(name: &str) -> bool {
    EMPTY.contains(&name)
}

/// Returns whether a tag can lack its closing tag.
pub(super) fn may_be_unclosed(name: &str) -> bool {
    UNCLOSED.contains(&name)
}

/// Returns whether the contents of a tag are not wikitext.
pub(super) fn is_verbatim(name: &str) -> bool {
    VERBATIM.contains(&name)
}

/// Returns whether the contents of a tag are part of the text.
pub(super) fn is_visible(name: &str) -> bool {
    !INVISIBLE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_tag_ends_at_the_first_bracket_outside_quotes() {
        let end = |text| open_tag(text, 0, Form::Published).map(|tag| tag.end);
        assert_eq!(end("<ref name=\"a>b\">x"), Some(16));
        assert_eq!(end("<ref name=\"a>b"), Some(13));
        assert_eq!(end("<ref>x"), Some(5));
        assert_eq!(end("<ref"), None);
        assert_eq!(end("< 5 and > 3"), None);
        assert_eq!(end("<5,3>"), None);
        assert!(open_tag("<ref name=a/>", 0, Form::Published).unwrap().self_closing);
    }

    #[test]
    fn a_quote_that_is_not_closed_takes_no_prose_in_the_readable_form() {
        let end = |text| open_tag(text, 0, Form::Readable).map(|tag| (tag.end, tag.self_closing));
        assert_eq!(end("<ref name=\"x>bad</ref> B <ref name=\"y\">"), Some((13, false)));
        assert_eq!(end("<span title=\"x>bad</span> B <b id=\"y\">"), Some((15, false)));
        assert_eq!(end("<span title=\"a>b\">x"), Some((18, false)));
        assert_eq!(end("<ref name=\"y\" / >x"), Some((17, true)));
        assert_eq!(end("<br / >x"), Some((7, true)));
        assert_eq!(end("<ref name=\"a\"/>x"), Some((15, true)));
    }

    #[test]
    fn a_closing_tag_can_have_space_after_its_name() {
        assert_eq!(closing_tag("</Ref >", 0), Some(("ref".to_owned(), 7)));
        assert_eq!(closing_tag("</ref x>", 0), None);
        assert_eq!(closing_tag("</>", 0), None);
    }
}
