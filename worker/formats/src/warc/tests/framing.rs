//! Tests what may follow a record, how lines may end, and records that continue in other members.

use super::*;

/// A record with these line ends in its head, and `end` after its body.
fn with_ends(line_end: &str, body: &[u8], end: &[u8]) -> Vec<u8> {
    let length = body.len();
    let lines = ["WARC/1.0", "WARC-Type: conversion", &format!("Content-Length: {length}"), "", ""];
    [lines.join(line_end).as_bytes(), body, end].concat()
}

fn bodies_of(items: &[Seen]) -> Vec<&[u8]> {
    let body = |item: &Seen| match item {
        Body(_, _) => true,
        Bad(..) => false,
    };
    assert!(items.iter().all(body), "{items:?}");
    items
        .iter()
        .filter_map(|item| if let Body(_, body) = item { Some(&body[..]) } else { None })
        .collect()
}

const BODIES: [&[u8]; 4] = [b"one", b"", b"two\nlines\n", b"ends with\r\n\r\n"];

#[test]
fn a_record_whose_length_is_right_is_read_whatever_line_ends_follow() {
    let many = b"\r\n".repeat(100_000);
    for end in [
        &b"\r\n\r\n"[..],
        b"",
        b"\r\n",
        b"\n",
        b"\r",
        b"\n\n",
        b"\n\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"\n\n\n\n\n",
        b"\0",
        b"\r\n\r\n\0\0\0\0",
        &many,
    ] {
        for line_end in ["\r\n", "\n"] {
            let records: Vec<Vec<u8>> =
                BODIES.iter().map(|body| with_ends(line_end, body, end)).collect();
            let members: Vec<Vec<u8>> = records.iter().map(|record| gzip(record)).collect();
            let plain = records.concat();
            for input in [plain.clone(), gzip(&plain), members.concat()] {
                let items = read(&input);
                assert_eq!(bodies_of(&items), BODIES, "{:?} {line_end:?}", end.get(..9));
                let mut reader = WarcReader::new(&input[..], WarcLimits::default());
                while reader.next().unwrap().is_some() {}
                let odd = if end == TWO_LINE_ENDS { 0 } else { BODIES.len() as u64 };
                assert_eq!(reader.odd_ends(), odd, "{:?}", end.get(..9));
            }
        }
    }
}

#[test]
fn anything_else_after_the_body_shows_that_the_length_is_wrong() {
    for end in [&b"x\r\n\r\n"[..], b"\r\nx\r\n", b"\n\nx\r\n", b"\r\n\r\n\nx\r\n"] {
        let input = [with_ends("\r\n", b"one", end), record(b"two")].concat();
        let items = read(&input);
        let [Bad(0, reason), Body(_, two)] = &items[..] else { panic!("{items:?}") };
        assert_eq!((*reason, &two[..]), (REASON_CONTENT_LENGTH_WRONG, &b"two"[..]));
    }
}

#[test]
fn garbage_after_a_whole_record_is_an_item_of_its_own() {
    let first = record(b"one");
    for garbage in [
        &b"x\r\n"[..],
        b"  \r\n",
        b"WAR\r\n",
        b"garbage\nWARC/1.0 in text\n\n",
        b"\xef\xbb\xbf",
        &[0xff; 100_000],
    ] {
        let at = first.len() as u64;
        let bad = (at, REASON_HEADER_MALFORMED);
        let two = record(b"two");
        let plain = [&first[..], garbage, b"\n", &two].concat();
        let items = read(&plain);
        let [Body(0, one), Bad(offset, reason), Body(_, last)] = &items[..] else {
            panic!("{items:?}")
        };
        assert_eq!((&one[..], (*offset, *reason), &last[..]), (&b"one"[..], bad, &b"two"[..]));
        // In one member, in members of their own, and at the end of the input.
        for input in [
            gzip(&plain),
            [gzip(&[&first[..], garbage].concat()), gzip(&two)].concat(),
            [gzip(&first), gzip(garbage), gzip(&two)].concat(),
            [gzip(&two), gzip(&[&first[..], garbage].concat())].concat(),
        ] {
            let items = read(&input);
            let bodies = items.iter().filter(|item| matches!(item, Body(..))).count();
            assert_eq!((bodies, items.len()), (2, 3), "{items:?}");
        }
    }
}

