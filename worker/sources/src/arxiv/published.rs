//! RedPajama's rules for a paper's TeX files, step by step and with their defects: the character
//! before a comment is removed too, a paragraph is a header only before a subparagraph, and a macro
//! that directly follows another is not expanded.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::unusable::Unusable;

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles each")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is well-formed")
}

/// The pattern of the options and the title of a header.
const TITLE: &str = r"\b\*?(?:\[.*?\])?\{.*?\}";

static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r"(?s)\\(?:chapter|part|section|subsection|subsubsection){TITLE}|\\paragraph{TITLE}\\subparagraph{TITLE}"
    ))
});
static COMMENT_LINE: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?m)^%.*\n?"));
static COMMENT: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?m)[^\\]%.+$"));
static TAIL: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?s)\\appendix|\\begin\{(?:references|REFERENCES|thebibliography)\}|\\bibliography\{.*\}",
    )
});
static NEWCOMMAND: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?m)\\newcommand\b\*?\{(\\[a-zA-Z0-9]+?)\}\{(.*?)\}$"));
static DEF: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?m)\\def\s*(\\[a-zA-Z0-9]+?)\s*\{(.*?)\}$"));

/// Bytes of a paper in which the calls of macros are searched, counted once for each macro.
const MAX_SEARCHED_BYTES: usize = 16 << 30;

/// Returns the text of a paper; `max_bytes` limits the size to which macros may expand it.
pub(super) fn text_of(files: &[(String, Vec<u8>)], max_bytes: usize) -> Result<String, Unusable> {
    let mut texts = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let text = str::from_utf8(bytes)
            .map_err(|error| Unusable::NotUtf8 { name: name.clone(), at: error.valid_up_to() })?;
        texts.push(text);
    }
    let macros = macros_of(&texts);
    let (mut cleaned, mut searched) = (Vec::with_capacity(texts.len()), 0);
    for text in texts {
        cleaned.push(clean(text, &macros, max_bytes, &mut searched)?);
    }
    Ok(cleaned.join("\n"))
}

/// Returns the names of macros, with their backslash, and their values, in the order of their first
/// definitions.
fn macros_of(texts: &[&str]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for text in texts {
        for definition in [&*NEWCOMMAND, &*DEF] {
            for captures in definition.captures_iter(text) {
                let (name, value) = (captures[1].to_owned(), captures[2].to_owned());
                match numbers.get(&name) {
                    Some(number) => found[*number].1 = value,
                    None => {
                        numbers.insert(name.clone(), found.len());
                        found.push((name, value));
                    }
                }
            }
        }
    }
    found
}

/// Applies the published steps to one file. Adds to the bytes in which macros were searched.
fn clean(
    text: &str,
    macros: &[(String, String)],
    max_bytes: usize,
    searched: &mut usize,
) -> Result<String, Unusable> {
    let Some(header) = HEADER.find(text) else { return Ok(String::new()) };
    let text = COMMENT_LINE.replace_all(&text[header.start()..], "");
    let text = COMMENT.replace_all(&text, "");
    let end = TAIL.find(&text).map_or(text.len(), |tail| tail.start());
    let mut text = text[..end].to_owned();
    for (name, value) in macros {
        // Python interprets the escaped value as a template, and rejects such escapes.
        if !value.chars().all(|c| matches!(c, ' '..='~' | '\t' | '\r')) {
            return Err(Unusable::MacroNotAscii { name: name.clone() });
        }
        *searched = searched.saturating_add(text.len());
        if *searched > MAX_SEARCHED_BYTES {
            return Err(Unusable::TooManyMacros);
        }
        let calls = calls(&text, name);
        if text.len() + calls.len().saturating_mul(value.len()) > max_bytes {
            return Err(Unusable::TooLarge { max_bytes });
        }
        if !calls.is_empty() {
            text = replaced(&text, &calls, name.len(), value);
        }
    }
    Ok(text)
}

/// Returns the positions of the calls of a macro: its name, and a character that ends it and that
/// no other call starts with.
fn calls(text: &str, name: &str) -> Vec<usize> {
    let mut free = 0;
    let mut ends = |at: usize| {
        let next = text[at + name.len()..].chars().next();
        let next = next.filter(|next| !next.is_ascii_alphanumeric() && at >= free)?;
        free = at + name.len() + next.len_utf8();
        Some(at)
    };
    text.match_indices(name).map(|(at, _)| at).filter_map(&mut ends).collect()
}

