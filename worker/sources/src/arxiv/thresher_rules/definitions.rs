//! Reads definitions of macros and environments: `\newcommand`, `\def`, `\let`, `\newenvironment`
//! and their relatives.

use super::lexer::{Group, command, group, is_word, long_group, option, skip_len};
use super::macros::{Argument, Macro};

/// Commands that keep their meaning, because the text of a paper is found by them.
const PROTECTED: [&str; 33] = [
    "abstract",
    "appendix",
    "author",
    "begin",
    "bibliography",
    "caption",
    "chapter",
    "cite",
    "document",
    "documentclass",
    "documentstyle",
    "end",
    "endinput",
    "footnote",
    "href",
    "include",
    "input",
    "item",
    "label",
    "maketitle",
    "paragraph",
    "par",
    "part",
    "path",
    "ref",
    "section",
    "subparagraph",
    "subsection",
    "subsubsection",
    "title",
    "url",
    "usepackage",
    "verb",
];

/// A definition that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) defines: Defines,
    /// The length of the definition after the name of its command.
    pub(super) len: usize,
}

/// What a definition defines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Defines {
    /// A macro. With `provides`, an earlier meaning is kept.
    Macro { name: String, meaning: Macro, global: bool, provides: bool },
    /// Another name of a command, which keeps the meaning that the command has now.
    Copy { name: String, of: String },
    /// An environment whose content is printed as it is.
    Verbatim { environment: String },
    /// An environment whose content is not printed.
    Excluded { environment: String },
    /// Something that changes nothing about the text.
    Nothing,
}

/// Reads the definition that starts with a command. Returns `None` if the command does not define
/// anything, or if what follows is not a definition.
pub(super) fn definition(name: &str, after: &str, at_letter: bool) -> Option<Definition> {
    form_of(name)?(Place { after, at_letter })
}

/// Returns whether a command defines something.
pub(super) fn is_definition(name: &str) -> bool {
    form_of(name).is_some()
}

/// Reads one form of definitions.
type Form = fn(Place<'_>) -> Option<Definition>;

fn form_of(name: &str) -> Option<Form> {
    Some(match name {
        "newcommand"
        | "renewcommand"
        | "DeclareRobustCommand"
        | "newrobustcmd"
        | "renewrobustcmd"
        | "DeclareMathOperator" => |place| place.latex_macro(false),
        "providecommand" | "providerobustcmd" => |place| place.latex_macro(true),
        "NewDocumentCommand" | "RenewDocumentCommand" | "DeclareDocumentCommand" => {
            |place| place.document_command(false)
        }
        "ProvideDocumentCommand" => |place| place.document_command(true),
        "def" => |place| place.plain_macro(false, true),
        "gdef" => |place| place.plain_macro(true, true),
        "edef" => |place| place.plain_macro(false, false),
        "xdef" => |place| place.plain_macro(true, false),
        "let" => |place| place.copy(),
        "newenvironment" | "renewenvironment" => |place| place.environment(),
        "lstnewenvironment" | "newtcblisting" | "DefineVerbatimEnvironment" => {
            |place| place.verbatim()
        }
        "excludecomment" => |place| place.excluded(),
        _ => return None,
    })
}

/// Returns whether a command is a prefix of a definition, such as `\long`.
pub(super) fn is_prefix(name: &str, after: &str) -> bool {
    const DEFINES: [&str; 9] =
        ["def", "gdef", "edef", "xdef", "let", "long", "global", "outer", "protected"];
    matches!(name, "long" | "global" | "outer" | "protected")
        && command(&after[skip_len(after)..], false).is_some_and(|next| DEFINES.contains(&next))
}

/// The text after the command of a definition.
#[derive(Clone, Copy)]
struct Place<'t> {
    after: &'t str,
    at_letter: bool,
}

impl<'t> Place<'t> {
    /// Reads `*{\name}[count][default]{value}`.
    fn latex_macro(self, provides: bool) -> Option<Definition> {
        let mut at = star_len(self.after);
        let name = self.name(&mut at)?;
        let count = take(self.after, &mut at, option);
        let default = count.and_then(|_| take(self.after, &mut at, option));
        let value = take(self.after, &mut at, long_group)?;
        let count = count.map_or(0, |text| text.trim().parse().unwrap_or(0)).min(9);
        let mut arguments = vec![Argument::Mandatory; count];
        if let (Some(default), Some(first)) = (default, arguments.first_mut()) {
            *first = Argument::Optional(default.to_owned());
        }
        let meaning = Macro::of(arguments, value, self.is_internal(name));
        Some(defined(name, meaning, false, provides, at))
    }

