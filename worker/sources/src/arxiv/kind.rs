//! Recognises what a file of a paper is by its content: TeX, or a form that is not published.

use std::borrow::Cow;

/// Number of first bytes in which a mark of a form is searched.
const HEAD_BYTES: usize = 1024;

/// What a file contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text that can be TeX.
    Text,
    /// A note in place of a withdrawn paper, or a file that arXiv does not process.
    Withdrawn,
    Html,
    PostScript,
    Pdf,
    /// A picture, an archive, or anything else that is not text.
    Binary,
    /// White space only.
    Empty,
}

impl Kind {
    /// Returns what a file with these bytes is.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
        let head = &text[..text.len().min(HEAD_BYTES)];
        let starts = |with: &[u8]| {
            head.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        if head.is_empty() {
            return Self::Empty;
        }
        // `%!TeX` is a comment for editors, and `%!PS` starts PostScript, also after a Ctrl-D.
        if starts(b"%!PS") || starts(b"\x04%!PS") || starts(b"\xc5\xd0\xd3\xc6") {
            return Self::PostScript;
        }
        if starts(b"%PDF") {
            return Self::Pdf;
        }
        if [&b"<html"[..], b"<!doctype", b"<?xml", b"<head", b"<body"].iter().any(|it| starts(it)) {
            return Self::Html;
        }
        let signed = [
            &b"PK\x03\x04"[..],
            b"\x1f\x8b",
            b"BZh9",
            b"\xfd7zXZ",
            b"Rar!",
            b"7z\xbc\xaf",
            b"\x1f\x9d",
            b"\x89PNG",
            b"GIF8",
            b"\xff\xd8\xff",
            b"\xd0\xcf\x11\xe0",
            b"\xf7\x02",
            b"{\\rtf",
        ];
        if signed.iter().any(|signature| head.starts_with(signature)) {
            return Self::Binary;
        }
        if is_utf16(bytes) {
            return Self::Text;
        }
        // TeX ignores a few zeros between letters.
        let zeros = memchr::memchr_iter(0, bytes).count();
        if zeros > bytes.len() / 100 {
            return Self::Binary;
        }
        let first_line = head.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or(head);
        let note = first_line.trim_ascii_start_matches(b'%').to_ascii_lowercase();
        if first_line.starts_with(b"%") && note.trim_ascii().starts_with(b"auto-ignore") {
            return Self::Withdrawn;
        }
        Self::Text
    }

    /// Returns the reason to drop a paper that has no other files than such.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Withdrawn => "arxiv/withdrawn",
            Self::Html => "arxiv/html_only",
            Self::PostScript => "arxiv/postscript_only",
            Self::Pdf => "arxiv/pdf_only",
            Self::Empty => "arxiv/empty",
            Self::Text | Self::Binary => "arxiv/no_tex",
        }
    }
}

/// Returns whether bytes start with a byte order mark of UTF-16.
fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

/// Decodes UTF-16 with a byte order mark; returns other bytes as they are.
pub(super) fn without_utf16(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !is_utf16(bytes) {
        return Cow::Borrowed(bytes);
    }
    let encoding = if bytes[0] == 0xff { encoding_rs::UTF_16LE } else { encoding_rs::UTF_16BE };
    Cow::Owned(encoding.decode_with_bom_removal(bytes).0.into_owned().into_bytes())
}

/// The removal of repeated first bytes, which slices of bytes do not have.
trait TrimStart {
    fn trim_ascii_start_matches(&self, byte: u8) -> &[u8];
}

impl TrimStart for [u8] {
    fn trim_ascii_start_matches(&self, byte: u8) -> &[u8] {
        let count = self.iter().take_while(|it| **it == byte).count();
        &self[count..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_recognised_by_their_content() {
        let cases: [(&[u8], Kind); 22] = [
            (b"\\documentclass{article}", Kind::Text),
            (b"%!TeX program = xelatex\n\\section{A}", Kind::Text),
            (b"% a comment about auto-ignore\n\\section{A}", Kind::Text),
            (b"%&latex\n\\section{A}", Kind::Text),
            (b"\xff\xfe\\\0a\0", Kind::Text),
            (b"caf\xe9", Kind::Text),
            (b"%!PS-Adobe-2.0\n", Kind::PostScript),
            (b"\x04%!PS\n", Kind::PostScript),
            (b"%PDF-1.4\n", Kind::Pdf),
            (b"\n<HTML><body>", Kind::Html),
            (b"<!DOCTYPE html>", Kind::Html),
            (b"%auto-ignore\nwithdrawn", Kind::Withdrawn),
            (b"\xef\xbb\xbf%%  Auto-Ignore \r\nwithdrawn", Kind::Withdrawn),
            (b"PK\x03\x04....", Kind::Binary),
            (b"\x1f\x8b\x08\x00", Kind::Binary),
            (b"{\\rtf1\\ansi", Kind::Binary),
            (b"\xf7\x02\x01", Kind::Binary),
            (b"\0\x05\x16\x07Mac OS X", Kind::Binary),
            (&[0; 512], Kind::Binary),
            (b"\xd0\xcf\x11\xe0", Kind::Binary),
            (b"", Kind::Empty),
            (b" \n\r\n", Kind::Empty),
        ];
        for (bytes, kind) in cases {
            assert_eq!(Kind::of(bytes), kind, "{:?}", String::from_utf8_lossy(bytes));
        }
        let one_zero = [vec![b'a'; 1000], vec![0]].concat();
        assert_eq!(Kind::of(&one_zero), Kind::Text);
    }
}
