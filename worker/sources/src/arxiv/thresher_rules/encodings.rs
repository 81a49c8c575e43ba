//! Decodes the files of a paper: as UTF-8, or else in the charset that they declare, or that of
//! their bytes.

use std::borrow::Cow;
use std::sync::LazyLock;

use encoding_rs::{UTF_8, WINDOWS_1252};
use regex::Regex;
use thresher_text::charset::Charset;

use super::compiled;
use crate::arxiv::kind::without_utf16;

/// The declaration of a charset: options of `inputenc`, the packages for Chinese, Japanese and
/// Korean, and XeTeX.
static DECLARATION: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"(?x)
        \\(?:usepackage|RequirePackage) \s* \[ ([^\]]*) \] \s*
            \{ [^}]* \binputen[cx]\b [^}]* \}
        | \\(?:inputencoding|selectinputencoding) \s* \{ ([^}]*) \}
        | \\begin \s* \{ CJK\*? \} \s* (?: \[ [^\]]* \] \s*)? \{ ([^}]*) \}
        | \\XeTeX(?:input|default)encoding \s* "? ([\w+-]+)
        "#,
    )
});

/// The declaration of a charset in a comment for an editor.
static COMMENT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"(?im)^[ \t]*%+[^\n]*?\b(?:TEX\s+(?:file)?encoding\s*=|coding:)\s*([\w+-]+)")
});

/// The texts of a paper's files, which are in the charset that one of them declares unless they
/// declare another.
pub(super) fn texts(files: &[(String, Vec<u8>)]) -> Vec<String> {
    let files: Vec<Cow<'_, [u8]>> = files.iter().map(|(_, bytes)| without_utf16(bytes)).collect();
    let declared: Vec<Option<Charset>> = files.iter().map(|bytes| declared(bytes)).collect();
    let usual = declared.iter().flatten().next().copied();
    let mut guess = Guess { files: &files, found: None };
    let texts = files.iter().zip(declared);
    texts.map(|(bytes, own)| with_line_feeds(&text_of(bytes, own.or(usual), &mut guess))).collect()
}

/// The charset of the files of a paper that are not in UTF-8, by their bytes. It is determined by
/// all of them, when the first of them needs it.
struct Guess<'f> {
    files: &'f [Cow<'f, [u8]>],
    found: Option<Option<Charset>>,
}

impl Guess<'_> {
    fn get(&mut self) -> Option<Charset> {
        let files = self.files;
        *self.found.get_or_insert_with(|| {
            let others = files.iter().filter(|bytes| !is_nearly_utf8(bytes));
            let joined: Vec<&[u8]> = others.map(|bytes| bytes.as_ref()).collect();
            Charset::guess(&joined.join(&b'\n'))
        })
    }
}

/// Decodes a file as UTF-8, or else in the declared charset, or in that of the bytes, or else byte
/// by byte as Windows-1252 where it is not UTF-8.
fn text_of<'b>(bytes: &'b [u8], declared: Option<Charset>, guess: &mut Guess<'_>) -> Cow<'b, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text));
    }
    let own = declared.filter(|charset| *charset != Charset::Web(UTF_8));
    let by_declaration = own.and_then(|charset| charset.decode(bytes));
    let by_bytes = || {
        let charset = (!is_nearly_utf8(bytes)).then(|| guess.get())?;
        charset?.decode(bytes)
    };
    if let Some((text, _)) = by_declaration.or_else(by_bytes) {
        return Cow::Owned(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
    }
    Cow::Owned(text)
}

/// Returns whether bytes are UTF-8, or have more characters of it than malformed sequences.
fn is_nearly_utf8(bytes: &[u8]) -> bool {
    let (mut valid, mut malformed) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        malformed += usize::from(!chunk.invalid().is_empty());
    }
    malformed == 0 || valid > malformed
}

