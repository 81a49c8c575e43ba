//! Selects the published parts of a paper that was read: the abstract and the body, without what
//! comes before the body, and without appendix and bibliography.

use std::sync::LazyLock;

use regex::Regex;

use super::compiled;
use super::lexer::{group, long_group, option, skip_len};
use super::reader::Paper;

/// Words between the front matter and the first heading from which on they are a part of the body.
const BODY_WORDS: usize = 40;
/// Words before the first heading of a paper without a recognised front matter, from which on they
/// are a part of the body.
const BODY_WORDS_WITHOUT_FRONT: usize = 100;
/// An appendix is not removed if the text before it is less than this share of the text after it.
const LEAST_BODY: usize = 20;

/// The start of a heading.
static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"\\(?:chapter|part|(?:sub){0,2}section|(?:sub)?paragraph)\b\s*\*?\s*[\[{]")
});
/// What an abstract starts with, as an environment or as a command.
static ABSTRACT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\\begin\s*\{((?:abstract|Abstract|ABSTRACT|onecolabstract|abstractpage)\*?)\}|\\(?:abstracts?|Abstract|ABSTRACT)\s*(?:\[[^\]]*\]\s*)?\{",
    )
});
/// The last commands of a front matter.
static FRONT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\\maketitle\b|\\tableofcontents\b|\\(?:keywords|pacs|subjclass|keyword|address|thanks|date)\b|\\end\s*\{(?:abstract\*?|Abstract|ABSTRACT|onecolabstract|frontmatter|keywords?|titlepage|IEEEkeywords|CCSXML)\}",
    )
});
/// The start of the appendix or the bibliography.
static TAIL: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\\appendix\b|\\printbibliography\b|\\bibliography\s*\{|\\begin\s*\{(appendix|appendices|references|REFERENCES|thebibliography)\}",
    )
});
/// What can follow a bibliography and is still a part of the body.
static AFTER_TAIL: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\\(?:chapter|part|(?:sub){0,2}section)\b\s*\*?\s*[\[{]|\\begin\s*\{(?:figure|table)\*?\}|\\appendix\b|\\begin\s*\{append(?:ix|ices)\}",
    )
});

/// Returns the text to publish: the abstract, and the body without its tail.
pub(super) fn published(paper: &Paper) -> String {
    let document = paper.document.unwrap_or(0);
    let (all, body) = (paper.text.as_str(), &paper.text[document..]);
    let heading = HEADING.find(body).map(|found| document + found.start());
    let opaque = paper.headings.iter().copied().find(|at| *at >= document);
    let heading = [heading, opaque].into_iter().flatten().min();
    let found = abstract_of(&all[..heading.unwrap_or(all.len())]);
    let after_abstract = found.as_ref().map(|found| found.after);
    let start = heading.map_or(document, |heading| body_start(paper, after_abstract, heading));
    let mut text = found.filter(|found| found.after <= start).map_or(String::new(), |it| it.text);
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(without_tail(&all[start..]).trim());
    text
}

/// The content of an abstract, and the position after it.
struct Abstract {
    text: String,
    after: usize,
}

/// Finds the abstract in the text before the first heading.
fn abstract_of(front: &str) -> Option<Abstract> {
    let found = ABSTRACT.captures(front)?;
    let whole = found.get(0)?;
    if let Some(name) = found.get(1) {
        let start = whole.end();
        let end_mark = format!("\\end{{{}}}", name.as_str());
        let end = start + front[start..].find(&end_mark)?;
        let text = front[start..end].trim().to_owned();
        return Some(Abstract { text, after: end + end_mark.len() });
    }
    // Some classes take an abstract in several arguments: context, aims, methods, results.
    let open = whole.end() - 1;
    let mut found = Abstract { text: String::new(), after: open };
    while let Some(next) = long_group(&front[found.after..]) {
        found.after += next.len;
        let inner = next.inner.trim();
        if !found.text.is_empty() && !inner.is_empty() {
            found.text.push('\n');
        }
        found.text.push_str(inner);
    }
    (found.after > open).then_some(found)
}

/// Returns where the body starts: at the first heading, or before it if there is enough text
/// between the front matter and the heading, as in letters.
fn body_start(paper: &Paper, after_abstract: Option<usize>, heading: usize) -> usize {
    let document = paper.document.unwrap_or(0);
    let front = &paper.text[document..heading];
    let end = FRONT.find_iter(front).last().map(|mark| {
        let mut after = document + mark.end();
        if !mark.as_str().starts_with("\\end") {
            after += option(&paper.text[after..heading]).map_or(0, |found| found.len);
            after += group(&paper.text[after..heading]).map_or(0, |found| found.len);
        }
        after
    });
    let after_abstract = after_abstract.filter(|after| *after > document);
    let (from, least) = match end.max(after_abstract) {
        Some(from) => (from, BODY_WORDS),
        None => (document, BODY_WORDS_WITHOUT_FRONT),
    };
    let text = &paper.text[from..heading];
    if words(text) >= least { from + skip_len(text) } else { heading }
}

