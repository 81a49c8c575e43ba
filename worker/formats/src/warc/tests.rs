//! Tests framing, each kind of defect, and that damage costs only what it affects.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

mod framing;

const WARC: &[u8] = include_bytes!("../../../testdata/cc/whirlwind.warc.gz");
const WET: &[u8] = include_bytes!("../../../testdata/cc/whirlwind.warc.wet.gz");

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn record_with_length(length: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body, b"\r\n\r\n"].concat()
}

fn record(body: &[u8]) -> Vec<u8> {
    record_with_length(&body.len().to_string(), body)
}

/// An owned item: the body or the reason, with its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Body(u64, Vec<u8>),
    Bad(u64, &'static str),
}
use Seen::{Bad, Body};

fn read_all(input: impl Read, limits: WarcLimits) -> Vec<Seen> {
    let mut reader = WarcReader::new(input, limits);
    let mut items = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        let index = items.len() as u64;
        items.push(match item {
            Item::Record(record) => {
                assert_eq!(record.index, index);
                Body(record.offset, record.body.to_vec())
            }
            Item::Quarantined(bad) => {
                assert_eq!(bad.index, index);
                Bad(bad.offset, bad.reason)
            }
        });
        // The carry holds at most one record, one piece, and the growth of a vector.
        let bound = 2 * (limits.record_max_bytes + limits.header_max_bytes + (9 << 20));
        assert!(reader.source.carry_capacity() <= bound);
    }
    assert!(reader.next().unwrap().is_none());
    items
}

fn read(input: &[u8]) -> Vec<Seen> {
    read_all(input, WarcLimits::default())
}

/// An input that returns at most `step` bytes per read.
struct Trickle<'a> {
    input: &'a [u8],
    step: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.step.min(buffer.len());
        self.input.read(&mut buffer[..count])
    }
}

#[test]
fn a_real_wet_file_gives_its_records() {
    let mut reader = WarcReader::new(WET, WarcLimits::default());
    let mut types = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        let Item::Record(record) = item else { panic!("the file has no defect") };
        types.push(String::from_utf8(record.header.warc_type().unwrap().to_vec()).unwrap());
        if types.len() == 2 {
            let uri = record.header.target_uri().unwrap();
            assert_eq!(uri, b"https://an.wikipedia.org/wiki/Escopete");
            assert_eq!(record.header.identified_language(), Some(&b"spa"[..]));
            assert_eq!(record.header.content_type(), Some(&b"text/plain"[..]));
            assert!(record.header.date().is_some() && record.header.record_id().is_some());
            assert!(record.body.starts_with(b"Escopete"));
            let length = record.body.len().to_string();
            assert_eq!(record.header.get("content-length"), Some(length.as_bytes()));
        }
    }
    assert_eq!(types, ["warcinfo", "conversion"]);
    assert_eq!(reader.input_digest().blake3, blake3::hash(WET));
    assert_eq!(reader.input_digest().bytes, WET.len() as u64);
}

#[test]
fn a_real_warc_file_gives_the_same_records_however_it_is_packed() {
    let items = read(WARC);
    let bodies = |items: &[Seen]| -> Vec<Vec<u8>> {
        let body = |item: &Seen| match item {
            Body(_, body) => body.clone(),
            Bad(offset, reason) => panic!("{reason} at {offset}"),
        };
        items.iter().map(body).collect()
    };
    assert_eq!(items.len(), 4);
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(WARC).read_to_end(&mut plain).unwrap();
    assert_eq!(bodies(&read(&plain)), bodies(&items));
    assert_eq!(bodies(&read(&gzip(&plain))), bodies(&items));
}

