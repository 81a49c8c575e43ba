//! Classes of characters as in Python's `str` and `re`, by Unicode category.

use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// Returns whether `str.isalpha` is true for the character.
pub fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    matches!(
        get_general_category(c),
        Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::TitlecaseLetter
            | Category::ModifierLetter
            | Category::OtherLetter
    )
}

/// Returns whether `str.isalnum` is true for the character.
pub fn is_alphanumeric(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    let number = || {
        matches!(
            get_general_category(c),
            Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber
        )
    };
    is_letter(c) || number()
}

/// Returns whether `\w` of `re` matches the character.
pub fn is_word(c: char) -> bool {
    c == '_' || is_alphanumeric(c)
}

/// Returns whether `str.splitlines` breaks a line at the character.
pub fn breaks_line(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}
