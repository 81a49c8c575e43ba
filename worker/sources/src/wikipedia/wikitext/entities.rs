//! Resolves HTML entities in wikitext: the 252 names of HTML 4, and numbers.
//!
//! The names of HTML 5 are not resolved, as in mwparserfromhell.

use crate::html4;

/// Returns the character of the entity at the start of `text`, and the length of the entity.
pub(super) fn entity(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    let length = body.bytes().take(MAX_BYTES).position(|byte| byte == b';')?;
    let name = &body[..length];
    let found = match name.strip_prefix('#') {
        Some(number) => numbered(number)?,
        None => html4::entity(name)?,
    };
    Some((found, length + 2))
}

fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok().filter(|code| *code > 0)?;
    char::from_u32(code)
}

/// Length in bytes of the longest entity, without `&`.
const MAX_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_html_4_and_numbers_are_resolved() {
        assert_eq!(entity("&amp;c"), Some(('&', 5)));
        assert_eq!(entity("&nbsp;"), Some(('\u{a0}', 6)));
        assert_eq!(entity("&#931;"), Some(('Σ', 6)));
        assert_eq!(entity("&#x3a3;"), Some(('Σ', 7)));
        for text in
            ["&amp", "&apos;", "&;", "&#;", "&#x;", "&#0;", "&#xd800;", "&#x110000;", "&#+5;"]
        {
            assert_eq!(entity(text), None, "{text}");
        }
        assert_eq!(entity("&ééééééééééééé;"), None);
    }
}
