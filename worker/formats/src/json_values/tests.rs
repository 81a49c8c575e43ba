//! Tests the values of texts of every layout, whole, damaged and cut.

use super::*;
use crate::gzip::GzipLimits;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;

const MAX: usize = 100;

/// Gives one byte at a time, so that values extend over reads.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(buffer.len()).min(1);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn all(input: impl Read) -> Vec<(u64, Result<String, &'static str>)> {
    let unpacker = Unpacker::new(input, GzipLimits::default()).as_text();
    let mut reader = ValueReader::new(unpacker, MAX);
    let mut found = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        found.push(match item {
            Item::Line(line) => {
                assert_eq!(line.number, found.len() as u64);
                (line.offset, Ok(String::from_utf8_lossy(line.bytes).into_owned()))
            }
            Item::Quarantined(bad) => (bad.offset, Err(bad.reason)),
        });
        assert!(reader.buffer.capacity() < 4 << 20);
    }
    found
}

fn values(text: &str) -> Vec<Result<String, &'static str>> {
    let found = all(text.as_bytes());
    assert_eq!(all(Slow(text.as_bytes())), found, "read byte by byte");
    for (at, value) in &found {
        let at = *at as usize;
        assert!(value.as_ref().map_or(true, |value| text[at..].starts_with(value)), "{at}");
    }
    found.into_iter().map(|(_, value)| value).collect()
}

fn oks<const N: usize>(values: [&str; N]) -> Vec<Result<String, &'static str>> {
    values.into_iter().map(|value| Ok(value.to_owned())).collect()
}

#[test]
fn values_are_found_however_they_are_laid_out() {
    let (one, two) = (r#"{"a": "}]\"{", "b": [{}, [1]]}"#, r#"{"c": 2}"#);
    for text in [
        format!("\u{1e}{one}\n\u{1e}{two}\n"),
        format!("[{one},{two}]"),
        format!("[\n  {one},\n  {two}\n]\n"),
        format!("\u{feff}{one}\n{two}\n"),
        format!("{one}{two}"),
        format!("\u{feff}[{one}]\n\u{feff}[{two}]\0\0"),
    ] {
        assert_eq!(values(&text), oks([one, two]), "{text}");
    }
    let long = "{\n  \"a\": [\n    {\n      \"b\": 1\n    }\n  ]\n}";
    assert_eq!(values(&format!("{long}\n{long}\n")), oks([long, long]));
    // Without any indentation, an inner line looks like that of a value.
    let flat = "{\n\"a\": [\n{\n\"b\": 1\n}\n]\n}";
    assert_eq!(values(&format!("{flat}\n{flat}")), oks([flat, flat]));
    assert_eq!(values("[1, \"x, y\",null]"), oks(["1", "\"x, y\"", "null"]));
    let cut = values("[{\"a\": \"x\n\"},{\"a\": 1}]");
    assert_eq!(cut, [Ok("{\"a\": \"x".to_owned()), Err(REASON_REST)]);
    assert_eq!(values("[]"), []);
    assert_eq!(values(""), [Err(REASON_EMPTY)]);
}

#[test]
fn a_value_whose_brackets_do_not_match_is_the_only_one_lost() {
    let good = r#"{"a": "x"}"#;
    for bad in [r#"{"a": ["x"}"#, r#"{"a": "x}"#, r#"{"a": {"b": "x"}"#] {
        let text = format!("[\n  {good},\n  {bad},\n  {good},\n  {good}\n]");
        let found = values(&text);
        let whole = found.iter().filter(|it| it.as_deref() == Ok(good)).count();
        assert_eq!((whole, found.len()), (3, 4), "{text}: {found:?}");
    }
}

#[test]
fn an_array_that_does_not_end_is_reported_once() {
    let (one, two) = (r#"{"a": [1]}"#, r#"{"b": 2}"#);
    let good = |more: Option<&'static str>| -> Vec<_> {
        oks([one, two]).into_iter().chain(more.map(Err)).collect()
    };
    for start in ["[", "\u{feff}[", "[\n  ", " ["] {
        for (end, reason) in [
            ("]", None),
            ("]\n\0\0\0", None),
            ("", Some(REASON_TRUNCATED)),
            (",", Some(REASON_TRUNCATED)),
            (",\n", Some(REASON_TRUNCATED)),
            (", {\"a\": ", Some(REASON_TRUNCATED)),
            (", {\"a\": \"x", Some(REASON_TRUNCATED)),
            (", {\"a\": [1]", Some(REASON_TRUNCATED)),
            (", {\"a\": \"x}, {\"b\": \"y\"}]", Some(REASON_REST)),
            ("], [", Some(REASON_TRUNCATED)),
            ("], []", None),
        ] {
            let text = format!("{start}{one}, {two}{end}");
            assert_eq!(values(&text), good(reason), "{text}");
        }
    }
    // With a line feed at the end, the caller also sees the value that has no end.
    let bad = "{\"a\": \"x}, {\"b\": \"y\"}]";
    let found = values(&format!("[{one}, {bad}\n"));
    assert_eq!(found, [Ok(one.to_owned()), Ok(bad.to_owned()), Err(REASON_REST)]);
    // An object that is not in an array is read by the caller, who sees that it is cut off.
    assert_eq!(values("{\n\"a\": 1"), oks(["{\n\"a\": 1"]));
    let cut = values("[1, 23");
    assert_eq!(cut, [Ok("1".to_owned()), Ok("23".to_owned()), Err(REASON_TRUNCATED)]);
    let long = format!("[{one}, {{\"a\": \"{}", "x".repeat(2 * MAX));
    let expected = [Ok(one.to_owned()), Err(REASON_TOO_LARGE), Err(REASON_TRUNCATED)];
    assert_eq!(values(&long), expected);
}

#[test]
fn a_cut_packing_and_the_array_in_it_are_one_damage() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"[{\"a\": 1},{\"a\": 2},").unwrap();
    let whole = encoder.finish().unwrap();
    let reasons = |input: &[u8]| -> Vec<&str> {
        all(input).into_iter().filter_map(|(_, value)| value.err()).collect()
    };
    assert_eq!(reasons(&whole), [REASON_TRUNCATED]);
    assert_eq!(reasons(&whole[..whole.len() - 2]), ["gzip_truncated"]);
}

