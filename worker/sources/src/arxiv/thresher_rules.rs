//! Thresher's own rules for papers, which turn TeX files into one text and correct the defects of
//! the published recipe (`published.rs`).
//!
//! ```text
//! decode → remove comments → insert inputs into the root file → expand macros → abstract and body
//! ```
//! TeX is not rendered: markup stays in the text, as it does in the published corpus. Appendix and
//! bibliography are removed.
//!
//! **Invariant:** inputs nest at most [`MAX_INPUTS`] deep, and no step produces more than the given
//! size.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use encoding_rs::{Encoding, WINDOWS_1252};
use regex::Regex;

use super::Unusable;
use super::macros::Macros;

/// Files that are nested deeper are not inserted.
const MAX_INPUTS: usize = 16;

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles each")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is well-formed")
}

/// The command that only the root file of a paper contains.
static ROOT: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"\\document(?:class|style)\s*(?:\[[^\]]*\])?\s*\{"));
/// A command that inputs another file.
static INPUT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"\\(?:input|include|subfile)\s*\{\s*([^}]*?)\s*\}|\\input\s+([^\s\\{}]+)")
});
/// The declaration of the encoding of a file.
static ENCODING: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"\\usepackage\s*\[\s*([a-zA-Z0-9-]+)\s*\]\s*\{\s*inputenc\s*\}"));
/// The start of a heading.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"\\(?:chapter|part|(?:sub){0,2}section|(?:sub)?paragraph)\b\*?\s*[\[{]")
});
static ABSTRACT: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?s)\\begin\s*\{abstract\}(.*?)\\end\s*\{abstract\}"));
/// The start of the appendix or the bibliography, or the end of the document.
static TAIL: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\\(?:appendix\b|printbibliography\b|bibliography\s*\{|end\s*\{document\}|begin\s*\{(?:appendix|appendices|references|REFERENCES|thebibliography)\})",
    )
});

/// Returns the text of a paper; no step may produce more than `max_bytes`.
pub(super) fn text_of(files: &[(String, Vec<u8>)], max_bytes: usize) -> Result<String, Unusable> {
    let files: Vec<(&str, String)> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), without_comments(&decoded(bytes))))
        .collect();
    let paper = assembled(&files, max_bytes)?;
    let macros = Macros::of(&paper);
    let (front, body) = parts(&paper);
    let mut text = macros.expand(front.trim(), max_bytes)?;
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(&macros.expand(body.trim(), max_bytes)?);
    Ok(text)
}

/// Decodes a file as UTF-8, or else in the encoding that `inputenc` names, or as Windows-1252.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text));
    }
    let ascii = String::from_utf8_lossy(bytes);
    let named = ENCODING.captures(&ascii).and_then(|found| {
        let label = match &found[1] {
            "latin2" => "iso-8859-2",
            "latin3" => "iso-8859-3",
            "latin4" => "iso-8859-4",
            "latin5" => "iso-8859-9",
            "latin9" => "iso-8859-15",
            "cp866" => "ibm866",
            "cp1250" => "windows-1250",
            "cp1251" => "windows-1251",
            "applemac" => "macintosh",
            other => return Encoding::for_label(other.as_bytes()),
        };
        Encoding::for_label(label.as_bytes())
    });
    let encoding = named.filter(|it| *it != encoding_rs::UTF_8).unwrap_or(WINDOWS_1252);
    Cow::Owned(encoding.decode_without_bom_handling(bytes).0.into_owned())
}

/// Removes comments: from an unescaped `%` to the end of its line. A line that contains only a
/// comment is removed with its line feed.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let Some(at) = comment_at(line) else {
            out.push_str(line);
            continue;
        };
        if line[..at].trim().is_empty() {
            continue;
        }
        out.push_str(&line[..at]);
        if line.ends_with('\n') {
            out.push('\n');
        }
    }
    out
}

/// Returns the position of the first `%` with an even number of backslashes before it.
fn comment_at(line: &str) -> Option<usize> {
    memchr::memchr_iter(b'%', line.as_bytes()).find(|at| {
        let slashes = line.as_bytes()[..*at].iter().rev().take_while(|byte| **byte == b'\\');
        slashes.count() % 2 == 0
    })
}

/// Returns the root files in the order of the archive, each with the files that it inputs. If there
/// is no root file, returns all files.
fn assembled(files: &[(&str, String)], max_bytes: usize) -> Result<String, Unusable> {
    let roots: Vec<usize> = (0..files.len()).filter(|at| ROOT.is_match(&files[*at].1)).collect();
    let mut paper = Paper { files, used: BTreeSet::new(), text: String::new(), max_bytes };
    let chosen = if roots.is_empty() { (0..files.len()).collect() } else { roots };
    for root in chosen {
        if !paper.used.contains(&root) {
            paper.add(root, 0)?;
            paper.text.push('\n');
        }
    }
    Ok(paper.text)
}

