//! A server on the loopback interface that misbehaves on purpose. Nothing here sleeps.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::retry::tests::Waits;
use super::super::{Known, Remedy, StorageError};
use super::*;

const WHOLE: Range<u64> = 0..u64::MAX;

fn options() -> (ReadOptions, Arc<Waits>) {
    let waits = Arc::new(Waits::default());
    (ReadOptions { sleeper: waits.clone(), attempts_max: 4, ..ReadOptions::default() }, waits)
}

/// Answers one connection per script line, verbatim, and returns the requests that it got.
fn serve(script: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/object", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in script {
            let (stream, _) = listener.accept().unwrap();
            requests.push(read_request(&stream));
            // The client may close the connection before it has read all of the answer.
            let _ = (&stream).write_all(&answer);
        }
        requests
    });
    (url, thread)
}

fn read_request(stream: &TcpStream) -> String {
    let mut request = String::new();
    let mut lines = BufReader::new(stream);
    while !request.ends_with("\r\n\r\n") {
        if lines.read_line(&mut request).unwrap() == 0 {
            break;
        }
    }
    request.to_lowercase()
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn read(url: &str, options: &ReadOptions) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut reader = open(url, WHOLE, options).map_err(|error| error.to_string())?;
    reader.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

const TAGGED: &str = "Content-Length: 10\r\nETag: \"v1\"\r\n";

#[test]
fn a_cut_body_is_resumed_where_it_was_cut() {
    let rest = "Content-Length: 6\r\nContent-Range: bytes 4-9/10\r\nETag: \"v1\"\r\n";
    let (url, server) = serve(vec![
        answer("200 OK", TAGGED, b"0123"),
        answer("206 Partial Content", rest, b"456789"),
    ]);
    let (options, waits) = options();
    assert_eq!(read(&url, &options).unwrap(), b"0123456789");
    let requests = server.join().unwrap();
    assert!(!requests[0].contains("range"));
    assert!(requests[1].contains("range: bytes=4-\r\n"), "{}", requests[1]);
    assert!(requests[1].contains("if-range: \"v1\"\r\n"), "{}", requests[1]);
    assert_eq!(waits.taken().len(), 1);
}

#[test]
fn a_modification_date_is_used_if_there_is_no_strong_etag() {
    let date = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
    let first = format!("Content-Length: 3\r\nETag: W/\"weak\"\r\n{date}");
    let rest = format!("Content-Length: 2\r\nContent-Range: bytes 1-2/3\r\n{date}");
    let (url, server) =
        serve(vec![answer("200 OK", &first, b"a"), answer("206 Partial Content", &rest, b"bc")]);
    assert_eq!(read(&url, &options().0).unwrap(), b"abc");
    let request = &server.join().unwrap()[1];
    assert!(request.contains("if-range: wed, 21 oct 2015 07:28:00 gmt\r\n"), "{request}");
}

#[test]
fn a_changed_object_is_reported_as_changed() {
    let other = "Content-Length: 10\r\nETag: \"v2\"\r\n";
    let mixed = "Content-Length: 6\r\nContent-Range: bytes 4-9/10\r\nETag: \"v2\"\r\n";
    let elsewhere = "Content-Length: 5\r\nContent-Range: bytes 5-9/10\r\nETag: \"v1\"\r\n";
    for second in [
        answer("200 OK", other, b"abcdefghij"),
        answer("206 Partial Content", mixed, b"456789"),
        answer("206 Partial Content", elsewhere, b"56789"),
        answer("416 Range Not Satisfiable", "Content-Length: 0\r\n", b""),
    ] {
        let (url, server) = serve(vec![answer("200 OK", TAGGED, b"0123"), second]);
        let mut reader = open(&url, WHOLE, &options().0).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        let error = StorageError::of(&error).unwrap();
        assert!(matches!(error, StorageError::Changed { .. }), "{error}");
        assert_eq!(error.remedy(), Remedy::GiveUp);
        server.join().unwrap();
    }
}

#[test]
fn a_server_without_ranges_is_read_again_and_compared() {
    let plain = "Content-Length: 10\r\n";
    let (url, server) =
        serve(vec![answer("200 OK", plain, b"0123"), answer("200 OK", plain, b"0123456789")]);
    assert_eq!(read(&url, &options().0).unwrap(), b"0123456789");
    assert!(!server.join().unwrap()[1].contains("range"));
    let (url, server) =
        serve(vec![answer("200 OK", plain, b"0123"), answer("200 OK", plain, b"XX23456789")]);
    assert!(read(&url, &options().0).unwrap_err().contains("first 4 bytes differ"));
    server.join().unwrap();
}

#[test]
fn a_range_is_read_and_resumed_inside_its_bounds() {
    let first = "Content-Length: 5\r\nContent-Range: bytes 2-6/10\r\nETag: \"v1\"\r\n";
    let rest = "Content-Length: 3\r\nContent-Range: bytes 4-6/10\r\nETag: \"v1\"\r\n";
    let (url, server) = serve(vec![
        answer("206 Partial Content", first, b"23"),
        answer("206 Partial Content", rest, b"456"),
    ]);
    let mut text = String::new();
    open(&url, 2..7, &options().0).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "23456");
    let requests = server.join().unwrap();
    assert!(requests[0].contains("range: bytes=2-6\r\n"), "{}", requests[0]);
    assert!(requests[1].contains("range: bytes=4-6\r\n"), "{}", requests[1]);
}