    /// Reads `{\name}{arguments}{value}`, where `m` is an argument, and `o` and `O{default}` are
    /// optional ones.
    fn document_command(self, provides: bool) -> Option<Definition> {
        let mut at = 0;
        let name = self.name(&mut at)?;
        let kinds = take(self.after, &mut at, group)?;
        let value = take(self.after, &mut at, long_group)?;
        let mut arguments = Vec::new();
        let mut rest = kinds.trim_start_matches([' ', '+', '\n']);
        while let Some(kind) = rest.chars().next() {
            rest = &rest[kind.len_utf8()..];
            arguments.push(match kind {
                'm' => Argument::Mandatory,
                'o' => Argument::Optional(String::new()),
                'O' => {
                    let default = group(rest)?;
                    rest = &rest[default.len..];
                    Argument::Optional(default.inner.to_owned())
                }
                _ => return Some(defined(name, Macro::opaque(), false, provides, at)),
            });
            rest = rest.trim_start_matches([' ', '+', '\n']);
        }
        Some(defined(
            name,
            Macro::of(arguments, value, self.is_internal(name)),
            false,
            provides,
            at,
        ))
    }

    /// Reads `\name#1#2{value}`. A macro whose arguments end at other characters, or whose value is
    /// expanded where it is defined, is opaque.
    fn plain_macro(self, global: bool, is_text: bool) -> Option<Definition> {
        let start = skip_len(self.after);
        let name = command(&self.after[start..], true)?;
        let mut at = start + 1 + name.len();
        let rest = &self.after[at..];
        let open = rest.find('{').filter(|open| !rest[..*open].contains("\n\n"))?;
        let parameters = &rest[..open];
        at += open;
        let value = take(self.after, &mut at, long_group)?;
        let marks = parameters.split_whitespace().collect::<String>();
        let count = marks.len() / 2;
        let plain = (1..=count).map(|n| format!("#{n}")).collect::<String>() == marks;
        let meaning = if plain && is_text {
            Macro::of(vec![Argument::Mandatory; count], value, self.is_internal(name))
        } else {
            Macro::opaque()
        };
        Some(defined(name, meaning, global, false, at))
    }

    /// Reads `\name=\other`.
    fn copy(self) -> Option<Definition> {
        let start = skip_len(self.after);
        let name = command(&self.after[start..], true)?;
        let mut at = start + 1 + name.len();
        at += skip_len(&self.after[at..]);
        if self.after[at..].starts_with('=') {
            at += 1;
            at += skip_len(&self.after[at..]);
        }
        let rest = &self.after[at..];
        let Some(of) = command(rest, self.at_letter) else {
            let len = at + rest.chars().next()?.len_utf8();
            return Some(defined(name, Macro::opaque(), false, false, len));
        };
        let len = at + 1 + of.len();
        if matches!(of, "relax" | "undefined" | "@undefined" | "empty" | "@empty") {
            return Some(defined(name, Macro::opaque(), false, false, len));
        }
        let defines = if changes(name) {
            Defines::Copy { name: name.to_owned(), of: of.to_owned() }
        } else {
            Defines::Nothing
        };
        Some(Definition { defines, len })
    }

    /// Reads `{name}[count][default]{start}{end}`.
    fn environment(self) -> Option<Definition> {
        let mut at = star_len(self.after);
        let environment = take(self.after, &mut at, group)?.trim().to_owned();
        take(self.after, &mut at, option).and_then(|_| take(self.after, &mut at, option));
        let start = take(self.after, &mut at, long_group)?;
        take(self.after, &mut at, long_group)?;
        let excluded = start.contains("\\comment") || start.contains("\\begin{comment}");
        let defines = if excluded { Defines::Excluded { environment } } else { Defines::Nothing };
        Some(Definition { defines, len: at })
    }

    /// Reads the name of an environment whose content is not printed.
    fn excluded(self) -> Option<Definition> {
        let found = group(self.after)?;
        let environment = found.inner.trim().to_owned();
        Some(Definition { defines: Defines::Excluded { environment }, len: found.len })
    }

    /// Reads the name of an environment whose content is printed as it is.
    fn verbatim(self) -> Option<Definition> {
        let mut at = 0;
        take(self.after, &mut at, option);
        let environment = take(self.after, &mut at, group)?.trim().to_owned();
        Some(Definition { defines: Defines::Verbatim { environment }, len: at })
    }

    /// Returns whether `@` is a letter in the value of a macro, also if the file does not say so:
    /// some are read with it where packages are loaded.
    fn is_internal(self, name: &str) -> bool {
        self.at_letter || name.contains('@')
    }

    /// Reads the name of a macro, with or without braces.
    fn name(self, at: &mut usize) -> Option<&'t str> {
        let start = *at;
        let braced = group(&self.after[start..]);
        let text = braced.map_or(&self.after[start..], |found| found.inner);
        let skipped = skip_len(text);
        let name = command(&text[skipped..], true)?;
        *at = start + braced.map_or(skipped + 1 + name.len(), |found| found.len);
        Some(name)
    }
}