/// Returns the number of words that are not commands.
fn words(text: &str) -> usize {
    let is_word = |word: &&str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '\\');
        word.chars().count() > 1 && word.chars().all(char::is_alphabetic)
    };
    text.split_whitespace().filter(is_word).count()
}

/// Removes appendix and bibliography. After a bibliography the body continues with the next heading
/// or figure.
fn without_tail(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(found) = TAIL.captures(rest) {
        let Some(whole) = found.get(0) else { break };
        let environment = found.get(1).map(|name| name.as_str());
        let is_appendix = whole.as_str().starts_with("\\appendix");
        let (before, after) = (&rest[..whole.start()], &rest[whole.end()..]);
        if is_appendix && (out.len() + before.len()) * LEAST_BODY < after.len() {
            out.push_str(&rest[..whole.end()]);
            rest = after;
            continue;
        }
        out.push_str(before);
        let end = match environment {
            Some(name) => {
                let mark = format!("\\end{{{name}}}");
                after.find(&mark).map(|end| end + mark.len())
            }
            None => Some(0),
        };
        let next = end.filter(|_| !is_appendix).and_then(|end| {
            let next = AFTER_TAIL.find(&after[end..])?;
            Some(end + next.start())
        });
        rest = next.map_or("", |next| &after[next..]);
        if !rest.is_empty() {
            out.truncate(out.trim_end().len());
            out.push_str("\n\n");
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> String {
        let begin = "\\begin{document}";
        let document = source.find(begin).map(|at| at + begin.len());
        published(&Paper { text: source.to_owned(), document, ..Paper::default() })
    }

    #[test]
    fn the_abstract_is_found_in_every_form() {
        let cases = [
            "\\begin{document}\\begin{abstract}\nWe.\n\\end{abstract} t \\section{A} b",
            "\\abstract{We.}\\begin{document}\\maketitle\\section{A} b",
            "\\begin{document}\\Abstract {We.}\\section{A} b",
            "\\begin{document}\\begin{abstract*}We.\\end{abstract*}\\section{A} b",
            "\\begin{document}\\title{T}\\section{A} b",
        ];
        for (number, source) in cases.into_iter().enumerate() {
            let expected = if number == 4 { "\\section{A} b" } else { "We.\n\n\\section{A} b" };
            assert_eq!(text(source), expected, "{source}");
        }
        let several = "\\begin{document}\\abstract{Context.}\n{Aims.}{}\\section{A} b";
        assert_eq!(text(several), "Context.\nAims.\n\n\\section{A} b");
    }

    #[test]
    fn text_before_the_first_heading_is_kept_if_there_is_enough_of_it() {
        let long = "some words of a letter ".repeat(30);
        let letter =
            format!("\\begin{{document}}\\title{{T}}\\maketitle {long}\n\\section{{Acks}} b");
        assert_eq!(text(&letter), format!("{long}\n\\section{{Acks}} b"));
        let plain = format!("\\centerline{{T}} {long}\n\\section{{Acks}} b");
        assert_eq!(text(&plain), plain);
        let short = "\\begin{document}\\maketitle few words \\section{A} b";
        assert_eq!(text(short), "\\section{A} b");
        let none = "\\begin{document}\\title{T}\\maketitle We report.";
        assert_eq!(text(none), "\\title{T}\\maketitle We report.");
    }

    #[test]
    fn appendix_and_bibliography_are_removed_and_the_body_continues() {
        let cases = [
            ("\\section{A} b\\appendix \\section{C} c", "\\section{A} b"),
            ("\\section{A} b\\appendixname c", "\\section{A} b\\appendixname c"),
            ("\\section{A} b\\printbibliography c", "\\section{A} b"),
            ("\\section{A} b\\bibliographystyle{x} c", "\\section{A} b\\bibliographystyle{x} c"),
            ("\\section{A} b\\bibliography{x}\\section{B} c", "\\section{A} b\n\n\\section{B} c"),
            (
                "\\section{A} b\\begin{thebibliography}{9}x\\end{thebibliography} y\\section{B} c",
                "\\section{A} b\n\n\\section{B} c",
            ),
            (
                "\\section{A} b\\begin{references}x\\end{references}\\begin{figure}c\\end{figure}",
                "\\section{A} b\n\n\\begin{figure}c\\end{figure}",
            ),
            ("\\section{A} b\\begin{thebibliography}{9}x\\section{B}", "\\section{A} b"),
            (
                "\\section{A} b\\begin{appendices}\\section{C}\\end{appendices}\\section{B} c",
                "\\section{A} b\n\n\\section{B} c",
            ),
            ("\\section{A} b\\bibliography{x}\\appendix\\section{B} c", "\\section{A} b"),
        ];
        for (source, expected) in cases {
            assert_eq!(text(source), expected, "{source}");
        }
        // What follows an early `\appendix` is nearly all of the text.
        let early = format!("\\section{{A}} b\\appendix {}", "c ".repeat(400));
        assert_eq!(text(&early), early.trim());
    }
}
