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

/// Returns the offset and the outcome of each row.
fn rows(text: &str) -> Vec<(u64, String)> {
    let seen = read_bytes(&C4, "c4", "x.json", text.as_bytes());
    seen.iter().map(|one| (one.offset(), one.outcome())).collect()
}

#[test]
fn an_object_over_several_lines_after_rows_is_one_row() {
    let spread = |text: &str| {
        format!(
            "{{\n  \"text\": \"{text}\",\n\n  \"a\": [\n    {{\n      \"b\": {{}}\n    }},\n    \
             {{\"c\": \"{{\"}}\n  ]\n}}"
        )
    };
    let (one, two) = (spread("b"), spread("c"));
    let first = "{\"text\": \"a\"}\n";
    for (between, last) in
        [("\n", ""), (",\n", "\n"), ("\n{\"text\": \"d\"}\n", "\n"), ("\r\n", "")]
    {
        let text = format!("{first}{one}{between}{two}{last}");
        let mut expected = vec![(0, "a".to_owned()), (first.len() as u64, "b".to_owned())];
        if let Some(at) = text.find("{\"text\": \"d\"}") {
            expected.push((at as u64, "d".to_owned()));
        }
        expected.push((text.rfind("{\n  \"text\"").unwrap() as u64, "c".to_owned()));
        assert_eq!(rows(&text), expected, "{text}");
    }
}

#[test]
fn a_damaged_row_does_not_hide_those_after_it() {
    let good = "{\"text\": \"a\"}\n";
    for bad in [
        "{\"text\": \"b\",\n",
        "{\"text\": \"b\n",
        "{\"text\": [\n",
        "{\"text\": [1,\n",
        "{\"text\": {\"c\":\n",
        "{\n",
        "{\"text\": [[}\n",
    ] {
        let text = format!("{good}{bad}{}", good.repeat(4));
        let found = rows(&text);
        assert_eq!(found.len(), 6, "{bad}: {found:?}");
        let at = good.len() as u64;
        assert_eq!(found[1], (at, "invalid_json".to_owned()), "{bad}");
        let others = found.iter().filter(|(_, outcome)| outcome == "a");
        assert_eq!(others.count(), 5, "{bad}: {found:?}");
        // The same at the end of the input.
        let found = rows(&format!("{good}{bad}"));
        assert_eq!(found.len(), 2, "{bad}: {found:?}");
    }
}

#[test]
fn joined_and_padded_files_lose_no_row() {
    let (one, two) = ("{\"text\": \"a\"}", "{\"text\": \"b\"}");
    for text in [
        format!("\u{feff}{one}\n\u{feff}{two}\n"),
        format!("\u{feff}{one}\u{feff}{two}"),
        format!("{one}\n\u{feff}\n{two}\n\u{feff}"),
        format!("{one}\n{two}\n\0\0\0\0"),
        format!("{one}\n{two}\0\0\0\0"),
        format!("{one}\n\0\0{two}\n \n"),
        format!("{one}\n{two}\n{}", "\0".repeat(300_000)),
    ] {
        let outcomes: Vec<String> = rows(&text).into_iter().map(|(_, it)| it).collect();
        assert_eq!(outcomes, ["a", "b"], "{text:.60}");
    }
    assert_eq!(rows("\0\0\0"), [(0, "invalid_json".to_owned())]);
}

#[test]
fn a_row_with_a_deeply_nested_field_is_read() {
    for levels in [126, 127, 1000, 100_000] {
        let deep = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let line = format!("{{\"text\": \"a\", \"b\": {deep}, \"text\": \"c\"}}");
        assert_eq!(rows(&line), [(0, "c".to_owned())], "{levels}");
        let line = format!("{{\"text\": {deep}}}");
        assert_eq!(rows(&line), [(0, "json_text_type".to_owned())], "{levels}");
    }
}
