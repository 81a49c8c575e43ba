//! Conditions whose outcome a text shows: `\iffalse`, `\iftrue`, switches of `\newif`, and
//! comparisons of digits. The branch that TeX skips is left out. Other conditions stay in the text,
//! with both branches.

use std::collections::BTreeMap;

use super::lexer::{command, group, line_len, skip_len};

/// A condition that was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// Its outcome is known; its commands are left out.
    Known,
    /// Its commands stay in the text.
    Kept,
}

/// The conditions around a place in the text, and the switches.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) entered: Vec<Entered>,
    switches: BTreeMap<String, bool>,
    /// Number of bytes in which the end of a branch was searched in vain.
    searched: usize,
}

/// Bytes in which ends of branches are searched in vain; after that, conditions stay in the text.
const MAX_SEARCHED: usize = 1 << 26;

/// What to do after a command of a condition: skip this many bytes, and print the command or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) skip: usize,
    pub(super) prints: bool,
}

const SILENT: Step = Step { skip: 0, prints: false };
const PRINTED: Step = Step { skip: 0, prints: true };

impl Conditions {
    /// Follows a command; returns `None` if it has nothing to do with conditions.
    pub(super) fn follow(&mut self, name: &str, after: &str) -> Option<Step> {
        match name {
            "newif" => return self.new_switch(after),
            "else" => return Some(self.at_else(after)),
            "fi" => {
                let known = self.entered.pop() == Some(Entered::Known);
                return Some(if known { SILENT } else { PRINTED });
            }
            _ if is_condition(name) => {}
            _ => return self.set_switch(name),
        }
        Some(match self.outcome(name, after) {
            None => {
                self.entered.push(Entered::Kept);
                PRINTED
            }
            Some((true, skip)) => {
                self.entered.push(Entered::Known);
                Step { skip, prints: false }
            }
            Some((false, from)) => match branch_end(&after[from..], true) {
                Some(end) => {
                    if end.is_else {
                        self.entered.push(Entered::Known);
                    }
                    Step { skip: from + end.len, prints: false }
                }
                // Without an end, nothing of the text is lost.
                None => {
                    self.searched += after.len();
                    self.entered.push(Entered::Kept);
                    PRINTED
                }
            },
        })
    }

    /// Registers the switch of `\newif\ifname`, which is off.
    fn new_switch(&mut self, after: &str) -> Option<Step> {
        let start = skip_len(after);
        let braced = group(after).filter(|_| after[start..].starts_with('{'));
        let text = braced.map_or(&after[start..], |found| found.inner);
        let name = command(text, true)?;
        let switch = name.strip_prefix("if").filter(|switch| !switch.is_empty())?;
        self.switches.insert(switch.to_owned(), false);
        let skip = braced.map_or(start + 1 + name.len(), |found| found.len);
        Some(Step { skip, prints: false })
    }

    /// Turns a switch on or off with `\nametrue` or `\namefalse`.
    fn set_switch(&mut self, name: &str) -> Option<Step> {
        let on = name.ends_with("true");
        let switch = name.strip_suffix(if on { "true" } else { "false" })?;
        *self.switches.get_mut(switch)? = on;
        Some(SILENT)
    }

    fn at_else(&mut self, after: &str) -> Step {
        if self.entered.last() != Some(&Entered::Known) {
            return PRINTED;
        }
        let end = branch_end(after, false);
        self.searched += if end.is_some() { 0 } else { after.len() };
        if end.is_some() {
            self.entered.pop();
        }
        Step { skip: end.map_or(0, |end| end.len), prints: false }
    }

    /// Returns whether a condition is true, and the length of what it compares.
    fn outcome(&self, name: &str, after: &str) -> Option<(bool, usize)> {
        match name {
            _ if self.searched > MAX_SEARCHED => None,
            "iftrue" => Some((true, 0)),
            "iffalse" => Some((false, 0)),
            "if" => {
                let start = after.len() - after.trim_start_matches(' ').len();
                let mut signs = after[start..].chars();
                let (first, second) = (signs.next()?, signs.next()?);
                let plain = first.is_ascii_digit() && second != '\\';
                plain.then_some((first == second, start + 1 + second.len_utf8()))
            }
            "ifnum" => {
                let end = after.find(['\n', '\\', '%']).unwrap_or(after.len());
                let sign = after[..end].find(['<', '=', '>'])?;
                let left: u64 = after[..sign].trim().parse().ok()?;
                let digits = after[sign + 1..end].trim_start();
                let len = digits.bytes().take_while(u8::is_ascii_digit).count();
                let right: u64 = digits[..len].parse().ok()?;
                let outcome = match &after[sign..=sign] {
                    "<" => left < right,
                    "=" => left == right,
                    _ => left > right,
                };
                Some((outcome, after.len() - after[sign + 1..].trim_start().len() + len))
            }
            _ => self.switches.get(name.strip_prefix("if")?).map(|on| (*on, 0)),
        }
    }
}

