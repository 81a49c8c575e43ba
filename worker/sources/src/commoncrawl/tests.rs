//! Tests which records of real and odd crawls become pages.

use std::collections::BTreeMap;

use super::*;
use crate::testing::{Seen, job, read_with};

/// Reads a file of `worker/testdata/forms`, whose name is the path of the input.
fn read_file(path: &str) -> Vec<Seen> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/forms/");
    let bytes = std::fs::read([root, path].concat()).unwrap();
    read(path, &bytes)
}

fn read(path: &str, bytes: &[u8]) -> Vec<Seen> {
    let job = job("commoncrawl", "thresher", "[commoncrawl]\nmin_chars = 1\n");
    read_with(&CommonCrawl, &job, path, bytes)
}

fn pages(seen: &[Seen]) -> Vec<&str> {
    let text = |seen: &'_ Seen| matches!(seen, Seen::Page { .. });
    let pages = seen.iter().filter(|it| text(it));
    pages.map(|it| if let Seen::Page { text, .. } = it { text.as_str() } else { "" }).collect()
}

/// Counts the records that are not pages by their reasons.
fn others(seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for it in seen.iter().filter(|it| !matches!(it, Seen::Page { .. })) {
        *counts.entry(it.outcome()).or_default() += 1;
    }
    counts
}