#[test]
fn a_large_single_member_gives_all_its_records() {
    let records: Vec<Vec<u8>> = (0..3000usize).map(|i| record(&vec![b'a'; i * 7 % 9001])).collect();
    let plain = records.concat();
    assert!(plain.len() > 9 << 20);
    let from_gzip = read(&gzip(&plain));
    let from_plain = read(&plain);
    assert_eq!(from_gzip.len(), 3000);
    let mut offset = 0;
    for (i, (a, b)) in from_gzip.iter().zip(&from_plain).enumerate() {
        assert_eq!(a, &Body(0, vec![b'a'; i * 7 % 9001]));
        assert_eq!(b, &Body(offset, vec![b'a'; i * 7 % 9001]));
        offset += records[i].len() as u64;
    }
}

#[test]
fn an_empty_input_is_quarantined() {
    assert_eq!(read(b""), [Bad(0, REASON_EMPTY_INPUT)]);
    assert_eq!(read(&gzip(b"")), [Bad(0, REASON_EMPTY_INPUT)]);
}

/// Returns the defect of the second of three records, which must be the same with each in its own
/// member, all in one, and plain.
fn defect_of(bad: &[u8]) -> &'static str {
    let [first, last] = [record(b"first"), record(b"last")];
    let members = [gzip(&first), gzip(bad), gzip(&last)];
    let second_at = members[0].len() as u64;
    let third_at = second_at + members[1].len() as u64;
    let items = read(&members.concat());
    let [Body(0, a), Bad(at, reason), Body(end, b)] = &items[..] else { panic!("{items:?}") };
    assert_eq!((&a[..], *at, *end, &b[..]), (&b"first"[..], second_at, third_at, &b"last"[..]));

    let plain = [&first[..], bad, &last].concat();
    for input in [gzip(&plain), plain] {
        let items = read(&input);
        let [Body(_, a), Bad(_, same), Body(_, b)] = &items[..] else { panic!("{items:?}") };
        assert_eq!((&a[..], *same, &b[..]), (&b"first"[..], *reason, &b"last"[..]));
    }
    reason
}

#[test]
fn a_wrong_content_length_costs_one_record() {
    assert_eq!(defect_of(&record_with_length("2", b"longer")), REASON_CONTENT_LENGTH_WRONG);
    assert_eq!(defect_of(&record_with_length("10", b"short")), REASON_CONTENT_LENGTH_WRONG);
    assert_eq!(defect_of(&record_with_length("1000", b"short")), REASON_CONTENT_LENGTH_WRONG);
    assert_eq!(defect_of(&record_with_length("x", b"short")), REASON_CONTENT_LENGTH_WRONG);
}

#[test]
fn a_malformed_header_costs_one_record() {
    let missing = b"WARC/1.0\r\nWARC-Type: conversion\r\n\r\nbody\r\n\r\n";
    assert_eq!(defect_of(missing), REASON_CONTENT_LENGTH_MISSING);
    let no_colon = b"WARC/1.0\r\nno colon\r\nContent-Length: 4\r\n\r\nbody\r\n\r\n";
    assert_eq!(defect_of(no_colon), REASON_HEADER_MALFORMED);
    let version = b"WARC/7.5\r\nContent-Length: 4\r\n\r\nbody\r\n\r\n";
    assert_eq!(defect_of(version), REASON_HEADER_MALFORMED);
}

#[test]
fn a_header_bomb_is_cut_off() {
    let mut fields = b"WARC/1.0\r\n".to_vec();
    for i in 0..1001 {
        write!(fields, "A-{i}: b\r\n").unwrap();
    }
    fields.extend_from_slice(b"Content-Length: 1\r\n\r\nx\r\n\r\n");
    assert_eq!(defect_of(&fields), REASON_HEADER_TOO_LARGE);
    let long = [&b"WARC/1.0\r\nA: "[..], &vec![b'a'; 10 << 20], b"\r\n\r\n\r\n\r\n"].concat();
    assert_eq!(defect_of(&long), REASON_HEADER_TOO_LARGE);
}

#[test]
fn a_record_that_is_too_large_is_skipped() {
    let large = record(&vec![b'x'; 65 << 20]);
    assert_eq!(defect_of(&large), REASON_RECORD_TOO_LARGE);
}

