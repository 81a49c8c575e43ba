//! Tests whole and damaged responses of servers, and what is made of each.

use std::io::Write;

use super::*;

fn body_of(payload: &[u8]) -> Result<(Vec<u8>, BodyNotes), HttpError> {
    let limits = HttpLimits::default();
    let response = HttpResponse::split(payload, &limits)?;
    let body = response.body(&limits)?;
    Ok((body.bytes.into_owned(), body.notes))
}

fn response(headers: &str, body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\n", headers.as_bytes(), b"\r\n\r\n", body].concat()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn brotli(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(text).unwrap();
    out
}

const PAGE: &[u8] = b"<p>A page long enough to be worth packing, packing, packing.</p>";

#[test]
fn status_and_headers_are_read_whatever_their_case_and_line_ends() {
    let payload = b"HTTP/1.0 404 Not Found\nContent-TYPE : text/html \nX: \xff\xfe\n\nbody";
    let response = HttpResponse::split(payload, &HttpLimits::default()).unwrap();
    assert_eq!(response.status, 404);
    assert_eq!(response.header("content-type"), Some("text/html"));
    assert_eq!(response.body(&HttpLimits::default()).unwrap().bytes, &b"body"[..]);
}

#[test]
fn a_version_that_the_parser_does_not_know_is_read() {
    for version in ["HTTP/2", "HTTP/2.0", "HTTP/3", "HTTP/1.1"] {
        let payload = format!("{version} 200\r\na: b\r\n\r\nthe body");
        let (body, notes) = body_of(payload.as_bytes()).unwrap();
        assert_eq!((&body[..], notes), (&b"the body"[..], BodyNotes::default()), "{version}");
    }
}

#[test]
fn what_is_not_a_response_is_malformed() {
    let endless = response(&"x: y\r\n".repeat(60_000), b"");
    for payload in
        [&b""[..], b"<html>", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\na: b", &endless]
    {
        let error = HttpResponse::split(payload, &HttpLimits::default()).unwrap_err();
        assert_eq!(error.reason(), "http_malformed");
    }
}

#[test]
fn headers_beyond_the_limit_are_ignored() {
    let crowded = response(&["x: y"; 300].join("\r\n"), b"body");
    let read = HttpResponse::split(&crowded, &HttpLimits::default()).unwrap();
    assert_eq!(read.headers.len(), HttpLimits::default().headers);
    assert_eq!(&*read.body(&HttpLimits::default()).unwrap().bytes, b"body");
}

#[test]
fn a_wrong_content_length_is_noted_and_the_whole_body_kept() {
    for (length, disagrees) in [("4", false), ("3", true), ("99", true), ("no", false)] {
        let (body, notes) =
            body_of(&response(&format!("Content-Length: {length}"), b"body")).unwrap();
        assert_eq!((&body[..], notes.length_disagrees), (&b"body"[..], disagrees), "{length}");
    }
}

#[test]
fn a_chunked_body_is_joined() {
    let headers = "Transfer-Encoding: chunked\r\nContent-Length: 5";
    let (body, notes) =
        body_of(&response(headers, b"4\r\nbody\r\n7;x=y\r\n and on\r\n0\r\nt: u\r\n\r\n")).unwrap();
    assert_eq!((&body[..], notes), (&b"body and on"[..], BodyNotes::default()));
}

#[test]
fn a_body_called_chunked_that_is_not_is_kept_as_it_is() {
    for raw in [&b"<p>page</p>"[..], b"4\r\nless", b"10 is a number\n", b"2\r\nno chunk here"] {
        let (body, notes) = body_of(&response("transfer-encoding: chunked", raw)).unwrap();
        if raw == b"4\r\nless" {
            assert_eq!(&body[..], b"less");
        } else {
            assert_eq!((&body[..], notes.encoding_was_undone), (raw, true));
        }
    }
    let crawl = "X-Crawl-Transfer-Encoding: chunked\r\nX-Crawl-Content-Encoding: gzip";
    let (body, notes) = body_of(&response(crawl, PAGE)).unwrap();
    assert_eq!((&body[..], notes), (PAGE, BodyNotes::default()));
}

#[test]
fn a_chunked_body_that_is_cut_is_kept_up_to_the_cut() {
    let whole = b"4\r\nbody\r\n7\r\n and on\r\n";
    for (end, kept) in [(whole.len(), "body and on"), (14, "body a"), (10, "body"), (9, "body")] {
        let (body, notes) =
            body_of(&response("transfer-encoding: chunked", &whole[..end])).unwrap();
        assert_eq!((&body[..], notes.cut_short), (kept.as_bytes(), true), "{end}");
    }
}

#[test]
fn a_wrong_chunk_size_or_checksum_keeps_what_decodes() {
    let mut checksum = gzip(PAGE);
    let at = checksum.len() - 8;
    checksum[at] ^= 0x55;
    let mut length = gzip(PAGE);
    let at = length.len() - 1;
    length[at] ^= 0x55;
    let (chunked, packed) = ("transfer-encoding: chunked", "content-encoding: gzip");
    for (headers, raw, kept) in [
        (chunked, b"4\r\nbody\r\nnot a size line, not at all\r\n".to_vec(), &b"body"[..]),
        (chunked, b"4\r\nbody\r\nZZ\r\n and\r\n0\r\n\r\n".to_vec(), b"body"),
        (packed, checksum, PAGE),
        (packed, length, PAGE),
    ] {
        let (body, notes) = body_of(&response(headers, &raw)).unwrap();
        assert_eq!((&body[..], notes.cut_short), (kept, true), "{headers}");
    }
}

#[test]
fn what_comes_before_the_response_is_skipped() {
    let real = response("A: b", b"body");
    for before in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 102 Processing\n\n",
        "\r\n",
        "\n\n",
        "\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let payload = [before.as_bytes(), &real].concat();
        let read = HttpResponse::split(&payload, &HttpLimits::default()).unwrap();
        assert_eq!((read.status, read.header("a")), (200, Some("b")), "{before:?}");
        assert_eq!(&*read.body(&HttpLimits::default()).unwrap().bytes, b"body", "{before:?}");
    }
    let alone = b"HTTP/1.1 100 Continue\r\n\r\nno response";
    assert_eq!(HttpResponse::split(alone, &HttpLimits::default()).unwrap().status, 100);
    let body = response("", b"\r\nHTTP/1.1 404 quoted\r\n\r\n");
    assert_eq!(HttpResponse::split(&body, &HttpLimits::default()).unwrap().status, 200);
}

