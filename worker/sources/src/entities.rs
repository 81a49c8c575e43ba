//! Resolves the entities in text of XML, also in text that is not valid XML.
//!
//! Tools that rewrite a dump leave an `&` as it is, or write a character beyond the basic plane as
//! two surrogates. Neither is worth the loss of a post or a page.

use std::borrow::Cow;

/// Length of the longest entity that is resolved, such as `&#0001114111;`.
const MAX_BYTES: usize = 16;

/// Returns a value with its entities resolved. An `&` that starts no entity of XML stays, and a
/// number that is not a character becomes U+FFFD.
pub(crate) fn resolved(value: &str) -> Cow<'_, str> {
    if let Ok(value) = quick_xml::escape::unescape(value) {
        return value;
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (found, length) = entity(rest).unwrap_or(('&', 1));
        out.push(found);
        rest = &rest[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Returns the character of an entity of XML at the start of `text`, and its length.
fn entity(text: &str) -> Option<(char, usize)> {
    let (name, length) = name(text)?;
    if let Some(code) = code(name) {
        let second = || text.get(length..).and_then(self::name);
        let pair = second().and_then(|(low, more)| Some((joined(code, self::code(low)?)?, more)));
        return Some(match pair {
            Some((found, more)) => (found, length + more),
            None => (character(code), length),
        });
    }
    let found = match name {
        "amp" => '&',
        "apos" => '\'',
        "gt" => '>',
        "lt" => '<',
        "quot" => '"',
        _ => return None,
    };
    Some((found, length))
}

/// Returns what is between `&` and `;`, and the length with both.
fn name(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix('&')?;
    let end = inner.bytes().take(MAX_BYTES).position(|byte| byte == b';')?;
    Some((inner.get(..end)?, end + 2))
}

/// Returns the number in `#x41` or `#65`.
fn code(name: &str) -> Option<u32> {
    let number = name.strip_prefix('#')?;
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // A sign is not part of a number.
    let is_number = digits.starts_with(|c: char| c.is_digit(radix));
    is_number.then(|| u32::from_str_radix(digits, radix).ok())?
}

fn character(code: u32) -> char {
    char::from_u32(code).filter(|c| *c != '\0').unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Returns the character of two surrogates.
fn joined(high: u32, low: u32) -> Option<char> {
    let units = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
    let is_pair = (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low);
    is_pair.then(|| char::decode_utf16(units).next()?.ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_resolved_and_other_signs_stay() {
        for (value, expected) in [
            ("plain", "plain"),
            ("&lt;a&gt; &amp;amp; &quot;&apos;", "<a> &amp; \"'"),
            ("&#65;&#x42; &", "AB &"),
            ("R&D & &lt;", "R&D & <"),
            ("a&nbsp;b &bogus;", "a&nbsp;b &bogus;"),
            ("&#xD83D;&#xDE00;!", "\u{1f600}!"),
            ("&#55357;&#56832;", "\u{1f600}"),
            ("&#xD83D; &#xDE00;", "\u{fffd} \u{fffd}"),
            ("&#xD83D;&#xD83D;&#xDE00;", "\u{fffd}\u{1f600}"),
            ("&#0;&#x110000;&#xD83D;&lt;", "\u{fffd}\u{fffd}\u{fffd}<"),
            ("&#;&#x;&#+5;&#99999999999;&é;", "&#;&#x;&#+5;&#99999999999;&é;"),
        ] {
            assert_eq!(resolved(value), expected, "{value}");
        }
    }
}