#[test]
fn a_server_without_ranges_gives_a_range_all_the_same() {
    let plain = "Content-Length: 10\r\n";
    let (url, server) =
        serve(vec![answer("200 OK", plain, b"0123"), answer("200 OK", plain, b"0123456789")]);
    let mut text = String::new();
    open(&url, 2..7, &options().0).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "23456");
    server.join().unwrap();
    let none = answer("416 Range Not Satisfiable", "Content-Length: 0\r\n", b"");
    let (url, server) = serve(vec![none]);
    let Err(error) = open(&url, 20..30, &options().0) else { panic!("it was opened") };
    assert!(error.to_string().contains("ends before byte 20"), "{error}");
    server.join().unwrap();
}

#[test]
fn a_busy_server_is_asked_again_after_the_time_that_it_says() {
    let (url, server) = serve(vec![
        answer("503 Slow Down", "Retry-After: 7\r\nContent-Length: 0\r\n", b""),
        answer("429 Too Many Requests", "Retry-After: 99999\r\nContent-Length: 0\r\n", b""),
        answer("500 Oops", "Content-Length: 0\r\n", b""),
        answer("200 OK", TAGGED, b"0123456789"),
    ]);
    let (options, waits) = options();
    assert_eq!(read(&url, &options).unwrap(), b"0123456789");
    server.join().unwrap();
    let waits = waits.taken();
    assert_eq!(waits[..2], [Duration::from_secs(7), options.retry_after_max]);
    // The third wait is 2 s less at most a half.
    assert!((1000..=2000).contains(&waits[2].as_millis()), "{waits:?}");
}

#[test]
fn attempts_without_progress_are_limited() {
    let busy = answer("503 Slow Down", "Content-Length: 0\r\n", b"");
    let (url, server) = serve(vec![busy; 4]);
    let (options, waits) = options();
    let Err(error) = open(&url, WHOLE, &options) else { panic!("it was opened") };
    server.join().unwrap();
    assert!(matches!(error, StorageError::Unreachable { attempts: 4, .. }), "{error}");
    assert_eq!(error.remedy(), Remedy::Wait);
    assert_eq!(waits.taken().len(), 3);
}

#[test]
fn wrong_content_length_is_reported() {
    // Every answer is cut at the same place, because the object is shorter than the server says.
    let rest = "Content-Length: 6\r\nContent-Range: bytes 4-9/10\r\nETag: \"v1\"\r\n";
    let mut script = vec![answer("200 OK", TAGGED, b"0123")];
    script.resize(4, answer("206 Partial Content", rest, b""));
    let (url, server) = serve(script);
    let error = read(&url, &options().0).unwrap_err();
    assert!(error.contains("after 4 attempts"), "{error}");
    server.join().unwrap();
}

