//! Tests which lines are read, and the reasons for those that are not.

use super::*;
use crate::c4::C4;
use crate::testing::{Seen, read_bytes};

/// Returns the text of a line's row, or the reason for which it is quarantined or dropped.
fn outcome(line: &[u8]) -> String {
    let seen = read_bytes(&C4, "c4", "x.json", line);
    let [one] = &seen[..] else { panic!("{seen:?}") };
    one.outcome()
}

#[test]
fn a_row_is_read_if_its_text_can_be() {
    for (line, expected) in [
        (r#"{"text": "a\ud83d", "url": "u"}"#, "a\u{fffd}"),
        (r#"{"text": "\ud83d\ude00\udead"}"#, "\u{1f600}\u{fffd}"),
        (r#"{"text": "a", "url": "\ud800"}"#, "a"),
        (r#"{"text": "a", "score": NaN, "b": [Infinity, -Infinity, 1e400]}"#, "a"),
        (r#"{"text": "a", "text": "b"}"#, "b"),
        (r#"{"url": "u", "text": "a", "url": "v"}"#, "a"),
        (r#"{"text": "a", "url": null, "timestamp": null}"#, "a"),
        (r#"{"text": "a", "url": 5, "timestamp": 1556197074.5}"#, "a"),
        (r#"{"text": "a", "url": ["u"], "timestamp": {"t": false}}"#, "a"),
        ("{\"text\": \"tab\tand \u{1}\"}", "tab\tand \u{1}"),
        (r#"  {"text": "a"}  "#, "a"),
    ] {
        assert_eq!(outcome(line.as_bytes()), expected, "{line}");
    }
    assert_eq!(
        outcome(b"{\"text\": \"\xed\xa0\xbd\xed\xb8\x80 \xed\xa0\xbd\"}"),
        "\u{1f600} \u{fffd}"
    );
    assert_eq!(outcome(b"\xef\xbb\xbf{\"text\": \"a\"}"), "a");
    assert_eq!(outcome(b"{\"text\": \"caf\xe9\"}"), "caf\u{fffd}");
    assert_eq!(outcome(b"{\"url\": \"\xff\", \"text\": \"a\"}"), "a");
}

#[test]
fn other_rows_are_quarantined_with_the_rule_that_they_break() {
    for (line, reason) in [
        (&br#"{"text": null}"#[..], "json_no_text"),
        (br#"{"url": "u"}"#, "json_no_text"),
        (br#"{"text": "a", "text": null}"#, "json_no_text"),
        (br#"{"text": 5}"#, "json_text_type"),
        (br#"{"text": NaN}"#, "json_no_text"),
        (br#"{"text": ["a"]}"#, "json_text_type"),
        (br#"{"text": {"a": 1}}"#, "json_text_type"),
        (br#"{"text": true}"#, "json_text_type"),
        (b"5", "json_not_an_object"),
        (b"\"text\"", "json_not_an_object"),
        (b"null", "json_not_an_object"),
        (br#"{"text": "a""#, "invalid_json"),
        (br#"{'text': 'a'}"#, "invalid_json"),
        (b"{\"text\": \"\xff\xff\"}", "invalid_utf8"),
        (b"{\"text\": \"caf\xe9 cr\xe8me\"}", "invalid_utf8"),
        (br#"{"text": ""}"#, "c4/empty"),
    ] {
        assert_eq!(outcome(line), reason, "{}", line.escape_ascii());
    }
}

#[test]
fn every_object_of_a_line_is_a_row() {
    let rows = |text: &[u8]| -> Vec<(u64, String)> {
        let seen = read_bytes(&C4, "c4", "x.json", text);
        seen.iter().map(|one| (one.offset(), one.outcome())).collect()
    };
    let row = |at: u64, outcome: &str| (at, outcome.to_owned());
    let two = br#"{"text": "a"}{"text": "b"}"#;
    assert_eq!(rows(two), [row(0, "a"), row(13, "b")]);
    let sequence = b"\x1e{\"text\": \"a\"}\n\x1e{\"text\": \"b\"}\n\x1e\n";
    assert_eq!(rows(sequence), [row(0, "a"), row(15, "b")]);
    let bad = br#"{"text": "a"} {} x {"text": "b"} {"text": "c"#;
    let expected = [row(0, "a"), row(14, "json_no_text"), row(17, "invalid_json"), row(19, "b")];
    let found = rows(bad);
    assert_eq!(found[..4], expected);
    assert_eq!(found[4..], [row(33, "invalid_json")]);
}

#[test]
fn fields_of_another_type_are_read_as_their_digits_or_not_at_all() {
    let line = br#"{"text": "a", "url": 5, "timestamp": ["x"]}"#;
    let seen = read_bytes(&C4, "c4", "x.json", line);
    let Seen::Page { url, date, .. } = &seen[0] else { panic!("{seen:?}") };
    assert_eq!((url.as_str(), date.as_str()), ("5", ""));
    let large = br#"{"text": "a", "url": 12345678901234567890123}"#;
    let seen = read_bytes(&C4, "c4", "x.json", large);
    let Seen::Page { url, .. } = &seen[0] else { panic!("{seen:?}") };
    assert_eq!(url, "12345678901234567890123");
    let (row, _): (Map<String, Value>, u64) = parse(br#"{"a": 1, "b": NaN, "a": 2}"#).unwrap();
    assert_eq!(row, Map::from_iter([("a".into(), 2.into()), ("b".into(), Value::Null)]));
}