/// A text that is assembled from the files of a paper.
struct Paper<'a> {
    files: &'a [(&'a str, String)],
    /// Files that are already in the text, none of which is inserted twice.
    used: BTreeSet<usize>,
    text: String,
    max_bytes: usize,
}

impl Paper<'_> {
    /// Appends a file, and in it the files that it inputs.
    fn add(&mut self, number: usize, depth: usize) -> Result<(), Unusable> {
        self.used.insert(number);
        let (name, text) = &self.files[number];
        let mut from = 0;
        for found in INPUT.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            let wanted = found.get(1).or_else(|| found.get(2)).map_or("", |it| it.as_str());
            self.push(&text[from..whole.start()])?;
            from = whole.end();
            let file = self.find(name, wanted).filter(|file| !self.used.contains(file));
            if let Some(file) = file.filter(|_| depth < MAX_INPUTS) {
                self.add(file, depth + 1)?;
            }
        }
        self.push(&text[from..])
    }

    fn push(&mut self, text: &str) -> Result<(), Unusable> {
        if self.text.len() + text.len() > self.max_bytes {
            return Err(Unusable::TooLarge { max_bytes: self.max_bytes });
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Finds a file by the name in an input command of the file `from`, relative to the folder of
    /// `from` or to the top.
    fn find(&self, from: &str, wanted: &str) -> Option<usize> {
        let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        let wanted = wanted.trim_matches('"').trim_start_matches("./");
        let tried = [wanted.to_owned(), format!("{wanted}.tex")];
        tried.iter().find_map(|path| {
            let beside = format!("{folder}/{path}");
            self.files.iter().position(|(name, _)| {
                let name = name.trim_start_matches("./");
                name == path || name == beside.trim_start_matches(['.', '/'])
            })
        })
    }
}

/// Returns the abstract, and the body from its first header (or from its start, without headers)
/// to its appendix or bibliography.
fn parts(paper: &str) -> (&str, &str) {
    let document = paper.find("\\begin{document}").map_or(0, |at| at + "\\begin{document}".len());
    let body = &paper[document..];
    let end = TAIL.find(body).map_or(body.len(), |tail| tail.start());
    let body = &body[..end];
    let start = HEADER.find(body).map(|header| header.start());
    let front = ABSTRACT.captures(&paper[..document + start.unwrap_or(body.len())]);
    let front = front.and_then(|found| found.get(1)).map_or("", |it| it.as_str());
    match start {
        Some(start) => (front, &body[start..]),
        // Without headers the whole text is the body, including its abstract.
        None => ("", body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(files: &[(&str, &[u8])]) -> Result<String, Unusable> {
        let files: Vec<_> =
            files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        text_of(&files, 100_000)
    }

    fn one(tex: &str) -> String {
        text(&[("a.tex", tex.as_bytes())]).unwrap()
    }

    #[test]
    fn defects_of_the_published_recipe_are_corrected() {
        let cases = [
            ("x\\paragraph{A} b", "\\paragraph{A} b"),
            ("no header", "no header"),
            ("\\section{A} b% gone\nc", "\\section{A} b\nc"),
            ("\\section{A}\n % gone\nb", "\\section{A}\nb"),
            ("\\section{A} 5\\% kept \\\\% gone\nc", "\\section{A} 5\\% kept \\\\\nc"),
            ("\\section{A} b\\printbibliography c", "\\section{A} b"),
            ("\\section{A} b\\begin{appendices} c", "\\section{A} b"),
            ("\\section{A} b\\bibliographystyle{x} c", "\\section{A} b\\bibliographystyle{x} c"),
            ("\\newcommand\\x{v}\n\\section{A} \\x\\x", "\\section{A} vv"),
            (
                "\\begin{document}\\begin{abstract}\nWe.\n\\end{abstract} t \\section{A} b\\end{document} c",
                "We.\n\n\\section{A} b",
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(one(given), expected, "{given:?}");
        }
    }

    #[test]
    fn files_come_in_the_order_in_which_they_are_input() {
        let files: [(&str, &[u8]); 5] = [
            ("b.tex", b"\\section{B}"),
            ("unused.tex", b"\\section{U}"),
            ("sec/a.tex", b"\\section{A} \\input{deep}"),
            ("main.tex", b"\\documentclass[x]{y}\n\\input{sec/a} \\include{b.tex} \\input c"),
            ("sec/deep.tex", b"deep"),
        ];
        assert_eq!(text(&files).unwrap(), "\\section{A} deep \\section{B}");
        let circle: [(&str, &[u8]); 1] =
            [("a.tex", b"\\documentclass{y}\\section{A} \\input{a} b")];
        assert_eq!(text(&circle).unwrap(), "\\section{A}  b");
    }

    #[test]
    fn other_encodings_than_utf_8_are_read() {
        assert_eq!(text(&[("a.tex", b"\\section{\xe9}")]).unwrap(), "\\section{é}");
        let cyrillic = b"\\usepackage[cp1251]{inputenc}\\section{\xcf}";
        assert_eq!(text(&[("a.tex", cyrillic)]).unwrap(), "\\section{П}");
    }
}
