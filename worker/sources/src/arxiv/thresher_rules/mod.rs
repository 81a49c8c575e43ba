//! Thresher's own rules for papers, which turn the files of a paper into one text and correct the
//! defects of the published recipe (`published.rs`).
//!
//! ```text
//! files (decoded) → root → read: comments, conditions, inputs, macros → abstract and body
//! ```
//! TeX is not rendered: markup stays in the text, as it does in the published corpus. Appendix and
//! bibliography are removed.
//!
//! **Invariant:** no step produces more than the given size.

mod budget;
mod conditions;
mod definitions;
mod encodings;
mod expansion;
mod files;
mod inputs;
mod lexer;
mod macros;
mod parts;
mod reader;
mod readme;
mod roots;
mod table;
mod verbatim;

use regex::Regex;

use super::unusable::Unusable;
use files::Files;
use reader::{Limits, Paper};
use roots::{Candidate, DEMOTION, Roots};

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles each")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is well-formed")
}

/// The text of a paper.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PaperText {
    pub(super) text: String,
    /// Number of files that the paper inputs and does not contain.
    pub(super) missing: u64,
    /// Number of inputs that were not inserted because of a limit.
    pub(super) omitted: u64,
    /// Whether the end of the document was read.
    pub(super) ends: bool,
}

/// Returns whether a name is that of a TeX file.
pub(super) fn is_tex_name(path: &str) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    ["tex", "ltx", "latex"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Returns the text of a paper; no step may produce more than `max_bytes`.
pub(super) fn text_of(
    files: &[(String, Vec<u8>)],
    max_bytes: usize,
) -> Result<PaperText, Unusable> {
    let files = Files::of(files);
    let mut found = PaperText { ends: true, ..PaperText::default() };
    match roots::roots(&files, &is_tex_name) {
        Roots::All(roots) => {
            for (nth, root) in roots.iter().copied().enumerate() {
                // A link to a root is not another one.
                let text = &files.all[root].text;
                if roots[..nth].iter().any(|earlier| files.all[*earlier].text == *text) {
                    continue;
                }
                let paper = read(&files, root, max_bytes)?;
                found.add(&paper, max_bytes)?;
            }
        }
        Roots::Longest(candidates) => {
            let paper = longest(&files, &candidates, max_bytes)?;
            found.add(&paper, max_bytes)?;
        }
    }
    Ok(found)
}

impl PaperText {
    /// Adds the text of a root file.
    fn add(&mut self, paper: &Paper, max_bytes: usize) -> Result<(), Unusable> {
        let text = parts::published(paper);
        if self.text.len() + text.len() > max_bytes {
            return Err(Unusable::TooLarge { max_bytes });
        }
        if !self.text.is_empty() && !text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&text);
        self.missing += paper.missing.len() as u64;
        self.omitted += paper.omitted;
        self.ends &= paper.ends;
        Ok(())
    }
}

/// Reads all candidates and returns the one with the longest text.
fn longest(files: &Files, candidates: &[Candidate], max_bytes: usize) -> Result<Paper, Unusable> {
    let mut best: Option<(usize, Paper)> = None;
    let mut failed = None;
    for candidate in candidates {
        let paper = match read(files, candidate.number, max_bytes) {
            Ok(paper) => paper,
            Err(error) => {
                failed.get_or_insert(error);
                continue;
            }
        };
        let letters = parts::published(&paper).chars().filter(|c| c.is_alphabetic()).count();
        let weight = if candidate.is_demoted { letters } else { letters.saturating_mul(DEMOTION) };
        if best.as_ref().is_none_or(|(most, _)| weight > *most) {
            best = Some((weight, paper));
        }
    }
    match (best, failed) {
        (Some((_, paper)), _) => Ok(paper),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(Paper::default()),
    }
}

/// Reads a root file. If its macros expand to too much, they are not expanded.
fn read(files: &Files, root: usize, max_bytes: usize) -> Result<Paper, Unusable> {
    match reader::read(files, root, Limits { max_bytes, expands: true }) {
        Err(Unusable::TooLarge { .. }) => {
            reader::read(files, root, Limits { max_bytes, expands: false })
        }
        read => read,
    }
}

#[cfg(test)]
mod tests;