fn replaced(text: &str, calls: &[usize], name_bytes: usize, value: &str) -> String {
    let mut out = String::with_capacity(text.len() + calls.len() * value.len());
    let mut from = 0;
    for call in calls {
        out.push_str(&text[from..*call]);
        out.push_str(value);
        from = call + name_bytes;
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(files: &[&str]) -> Result<String, Unusable> {
        let files: Vec<_> =
            files.iter().map(|text| ("a.tex".to_owned(), text.as_bytes().to_vec())).collect();
        text_of(&files, 10_000)
    }

    #[test]
    fn each_step_does_what_the_published_one_does() {
        let cases = [
            // 1 and 2: all before the first header goes; without a header there is nothing.
            ("title\n\\section{A} b", "\\section{A} b"),
            ("\\section*[x]{A\nB} c", "\\section*[x]{A\nB} c"),
            ("no header", ""),
            ("x\\paragraph{A} b", ""),
            ("x\\paragraph{A}\\subparagraph{B} c", "\\paragraph{A}\\subparagraph{B} c"),
            ("x\\subparagraph{A} b", ""),
            // 3 and 4: comments, with the character before them.
            ("\\section{A}\n% gone\nb", "\\section{A}\nb"),
            ("\\section{A}\n % gone\nb", "\\section{A}\n\nb"),
            ("\\section{A} b% gone\nc", "\\section{A} \nc"),
            ("\\section{A} 5\\% kept", "\\section{A} 5\\% kept"),
            ("\\section{A} b%\nc", "\\section{A} b%\nc"),
            ("\\section{A} http://a/b%20c d\ne", "\\section{A} http://a/\ne"),
            // 5: the tail.
            ("\\section{A} b\\appendix c", "\\section{A} b"),
            ("\\section{A} b\\bibliography{x} c", "\\section{A} b"),
            ("\\section{A} b\\begin{thebibliography}{9} c", "\\section{A} b"),
            ("\\section{A} b\\printbibliography c", "\\section{A} b\\printbibliography c"),
        ];
        for (given, expected) in cases {
            assert_eq!(text(&[given]).unwrap(), expected, "{given:?}");
        }
    }

    #[test]
    fn macros_without_arguments_are_expanded_once() {
        let body = "\\section{A} \\x, \\x\\x. \\xy \\x";
        let newcommand = format!("\\newcommand{{\\x}}{{v\\w}}\n{body}");
        assert_eq!(text(&[&newcommand]).unwrap(), "\\section{A} v\\w, v\\w\\x. \\xy \\x");
        let starred = format!("\\newcommand*{{\\x}}{{1}}\n\\def\\x{{2}}\n{body}");
        assert!(text(&[&starred]).unwrap().starts_with("\\section{A} 2, 2\\x."));
        let bare = format!("\\newcommand\\x{{v}}\n{body}");
        assert_eq!(text(&[&bare]).unwrap(), body);
        assert_eq!(
            text(&["\\newcommand{\\x}{v}", body]).unwrap(),
            "\n\\section{A} v, v\\x. \\xy \\x"
        );
    }

    #[test]
    fn papers_are_dropped_that_python_could_not_read() {
        let accented = "\\newcommand{\\x}{é}\n\\section{A}";
        assert!(matches!(text(&[accented]), Err(Unusable::MacroNotAscii { .. })));
        let latin = [("a.tex".to_owned(), b"\\section{\xe9}".to_vec())];
        assert!(matches!(text_of(&latin, 100), Err(Unusable::NotUtf8 { at: 9, .. })));
    }

    #[test]
    fn empty_files_leave_their_newlines_and_expansion_is_bounded() {
        assert_eq!(text(&["a", "b", "c"]).unwrap(), "\n\n");
        let mut bomb = String::new();
        for n in 0..26_u8 {
            let (name, next) = ((b'a' + n) as char, (b'a' + (n + 1) % 26) as char);
            bomb += &format!("\\newcommand{{\\{name}}}{{\\{next} \\{next} }}\n");
        }
        bomb += "\\section{A} \\a ";
        assert!(matches!(text(&[&bomb]), Err(Unusable::TooLarge { .. })));
    }
}
