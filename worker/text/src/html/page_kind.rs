//! Decides which responses are pages: by `Content-Type`, and by the first bytes if that is missing
//! or wrong.
//!
//! It reads no charset and no markup. Invariant: what is accepted as a page does not start like a
//! picture, archive or document of another format.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    Html,
    PlainText,
}

/// Returns whether a declared type means that the response is not a page.
pub(crate) fn is_other_format(content_type: &str) -> bool {
    let essence = essence(content_type);
    !essence.is_empty() && by_essence(&essence).is_none()
}

impl PageKind {
    /// Returns the kind of a decoded body, or the name of what it is instead.
    pub(crate) fn of(content_type: Option<&str>, body: &[u8]) -> Result<Self, String> {
        let essence = content_type.map(essence).filter(|essence| !essence.is_empty());
        let kind = match &essence {
            Some(essence) => by_essence(essence),
            None => begins_like_html(body).then_some(Self::Html),
        };
        let kind = kind.ok_or_else(|| essence.clone().unwrap_or_else(|| "none".to_owned()))?;
        let other = SIGNATURES.iter().find(|(signature, _)| body.starts_with(signature));
        if let Some((_, actual)) = other {
            return Err(format!("{actual}, declared {}", essence.unwrap_or_default()));
        }
        if kind == Self::PlainText && is_binary(body) {
            return Err("binary, declared text/plain".to_owned());
        }
        Ok(kind)
    }
}

impl PageKind {
    /// Returns HTML instead of plain text if the body starts with markup. Crawlers identify
    /// fragments of HTML as plain text.
    pub(crate) fn unless_markup(self, body: &[u8]) -> Self {
        if begins_like_html(body) { Self::Html } else { self }
    }
}

fn by_essence(essence: &str) -> Option<PageKind> {
    match essence {
        "text/html" | "application/xhtml+xml" => Some(PageKind::Html),
        "text/plain" => Some(PageKind::PlainText),
        _ => None,
    }
}

/// Returns the type without parameters: `Text/HTML; charset=x` → `text/html`.
fn essence(content_type: &str) -> String {
    let end = content_type.find([';', ',']).unwrap_or(content_type.len());
    content_type[..end].trim().to_ascii_lowercase()
}

/// The first bytes of formats that servers most often send as `text/html` by mistake.
const SIGNATURES: [(&[u8], &str); 9] = [
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"Rar!\x1a", "application/vnd.rar"),
    (b"{\\rtf", "application/rtf"),
    (b"%!PS", "application/postscript"),
];

const HTML_STARTS: [&[u8]; 14] = [
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<script",
    b"<iframe",
    b"<h1",
    b"<div",
    b"<table",
    b"<style",
    b"<title",
    b"<body",
    b"<meta",
    b"<p",
    b"<!--",
];

fn begins_like_html(body: &[u8]) -> bool {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    HTML_STARTS
        .iter()
        .any(|start| text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))
}

/// Returns whether data is binary, by the rule of the MIME Sniffing Standard.
fn is_binary(body: &[u8]) -> bool {
    let marked = [&b"\xfe\xff"[..], b"\xff\xfe", b"\xef\xbb\xbf"];
    !marked.iter().any(|mark| body.starts_with(mark))
        && body
            .iter()
            .take(1445)
            .any(|byte| matches!(byte, 0..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_and_plain_text_are_pages_and_the_rest_is_not() {
        for (declared, kind) in [
            ("text/html", Some(PageKind::Html)),
            ("TEXT/HTML;charset=x", Some(PageKind::Html)),
            ("application/xhtml+xml ; q", Some(PageKind::Html)),
            ("text/plain", Some(PageKind::PlainText)),
            ("application/json", None),
            ("image/png", None),
        ] {
            assert_eq!(is_other_format(declared), kind.is_none(), "{declared}");
            assert_eq!(PageKind::of(Some(declared), b"text").ok(), kind, "{declared}");
        }
    }

    #[test]
    fn markup_that_was_identified_as_plain_text_is_html() {
        for (body, kind) in [
            (&b" <div>a</div>"[..], PageKind::Html),
            (b"1 < 2", PageKind::PlainText),
            (b"<3", PageKind::PlainText),
        ] {
            assert_eq!(PageKind::PlainText.unless_markup(body), kind, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn without_a_declared_type_the_first_bytes_decide() {
        for declared in [None, Some(""), Some(" ; charset=utf-8")] {
            assert_eq!(PageKind::of(declared, b"\n <!DOCTYPE HTML>"), Ok(PageKind::Html));
            assert_eq!(PageKind::of(declared, b"{\"a\":1}"), Err("none".to_owned()));
        }
    }

    #[test]
    fn a_document_of_another_format_is_not_a_page_whatever_its_declared_type() {
        let error = PageKind::of(Some("text/html"), b"%PDF-1.7").unwrap_err();
        assert_eq!(error, "application/pdf, declared text/html");
        assert!(PageKind::of(Some("text/plain"), b"a\0b").is_err());
        assert_eq!(PageKind::of(Some("text/plain"), b"\xff\xfea\0"), Ok(PageKind::PlainText));
    }
}
