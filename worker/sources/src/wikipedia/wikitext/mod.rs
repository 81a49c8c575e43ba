//! Converts wikitext to plain text like mwparserfromhell's `strip_code` in RedPajama's recipe.
//!
//! ```text
//! outline (pairs of brackets) → frames (open elements) → text, split at its headings → joined
//! ```
//! Templates, tables, references and files are removed. Of a link the text is kept, and of a
//! category the name. Headings, lists and styles lose their markup. No template is expanded.
//!
//! The readable form keeps the text of templates for numbers, units, dates and words, and formulas;
//! it drops categories and headings without text, and closes the gaps.
//!
//! **Invariant:** there is no recursion, frames are at most `MAX_OPEN` deep, and markup that cannot
//! be parsed is kept as text.

mod entities;
mod frames;
mod outline;
mod readable;
mod redirects;
mod tags;

use std::sync::LazyLock;

use regex::Regex;

use frames::Stripper;

pub use redirects::is_redirect;

/// The prefixes of links of a wiki, in lower case, and its markup for variants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkPrefixes {
    /// Prefixes of files, such as `file` and `image`.
    pub files: Vec<String>,
    /// Prefixes of categories.
    pub categories: Vec<String>,
    /// Prefixes of links to the same page in other languages, such as `de`.
    pub languages: Vec<String>,
    /// Whether the wiki is written in several scripts or variants, with marks such as `-{…}-`.
    pub has_variants: bool,
}

/// The form of the text of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a person would read it.
    Readable,
    /// As mwparserfromhell returns it in RedPajama's recipe.
    Published,
}

/// Magic words such as `__TOC__`: any capitals between double underscores.
#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test compiles it")]
static MAGIC_WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("__[A-Z]*__").expect("the pattern is well-formed"));

/// The character that marks the start of a section.
const SECTION: char = '\0';

/// Returns the text of a page: its sections, joined by blank lines.
pub fn strip(wikitext: &str, prefixes: &LinkPrefixes, form: Form) -> String {
    // The characters that mark sections and gaps must not be in the input. XML forbids them, but a
    // damaged dump can contain them.
    // The published form has no marks of blocks.
    let is_used = |c: char| form == Form::Readable || c <= '\u{7}';
    let is_mark = |c: char| c == SECTION || (readable::is_mark(c) && is_used(c));
    let owned = wikitext.contains(is_mark).then(|| wikitext.replace(is_mark, ""));
    let wikitext = owned.as_deref().unwrap_or(wikitext);
    let stripped = Stripper::new(wikitext, prefixes, form).run();
    let sections = stripped.split(SECTION);
    if form == Form::Readable {
        return readable::joined(sections);
    }
    let mut text = String::with_capacity(stripped.len());
    for (number, section) in sections.enumerate() {
        if number > 0 {
            text.push_str("\n\n");
        }
        let section = collapsed(section);
        text.push_str(&MAGIC_WORD.replace_all(section.trim(), ""));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Returns the text without newlines at its ends, and with at most two newlines in a row.
fn collapsed(text: &str) -> String {
    let text = text.trim_matches('\n');
    let mut out = String::with_capacity(text.len());
    let mut feeds = 0;
    for piece in text.split_inclusive('\n') {
        feeds = if piece == "\n" { feeds + 1 } else { usize::from(piece.ends_with('\n')) };
        if feeds <= 2 {
            out.push_str(piece);
        }
    }
    out
}

#[cfg(test)]
mod tests;
