//! The arguments of a template, and what they are as plain text.

use super::super::readable::is_mark;

/// An argument of a template.
pub(super) struct Argument<'a> {
    /// The name of a named argument.
    pub(super) name: Option<&'a str>,
    pub(super) value: &'a str,
}

impl<'a> Argument<'a> {
    /// Returns the argument in the text between two bars.
    pub(super) fn of(source: &'a str) -> Self {
        let is_name = |name: &str| {
            !name.contains(['{', '[', '<', '\n', '&', '"']) && name.trim().chars().count() <= 30
        };
        match source.split_once('=').filter(|(name, _)| is_name(name)) {
            Some((name, value)) => Self { name: Some(name.trim()), value },
            None => Self { name: None, value: source },
        }
    }
}

/// The arguments of a template as plain text.
pub(super) struct Values {
    pub(super) positional: Vec<String>,
    named: Vec<(String, String)>,
}

impl Values {
    /// Returns the arguments, or `None` if one has markup that must be parsed.
    pub(super) fn of(arguments: &[Argument<'_>]) -> Option<Self> {
        let mut values = Self { positional: Vec::new(), named: Vec::new() };
        for argument in arguments {
            match argument.name {
                Some(name) => {
                    let value = plain(argument.value).unwrap_or_default();
                    values.named.push((name.to_lowercase(), value));
                }
                None => values.positional.push(plain(argument.value)?),
            }
        }
        Some(values)
    }

    /// Returns these arguments with one positional argument.
    pub(super) fn single(value: String, other: &Self) -> Self {
        Self { positional: vec![value], named: other.named.clone() }
    }

    /// Returns a positional argument by its number, or an empty text.
    pub(super) fn at(&self, number: usize) -> &str {
        self.positional.get(number).map_or("", String::as_str)
    }

    /// Returns the argument with one of the names, or an empty text.
    pub(super) fn named(&self, names: &[&str]) -> &str {
        let found = self.named.iter().find(|(name, _)| names.contains(&name.as_str()));
        found.map_or("", |(_, value)| value)
    }
}

/// Returns the text of an argument if it has no markup that must be parsed.
pub(super) fn plain(text: &str) -> Option<String> {
    let text = text.trim().replace("&nbsp;", " ").replace("&#160;", " ").replace("&minus;", "−");
    let has_markup = |c: char| matches!(c, '{' | '}' | '[' | ']' | '<' | '>' | '\n' | '&');
    let is_plain = !text.contains(has_markup) && !text.contains(is_mark);
    is_plain.then(|| text.replace("''", ""))
}

/// Returns whether a text is a number, or a range or a sum of numbers.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let is_part = |c: char| {
        c.is_ascii_digit()
            || matches!(
                c,
                '.' | ',' | ' ' | '\u{a0}' | '-' | '−' | '–' | '+' | '±' | '/' | '⁄' | 'e'
            )
    };
    digits > 0 && text.chars().all(is_part)
}
