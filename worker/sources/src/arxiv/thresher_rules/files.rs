//! The text files of a paper: decoded, and found by the names that input commands use.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;

use encoding_rs::{Encoding, WINDOWS_1252};
use regex::Regex;

use super::compiled;
use crate::arxiv::kind::without_utf16;
use crate::arxiv::paths::normal_path;

/// The declaration of the encoding of a file, by `inputenc` or the packages for Chinese, Japanese
/// and Korean.
static ENCODING: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\\usepackage\s*\[\s*(?:[^\]%]*,\s*)?([a-zA-Z0-9-]+)\s*\]\s*\{\s*inputenc\s*\}|\\inputencoding\s*\{([a-zA-Z0-9-]+)\}|\\begin\s*\{CJK\*?\}(?:\[[^\]]*\])?\{([a-zA-Z0-9-]+)\}",
    )
});

/// The endings that TeX adds to the name of a file.
const ADDED_ENDINGS: [&str; 4] = [".tex", "", ".ltx", ".latex"];

/// A file with its path inside the paper.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: Rc<str>,
}

/// All text files of a paper, in the order of its tar.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) all: Vec<File>,
    by_path: BTreeMap<String, usize>,
    by_lower_path: BTreeMap<String, usize>,
    /// Files by the last part of their path, in lower case. Two files can have the same.
    by_lower_name: BTreeMap<String, Vec<usize>>,
}

impl Files {
    /// Decodes the files.
    pub(super) fn of(files: &[(String, Vec<u8>)]) -> Self {
        let declared: Vec<_> = files.iter().map(|(_, bytes)| declared_encoding(bytes)).collect();
        let usual = declared.iter().flatten().next().copied();
        let texts = files.iter().zip(declared);
        let all: Vec<File> = texts
            .map(|((name, bytes), encoding)| File {
                path: normal_path(name),
                text: decoded(bytes, encoding.or(usual)).into(),
            })
            .collect();
        let mut found = Self {
            by_path: BTreeMap::new(),
            by_lower_path: BTreeMap::new(),
            by_lower_name: BTreeMap::new(),
            all,
        };
        for (number, File { path, .. }) in found.all.iter().enumerate() {
            let lower = path.to_lowercase();
            let name = lower.rsplit('/').next().unwrap_or(&lower).to_owned();
            // The last of several members with one name is the one that is left after unpacking.
            found.by_path.insert(path.clone(), number);
            found.by_lower_path.entry(lower).or_insert(number);
            found.by_lower_name.entry(name).or_default().push(number);
        }
        found
    }

    /// Finds the file that an input command names, in the first folder that has it. Letter case and
    /// folders are ignored if no file has exactly that name.
    pub(super) fn find(&self, wanted: &str, folders: &[&str]) -> Option<usize> {
        let wanted = wanted.trim().trim_matches('"').trim();
        if wanted.is_empty() {
            return None;
        }
        let paths: Vec<String> = folders
            .iter()
            .flat_map(|folder| {
                let folder = folder.trim_end_matches('/');
                ADDED_ENDINGS.map(|ending| normal_path(&format!("{folder}/{wanted}{ending}")))
            })
            .collect();
        let exact = paths.iter().find_map(|path| self.by_path.get(path));
        let lower = || paths.iter().find_map(|path| self.by_lower_path.get(&path.to_lowercase()));
        let name = wanted.rsplit('/').next().unwrap_or(wanted).to_lowercase();
        let by_name = || {
            ADDED_ENDINGS.iter().find_map(|ending| {
                match self.by_lower_name.get(&format!("{name}{ending}")).map(Vec::as_slice) {
                    Some([only]) => Some(only),
                    _ => None,
                }
            })
        };
        exact.or_else(lower).or_else(by_name).copied()
    }

