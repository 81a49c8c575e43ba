//! Recognises the form of an input by its first bytes: how it is packed, and what it contains.
//!
//! Names of files are not looked at. A form that is not known is [`Form::Other`], which any reader
//! may try.

use std::fmt;

/// Number of first bytes that decide a form.
pub const HEAD_BYTES: usize = 1024;

/// What the first bytes of an input, or of the content of a packed one, look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// No bytes at all.
    Empty,
    /// Compression without files inside.
    Gzip,
    /// Zstandard frames, also after a skippable frame such as the dictionary of a `.warc.zst`.
    Zstd,
    Xz,
    Bzip2,
    Lz4,
    Lzip,
    Lzma,
    Snappy,
    /// The output of `compress`, with the ending `.Z`.
    Compress,
    SevenZip,
    Zip,
    Rar,
    Tar,
    Parquet,
    Arrow,
    Avro,
    Orc,
    Sqlite,
    Pdf,
    Warc,
    /// The predecessor of WARC.
    Arc,
    /// Objects, one on each line.
    Json,
    /// Objects of which the first extends over several lines.
    JsonText,
    /// One array of objects.
    JsonArray,
    /// A dump of pages by MediaWiki.
    WikiXml,
    /// Rows of a StackExchange dump.
    PostsXml,
    Html,
    /// Text in UTF-16 with a byte order mark.
    Utf16,
    /// Text in UTF-32 with a byte order mark.
    Utf32,
    /// Anything else, such as plain text.
    Other,
}

/// The first bytes of forms that have a fixed signature.
const SIGNATURES: &[(&[u8], Form)] = &[
    (b"\x1f\x8b", Form::Gzip),
    (b"\x28\xb5\x2f\xfd", Form::Zstd),
    (b"\xfd7zXZ\0", Form::Xz),
    (b"\x04\x22\x4d\x18", Form::Lz4),
    (b"\x02\x21\x4c\x18", Form::Lz4),
    (b"LZIP", Form::Lzip),
    (b"\x5d\0\0", Form::Lzma),
    (b"\xff\x06\0\0sNaPpY", Form::Snappy),
    (b"\x1f\x9d", Form::Compress),
    (b"7z\xbc\xaf\x27\x1c", Form::SevenZip),
    (b"PK\x03\x04", Form::Zip),
    (b"PK\x05\x06", Form::Zip),
    (b"Rar!\x1a\x07", Form::Rar),
    (b"PAR1", Form::Parquet),
    (b"ARROW1", Form::Arrow),
    (b"Obj\x01", Form::Avro),
    (b"ORC", Form::Orc),
    (b"SQLite format 3\0", Form::Sqlite),
    (b"%PDF-", Form::Pdf),
    (b"\xff\xfe\0\0", Form::Utf32),
    (b"\0\0\xfe\xff", Form::Utf32),
    (b"\xff\xfe", Form::Utf16),
    (b"\xfe\xff", Form::Utf16),
];

impl Form {
    /// Returns the form of an input that starts with `head`, of which [`HEAD_BYTES`] bytes are
    /// enough.
    pub fn of(head: &[u8]) -> Self {
        if head.is_empty() {
            return Self::Empty;
        }
        let signed = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature));
        if let Some((_, form)) = signed {
            return *form;
        }
        match head {
            [b'B', b'Z', b'h', b'1'..=b'9', ..] if head.len() < 10 || bzip2(head) => Self::Bzip2,
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ if is_tar(head) => Self::Tar,
            _ => Self::of_text(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head)),
        }
    }

    fn of_text(text: &[u8]) -> Self {
        // A JSON text sequence has a record separator before each text.
        let text = text.strip_prefix(b"\x1e").unwrap_or(text).trim_ascii_start();
        let starts = |with: &[u8]| {
            text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        let has = |what: &[u8]| memchr::memmem::find(text, what).is_some();
        match text {
            _ if starts(b"WARC/") => Self::Warc,
            _ if starts(b"filedesc://") => Self::Arc,
            _ if starts(b"<!doctype html") || starts(b"<html") => Self::Html,
            [b'<', ..] if has(b"<mediawiki") => Self::WikiXml,
            [b'<', ..] if has(b"<posts") || has(b"<row ") => Self::PostsXml,
            [b'{', rest @ ..] if matches!(rest.trim_ascii_start(), [b'"' | b'}', ..]) => {
                if is_over_lines(text) {
                    Self::JsonText
                } else {
                    Self::Json
                }
            }
            [b'[', rest @ ..] if rest.trim_ascii_start().starts_with(b"{") => Self::JsonArray,
            _ => Self::Other,
        }
    }

    /// Returns whether an [`Unpacker`](crate::unpack::Unpacker) unpacks this form.
    pub fn is_unpacked(self) -> bool {
        matches!(self, Self::Gzip | Self::Zstd | Self::Xz | Self::Bzip2)
    }

    /// Returns the name of the form in a sentence, such as `a zip archive`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Lzip => "lzip",
            Self::Lzma => "lzma",
            Self::Snappy => "snappy",
            Self::Compress => "compress (.Z)",
            Self::SevenZip => "a 7z archive",
            Self::Zip => "a zip archive",
            Self::Rar => "a RAR archive",
            Self::Tar => "a tar archive",
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow",
            Self::Avro => "Avro",
            Self::Orc => "ORC",
            Self::Sqlite => "an SQLite database",
            Self::Pdf => "PDF",
            Self::Warc => "WARC",
            Self::Arc => "ARC",
            Self::Json => "JSON lines",
            Self::JsonText => "JSON over several lines",
            Self::JsonArray => "a JSON array",
            Self::WikiXml => "a MediaWiki dump",
            Self::PostsXml => "a StackExchange dump",
            Self::Html => "HTML",
            Self::Utf16 => "UTF-16",
            Self::Utf32 => "UTF-32",
            Self::Other => "an unknown form",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Returns whether the first JSON value continues after its first line. A string has no line feed,
/// so the first line of JSON lines, even if it is damaged, is not the start of a longer value.
fn is_over_lines(text: &[u8]) -> bool {
    let Some(feed) = memchr::memchr(b'\n', text) else { return false };
    let mut values =
        serde_json::Deserializer::from_slice(text).into_iter::<serde::de::IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => values.byte_offset() > feed,
        Some(Err(error)) => error.is_eof(),
        None => false,
    }
}

