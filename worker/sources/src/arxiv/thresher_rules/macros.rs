//! Macros of a paper: which of them are expanded, and what a call of one becomes.
//!
//! A macro is expanded if its value is text with arguments. A macro that makes decisions (with a
//! condition, or with internal commands of packages) is opaque: its calls stay as they are.

use std::rc::Rc;

use super::lexer::{
    blank_len, command, ends_with_word, group, is_word, option, skip_len, unended_len,
    without_comments,
};

/// The meaning of a macro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Macro {
    pub(super) arguments: Vec<Argument>,
    pub(super) value: Rc<str>,
    /// Whether `@` was a letter where the macro was defined.
    pub(super) at_letter: bool,
    pub(super) form: Form,
}

/// How the calls of a macro are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// They are replaced by the value.
    Text,
    /// They are replaced by a command that is not expanded.
    Alias,
    /// They stay as they are. They may start with a heading.
    Opaque { has_heading: bool },
}

/// An argument of a macro.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    Mandatory,
    /// An argument in brackets, with its default.
    Optional(String),
}

/// A call of a macro, with its arguments.
pub(super) struct Call<'t> {
    arguments: Vec<&'t str>,
    /// The length of the arguments in the text.
    pub(super) len: usize,
    /// Number of bytes in which ends of optional arguments were searched in vain.
    pub(super) searched: usize,
}

impl Macro {
    /// Returns a macro with this value, which is opaque if it makes decisions.
    pub(super) fn of(arguments: Vec<Argument>, value: &str, at_letter: bool) -> Self {
        let value = without_comments(value);
        let names = || commands(&value, at_letter);
        let has_heading = names().any(|name| is_heading(name) || name == "@startsection");
        let decides = names().any(decides);
        let form = if decides { Form::Opaque { has_heading } } else { Form::Text };
        Self { arguments, value: value.into(), at_letter, form }
    }

    /// Returns a macro whose calls stay as they are.
    pub(super) fn opaque() -> Self {
        let form = Form::Opaque { has_heading: false };
        Self { arguments: Vec::new(), value: "".into(), at_letter: false, form }
    }

    /// Returns another name of a command.
    pub(super) fn alias(name: &str) -> Self {
        let value = format!("\\{name}").into();
        Self { arguments: Vec::new(), value, at_letter: false, form: Form::Alias }
    }

    /// Reads the arguments of a call after its name, or returns `None` if one is missing.
    pub(super) fn call<'t>(&'t self, after: &'t str) -> Option<Call<'t>> {
        let arguments = Vec::with_capacity(self.arguments.len());
        let mut call = Call { arguments, len: 0, searched: 0 };
        for argument in &self.arguments {
            let rest = &after[call.len..];
            let (text, len) = match argument {
                Argument::Optional(default) => match option(rest) {
                    Some(found) => (found.inner, found.len),
                    None => {
                        call.searched += unended_len(rest, '[');
                        (default.as_str(), 0)
                    }
                },
                Argument::Mandatory => mandatory(rest)?,
            };
            call.arguments.push(text);
            call.len += len;
        }
        Some(call)
    }

    /// Returns the number of bytes of the value after the arguments are inserted.
    pub(super) fn expanded_len(&self, call: &Call<'_>) -> usize {
        let mut len = self.value.len();
        for digit in self.value.split('#').skip(1).filter_map(|piece| piece.bytes().next()) {
            let argument = call.arguments.get(usize::from(digit).wrapping_sub(49));
            len = len.saturating_add(argument.map_or(0, |text| text.len()));
        }
        len
    }

    /// Returns the value with the arguments of a call.
    pub(super) fn expanded(&self, call: &Call<'_>) -> Rc<str> {
        if self.arguments.is_empty() {
            return Rc::clone(&self.value);
        }
        let mut out = String::with_capacity(self.value.len());
        let mut pieces = self.value.split('#');
        out.push_str(pieces.next().unwrap_or_default());
        while let Some(piece) = pieces.next() {
            let digit = piece.bytes().next().filter(u8::is_ascii_digit);
            let argument =
                digit.and_then(|it| call.arguments.get(usize::from(it).wrapping_sub(49)));
            match argument {
                Some(argument) => {
                    let argument = without_comments(argument);
                    let joins = argument.starts_with(|c: char| c.is_ascii_alphabetic());
                    if joins && ends_with_word(&out) {
                        out.push(' ');
                    }
                    out.push_str(&argument);
                    out.push_str(&piece[1..]);
                }
                // `##` is the sign itself.
                None if piece.is_empty() => {
                    out.push('#');
                    out.push_str(pieces.next().unwrap_or_default());
                }
                None => {
                    out.push('#');
                    out.push_str(piece);
                }
            }
        }
        out.into()
    }
}