/// Returns whether a command starts a condition that ends with `\fi`. The others take their
/// branches as arguments.
fn is_condition(name: &str) -> bool {
    const WITH_ARGUMENTS: [&str; 29] = [
        "ifblank",
        "ifbool",
        "ifboolexpe",
        "ifboolexpr",
        "ifcsdef",
        "ifcsempty",
        "ifcsequal",
        "ifcsstring",
        "ifcsundef",
        "ifcsvoid",
        "ifdef",
        "ifdefempty",
        "ifdefequal",
        "ifdefmacro",
        "ifdefstring",
        "ifdefvoid",
        "ifdimcomp",
        "ifentrytype",
        "iff",
        "ifinlist",
        "ifnumcomp",
        "ifnumequal",
        "ifnumgreater",
        "ifnumless",
        "ifnumodd",
        "ifstrempty",
        "ifstrequal",
        "ifthenelse",
        "iftoggle",
    ];
    name.starts_with("if")
        && !name.starts_with("iff@")
        && WITH_ARGUMENTS.binary_search(&name).is_err()
}

/// The end of a branch that is skipped.
struct BranchEnd {
    /// The number of bytes to its end.
    len: usize,
    /// Whether it ends with `\else`, and not with `\fi`.
    is_else: bool,
}

/// Finds the end of a branch, after any conditions in it.
fn branch_end(text: &str, stops_at_else: bool) -> Option<BranchEnd> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(found) = memchr::memchr2(b'\\', b'%', &text.as_bytes()[at..]) {
        at += found;
        if text.as_bytes()[at] == b'%' {
            at += line_len(&text[at..]);
            continue;
        }
        let name = command(&text[at..], true)?;
        at += 1 + name.len();
        match name {
            "fi" if depth == 0 => return Some(BranchEnd { len: at, is_else: false }),
            "else" if depth == 0 && stops_at_else => {
                return Some(BranchEnd { len: at, is_else: true });
            }
            "fi" => depth -= 1,
            "newif" => {
                let next = skip_len(&text[at..]);
                at += next + command(&text[at + next..], true).map_or(0, |name| 1 + name.len());
            }
            _ if is_condition(name) => depth += 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removes what conditions leave out.
    fn left(text: &str) -> String {
        let mut conditions = Conditions::default();
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let name = command(rest, false).unwrap();
            let after = &rest[1 + name.len()..];
            let step = conditions.follow(name, after).unwrap_or(PRINTED);
            if step.prints {
                out.push_str(&rest[..1 + name.len()]);
            }
            rest = &after[step.skip..];
        }
        out + rest
    }

    #[test]
    fn branches_that_tex_skips_are_left_out() {
        let cases = [
            ("a\\iffalse b\\fi c", "a c"),
            ("a\\iffalse b\\else c\\fi d", "a c d"),
            ("a\\iftrue b\\else c\\fi d", "a b d"),
            ("\\iffalse \\ifx\\a\\b x\\else y\\fi z\\fi c", " c"),
            ("\\iffalse % \\fi\n x\\fi c", " c"),
            ("\\iffalse \\iff \\ifthenelse{a}{b}{c} \\fi c", " c"),
            ("\\iftrue \\ifx\\a\\b x\\else y\\fi z\\fi c", " \\ifx\\a\\b x\\else y\\fi z c"),
            ("\\newif\\ifx a\\ifx b\\else c\\fi", " a c"),
            ("\\newif\\ifx \\xtrue a\\ifx b\\else c\\fi \\xfalse\\ifx d\\fi", "  a b "),
            ("\\newif{\\ifx}\\ifx a\\fi", ""),
            ("\\if0 a\\fi b", " b"),
            ("\\if01 a\\fi\\if00 b\\fi", " b"),
            ("\\ifnum1>0 a\\else b\\fi\\ifnum 1=2 c\\fi", " a"),
            ("\\ifnum\\x>0 a\\else b\\fi", "\\ifnum\\x>0 a\\else b\\fi"),
            ("\\if\\a\\b x\\fi", "\\if\\a\\b x\\fi"),
            // Without an end, nothing is left out.
            ("a\\iffalse b", "a\\iffalse b"),
            ("a\\fi b\\else c", "a\\fi b\\else c"),
            ("\\istrue a", "\\istrue a"),
        ];
        for (text, expected) in cases {
            assert_eq!(left(text), expected, "{text}");
        }
    }
}