fn counted(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

#[test]
fn files_from_many_writers_give_all_their_pages() {
    for (file, count, dropped) in [
        ("record-ends/last-one-line-end.warc", 3, &[][..]),
        ("record-ends/last-without-end.warc", 3, &[]),
        ("record-ends/lf-extra.warc", 3, &[]),
        ("record-ends/lf-only.warc", 3, &[]),
        ("record-ends/lowercase-version.warc", 3, &[]),
        ("record-ends/members-without-end.warc.gz", 3, &[]),
        ("record-ends/no-line-end.warc", 3, &[]),
        ("record-ends/one-line-end.warc", 3, &[]),
        ("record-ends/three-line-ends.warc", 3, &[]),
        ("bz2.warc.bz2", 3, &[]),
        ("dict.warc.zst", 3, &[]),
        ("frames.warc.zst", 3, &[]),
        ("lf-only-0.18.warc", 3, &[("content_length_wrong", 1)]),
        ("lf-only-0.18.warc.gz", 2, &[]),
        ("header-order.warc.wet.gz", 4, &[]),
        ("http-heads.warc.gz", 13, &[("http_malformed", 1)]),
        ("chunked-and-encoded.warc.gz", 17, &[]),
        ("charsets.warc.gz", 32, &[]),
        ("gzip-framing/bgzf.warc.wet.gz", 60, &[]),
        ("gzip-framing/cut-anywhere.warc.wet.gz", 2, &[]),
        ("gzip-framing/extra-fields.warc.wet.gz", 2, &[]),
        ("gzip-framing/not-gzip.warc.wet.gz", 2, &[]),
        ("gzip-framing/one-member.warc.wet.gz", 3, &[]),
        ("gzip-framing/truncated.warc.wet.gz", 2, &[("gzip_truncated", 1)]),
        ("gzip-framing/zero-padding.warc.wet.gz", 2, &[]),
    ] {
        let seen = read_file(file);
        assert_eq!(pages(&seen).len(), count, "{file}: {:?}", others(&seen));
        assert_eq!(others(&seen), counted(dropped), "{file}");
    }
}

#[test]
fn records_of_all_kinds_are_read_or_dropped_by_what_they_are() {
    let seen = read_file("edge.warc.gz");
    assert_eq!(seen.len(), 57);
    let expected = counted(&[
        ("content_type", 7),
        ("http_malformed", 2),
        ("http_status", 3),
        ("record_type/continuation", 1),
        ("record_type/metadata", 1),
        ("record_type/other", 1),
        ("record_type/request", 1),
        ("record_type/resource", 2),
        ("record_type/revisit", 1),
    ]);
    assert_eq!(others(&seen), expected);
    let texts = pages(&seen);
    for name in ["chunked-lf", "undeclared-gzip", "uppercase-type", "two-gzip"] {
        let start = format!("This is paragraph number 0 of the page called {name}, ");
        assert!(texts.iter().any(|text| text.starts_with(&start)), "{name}");
    }
}

/// A response with a declared type, and the type that the crawler identified.
fn response(declared: &str, identified: &str, body: &str) -> Vec<u8> {
    let http = format!("HTTP/1.1 200 OK\r\nContent-Type: {declared}\r\n\r\n{body}");
    let named = match identified {
        "" => String::new(),
        named => format!("WARC-Identified-Payload-Type: {named}\r\n"),
    };
    let head =
        format!("WARC/1.0\r\nWARC-Type: response\r\n{named}Content-Length: {}\r\n\r\n", http.len());
    [head, http, "\r\n\r\n".to_owned()].concat().into_bytes()
}

#[test]
fn the_identified_type_goes_before_the_declared_one() {
    let page = "<html><body><p>A page with a sentence that is long enough.</p></body></html>";
    let fragment = "<div>A page with a sentence that is long enough.</div>";
    let text = "A page with a sentence that is long enough.";
    for (declared, identified, body, read_as) in [
        ("text/html", "", page, Some(text)),
        ("text/plain", "text/html", page, Some(text)),
        ("application/octet-stream", "text/html", page, Some(text)),
        ("application/json", "application/xhtml+xml; charset=utf-8", page, Some(text)),
        ("text/html", "text/plain", text, Some(text)),
        ("text/html", "text/plain", fragment, Some(text)),
        ("text/html", " ", page, Some(text)),
        ("text/html", "application/json", "{\"a\": \"b\"}", None),
        ("text/html", "application/javascript", "var a = 1;", None),
        ("text/html", "text/x-php", "<?php echo 1;", None),
        ("text/plain", "text/css", "a { color: red }", None),
        ("text/html", "application/msword", "\u{fffd}\u{11}", None),
        ("text/plain", "", page, Some(page)),
    ] {
        let seen = read("x.warc", &response(declared, identified, body));
        let [one] = &seen[..] else { panic!("{seen:?}") };
        let expected = read_as.unwrap_or("content_type");
        assert_eq!(one.outcome(), expected, "{declared} {identified}");
    }
}

#[test]
fn a_response_that_is_not_a_whole_page_of_http_is_dropped_by_name() {
    let page = "<html><body><p>A page with a sentence that is long enough.</p></body></html>";
    let text = "A page with a sentence that is long enough.";
    let html = "Content-Type: text/html\r\n\r\n";
    for (head, expected) in [
        (format!("HTTP/1.1 200 OK\r\n{html}"), text),
        (format!("HTTP/1.1 203 Changed\r\n{html}"), text),
        (format!("HTTP/2 200\r\n{html}"), text),
        (format!("HTTP/1.1 206 Partial Content\r\n{html}"), "http_status"),
        (format!("HTTP/1.1 304 Not Modified\r\n{html}"), "http_status"),
        (format!("ICY 200 OK\r\n{html}"), "http_malformed"),
        // A response of HTTP/0.9 has no head.
        (String::new(), "http_malformed"),
        ("SHOUTcast Server 1.9\r\n\r\n".to_owned(), "http_malformed"),
        ("200 OK\r\n\r\n".to_owned(), "http_malformed"),
    ] {
        let http = format!("{head}{page}");
        let length = http.len();
        let record = format!(
            "WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\n\
             Content-Length: {length}\r\n\r\n{http}\r\n\r\n"
        );
        let seen = read("x.warc", record.as_bytes());
        let [one] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(one.outcome(), expected, "{head:?}");
        assert!(!matches!(one, Seen::Quarantined { .. }));
    }
}

#[test]
fn conversions_and_responses_of_other_types_are_dropped_by_their_type() {
    let record = |kind: &str, content_type: &str, body: &str| {
        format!(
            "WARC/1.0\r\nWARC-Type: {kind}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n{body}\r\n\r\n",
            body.len()
        )
    };
    let http = "HTTP/1.0 200 OK\r\n\r\n<html><body><p>The text of a page.</p></body></html>";
    for (kind, content_type, body, expected) in [
        ("conversion", "text/plain", "title\nthe text", "the text"),
        ("Conversion", "Text/Plain; charset=utf-8", "title\nthe text", "the text"),
        ("conversion", "", "title\nthe text", "the text"),
        ("conversion", "text/html", "title\n<p>the text</p>", "content_type"),
        ("conversion", "image/png", "\u{fffd}PNG", "content_type"),
        ("conversion", "application/warc-fields", "a: b\nc: d", "content_type"),
        ("RESPONSE", "application/http;msgtype=response", http, "The text of a page."),
        ("response", "text/dns", "20240220000000\nexample. 300 IN A", "content_type"),
        ("response", "text/plain", "whois data", "content_type"),
        ("response", "text/plain", http, "The text of a page."),
        ("response", "", "whois data", "http_malformed"),
        ("Resource", "text/html", http, "record_type/resource"),
    ] {
        let seen = read("x.warc", record(kind, content_type, body).as_bytes());
        let [one] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(one.outcome(), expected, "{kind} {content_type}");
    }
}

#[test]
fn a_folded_address_is_one_address() {
    let record = b"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: <http://a.example/\r\n \
                   path>\r\nContent-Length: 6\r\n\r\nT\ntext\r\n\r\n";
    let seen = read("x.warc", record);
    let Seen::Page { url, .. } = &seen[0] else { panic!("{seen:?}") };
    assert_eq!(url, "http://a.example/path");
}