    /// Returns the folder of a file; empty for the top.
    pub(super) fn folder(&self, number: usize) -> &str {
        self.all[number].path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    if !bytes.iter().any(|byte| *byte >= 0x80) && !bytes.contains(&b'[') {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let found = ENCODING.captures(&text)?;
    let label = [1, 2, 3].iter().find_map(|group| found.get(*group))?.as_str();
    let label = match label {
        "latin2" => "iso-8859-2",
        "latin3" => "iso-8859-3",
        "latin4" => "iso-8859-4",
        "latin5" => "iso-8859-9",
        "latin9" => "iso-8859-15",
        "latin10" => "iso-8859-16",
        "ansinew" => "windows-1252",
        "cp866" | "cp866nav" => "ibm866",
        "cp1250" => "windows-1250",
        "cp1251" => "windows-1251",
        "cp1257" => "windows-1257",
        "applemac" => "macintosh",
        "koi8-r" => "koi8-r",
        "koi8-u" | "koi8-ru" => "koi8-u",
        "GBK" | "GB" => "gbk",
        "Bg5" | "Bg5+" => "big5",
        "JIS" | "EUC-JP" => "euc-jp",
        "SJIS" => "shift_jis",
        "KS" => "euc-kr",
        other => other,
    };
    Encoding::for_label(label.as_bytes()).filter(|it| *it != encoding_rs::UTF_8)
}

/// Decodes a file as UTF-8, or else in the declared encoding, or else byte by byte as Windows-1252
/// where it is not UTF-8. Lines of the result end with a line feed, and it contains no zeros.
fn decoded(bytes: &[u8], declared: Option<&'static Encoding>) -> String {
    let bytes = without_utf16(bytes);
    let text = match (str::from_utf8(&bytes), declared) {
        (Ok(text), _) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
        (Err(_), Some(encoding)) => {
            Cow::Owned(encoding.decode_without_bom_handling(&bytes).0.into_owned())
        }
        (Err(_), None) => {
            let mut text = String::with_capacity(bytes.len());
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                text.push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
            }
            Cow::Owned(text)
        }
    };
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

    fn files(names: &[&str]) -> Files {
        let files: Vec<_> = names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
        Files::of(&files)
    }

    #[test]
    fn files_are_found_by_every_name_that_inputs_use() {
        let files =
            files(&["./main.tex", "sec/a.tex", "sec/B.TEX", "c.txt", "d/e.ltx", "x/n", "y/n"]);
        let cases = [
            ("sec/a", "", Some(1)),
            ("a", "sec", Some(1)),
            ("../sec/a.tex", "d", Some(1)),
            ("./main", "", Some(0)),
            ("\"c.txt\"", "", Some(3)),
            ("SEC/A", "", Some(1)),
            ("sec/b", "", Some(2)),
            // The folder is wrong, and only one file has the name.
            ("other/e", "", Some(4)),
            ("n", "", None),
            ("n", "y", Some(6)),
            ("missing", "", None),
            ("", "", None),
        ];
        for (wanted, folder, expected) in cases {
            assert_eq!(files.find(wanted, &[folder, ""]), expected, "{wanted}");
        }
        assert_eq!((files.folder(0), files.folder(4)), ("", "d"));
    }

    #[test]
    fn every_encoding_and_line_end_is_decoded() {
        let cases: [(&[u8], &str); 9] = [
            (b"\xef\xbb\xbfa", "a"),
            (b"a\r\nb\rc\r\r\nd\ne\x1a", "a\nb\nc\n\nd\ne"),
            (b"\xe9\0 \xc3\xa9", "\u{e9} \u{e9}"),
            (b"\xff\xfea\0\xe9\0", "a\u{e9}"),
            (b"\xfe\xff\0a", "a"),
            (b"\\usepackage[cp1251]{inputenc}\xcf", "\\usepackage[cp1251]{inputenc}\u{41f}"),
            (b"\\usepackage[a,latin2]{inputenc}\xb3", "\\usepackage[a,latin2]{inputenc}\u{142}"),
            (b"\\usepackage[utf8]{inputenc}\xe9", "\\usepackage[utf8]{inputenc}\u{e9}"),
            (b"\\begin{CJK*}{GBK}{song}\xd6\xd0", "\\begin{CJK*}{GBK}{song}\u{4e2d}"),
        ];
        for (bytes, expected) in cases {
            let files = Files::of(&[("a.tex".to_owned(), bytes.to_vec())]);
            assert_eq!(&*files.all[0].text, expected, "{:?}", String::from_utf8_lossy(bytes));
        }
        let declared = b"\\usepackage[latin2]{inputenc}".to_vec();
        let files = [("a.tex".to_owned(), b"\xb3".to_vec()), ("b.tex".to_owned(), declared)];
        assert_eq!(&*Files::of(&files).all[0].text, "\u{142}");
    }
}
