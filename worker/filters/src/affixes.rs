//! Finds what is split off a chunk of text, at its ends and inside it, and what is not split.
//!
//! These are pure functions on one chunk; `words` applies them and explains the rules.
//!
//! **Invariant:** every length returned is a whole number of characters and at most the chunk's.

use unicode_general_category::{GeneralCategory, get_general_category};

/// Abbreviations whose final dot is part of the word; sorted, for a binary search.
const ABBREVIATIONS: &[&str] = &[
    "Adm.", "Ak.", "Ala.", "Apr.", "Ariz.", "Ark.", "Aug.", "Bros.", "Calif.", "Co.", "Colo.",
    "Conn.", "Corp.", "D.C.", "Dec.", "Del.", "Dr.", "E.G.", "E.g.", "Feb.", "Fla.", "Ga.", "Gen.",
    "Gov.", "I.E.", "I.e.", "Ia.", "Id.", "Ill.", "Inc.", "Ind.", "Jan.", "Jr.", "Jul.", "Jun.",
    "Kan.", "Kans.", "Ky.", "La.", "Ltd.", "Mar.", "Mass.", "Md.", "Messrs.", "Mich.", "Minn.",
    "Miss.", "Mo.", "Mont.", "Mr.", "Mrs.", "Ms.", "Mt.", "N.C.", "N.D.", "N.H.", "N.J.", "N.M.",
    "N.Y.", "Neb.", "Nebr.", "Nev.", "Nov.", "Oct.", "Okla.", "Ore.", "Pa.", "Ph.D.", "Prof.",
    "Rep.", "Rev.", "S.C.", "Sen.", "Sep.", "Sept.", "St.", "Tenn.", "Va.", "Wash.", "Wis.",
    "a.m.", "co.", "e.g.", "i.e.", "p.m.", "v.s.", "vs.",
];

const CONTRACTIONS: &[&str] =
    &["n't", "n’t", "'ll", "’ll", "'ve", "’ve", "'re", "’re", "'d", "’d", "'m", "’m"];

/// Units, and halves of the day, split off the digits before them.
const UNITS: &[&str] = &[
    "%", "G", "GB", "K", "KB", "M", "MB", "Pa", "T", "TB", "am", "cm", "dm", "ft", "g", "gb",
    "hPa", "ha", "in", "kB", "kb", "kg", "km", "km/h", "kmh", "lb", "m", "m/s", "mb", "mbar", "mg",
    "mm", "mph", "nm", "oz", "pm", "t", "tb", "yd",
];

/// Where a chunk's first and last token end and start; 0 where none is split off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Affixes {
    pub(crate) prefix_bytes: usize,
    pub(crate) suffix_bytes: usize,
}

impl Affixes {
    pub(crate) fn of(chunk: &str) -> Self {
        let prefix_bytes = prefix_len(chunk);
        let rest = &chunk[prefix_bytes..];
        let suffix_bytes = if is_whole(rest) { 0 } else { suffix_len(rest) };
        Self { prefix_bytes, suffix_bytes }
    }
}

/// A chunk that no rule splits further.
pub(crate) fn is_whole(chunk: &str) -> bool {
    if chunk.len() > 9 {
        return false;
    }
    if let Some(stem) = chunk.strip_suffix('.') {
        let initial = stem.len() == 1 && stem.bytes().all(|byte| byte.is_ascii_lowercase());
        return initial || ABBREVIATIONS.binary_search(&chunk).is_ok();
    }
    matches!(
        chunk,
        "and/or" | "w/o" | "C++" | "o'clock" | "o’clock" | "ma'am" | "ma’am" | "'em" | "’em"
    )
}

fn prefix_len(chunk: &str) -> usize {
    let mut chars = chunk.chars();
    let Some(first) = chars.next() else { return 0 };
    match first {
        '.' => dots(chunk.bytes()),
        '%' | '=' | '$' => 1,
        '+' => usize::from(!chars.next().is_some_and(|next| next.is_ascii_digit())),
        '§' | '—' | '–' => first.len_utf8(),
        _ if is_mark(first) || is_currency(first) => first.len_utf8(),
        _ => 0,
    }
}