#[test]
fn a_wrong_length_beyond_the_limit_costs_one_record() {
    let limits = WarcLimits { record_max_bytes: 1000, ..WarcLimits::default() };
    let bodies: Vec<Vec<u8>> = (0..40).map(|i| vec![b'a'; 10 * i]).collect();
    let rest: Vec<u8> = bodies.iter().flat_map(|body| record(body)).collect();
    for length in ["1001", "1500", "4000", "99999999", "18446744073709551615"] {
        let bad = record_with_length(length, b"short");
        let plain = [&record(b"first")[..], &bad, &rest].concat();
        for input in [gzip(&plain), plain] {
            let items = read_all(&input[..], limits);
            assert_eq!(items.len(), 42, "{length}");
            assert!(matches!(items[1], Bad(_, REASON_CONTENT_LENGTH_WRONG)), "{length}");
            let found = items[2..].iter().zip(&bodies);
            assert!(
                found.into_iter().all(|(items, body)| matches!(items, Body(_, it) if it == body))
            );
        }
    }
    // A record with a correct length may quote other records, as one below the limit may.
    let quoting = [&b"about\n"[..], &record(b"inner"), &[b'x'; 1200], b"\nWARC/1.0\r\n"].concat();
    let plain = [record(b"first"), record(&quoting), record(b"next")].concat();
    for input in [gzip(&plain), plain] {
        let items = read_all(&input[..], limits);
        let [Body(..), Bad(_, reason), Body(_, next)] = &items[..] else { panic!("{items:?}") };
        assert_eq!((*reason, &next[..]), (REASON_RECORD_TOO_LARGE, &b"next"[..]));
    }
}

#[test]
fn a_line_of_a_gigabyte_is_skipped_in_bounded_memory() {
    let head = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: 1073741824\r\n\r\n";
    let line = io::repeat(b'a').take(1 << 30);
    let next = [b"\r\n\r\n", &record(b"next")[..]].concat();
    let limits = WarcLimits { record_max_bytes: 1 << 20, ..WarcLimits::default() };
    let items = read_all(head.chain(line).chain(&next[..]), limits);
    let next_at = head.len() as u64 + (1 << 30) + 4;
    assert_eq!(items, [Bad(0, REASON_RECORD_TOO_LARGE), Body(next_at, b"next".to_vec())]);
    // A line without any header is limited, too.
    let line = io::repeat(b'a').take(1 << 30);
    let items = read_all(line.chain(&b"\n"[..]).chain(&record(b"next")[..]), limits);
    assert_eq!(items, [Bad(0, REASON_HEADER_MALFORMED), Body((1 << 30) + 1, b"next".to_vec())]);
}

#[test]
fn the_end_of_the_input_inside_a_record_is_reported() {
    let whole = [record(b"first"), record(b"a body that is cut")].concat();
    let second_at = record(b"first").len();
    for left in second_at + 1..whole.len() - TWO_LINE_ENDS.len() {
        let items = read(&whole[..left]);
        let expected = Bad(second_at as u64, REASON_RECORD_TRUNCATED);
        assert_eq!(items, [Body(0, b"first".to_vec()), expected], "{left} bytes");
    }
    let members = [gzip(&record(b"first")), gzip(&record(b"a body that is cut"))];
    let input = members.concat();
    for left in members[0].len() + 1..input.len() {
        let expected = Bad(members[0].len() as u64, super::super::gzip::REASON_TRUNCATED);
        assert_eq!(read(&input[..left]), [Body(0, b"first".to_vec()), expected], "{left} bytes");
    }
}

