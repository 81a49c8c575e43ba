//! Wikitext to plain text, as mwparserfromhell's `strip_code` gives it within RedPajama's recipe.
//!
//! ```text
//! outline (pairs of brackets) → frames (what is open) → text, cut at its headings → joined
//! ```
//! Templates and tables vanish, references too; links leave their text, files nothing, categories
//! their name; headings, lists and styles lose their signs. Not a renderer: no template is
//! expanded.
//!
//! **Invariant:** no recursion, frames are at most `MAX_OPEN` deep, and what cannot be parsed stays
//! as the text that it is.

mod entities;
mod frames;
mod outline;
mod tags;

use std::sync::LazyLock;

use regex::Regex;

use frames::Stripper;

/// Prefixes of links, in lower case, that name files and categories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkPrefixes {
    pub files: Vec<String>,
    pub categories: Vec<String>,
}

/// `__TOC__` and its like: whatever stands in capitals between double underscores.
#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test compiles it")]
static MAGIC_WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("__[A-Z]*__").expect("the pattern is well-formed"));

/// The text of a page: its sections joined by blank lines.
pub fn strip(wikitext: &str, prefixes: &LinkPrefixes) -> String {
    // The sign of a section's start must not come from outside; XML forbids it, yet it may be
    // there.
    let owned = wikitext.contains(frames::SECTION).then(|| wikitext.replace(frames::SECTION, ""));
    let wikitext = owned.as_deref().unwrap_or(wikitext);
    let stripped = Stripper::new(wikitext, prefixes).run();
    let mut text = String::with_capacity(stripped.len());
    for (number, section) in stripped.split(frames::SECTION).enumerate() {
        if number > 0 {
            text.push_str("\n\n");
        }
        let section = frames::collapsed(section);
        text.push_str(&MAGIC_WORD.replace_all(section.trim(), ""));
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests;
