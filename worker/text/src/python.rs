//! Kinds of characters as Python's `str` and `re` tell them: by Unicode category.

use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// `str.isalpha`
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

/// `str.isalnum`
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

/// `\w` of `re`
pub fn is_word(c: char) -> bool {
    c == '_' || is_alphanumeric(c)
}

/// Where `str.splitlines` breaks.
pub fn breaks_line(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}
