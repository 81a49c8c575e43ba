//! The launcher's command line: words with `{ranks}` in them, split as a shell does.
//!
//! Quotes and backslashes group words; nothing is expanded and no shell is started, so the
//! launcher gets the words of the site profile.

use std::ffi::OsString;

/// The placeholder for the number of ranks.
const RANKS: &str = "{ranks}";

/// Why a text is not a valid launcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LauncherError {
    #[error(
        "the gang launcher `{0}` has no `{{ranks}}`\nhint: write it where the number of ranks \
         belongs, as in `srun --overlap --mpi=pmi2 -n {{ranks}}`"
    )]
    NoRanks(String),
    #[error("a quote in the gang launcher `{0}` is not closed")]
    OpenQuote(String),
}

/// A launcher call up to the program that it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LauncherTemplate {
    text: String,
    words: Vec<String>,
}

impl LauncherTemplate {
    /// Returns the text of the template.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn words(&self, ranks: u32) -> Vec<OsString> {
        let ranks = ranks.to_string();
        self.words.iter().map(|word| word.replace(RANKS, &ranks).into()).collect()
    }
}

impl std::str::FromStr for LauncherTemplate {
    type Err = LauncherError;

    fn from_str(text: &str) -> Result<Self, LauncherError> {
        let words = split(text).ok_or_else(|| LauncherError::OpenQuote(text.to_owned()))?;
        // The first word is the program, which cannot be a number.
        if !words.iter().skip(1).any(|word| word.contains(RANKS)) {
            return Err(LauncherError::NoRanks(text.to_owned()));
        }
        Ok(Self { text: text.to_owned(), words })
    }
}

/// Splits words as a POSIX shell does. Returns `None` if a quote is not closed.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let table: &[(&str, &[&str])] = &[
            ("srun  -n {ranks}", &["srun", "-n", "{ranks}"]),
            ("a 'b c' \"d e\"f", &["a", "b c", "d ef"]),
            (r"a\ b 'c\d' ''", &["a b", r"c\d", ""]),
        ];
        for (text, words) in table {
            assert_eq!(split(text).as_deref(), Some(&words.map_owned()[..]), "{text}");
        }
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("a \\"), None);
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for [&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|word| (*word).to_owned()).collect()
        }
    }

    #[test]
    fn the_placeholder_is_replaced_by_the_number_of_ranks() {
        let launcher: LauncherTemplate = "jsrun -n{ranks} -a1".parse().unwrap();
        assert_eq!(launcher.words(12), ["jsrun", "-n12", "-a1"]);
    }

    #[test]
    fn a_launcher_without_a_number_of_ranks_is_refused() {
        for text in ["", "mpirun -n 4", "{ranks}"] {
            let refused = text.parse::<LauncherTemplate>().unwrap_err();
            assert_eq!(refused, LauncherError::NoRanks(text.to_owned()));
        }
        let refused = "mpirun '-n {ranks}".parse::<LauncherTemplate>().unwrap_err();
        assert!(matches!(refused, LauncherError::OpenQuote(_)));
    }
}
