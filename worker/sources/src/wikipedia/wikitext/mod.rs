//! Converts wikitext to plain text like mwparserfromhell's `strip_code` in RedPajama's recipe.
//!
//! ```text
//! outline (pairs of brackets) → frames (open elements) → text, split at its headings → joined
//! ```
//! Templates, tables, references and files are removed. Of a link the text is kept, and of a
//! category the name. Headings, lists and styles lose their markup. No template is expanded.
//!
//! **Invariant:** there is no recursion, frames are at most `MAX_OPEN` deep, and markup that cannot
//! be parsed is kept as text.

mod entities;
mod frames;
mod outline;
mod tags;

use std::sync::LazyLock;

use regex::Regex;

use frames::Stripper;

/// The prefixes of links to files and categories, in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkPrefixes {
    /// Prefixes of files, such as `file` and `image`.
    pub files: Vec<String>,
    /// Prefixes of categories.
    pub categories: Vec<String>,
}

/// Magic words such as `__TOC__`: any capitals between double underscores.
#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test compiles it")]
static MAGIC_WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("__[A-Z]*__").expect("the pattern is well-formed"));

/// Returns the text of a page: its sections, joined by blank lines.
pub fn strip(wikitext: &str, prefixes: &LinkPrefixes) -> String {
    // The character that marks the start of a section must not be in the input. XML forbids it, but
    // a damaged dump can contain it.
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