/// The length of a run of two dots or more; one dot is not a run.
fn dots(bytes: impl Iterator<Item = u8>) -> usize {
    let run = bytes.take_while(|&byte| byte == b'.').count();
    if run > 1 { run } else { 0 }
}

fn suffix_len(chunk: &str) -> usize {
    let mut back = chunk.chars().rev();
    let Some(last) = back.next() else { return 0 };
    let before = back.next();
    match last {
        '.' => match dots(chunk.bytes().rev()) {
            0 => usize::from(final_dot_is_split(before, back.next())),
            run => run,
        },
        's' | 'S' if matches!(before, Some('\'' | '’')) => 1 + before.map_or(0, char::len_utf8),
        '+' | '$' => usize::from(before.is_some_and(|before| before.is_ascii_digit())),
        '—' | '–' => last.len_utf8(),
        _ if is_mark(last) => last.len_utf8(),
        _ if is_currency(last) && before.is_some_and(|c| c.is_ascii_digit()) => last.len_utf8(),
        _ => contraction_len(chunk).max(unit_len(chunk)),
    }
}

fn final_dot_is_split(before: Option<char>, earlier: Option<char>) -> bool {
    let Some(c) = before else { return false };
    c.is_ascii_digit()
        || matches!(c, '%' | '²' | '-' | '+')
        || is_mark(c)
        || is_lower(c)
        || (is_upper(c) && earlier.is_some_and(is_upper))
}

fn contraction_len(chunk: &str) -> usize {
    if !chunk.ends_with(['t', 'l', 'e', 'd', 'm']) {
        return 0;
    }
    let found = CONTRACTIONS.iter().find(|ending| {
        chunk.strip_suffix(**ending).is_some_and(|stem| {
            stem.bytes().next_back().is_some_and(|byte| byte.is_ascii_alphabetic())
        })
    });
    found.map_or(0, |ending| ending.len())
}

fn unit_len(chunk: &str) -> usize {
    let digits_end = chunk.bytes().rposition(|byte| byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let unit = &chunk[digits_end..];
    if digits_end > 0 && UNITS.binary_search(&unit).is_ok() { unit.len() } else { 0 }
}

/// The length of the mark at the start of `rest` that cuts a word in two, if one does; `before`
/// is the character in front of it.
pub(crate) fn infix_len(before: char, rest: &str) -> usize {
    let mut chars = rest.chars();
    let Some(mark) = chars.next() else { return 0 };
    if mark.is_ascii_alphanumeric() {
        return 0;
    }
    let next = chars.next().unwrap_or(' ');
    let between_letters = before.is_alphabetic() && next.is_alphabetic();
    let word_before = before.is_alphabetic() || before.is_ascii_digit();
    let cut = match mark {
        '.' => {
            let run = dots(rest.bytes());
            if run > 0 {
                return run;
            }
            (is_lower(before) || is_quote(before)) && (is_upper(next) || is_quote(next))
        }
        '+' | '*' | '^' if before.is_ascii_digit() && (next.is_ascii_digit() || next == '-') => {
            true
        }
        ',' => between_letters,
        ':' | '<' | '>' | '=' | '/' => word_before && next.is_alphabetic(),
        '-' | '–' | '—' | '~' => {
            return if word_before { hyphen_len(before, mark, rest) } else { 0 };
        }
        _ => mark == '…' || is_icon(mark),
    };
    if cut { mark.len_utf8() } else { 0 }
}

/// `-`, `--`, `---`, `–`, `—`, `——` or `~` before a letter; `-` also between digits.
fn hyphen_len(before: char, mark: char, rest: &str) -> usize {
    let longest = match mark {
        '-' => 3,
        '—' => 2,
        _ => 1,
    };
    let run = rest.chars().take(longest).take_while(|&c| c == mark).count();
    let length = run * mark.len_utf8();
    let next = rest[length..].chars().next();
    if next.is_some_and(char::is_alphabetic) {
        return length;
    }
    let digit_follows = mark == '-'
        && before.is_ascii_digit()
        && rest[1..].starts_with(|c: char| c.is_ascii_digit() || c == '-');
    usize::from(digit_follows)
}

/// An address of the web or of mail: `[scheme://][user@]label.label…[:port][/…]` with a last
/// label of at least two lower-case letters.
pub(crate) fn is_address(core: &str) -> bool {
    if !core.contains('.') {
        return false;
    }
    let after_scheme = match core.split_once("://") {
        Some((scheme, rest)) if scheme.len() > 1 && scheme.bytes().all(is_scheme_byte) => rest,
        _ => core,
    };
    is_host_and_path(after_scheme)
        || after_scheme
            .rsplit_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && is_host_and_path(host))
}

