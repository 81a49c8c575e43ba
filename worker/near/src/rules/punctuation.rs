//! The rule that RedPajama v2, SlimPajama and Dolma 3 share: ASCII punctuation is deleted, letters
//! are lowered, and each run of white space becomes one space, none at the ends.
//!
//! The published programs do these steps in different orders, which makes no difference: deleting
//! punctuation neither makes nor removes a letter or a space.

use super::{each_lowered, is_python_space};

/// Appends to `out`, which is empty, what the rule makes of `text`.
pub(super) fn delete_and_collapse(text: &str, out: &mut String) {
    out.reserve(text.len());
    let mut space_is_due = false;
    each_lowered(text, |c| {
        if c.is_ascii_punctuation() {
            return;
        }
        if is_python_space(c) {
            space_is_due = !out.is_empty();
            return;
        }
        if space_is_due {
            out.push(' ');
            space_is_due = false;
        }
        out.push(c);
    });
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