#[test]
fn a_value_beyond_the_limit_costs_itself_and_no_memory() {
    for long in [MAX, 16 << 20] {
        let text = format!("[{{\"a\": 1}},{{\"a\": \"{}\"}},{{\"b\": 2}}]", "x".repeat(long));
        let found = all(text.as_bytes());
        let places: Vec<u64> = found.iter().map(|(at, _)| *at).collect();
        assert_eq!(places, [1, 10, 10 + 9 + long as u64 + 1]);
        assert_eq!(found[1].1, Err(REASON_TOO_LARGE));
        assert_eq!(found[2].1.as_deref(), Ok("{\"b\": 2}"));
    }
}

#[test]
fn values_after_damaged_packing_are_found_by_their_lines() {
    let row = |n: u32| format!("  {{\"a\": \"{:x}\"}},\n", n.wrapping_mul(2_654_435_761));
    let text: String = (0..200).map(row).collect();
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let (first, second) = (gzip(&format!("[\n{text}")), gzip(&format!("{text}]")));
    let found = all(&[&first[..first.len() / 2], &second].concat()[..]);
    let bad: Vec<_> = found.iter().filter_map(|(_, it)| it.as_ref().err()).collect();
    assert_eq!(bad, [&"gzip_damaged"]);
    let good = found.iter().filter(|(_, it)| it.is_ok()).count();
    assert!((200..400).contains(&good), "{good}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(text in "[\\[\\]{}\",:\\\\ \n0a]{0,300}") {
        let found = all(text.as_bytes());
        prop_assert_eq!(all(Slow(text.as_bytes())), found);
    }
}