/// Returns whether a block, or the end of a stream, follows the level of a bzip2 header.
fn bzip2(head: &[u8]) -> bool {
    let sign = head.get(4..10);
    sign == Some(&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59])
        || sign == Some(&[0x17, 0x72, 0x45, 0x38, 0x50, 0x90])
}

/// Returns whether the first block is the header of a member of a tar.
fn is_tar(head: &[u8]) -> bool {
    const BLOCK: usize = 512;
    const SUM: std::ops::Range<usize> = 148..156;
    let Some(block) = head.get(..BLOCK) else { return false };
    let field = str::from_utf8(&block[SUM]).unwrap_or_default();
    let stored = u32::from_str_radix(field.trim_matches(['\0', ' ']), 8);
    let inside = |at: usize, byte: u8| if SUM.contains(&at) { b' ' } else { byte };
    let sum: u32 = block.iter().enumerate().map(|(at, byte)| u32::from(inside(at, *byte))).sum();
    block[0] != 0 && stored == Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_recognised_by_their_first_bytes() {
        for (head, form) in [
            (&b""[..], Form::Empty),
            (b"\x1f\x8b\x08", Form::Gzip),
            (b"\x28\xb5\x2f\xfd\x20", Form::Zstd),
            (b"\x5d\x2a\x4d\x18\x10\0\0\0", Form::Zstd),
            (b"BZh91AY&SY", Form::Bzip2),
            (b"BZh9 is a word of a text", Form::Other),
            (b"\xfd7zXZ\0", Form::Xz),
            (b"\x04\x22\x4d\x18", Form::Lz4),
            (b"PAR1", Form::Parquet),
            (b"warc/1.0\r\n", Form::Warc),
            (b"\xef\xbb\xbf\r\nWARC/1.0\n", Form::Warc),
            (b"filedesc://x.arc 0.0.0.0 2008", Form::Arc),
            (b"\xef\xbb\xbf{\"text\": 1}", Form::Json),
            (b"{ }", Form::Json),
            (b"\x1e{\"a\": 1}\n\x1e{\"a\": 2}\n", Form::Json),
            (b"\x1e{\n  \"a\": 1}\n\x1e{\n", Form::JsonText),
            (b"{\"a\": [1]}\n{\"a\": 2}\n", Form::Json),
            (b"{\"a\": \"cut\n{\"a\": 2}\n", Form::Json),
            (b"{\"a\": 1,\n{\"a\": 2}\n", Form::Json),
            (b"{\"a\": \"long", Form::Json),
            (b"{\r\n  \"a\": \"long", Form::JsonText),
            (b"{\"a\": [\n1]}", Form::JsonText),
            (b"{\\rtf1", Form::Other),
            (b" [\n {\"text\"", Form::JsonArray),
            (b"[Illustration]", Form::Other),
            (b"<mediawiki xmlns", Form::WikiXml),
            (b"<?xml version=\"1.0\"?>\r\n<posts>", Form::PostsXml),
            (b"<!DOCTYPE HTML>", Form::Html),
            (b"\xff\xfe<\0", Form::Utf16),
            (b"\xfe\xff\0<", Form::Utf16),
            (b"\xff\xfe\0\0", Form::Utf32),
            (b"plain", Form::Other),
        ] {
            assert_eq!(Form::of(head), form, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn a_tar_is_recognised_by_its_checksum() {
        let mut header = [0; 512];
        header[..5].copy_from_slice(b"a.txt");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(Form::of(&header), Form::Tar);
        header[0] = b'b';
        assert_eq!(Form::of(&header), Form::Other);
        assert_eq!(Form::of(&[0; 512]), Form::Other);
    }
}