#[test]
fn a_byte_order_mark_at_the_start_costs_nothing() {
    let plain = [&b"\xef\xbb\xbf"[..], &record(b"one"), &record(b"two")].concat();
    for input in [plain.clone(), gzip(&plain)] {
        assert_eq!(bodies_of(&read(&input)), [b"one", b"two"]);
        assert_eq!(
            read_all(Trickle { input: &input, step: 1 }, WarcLimits::default()),
            read(&input)
        );
    }
}

#[test]
fn versions_types_and_fields_can_have_any_letter_case_and_be_folded() {
    let head =
        "warc/1.0\nwarc-TYPE: Response\nContent-Length:\n 4\nWARC-Target-URI:\n\t<http://a/>\n\n";
    for line_end in ["\n", "\r\n"] {
        let input = [head.replace('\n', line_end).as_bytes(), b"body", b"\n\n"].concat();
        let mut reader = WarcReader::new(&input[..], WarcLimits::default());
        let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("it is read") };
        assert_eq!(record.body, b"body");
        assert_eq!(record.header.warc_type(), Some(&b"Response"[..]));
        assert_eq!(record.header.target_uri(), Some(&b"http://a/"[..]));
    }
}

/// Packs `plain` into members of `size` bytes, as bgzip does, with its empty last member.
fn cut_anywhere(plain: &[u8], size: usize) -> Vec<u8> {
    let members: Vec<Vec<u8>> = plain.chunks(size).map(gzip).collect();
    [members.concat(), gzip(b"")].concat()
}

#[test]
fn records_continue_in_the_next_member_wherever_members_end() {
    let bodies: Vec<Vec<u8>> = (0..9).map(|n| vec![b'a' + n; usize::from(n) * 37]).collect();
    let plain: Vec<u8> = bodies.iter().flat_map(|body| record(body)).collect();
    for size in 1..400 {
        let items = read(&cut_anywhere(&plain, size));
        assert_eq!(bodies_of(&items), bodies, "members of {size} bytes");
    }
    for packing in [1, 3] {
        let frames: Vec<Vec<u8>> =
            plain.chunks(100).map(|chunk| zstd::encode_all(chunk, packing).unwrap()).collect();
        assert_eq!(bodies_of(&read(&frames.concat())), bodies);
    }
}

#[test]
fn a_record_has_the_offset_of_the_member_in_which_it_starts() {
    let plain = [record(b"first"), record(&[b'x'; 500]), record(b"last")].concat();
    let members: Vec<Vec<u8>> = plain.chunks(200).map(gzip).collect();
    let offsets: Vec<u64> = read(&members.concat())
        .iter()
        .map(|item| match item {
            Body(at, _) | Bad(at, _) => *at,
        })
        .collect();
    let third = members[..3].concat().len() as u64;
    assert_eq!(offsets, [0, 0, third]);
}

#[test]
fn a_wrong_length_costs_one_record_wherever_members_end() {
    for (length, reason) in [
        ("100000", REASON_CONTENT_LENGTH_WRONG),
        ("2", REASON_CONTENT_LENGTH_WRONG),
        ("x", REASON_CONTENT_LENGTH_WRONG),
    ] {
        let bad = record_with_length(length, &[b'b'; 300]);
        let plain = [record(&[b'a'; 300]), bad, record(&[b'c'; 300]), record(b"d")].concat();
        for size in [50, 99, 256] {
            let items = read(&cut_anywhere(&plain, size));
            let [Body(..), Bad(_, found), Body(_, c), Body(_, d)] = &items[..] else {
                panic!("{length} {size}: {items:?}")
            };
            assert_eq!((*found, c.len(), &d[..]), (reason, 300, &b"d"[..]));
        }
    }
}

#[test]
fn a_record_that_is_too_large_is_skipped_across_members() {
    let limits = WarcLimits { record_max_bytes: 1000, ..WarcLimits::default() };
    let plain = [record(b"first"), record(&[b'x'; 5000]), record(b"last")].concat();
    let items = read_all(&cut_anywhere(&plain, 300)[..], limits);
    let [Body(_, first), Bad(_, reason), Body(_, last)] = &items[..] else { panic!("{items:?}") };
    assert_eq!((&first[..], &last[..]), (&b"first"[..], &b"last"[..]));
    assert_eq!(*reason, REASON_RECORD_TOO_LARGE);
}