#[test]
fn a_long_head_is_read() {
    let headers = format!("Set-Cookie: {}", "x".repeat(250 << 10));
    assert_eq!(body_of(&response(&headers, b"body")).unwrap().0, b"body");
}

#[test]
fn an_encoding_that_is_declared_inexactly_is_undone() {
    let twice = gzip(&gzip(PAGE));
    for (name, packed, undeclared) in [
        ("gzip", twice, true),
        ("deflate", gzip(PAGE), false),
        ("gzip;", gzip(PAGE), false),
        ("\"gzip\"", gzip(PAGE), false),
        ("gzip;q=1.0", gzip(PAGE), false),
        ("'br'", brotli(PAGE), false),
    ] {
        let (body, notes) =
            body_of(&response(&format!("Content-Encoding: {name}"), &packed)).unwrap();
        let expected = BodyNotes { gzip_undeclared: undeclared, ..BodyNotes::default() };
        assert_eq!((&body[..], notes), (PAGE, expected), "{name}");
    }
    // A download that is served in gzip is not a page.
    let download = gzip(&gzip(b"a,b\n1,2\n"));
    let (body, _) = body_of(&response("Content-Encoding: gzip", &download)).unwrap();
    assert_eq!(&body[..], gzip(b"a,b\n1,2\n"));
}

#[test]
fn every_content_encoding_is_undone() {
    let zstd = zstd::encode_all(PAGE, 1).unwrap();
    let twice = [gzip(&PAGE[..20]), gzip(&PAGE[20..]), b"trailing garbage".to_vec()].concat();
    let stacked = brotli(&gzip(PAGE));
    for (name, packed) in [
        ("gzip", gzip(PAGE)),
        ("X-GZIP", twice),
        ("deflate", zlib(PAGE)),
        ("deflate", raw_deflate(PAGE)),
        ("br", brotli(PAGE)),
        ("zstd", zstd),
        ("gzip, br", stacked),
        ("identity", PAGE.to_vec()),
    ] {
        let (body, notes) =
            body_of(&response(&format!("Content-Encoding: {name}"), &packed)).unwrap();
        assert_eq!((&body[..], notes), (PAGE, BodyNotes::default()), "{name}");
    }
}

#[test]
fn an_encoding_that_the_crawler_undid_is_noted() {
    for name in ["gzip", "deflate", "br", "zstd"] {
        let (body, notes) = body_of(&response(&format!("Content-Encoding: {name}"), PAGE)).unwrap();
        assert_eq!((&body[..], notes.encoding_was_undone), (PAGE, true), "{name}");
    }
}

#[test]
fn a_compressed_body_that_is_cut_is_kept_as_far_as_it_decodes() {
    let text: Vec<u8> = (0..200_000u32).flat_map(|n| format!("{n:x} ").into_bytes()).collect();
    let zstd = zstd::encode_all(&text[..], 1).unwrap();
    for (name, packed) in
        [("gzip", gzip(&text)), ("deflate", zlib(&text)), ("br", brotli(&text)), ("zstd", zstd)]
    {
        let cut = &packed[..packed.len() * 9 / 10];
        match body_of(&response(&format!("Content-Encoding: {name}"), cut)) {
            Ok((body, notes)) => {
                assert!(notes.cut_short && text.starts_with(&body), "{name}");
                assert!(!body.is_empty(), "{name}");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn a_damaged_body_and_an_unknown_encoding_have_different_errors() {
    let mut bad = gzip(&PAGE.repeat(50));
    bad[20..30].fill(0xff);
    let cases = [
        ("gzip", bad, "content_encoding_damaged"),
        ("br", vec![0xff; 50], "content_encoding_damaged"),
        ("compress", PAGE.to_vec(), "content_encoding_unsupported"),
        ("gzip,gzip,gzip,gzip,gzip", PAGE.to_vec(), "content_encoding_unsupported"),
    ];
    for (name, packed, reason) in cases {
        let error = body_of(&response(&format!("Content-Encoding: {name}"), &packed)).unwrap_err();
        assert_eq!(error.reason(), reason, "{name}");
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![0u8; 64 << 20];
    let zstd = zstd::encode_all(&zeros[..], 1).unwrap();
    for (name, packed) in [("gzip", gzip(&zeros)), ("br", brotli(&zeros)), ("zstd", zstd)] {
        let error = body_of(&response(&format!("Content-Encoding: {name}"), &packed)).unwrap_err();
        assert_eq!(error.reason(), "body_too_large", "{name}");
    }
    let plain = response("a: b", &zeros[..(8 << 20) + 1]);
    assert_eq!(body_of(&plain).unwrap_err().reason(), "body_too_large");
}