fn is_scheme_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn is_host_and_path(text: &str) -> bool {
    let host_end = text.find(['/', '?', '#', ':']).unwrap_or(text.len());
    let (host, rest) = text.split_at(host_end);
    if let Some(port) = rest.strip_prefix(':') {
        let digits = port.bytes().take_while(u8::is_ascii_digit).count();
        let path = &port[digits..];
        if digits < 2 || !(path.is_empty() || path.starts_with(['/', '?', '#'])) {
            return false;
        }
    }
    let Some((labels, top)) = host.rsplit_once('.') else { return false };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
            && label.ends_with(|c: char| c.is_alphanumeric())
    };
    top.chars().count() >= 2
        && top.chars().all(|c| c.is_alphabetic() && !c.is_ascii_uppercase())
        && labels.split('.').all(is_label)
}

/// Letters of scripts without case are both, as they are to the tokeniser.
fn is_lower(c: char) -> bool {
    c.is_alphabetic() && !c.is_uppercase()
}

fn is_upper(c: char) -> bool {
    c.is_alphabetic() && !c.is_lowercase()
}

/// A mark that is split off at both ends.
fn is_mark(c: char) -> bool {
    if c.is_ascii() {
        return matches!(
            c,
            ',' | ':'
                | ';'
                | '!'
                | '?'
                | '('
                | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '<'
                | '>'
                | '_'
                | '#'
                | '*'
                | '&'
                | '\''
                | '"'
                | '`'
        );
    }
    !c.is_alphanumeric()
        && (is_quote(c)
            || matches!(
                c,
                '…' | '¿'
                    | '؟'
                    | '¡'
                    | '。'
                    | '？'
                    | '！'
                    | '，'
                    | '、'
                    | '；'
                    | '：'
                    | '～'
                    | '·'
                    | '।'
                    | '،'
                    | '۔'
                    | '؛'
                    | '٪'
            )
            || is_icon(c))
}

fn is_quote(c: char) -> bool {
    matches!(
        c,
        '\'' | '"'
            | '”'
            | '“'
            | '`'
            | '‘'
            | '´'
            | '’'
            | '‚'
            | ','
            | '„'
            | '»'
            | '«'
            | '「'
            | '」'
            | '『'
            | '』'
            | '（'
            | '）'
            | '〔'
            | '〕'
            | '【'
            | '】'
            | '《'
            | '》'
            | '〈'
            | '〉'
            | '\u{2329}'
            | '\u{232a}'
            | '⟦'
            | '⟧'
    )
}

/// Emoji, dingbats and other pictures.
fn is_icon(c: char) -> bool {
    !c.is_ascii() && get_general_category(c) == GeneralCategory::OtherSymbol
}

fn is_currency(c: char) -> bool {
    !c.is_ascii() && get_general_category(c) == GeneralCategory::CurrencySymbol
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(ABBREVIATIONS.is_sorted() && UNITS.is_sorted());
    }

    #[test]
    fn addresses_are_recognised() {
        for yes in ["example.org", "http://a.example/c?d=1", "www.foo.com:8080/x", "me@mail.org"] {
            assert!(is_address(yes), "{yes}");
        }
        for no in ["3.5", "fooBar.Baz", "http://a.b/c", "a.b", "end.", "x..org", "foo.org:x"] {
            assert!(!is_address(no), "{no}");
        }
    }
}