/// Returns the charset that a file declares, outside of its comments or else in one.
fn declared(bytes: &[u8]) -> Option<Charset> {
    let text = String::from_utf8_lossy(bytes);
    let in_text = DECLARATION.captures_iter(&text).find_map(|found| {
        let line = text[..found.get(0)?.start()].rsplit(['\n', '\r']).next()?;
        if is_comment(line) {
            return None;
        }
        let labels = (1..=4).find_map(|group| found.get(group))?.as_str();
        // Of several options the last counts.
        labels.rsplit(',').find_map(|label| by_label(label.trim()))
    });
    in_text.or_else(|| COMMENT.captures_iter(&text).find_map(|found| by_label(&found[1])))
}

/// Returns whether a comment starts in this part of a line.
fn is_comment(line: &str) -> bool {
    line.match_indices('%').any(|(at, _)| {
        let backslashes = line[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        backslashes % 2 == 0
    })
}

/// Returns the charset of a name of `inputenc`, `CJK` or an editor.
fn by_label(label: &str) -> Option<Charset> {
    let lower = label.to_ascii_lowercase();
    let standard = match lower.as_str() {
        "latin2" => "iso-8859-2",
        "latin3" => "iso-8859-3",
        "latin4" => "iso-8859-4",
        "latin5" => "iso-8859-9",
        "latin9" => "iso-8859-15",
        "latin10" => "iso-8859-16",
        "ansinew" | "decmulti" | "latin-1" => "windows-1252",
        "cp866" | "cp866nav" => "ibm866",
        "applemac" => "macintosh",
        "maccyr" => "x-mac-cyrillic",
        "koi8-u" | "koi8-ru" => "koi8-u",
        "utf8" | "utf8x" | "utf-8-unix" => "utf-8",
        "gbk" | "gb" => "gbk",
        "bg5" | "bg5+" | "hk" => "big5",
        "jis" | "euc-jp" => "euc-jp",
        "sjis" => "shift_jis",
        "ks" => "euc-kr",
        other => other.trim_end_matches("-unix").trim_end_matches("-dos"),
    };
    Charset::for_label(standard)
}

/// Returns a text whose lines end with a line feed, and which contains no zeros.
fn with_line_feeds(text: &str) -> String {
    // DOS ends a file with Ctrl-Z.
    let text = text.trim_end_matches(['\u{1a}', '\0']);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'\r', b'\0', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        if rest.as_bytes()[at] == b'\r' {
            out.push('\n');
        }
        rest = &rest[at + 1..];
        if out.ends_with('\n') && text.as_bytes()[text.len() - rest.len() - 1] == b'\r' {
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        texts(&[("a.tex".to_owned(), bytes.to_vec())]).remove(0)
    }

    #[test]
    fn every_encoding_and_line_end_is_decoded() {
        let cases: [(&[u8], &str); 10] = [
            (b"\xef\xbb\xbfa", "a"),
            (b"a\r\nb\rc\r\r\nd\ne\x1a", "a\nb\nc\n\nd\ne"),
            (b"\xe9\0 \xc3\xa9", "\u{e9} \u{e9}"),
            (b"\xff\xfea\0\xe9\0", "a\u{e9}"),
            (b"\xfe\xff\0a", "a"),
            (b"\\usepackage[cp1251]{inputenc}\xcf", "\\usepackage[cp1251]{inputenc}\u{41f}"),
            (b"\\usepackage[a,latin2]{inputenc}\xb3", "\\usepackage[a,latin2]{inputenc}\u{142}"),
            (b"\\usepackage[utf8]{inputenc}\xe9", "\\usepackage[utf8]{inputenc}\u{e9}"),
            (b"\\begin{CJK*}{GBK}{song}\xd6\xd0", "\\begin{CJK*}{GBK}{song}\u{4e2d}"),
            (b"\\begin{CJK}{UTF8}{}\xe4\xb8\xad", "\\begin{CJK}{UTF8}{}\u{4e2d}"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(text(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
        let declared = b"\\usepackage[latin2]{inputenc}".to_vec();
        let files = [("a.tex".to_owned(), b"\xb3".to_vec()), ("b.tex".to_owned(), declared)];
        assert_eq!(texts(&files)[0], "\u{142}");
    }

    #[test]
    fn every_name_of_a_charset_is_known() {
        for (name, bytes, letters) in [
            ("koi8-r", &b"\xf0"[..], "П"),
            ("koi8-ru", b"\xf0", "П"),
            ("cp1251", b"\xcf", "П"),
            ("cp866", b"\x8f", "П"),
            ("latin1", b"\xe9", "é"),
            ("LATIN1", b"\xe9", "é"),
            ("latin9", b"\xa4", "€"),
            ("latin2", b"\xb3", "ł"),
            ("applemac", b"\x8e", "é"),
            ("cp437", b"\x82", "é"),
            ("cp437de", b"\xe1", "ß"),
            ("cp850", b"\x9b", "ø"),
            ("cp852", b"\x88", "ł"),
            ("ansinew", b"\x80", "€"),
            ("utf8x", b"\xc3\xa9", "é"),
        ] {
            for head in [
                format!("\\usepackage[{name}]{{inputenc}}"),
                format!("\\RequirePackage [ {name} ] {{fontenc, inputenc}}[2005/01/01]"),
                format!("%\\usepackage[latin3]{{inputenc}}\n\\usepackage[{name}]{{inputenc}}"),
                format!("\\usepackage[latin3, {name}]{{inputenc}}"),
                format!("10\\% \\inputencoding{{{name}}}"),
                format!("% !TeX encoding = {name}\n"),
                format!("% -*- coding: {name} -*-\n"),
            ] {
                let file = [head.as_bytes(), bytes].concat();
                assert_eq!(text(&file), format!("{head}{letters}"), "{head}");
            }
        }
        let kept = b"\\url{a%b} \\begin {CJK}[dnp]{SJIS}{min}\x82\xa0";
        assert_eq!(text(&kept[10..]), "\\begin {CJK}[dnp]{SJIS}{min}あ");
    }

    #[test]
    fn undeclared_papers_are_read_by_the_bytes_of_all_their_files() {
        for (encoding, long, short) in [
            (
                encoding_rs::GBK,
                "我们证明了一个新的定理，并讨论它的应用。本文研究有限群的表示。",
                "引言",
            ),
            (
                encoding_rs::KOI8_R,
                "Мы доказываем новую теорему и обсуждаем её приложения.",
                "Введение",
            ),
            (encoding_rs::WINDOWS_1251, "Мы доказываем новую теорему о группах.", "Введение"),
            (encoding_rs::EUC_JP, "我々は新しい定理を証明し、その応用について述べる。", "序論"),
            (
                encoding_rs::WINDOWS_1252,
                "Nous démontrons un théorème à l’aide de Poincaré.",
                "Résumé",
            ),
        ] {
            let parts = [long, short].map(|part| {
                let (bytes, _, _) = encoding.encode(part);
                [b"\\documentclass{article}\\section{", &bytes[..], b"}"].concat()
            });
            let files = parts.map(|bytes| ("a.tex".to_owned(), bytes));
            let found = texts(&files);
            for (text, part) in found.iter().zip([long, short]) {
                let expected = format!("\\documentclass{{article}}\\section{{{part}}}");
                assert_eq!(*text, expected, "{}", encoding.name());
            }
        }
    }

    #[test]
    fn a_wrong_declaration_does_not_lose_text() {
        let latin = "Schrödinger, Poincaré, Gödel, Erdős".replace('ő', "o");
        let bytes = WINDOWS_1252.encode(&latin).0;
        let file = [&b"\\usepackage[utf8]{inputenc} "[..], &bytes].concat();
        assert!(text(&file).ends_with(&latin));
        let mixed = ["Größe und Maß, für Öl ".as_bytes(), b"caf\xe9"].concat();
        assert_eq!(text(&mixed), "Größe und Maß, für Öl café");
    }
}
