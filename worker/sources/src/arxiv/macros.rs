//! Expands the macros that a paper defines, with their arguments, until none is left.
//!
//! **Invariant:** nesting and size are bounded. A macro that is nested too deep stays as it is, and
//! a text that becomes too large is an error.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::Unusable;

/// Macros that are nested deeper are not expanded.
const MAX_NESTING: usize = 24;
/// Number of expansions in one paper; more is treated as an expansion bomb.
const MAX_EXPANSIONS: usize = 1 << 20;

/// A definition of a macro.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Macro {
    arguments: usize,
    /// The default of the first argument, if it is optional.
    optional: Option<String>,
    value: String,
}

#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test compiles it")]
static DEFINITION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"\\(?:(?:re|provide)?newcommand|providecommand|DeclareRobustCommand|(?:DeclareMathOperator))\s*\*?\s*(?:\{\s*\\([a-zA-Z]+)\s*\}|\\([a-zA-Z]+))\s*(?:\[([1-9])\])?|\\def\s*\\([a-zA-Z]+)\s*((?:#[1-9])*)\s*",
    )
    .expect("the pattern is well-formed")
});

/// All macros of a paper by name; a later definition replaces an earlier one.
pub(super) struct Macros(BTreeMap<String, Macro>);

impl Macros {
    /// Collects the definitions in the text of a paper.
    pub(super) fn of(paper: &str) -> Self {
        let mut macros = BTreeMap::new();
        for found in DEFINITION.captures_iter(paper) {
            let Some(whole) = found.get(0) else { continue };
            let name = [1, 2, 4].iter().find_map(|group| found.get(*group));
            let Some(name) = name.map(|name| name.as_str().to_owned()) else { continue };
            let rest = &paper[whole.end()..];
            let (optional, rest) = match (found.get(3), bracketed(rest, '[', ']')) {
                (Some(_), Some((optional, rest))) => (Some(optional.to_owned()), rest),
                _ => (None, rest),
            };
            let Some((value, _)) = bracketed(rest, '{', '}') else { continue };
            let arguments = match (found.get(3), found.get(5)) {
                (Some(count), _) => count.as_str().parse().unwrap_or(0),
                (None, Some(list)) => list.as_str().len() / 2,
                (None, None) => 0,
            };
            macros.insert(name, Macro { arguments, optional, value: value.to_owned() });
        }
        Self(macros)
    }

    /// Returns the text with its macros expanded; fails if the result exceeds `max_bytes`.
    pub(super) fn expand(&self, text: &str, max_bytes: usize) -> Result<String, Unusable> {
        let mut expansion = Expansion { macros: &self.0, out: String::new(), left: MAX_EXPANSIONS };
        expansion.run(text, 0, max_bytes)?;
        Ok(expansion.out)
    }
}

/// An expansion in progress, with the number of expansions that are left.
struct Expansion<'m> {
    macros: &'m BTreeMap<String, Macro>,
    out: String,
    left: usize,
}

impl Expansion<'_> {
    fn run(&mut self, text: &str, depth: usize, max_bytes: usize) -> Result<(), Unusable> {
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            self.push(&rest[..at], max_bytes)?;
            rest = &rest[at..];
            let letters = rest[1..].bytes().take_while(u8::is_ascii_alphabetic).count();
            // `\\` and `\%` are commands of two characters.
            let sign = rest[1..].chars().next().map_or(1, |next| 1 + next.len_utf8());
            let length = if letters == 0 { sign } else { 1 + letters };
            let (name, after) = (&rest[1..length], &rest[length..]);
            let found = self.macros.get(name).filter(|_| depth < MAX_NESTING && letters > 0);
            match found.and_then(|found| applied(found, after)) {
                Some((value, after)) => {
                    self.left = self
                        .left
                        .checked_sub(1)
                        .filter(|_| value.len() <= max_bytes)
                        .ok_or(Unusable::TooLarge { max_bytes })?;
                    self.run(&value, depth + 1, max_bytes)?;
                    rest = after;
                }
                None => {
                    self.push(&rest[..length], max_bytes)?;
                    rest = after;
                }
            }
        }
        self.push(rest, max_bytes)
    }

    fn push(&mut self, text: &str, max_bytes: usize) -> Result<(), Unusable> {
        if self.out.len() + text.len() > max_bytes {
            return Err(Unusable::TooLarge { max_bytes });
        }
        self.out.push_str(text);
        Ok(())
    }
}