/// Reads an argument: a group, a command, or one character.
fn mandatory(text: &str) -> Option<(&str, usize)> {
    if let Some(found) = group(text) {
        return Some((found.inner, found.len));
    }
    let start = skip_len(text);
    let rest = &text[start..];
    let len = match command(rest, false) {
        // The argument is missing.
        Some("" | "begin" | "else" | "end" | "fi" | "par") => return None,
        Some(name) => 1 + name.len(),
        None => {
            let sign = rest.chars().next()?;
            let ends = matches!(sign, '{' | '}' | '$' | '&' | '#' | '\n');
            (!ends).then(|| sign.len_utf8())?
        }
    };
    Some((&rest[..len], start + len))
}

/// Returns the length of the white space after the name of a macro that TeX ignores. It is kept if
/// the value ends with a command, or contains an environment.
pub(super) fn ignored_blank_len(name: &str, value: &str, after: &str) -> usize {
    let keeps = ends_with_word(value)
        || value.ends_with(' ')
        || ["\\begin", "\\end", "\\item", "\\par"].iter().any(|it| value.contains(it));
    if keeps || !is_word(name) { 0 } else { blank_len(after) }
}

/// Returns whether a command starts a heading.
pub(super) fn is_heading(name: &str) -> bool {
    matches!(
        name,
        "part"
            | "chapter"
            | "section"
            | "subsection"
            | "subsubsection"
            | "paragraph"
            | "subparagraph"
    )
}

/// Returns whether a macro that contains the command is opaque, because it decides, defines, or is
/// internal to a package.
fn decides(name: &str) -> bool {
    const OTHERS: [&str; 34] = [
        "advance",
        "afterassignment",
        "aftergroup",
        "catcode",
        "chardef",
        "csname",
        "def",
        "divide",
        "edef",
        "else",
        "endcsname",
        "expandafter",
        "fi",
        "futurelet",
        "gdef",
        "global",
        "immediate",
        "let",
        "loop",
        "lowercase",
        "mathchardef",
        "meaning",
        "multiply",
        "newcommand",
        "newif",
        "noexpand",
        "number",
        "providecommand",
        "read",
        "renewcommand",
        "repeat",
        "string",
        "uppercase",
        "xdef",
    ];
    let condition = name.starts_with("if") && name != "iff" || name.starts_with("If");
    name.contains('@') || condition || OTHERS.binary_search(&name).is_ok()
}

/// Returns the names of the commands of a text.
pub(super) fn commands(text: &str, at_letter: bool) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = &rest[memchr::memchr(b'\\', rest.as_bytes())?..];
        let name = command(rest, at_letter)?;
        rest = &rest[1 + name.len()..];
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_inserted_and_missing_ones_leave_the_call() {
        let two = || vec![Argument::Optional("o".to_owned()), Argument::Mandatory];
        let one = || vec![Argument::Mandatory];
        let cases = [
            (two(), "(#1|#2)", "{a} z", Some("(o|a)")),
            (two(), "(#1|#2)", " [p] {b}", Some("(p|b)")),
            (one(), "<#1>", " a", Some("<a>")),
            (one(), "<#1>", "\\alpha b", Some("<\\alpha>")),
            (one(), "\\bf#1", "{a}", Some("\\bf a")),
            (one(), "\\bf#1", "{1}", Some("\\bf1")),
            (one(), "##1#1", "{a}", Some("#1a")),
            (one(), "#1 #2", "{a}", Some("a #2")),
            (one(), "#1", "{a % c\n b}", Some("a b")),
            (one(), "#1", "}", None),
            (one(), "#1", "", None),
            (one(), "#1", "\n\na", None),
        ];
        for (arguments, value, after, expected) in cases {
            let known = Macro::of(arguments, value, false);
            let call = known.call(after);
            let found = call.as_ref().map(|call| known.expanded(call));
            assert_eq!(found.as_deref(), expected, "{value} {after:?}");
            if let (Some(call), Some(text)) = (call, found) {
                assert!(known.expanded_len(&call) + 1 >= text.len(), "{value}");
            }
        }
    }

    #[test]
    fn macros_that_decide_are_opaque() {
        let text = ["\\emph{a} \\iff b", "\\setcounter{a}{1}", "a@b", "\\begin{equation}"];
        for value in text {
            assert_eq!(Macro::of(Vec::new(), value, true).form, Form::Text, "{value}");
        }
        let opaque = ["\\ifx\\a\\b x\\fi", "\\@a", "\\csname a\\endcsname", "\\IfNoValueTF{a}"];
        for value in opaque {
            let form = Macro::of(Vec::new(), value, true).form;
            assert_eq!(form, Form::Opaque { has_heading: false }, "{value}");
        }
        let heading = Macro::of(Vec::new(), "\\@ifstar{\\section*}{\\section}", true);
        assert_eq!(heading.form, Form::Opaque { has_heading: true });
    }
}