/// Reads a group at `at`, and moves `at` behind it.
fn take<'t>(
    text: &'t str,
    at: &mut usize,
    read: fn(&'t str) -> Option<Group<'t>>,
) -> Option<&'t str> {
    let found = read(&text[*at..])?;
    *at += found.len;
    Some(found.inner)
}

fn star_len(text: &str) -> usize {
    let start = skip_len(text);
    if text[start..].starts_with('*') { start + 1 } else { 0 }
}

/// Returns whether the macro may get another meaning.
fn changes(name: &str) -> bool {
    is_word(name) && !PROTECTED.contains(&name)
}

fn defined(name: &str, meaning: Macro, global: bool, provides: bool, len: usize) -> Definition {
    let defines = if changes(name) {
        Defines::Macro { name: name.to_owned(), meaning, global, provides }
    } else {
        Defines::Nothing
    };
    Definition { defines, len }
}

/// Returns the length of the rest of a line if it is blank, with its line feed.
pub(super) fn blank_line_len(after: &str) -> Option<usize> {
    for (at, sign) in after.char_indices() {
        match sign {
            '\n' => return Some(at + 1),
            _ if sign.is_whitespace() => {}
            _ => return None,
        }
    }
    Some(after.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a definition, and returns its name, number of arguments, value, and what follows.
    fn read(text: &str) -> Option<(String, usize, String, &str)> {
        let name = command(text, false)?;
        let after = &text[1 + name.len()..];
        let found = definition(name, after, false)?;
        let rest = &after[found.len..];
        Some(match found.defines {
            Defines::Macro { name, meaning, .. } => {
                (name, meaning.arguments.len(), meaning.value.to_string(), rest)
            }
            Defines::Copy { name, of, .. } => (name, 0, of, rest),
            Defines::Verbatim { environment } => (environment, 0, "verbatim".to_owned(), rest),
            Defines::Excluded { environment } => (environment, 0, "excluded".to_owned(), rest),
            Defines::Nothing => (String::new(), 0, String::new(), rest),
        })
    }

    #[test]
    fn definitions_of_every_form_are_read_to_their_end() {
        let cases = [
            ("\\newcommand{\\x}{v}z", Some(("x", 0, "v"))),
            ("\\renewcommand*\\x{v}z", Some(("x", 0, "v"))),
            ("\\newcommand {\\x} [2] [o] {a{b}}z", Some(("x", 2, "a{b}"))),
            ("\\newcommand{\\x}[1]{% c }\n v%\n}z", Some(("x", 1, "v"))),
            ("\\DeclareMathOperator*{\\x}{arg}z", Some(("x", 0, "arg"))),
            ("\\NewDocumentCommand{\\x}{O{d} +m}{v}z", Some(("x", 2, "v"))),
            ("\\NewDocumentCommand\\x{s m}{v}z", Some(("x", 0, ""))),
            ("\\def\\x#1#2{v}z", Some(("x", 2, "v"))),
            ("\\def\\x {v}z", Some(("x", 0, "v"))),
            ("\\def\\x#1.{(#1)}z", Some(("x", 0, ""))),
            ("\\edef\\x{v}z", Some(("x", 0, ""))),
            ("\\def\\x@y{v}z", Some(("x@y", 0, "v"))),
            ("\\let\\x\\yz", Some(("x", 0, "yz"))),
            ("\\let \\x = \\y z", Some(("x", 0, "y"))),
            ("\\let\\x=|z", Some(("x", 0, ""))),
            ("\\newcommand{\\x@y}[1]{\\x@z}z", Some(("x@y", 1, "\\x@z"))),
            ("\\newenvironment{x}[1][d]{a}{b}z", Some(("", 0, ""))),
            ("\\newenvironment{x}{\\comment}{\\endcomment}z", Some(("x", 0, "excluded"))),
            ("\\excludecomment{x}z", Some(("x", 0, "excluded"))),
            ("\\lstnewenvironment{x}z", Some(("x", 0, "verbatim"))),
            ("\\renewcommand\\section{\\@startsection}z", Some(("", 0, ""))),
            ("\\def\\,{v}z", Some(("", 0, ""))),
            ("\\newcommand{\\x}z", None),
            ("\\newcommand{\\x}{v", None),
            ("\\def\\x\n\n{v}", None),
            ("\\emph{x}", None),
        ];
        for (text, expected) in cases {
            let found = read(text);
            let found = found.as_ref().map(|(name, count, value, rest)| {
                assert!(matches!(*rest, "z" | " z" | ""), "{text} {rest}");
                (name.as_str(), *count, value.as_str())
            });
            assert_eq!(found, expected, "{text}");
        }
        assert!(is_prefix("long", "\\def\\x{v}") && is_prefix("global", " \\long\\def"));
        assert!(!is_prefix("long", " text") && !is_prefix("def", "\\def"));
    }
}
