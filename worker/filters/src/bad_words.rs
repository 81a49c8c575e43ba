//! The list of bad words that a user supplies for C4's page rule.
//!
//! An entry matches in the lowercased text between characters that are not letters, digits or `_`,
//! or at the ends of the text. As in C4, whose lists for Chinese, Japanese and Thai have no
//! boundaries, an entry with a character of a script that is written without spaces matches
//! anywhere, and such a character is a boundary for other entries. No list is shipped.
//!
//! **Invariant:** a text is read once, whatever the number of entries.

use std::collections::HashMap;
use std::path::Path;

use aho_corasick::{AhoCorasick, BuildError};

use super::FilterError;
use super::script::Script;

/// The entries: those that match anywhere, and the others by their first word.
#[derive(Debug, Default)]
pub(crate) struct BadWords {
    anywhere: Option<AhoCorasick>,
    /// From the letters an entry starts with (none, for one starting with a mark) to the rests.
    rests: HashMap<String, Vec<String>>,
}

impl BadWords {
    pub(crate) fn read(path: &Path) -> Result<Self, FilterError> {
        let refuse = |source| FilterError::File {
            what: "the list of bad words",
            path: path.to_owned(),
            hint: "`filters.c4_quality.bad_words_file` names a UTF-8 file with one entry a line",
            source,
        };
        let list = std::fs::read_to_string(path).map_err(refuse)?;
        Self::of(list.strip_prefix('\u{feff}').unwrap_or(&list))
            .map_err(|error| refuse(std::io::Error::other(error)))
    }

    fn of(list: &str) -> Result<Self, BuildError> {
        let mut rests: HashMap<String, Vec<String>> = HashMap::new();
        let mut anywhere = Vec::new();
        for entry in list.lines().map(|line| line.trim().to_lowercase()) {
            if entry.is_empty() {
                continue;
            }
            if entry.chars().any(|c| Script::of_char(c).is_some()) {
                anywhere.push(entry);
                continue;
            }
            let (first, rest) = entry.split_at(run_len(&entry));
            rests.entry(first.to_owned()).or_default().push(rest.to_owned());
        }
        let anywhere = match anywhere.is_empty() {
            true => None,
            false => Some(AhoCorasick::new(anywhere)?),
        };
        Ok(Self { anywhere, rests })
    }

    /// `lowercase` is room for the lowercased text.
    pub(crate) fn occurs_in(&self, text: &str, lowercase: &mut String) -> bool {
        lowercase.clear();
        if text.is_ascii() {
            lowercase.push_str(text);
            lowercase.make_ascii_lowercase();
        } else {
            lowercase.push_str(&text.to_lowercase());
            if self.anywhere.as_ref().is_some_and(|entries| entries.is_match(&*lowercase)) {
                return true;
            }
        }
        let mut rest = lowercase.as_str();
        while !rest.is_empty() {
            let (run, after) = rest.split_at(run_len(rest));
            if self.entry_is_at(run, after) {
                return true;
            }
            // The mark right behind a word starts no entry: an entry needs a mark before it.
            let mark = after.chars().next().map_or(0, char::len_utf8);
            rest = &after[mark..];
        }
        false
    }

    fn entry_is_at(&self, run: &str, after: &str) -> bool {
        self.rests.get(run).is_some_and(|rests| {
            rests.iter().any(|rest| {
                after.strip_prefix(rest.as_str()).is_some_and(|behind| run_len(behind) == 0)
            })
        })
    }
}

fn run_len(text: &str) -> usize {
    text.find(|c| !is_word_char(c)).unwrap_or(text.len())
}

fn is_word_char(c: char) -> bool {
    (c.is_alphanumeric() && Script::of_char(c).is_none()) || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_occur_between_marks_only() {
        let list = BadWords::of("darn\nholy cow\n\n  Blast it! \n💩\n").unwrap();
        let occurs = |text| list.occurs_in(text, &mut String::new());
        for text in ["Darn", "oh,darn!", "x HOLY COW", "(blast it!)", "so 💩.", "💩", "a 💩"]
        {
            assert!(occurs(text), "{text}");
        }
        for text in ["darned", "_darn", "holy cows", "holy  cow", "blast it", "a💩", "💩b", ""]
        {
            assert!(!occurs(text), "{text}");
        }
    }

    #[test]
    fn entries_of_scripts_without_spaces_occur_inside_prose() {
        let list = BadWords::of("悪い言葉\nคำหยาบ\n坏话\nav女\ndarn\n").unwrap();
        let occurs = |text| list.occurs_in(text, &mut String::new());
        for text in [
            "これは悪い言葉です",
            "เขาพูดคำหยาบเสมอ",
            "坏话",
            "说坏话的人",
            "看AV女优",
            "这是darn的",
            "ดarn Darn",
        ] {
            assert!(occurs(text), "{text}");
        }
        for text in ["悪い 言葉", "坏的话", "darned坏人", "คำ", "av男", "_darn坏"] {
            assert!(!occurs(text), "{text}");
        }
    }

    #[test]
    fn a_missing_list_names_the_file() {
        let error = BadWords::read(Path::new("/nowhere/list.txt")).unwrap_err().to_string();
        assert!(error.contains("`/nowhere/list.txt`") && error.contains("hint:"), "{error}");
    }
}