#[test]
fn bytes_after_the_last_member_cost_no_record() {
    for after in [&b"garbage"[..], &[0; 5000], b"\0\0\0garbage"] {
        let input = [gzip(&record(b"one")), after.to_vec()].concat();
        let items = read(&input);
        assert_eq!(items[0], Body(0, b"one".to_vec()));
        let garbage = usize::from(after.ends_with(b"garbage"));
        assert_eq!(items.len(), 1 + garbage, "{items:?}");
    }
}

#[test]
fn packed_and_plain_records_in_one_input_are_all_read() {
    let plain = |bodies: &[&[u8]]| bodies.iter().flat_map(|body| record(body)).collect::<Vec<u8>>();
    let zstd = |data: &[u8]| zstd::encode_all(data, 1).unwrap();
    let long = vec![b'x'; 700_000];
    let parts: [(&[&[u8]], Vec<u8>); 6] = [
        (&[b"one", b"two"], [gzip(&record(b"one")), gzip(&record(b"two"))].concat()),
        (&[b"three", &long], plain(&[b"three", &long])),
        (&[b"four"], zstd(&record(b"four"))),
        (&[b"five", b"six"], plain(&[b"five", b"six"])),
        (&[b"seven"], gzip(&record(b"seven"))),
        (&[b"\x1f\x8b\x08 no member"], plain(&[b"\x1f\x8b\x08 no member"])),
    ];
    for from in 0..parts.len() {
        let expected: Vec<&[u8]> = parts[from..].iter().flat_map(|part| part.0).copied().collect();
        let input: Vec<u8> = parts[from..].iter().flat_map(|part| part.1.clone()).collect();
        let items = read(&input);
        assert_eq!(bodies_of(&items), expected, "from part {from}");
        let slow = read_all(Trickle { input: &input, step: 7 }, WarcLimits::default());
        assert_eq!(slow, items, "from part {from}, in small reads");
        let offset = |item: &Seen| match item {
            Body(offset, _) | Bad(offset, _) => *offset,
        };
        let offsets: Vec<u64> = items.iter().map(offset).collect();
        assert!(offsets.is_sorted_by(|a, b| a < b), "from part {from}: {offsets:?}");
    }
}

#[test]
fn a_record_that_starts_in_mid_line_after_damage_is_found() {
    let whole = [record(b"one"), record(b"two")].concat();
    let first = record(b"a page that is long enough to be cut in its middle");
    for cut in [first.len() - 10, first.len() - 5, first.len() - 30] {
        let input = [&first[..cut], &whole].concat();
        for input in [input.clone(), gzip(&input)] {
            let items = read(&input);
            let [Bad(..), Body(_, one), Body(_, two)] = &items[..] else { panic!("{items:?}") };
            assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]), "{cut}");
        }
    }
    // In the head of the first one, two heads would else be one.
    for cut in [10, 17, 22, 40, 50] {
        let items = read(&[&first[..cut], &whole].concat());
        let [Bad(0, reason), Body(_, one), Body(_, two)] = &items[..] else { panic!("{items:?}") };
        assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]), "{cut}");
        assert_eq!(*reason, REASON_HEADER_MALFORMED);
    }
    let uri = b"WARC/1.0\r\nWARC-Target-URI: http://a/WARC/1.0\r\nWARC-Type: conversion\r\n\
        Content-Length: 3\r\n\r\none\r\n\r\n";
    assert_eq!(bodies_of(&read(uri)), [b"one"]);
    // A sound record that quotes one is not split, and a mention is no record.
    let quoting = [&b"see "[..], &record(b"quoted"), b" and WARC/1.0\r\nmore"].concat();
    let items = read(&[record(&quoting), record(b"two")].concat());
    assert_eq!(bodies_of(&items), [&quoting[..], b"two"]);
    let cut = [&first[..first.len() - 10], b" in WARC/1.0\r\n is a line\r\n\r\n", &whole].concat();
    let items = read(&cut);
    let [Bad(..), Body(..), Body(..)] = &items[..] else { panic!("{items:?}") };
}