#[test]
fn a_page_that_quotes_a_record_is_not_cut() {
    let quoting = [&b"about\nWARC/1.0\r\n"[..], &record(b"inner"), b"\r\n\r\nWARC/1.0"].concat();
    let input = [record(&quoting), record(b"next")].concat();
    let expected =
        [Body(0, quoting.clone()), Body(record(&quoting).len() as u64, b"next".to_vec())];
    assert_eq!(read(&input), expected);
    // Such a page gives no second record if its own length is wrong and members hold one record.
    let members =
        [gzip(&record(b"info")), gzip(&record_with_length("7", &quoting)), gzip(&record(b"next"))];
    let items = read(&members.concat());
    assert_eq!(items.len(), 3);
    assert_eq!(items[1], Bad(members[0].len() as u64, REASON_CONTENT_LENGTH_WRONG));
}

#[test]
fn damage_in_a_shared_member_costs_what_follows_it_in_that_member() {
    let text = |i: usize| format!("record {i} {}", "abcdefgh".repeat(i % 50)).into_bytes();
    let plain: Vec<u8> = (0..200).flat_map(|i| record(&text(i))).collect();
    let mut input = gzip(&plain);
    let next_at = input.len() as u64;
    let middle = input.len() / 2;
    input[middle] ^= 0xff;
    input.extend_from_slice(&gzip(&record(b"next")));
    let items = read(&input);
    assert_eq!(items.last(), Some(&Body(next_at, b"next".to_vec())));
    let bad =
        items.iter().filter(|item| matches!(item, Bad(0, super::super::gzip::REASON_DAMAGED)));
    assert_eq!(bad.count(), 1);
    assert!(items.len() > 50, "{} items", items.len());
}

/// Returns members with `per_member` records each, and the offsets at which they start.
fn crawl(bodies: &[Vec<u8>], per_member: usize) -> (Vec<u8>, Vec<(u64, Vec<Seen>)>) {
    let mut input = Vec::new();
    let mut members = Vec::new();
    for group in bodies.chunks(per_member) {
        let offset = input.len() as u64;
        let plain: Vec<u8> = group.iter().flat_map(|body| record(body)).collect();
        input.extend_from_slice(&gzip(&plain));
        members.push((offset, group.iter().map(|body| Body(offset, body.clone())).collect()));
    }
    (input, members)
}

fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        "[ -~\r\n]{0,400}".prop_map(String::into_bytes),
        (0usize..60_000).prop_map(|length| vec![b'z'; length]),
    ];
    proptest::collection::vec(body, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_items_do_not_depend_on_the_size_of_reads(
        bodies in bodies(),
        per_member in 1usize..4,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let (mut input, _) = crawl(&bodies, per_member);
        for (at, value) in flips {
            let at = at.index(input.len());
            input[at] = value;
        }
        let whole = read(&input);
        for step in [1, 7, 64 << 10] {
            let trickle = Trickle { input: &input, step };
            prop_assert_eq!(&read_all(trickle, WarcLimits::default()), &whole);
        }
    }

    #[test]
    fn damage_never_costs_an_intact_member(
        bodies in bodies(),
        per_member in 1usize..4,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..=255), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut input, members) = crawl(&bodies, per_member);
        input.truncate(cut.index(input.len()) + 1);
        let mut hurt: Vec<usize> = Vec::new();
        for (at, change) in flips {
            let at = at.index(input.len());
            input[at] ^= change;
            hurt.push(at);
        }
        let items = read(&input);
        let ends = members.iter().skip(1).map(|member| member.0).chain([u64::MAX]);
        for ((start, records), end) in members.iter().zip(ends) {
            let intact = end <= input.len() as u64
                && !hurt.iter().any(|at| (*start..end).contains(&(*at as u64)));
            if intact {
                let found: Vec<_> = items
                    .iter()
                    .filter(|item| matches!(item, Body(at, _) if at == start))
                    .cloned()
                    .collect();
                prop_assert_eq!(&found, records, "member at {}", start);
            }
        }
    }

    #[test]
    fn foreign_bytes_never_panic(
        start in prop::sample::select(vec![&b""[..], b"WARC/1.0\r\n", b"\x1f\x8b\x08\x00"]),
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        let input = [start, &bytes].concat();
        prop_assert!(!read(&input).is_empty());
    }
}