/// Returns a macro's value with its arguments inserted, and the text after them. Returns `None` if
/// an argument is missing.
fn applied<'t>(known: &Macro, after: &'t str) -> Option<(String, &'t str)> {
    let mut arguments: Vec<&str> = Vec::with_capacity(known.arguments);
    let mut rest = after;
    if let Some(optional) = known.optional.as_deref().filter(|_| known.arguments > 0) {
        let given = bracketed(rest, '[', ']');
        rest = given.map_or(rest, |(_, rest)| rest);
        arguments.push(given.map_or(optional, |(given, _)| given));
    }
    while arguments.len() < known.arguments {
        let (argument, more) = match bracketed(rest, '{', '}') {
            Some(found) => found,
            None => {
                let rest = rest.trim_start();
                let first = rest.chars().next().filter(|c| !matches!(c, '\\' | '}' | '$'))?;
                rest.split_at(first.len_utf8())
            }
        };
        arguments.push(argument);
        rest = more;
    }
    let mut value = String::with_capacity(known.value.len());
    let mut pieces = known.value.split('#');
    value.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let number = piece.bytes().next().filter(u8::is_ascii_digit);
        let argument = number.and_then(|digit| arguments.get(usize::from(digit).wrapping_sub(49)));
        match argument {
            Some(argument) => {
                value.push_str(argument);
                value.push_str(&piece[1..]);
            }
            None => {
                value.push('#');
                value.push_str(piece);
            }
        }
    }
    Some((value, rest))
}

/// Returns the text between balanced brackets at the start of a text, and the text after them.
fn bracketed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let inner = text.trim_start().strip_prefix(open)?;
    let (mut depth, mut escaped) = (0_usize, false);
    for (at, sign) in inner.char_indices() {
        if escaped {
            escaped = false;
        } else if sign == '\\' {
            escaped = true;
        } else if sign == close && depth == 0 {
            return Some((&inner[..at], &inner[at + 1..]));
        } else if sign == '{' {
            depth += 1;
        } else if sign == '}' {
            depth = depth.checked_sub(1)?;
        } else if at > MAX_ARGUMENT_BYTES {
            return None;
        }
    }
    None
}

/// Length in bytes of the longest argument. In a longer one, a closing brace is probably missing.
const MAX_ARGUMENT_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(definitions: &str, text: &str) -> String {
        Macros::of(definitions).expand(text, 10_000).unwrap()
    }

    #[test]
    fn macros_of_every_form_are_expanded_with_their_arguments() {
        let cases = [
            ("\\newcommand{\\x}{v}", "\\x, \\x\\x. \\xy", "v, vv. \\xy"),
            ("\\renewcommand*\\x{v}", "\\x!", "v!"),
            ("\\def\\x#1#2{<#2-#1>}", "\\x{a}{b} \\x c d", "<b-a> <d-c>"),
            ("\\newcommand{\\x}[2][o]{(#1|#2)}", "\\x{a} \\x[p]{b}", "(o|a) (p|b)"),
            ("\\newcommand\\x{\\y{1}}\\newcommand\\y[1]{<#1>}", "\\x", "<1>"),
            ("\\newcommand{\\x}{{\\bf v}}", "\\x.", "{\\bf v}."),
            ("\\DeclareMathOperator{\\x}{arg}", "\\x", "arg"),
            ("\\newcommand{\\x}{é}", "\\x", "é"),
            ("\\newcommand{\\x}[1]{#1}", "a \\x", "a \\x"),
            ("\\newcommand{\\x}{v", "\\x", "\\x"),
        ];
        for (definitions, text, expected) in cases {
            assert_eq!(expanded(definitions, text), expected, "{definitions} {text}");
        }
    }

    #[test]
    fn cycles_and_expansion_bombs_are_bounded() {
        assert_eq!(expanded("\\def\\x{a\\x}", "\\x"), format!("{}\\x", "a".repeat(MAX_NESTING)));
        let bomb = "\\def\\x{\\x\\x}";
        assert!(Macros::of(bomb).expand("\\x", 10_000).is_err());
        let wide = "\\newcommand{\\x}[1]{#1#1\\x{#1#1}}";
        assert!(Macros::of(wide).expand("\\x{a}", 10_000).is_err());
    }
}
