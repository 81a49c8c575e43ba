//! The rule that RedPajama v2, SlimPajama and Dolma 3 share: ASCII punctuation is deleted, letters
//! are lowered, and each run of white space becomes one space, none at the ends.
//!
//! The published programs do these steps in different orders, which makes no difference: deleting
//! punctuation neither makes nor removes a letter or a space.

use super::is_python_space;
use super::runs::{DELETE, STOP, fold_run};

/// Appends to `out`, which is empty, what the rule makes of `text`.
pub(super) fn delete_and_collapse(text: &str, out: &mut String) {
    out.reserve(text.len());
    // Only this letter's lower case depends on what surrounds it.
    if text.contains('Σ') {
        fold(&text.to_lowercase(), out);
    } else {
        fold(text, out);
    }
    if out.ends_with(' ') {
        out.pop();
    }
}

fn fold(text: &str, out: &mut String) {
    let mut at = 0;
    // A space at the start is not kept.
    let mut after_space = true;
    loop {
        at += fold_run(&text.as_bytes()[at..], &ASCII, &mut after_space, out);
        let Some(c) = text[at..].chars().next() else { return };
        if !is_python_space(c) {
            out.extend(c.to_lowercase());
            after_space = false;
        } else if !after_space {
            out.push(' ');
            after_space = true;
        }
        at += c.len_utf8();
    }
}

/// The result for each byte; `STOP` for controls, which are rare.
const ASCII: [u8; 256] = ascii();

const fn ascii() -> [u8; 256] {
    let mut table = [STOP; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        if c.is_ascii_punctuation() {
            table[byte] = DELETE;
        } else if c.is_ascii_alphanumeric() {
            table[byte] = c.to_ascii_lowercase();
        } else if c == b' ' || c == b'\n' || c == b'\t' || c == b'\r' {
            table[byte] = b' ';
        }
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str) -> String {
        let mut out = String::new();
        delete_and_collapse(text, &mut out);
        out
    }

    #[test]
    fn all_of_pythons_punctuation_is_deleted_and_nothing_else() {
        let punctuation = r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##;
        assert_eq!(punctuation.len(), 32);
        assert_eq!(applied(punctuation), "");
        assert_eq!(applied("a—b…“c”"), "a—b…“c”");
    }

    #[test]
    fn a_mark_between_spaces_leaves_one_space() {
        assert_eq!(applied(" - Well -  known, ok - "), "well known ok");
    }
}