#[test]
fn a_missing_object_is_requested_again_only_if_a_listing_named_it() {
    for (listed, requests) in [(false, 1), (true, 4)] {
        let missing = answer("404 Not Found", "Content-Length: 0\r\n", b"");
        let (url, server) = serve(vec![missing; requests]);
        let (mut options, waits) = options();
        options.known = Known { listed, ..Known::default() };
        let Err(error) = open(&url, WHOLE, &options) else { panic!("it was opened") };
        server.join().unwrap();
        assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
        assert!(error.to_string().contains(&url), "{error}");
        assert_eq!(error.remedy(), Remedy::GiveUp);
        assert_eq!(waits.taken().len(), requests - 1);
    }
}

#[test]
fn a_missing_object_that_appears_is_read() {
    let (url, server) = serve(vec![
        answer("404 Not Found", "Content-Length: 0\r\n", b""),
        answer("200 OK", TAGGED, b"0123456789"),
    ]);
    let mut options = options().0;
    options.known.listed = true;
    assert_eq!(read(&url, &options).unwrap(), b"0123456789");
    server.join().unwrap();
}

#[test]
fn a_refusal_is_waited_for_as_throttling_and_then_charged_to_the_server() {
    let forbidden = answer("403 Forbidden", "Content-Length: 9\r\n", b"Forbidden");
    let (url, server) = serve(vec![forbidden.clone(), answer("200 OK", TAGGED, b"0123456789")]);
    assert_eq!(read(&url, &options().0).unwrap(), b"0123456789");
    server.join().unwrap();
    let (url, server) = serve(vec![forbidden; 4]);
    let (options, waits) = options();
    let Err(error) = open(&url, WHOLE, &options) else { panic!("it was opened") };
    server.join().unwrap();
    assert_eq!(error.remedy(), Remedy::Wait);
    assert!(error.to_string().contains("403") && error.to_string().contains("hint:"), "{error}");
    assert_eq!(waits.taken().len(), 3);
}

#[test]
fn a_login_that_is_required_stops_everything_at_once() {
    let (url, server) = serve(vec![answer("401 Unauthorized", "Content-Length: 0\r\n", b"")]);
    let Err(error) = open(&url, WHOLE, &options().0) else { panic!("it was opened") };
    server.join().unwrap();
    assert_eq!(error.remedy(), Remedy::Stop);
}

#[test]
fn a_web_page_in_place_of_an_archive_is_not_taken_for_it() {
    let page = "Content-Type: text/html; charset=utf-8\r\nContent-Length: 4\r\n";
    let (url, server) =
        serve(vec![answer("200 OK", page, b"busy"), answer("200 OK", TAGGED, b"0123456789")]);
    let url = format!("{url}.warc.gz");
    assert_eq!(read(&url, &options().0).unwrap(), b"0123456789");
    server.join().unwrap();
    let (url, server) = serve(vec![answer("200 OK", page, b"busy")]);
    let url = format!("{url}.html");
    assert_eq!(read(&url, &options().0).unwrap(), b"busy");
    server.join().unwrap();
}

#[test]
fn a_refusal_that_asks_to_slow_down_is_only_a_wait() {
    let body = b"<Error><Code>SlowDown</Code></Error>";
    let headers = format!("Content-Length: {}\r\n", body.len());
    let (url, server) = serve(vec![
        answer("403 Forbidden", &headers, body),
        answer("200 OK", TAGGED, b"0123456789"),
    ]);
    let (options, waits) = options();
    assert_eq!(read(&url, &options).unwrap(), b"0123456789");
    server.join().unwrap();
    assert_eq!(waits.taken().len(), 1);
}

#[test]
fn the_size_is_returned_if_the_server_knows_it() {
    let (url, server) = serve(vec![answer("200 OK", TAGGED, b"")]);
    assert_eq!(size(&url, &options().0).unwrap(), Some(10));
    assert!(server.join().unwrap()[0].starts_with("head /object"));
    let (url, server) = serve(vec![answer("405 Method Not Allowed", "", b"")]);
    assert_eq!(size(&url, &options().0).unwrap(), None);
    server.join().unwrap();
}

#[test]
fn a_refused_connection_is_worth_a_retry() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/object", listener.local_addr().unwrap());
    drop(listener);
    let Err(error) = open(&url, WHOLE, &options().0) else { panic!("it was opened") };
    assert_eq!(error.remedy(), Remedy::Wait);
}
