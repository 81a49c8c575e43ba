//! Tests the lines of inputs of every form, whole, damaged, and in pieces.

use super::*;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

fn all<R: Read>(mut reader: LineReader<R>) -> Vec<(u64, u64, Result<String, &'static str>)> {
    let mut found = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        found.push(match item {
            Item::Line(line) => {
                (line.offset, line.number, Ok(String::from_utf8(line.bytes.to_vec()).unwrap()))
            }
            Item::Quarantined(bad) => (bad.offset, bad.number, Err(bad.reason)),
        });
    }
    found
}

fn whole(input: &[u8]) -> Vec<(u64, u64, Result<String, &'static str>)> {
    all(LineReader::whole(input, 100, GzipLimits::default()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn plain_and_gzip_give_the_same_lines_with_their_places() {
    let text = b"one\n\ntwo\nthree";
    let lines = vec![
        (0, 0, Ok("one".to_owned())),
        (5, 1, Ok("two".to_owned())),
        (9, 2, Ok("three".to_owned())),
    ];
    assert_eq!(whole(text), lines);
    assert_eq!(whole(&gzip(text)), lines);
    let members = [gzip(b"one\n\ntw"), gzip(b"o\nth"), gzip(b"ree")].concat();
    assert_eq!(whole(&members), lines, "a line may extend over members");
    assert_eq!(whole(b""), [(0, 0, Err(REASON_EMPTY))]);
    assert_eq!(whole(b"\n\n"), []);
}

#[test]
fn a_byte_order_mark_is_not_part_of_a_line() {
    let lines = vec![(0, 0, Ok("a".to_owned())), (5, 1, Ok("b".to_owned()))];
    assert_eq!(whole("\u{feff}a\n\u{feff}b".as_bytes()), lines);
    assert_eq!(whole(&gzip("\u{feff}a".as_bytes())), lines[..1]);
}

#[test]
fn nuls_after_a_line_cost_nothing() {
    let a = || (0, 0, Ok("a".to_owned()));
    for length in [1, 99, 101, 3 << 20] {
        let nuls = vec![0; length];
        for after in ["", "\n"] {
            let text = [b"a\n".as_slice(), &nuls, after.as_bytes()].concat();
            assert_eq!(whole(&text), [a()], "{length}");
            assert_eq!(whole(&gzip(&text)), [a()], "{length}");
        }
        let next = 2 + length as u64 + 1;
        let text = [b"a\n".as_slice(), &nuls, b"\nb"].concat();
        assert_eq!(whole(&text), [a(), (next, 1, Ok("b".to_owned()))], "{length}");
        // An input of NULs alone is reported.
        assert_eq!(whole(&nuls).len(), 1, "{length}");
    }
}

#[test]
fn a_line_beyond_the_limit_costs_itself_and_no_memory() {
    for long in [101, 3 << 20] {
        let text = [b"a\n".as_slice(), &vec![b'x'; long], b"\nb\n"].concat();
        let place = 2 + long as u64 + 1;
        let expected = vec![
            (0, 0, Ok("a".to_owned())),
            (2, 1, Err(REASON_TOO_LONG)),
            (place, 2, Ok("b".to_owned())),
        ];
        assert_eq!(whole(&text), expected);
        assert_eq!(whole(&gzip(&text)), expected);
    }
    assert_eq!(whole(&[b'x'; 100]).len(), 1);
    assert_eq!(whole(&[b'x'; 101]), [(0, 0, Err(REASON_TOO_LONG))]);
    let mut reader = LineReader::whole(io::repeat(b'x').take(64 << 20), 100, GzipLimits::default());
    assert!(matches!(reader.next_item().unwrap(), Some(Item::Quarantined(_))));
    assert!(reader.carry.capacity() < 1 << 20);
}

#[test]
fn a_wrong_checksum_costs_no_line() {
    let wrong = |mut member: Vec<u8>| {
        let at = member.len() - 6;
        member[at] ^= 0x55;
        member
    };
    let line = |at, number, text: &str| (at, number, Ok(text.to_owned()));
    let [one, two] = [wrong(gzip(b"one\ntwo")), gzip(b"three\n")];
    let found = whole(&one);
    assert_eq!(found, [line(0, 0, "one"), line(4, 1, "two"), (0, 2, Err("gzip_damaged"))]);
    let found = whole(&[wrong(gzip(b"one\n")), two].concat());
    let expected = [line(0, 0, "one"), (0, 1, Err("gzip_damaged")), line(4, 2, "three")];
    assert_eq!(found, expected);
}

#[test]
fn bytes_between_members_cost_no_line() {
    let line = |at, number, text: &str| (at, number, Ok(text.to_owned()));
    let [one, two] = [gzip(b"one\ntwo"), gzip(b"three\n")];
    let at = one.len() as u64;
    let garbage = |number| (at, number, Err("gzip_garbage"));
    let found = whole(&[&one[..], b"garbage"].concat());
    assert_eq!(found, [line(0, 0, "one"), line(4, 1, "two"), garbage(2)]);
    let found = whole(&[&one[..], b"garbage", &two].concat());
    let all = [line(0, 0, "one"), line(4, 1, "two"), garbage(2), line(7, 3, "three")];
    assert_eq!(found, all);
    let found = whole(&[&gzip(b"one\n")[..], b"garbage", &two].concat());
    assert_eq!(found.iter().filter(|line| line.2.is_ok()).count(), 2, "{found:?}");
    assert_eq!(whole(&[&one[..], &[0; 5000]].concat()).len(), 2);
}

#[test]
fn every_form_gives_the_same_lines() {
    let text = "one\n\u{1f98a}\nthree";
    let expected = whole(text.as_bytes());
    assert_eq!(expected.len(), 3);
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    let utf16: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    for input in [zstd::encode_all(text.as_bytes(), 1).unwrap(), utf16] {
        assert_eq!(whole(&input), expected);
    }
}

#[test]
fn a_truncated_member_gives_what_comes_before_the_cut() {
    let noise: String =
        (0..20_000_u32).map(|n| format!("{:x}\n", n.wrapping_mul(2_654_435_761))).collect();
    let packed = gzip(noise.as_bytes());
    let found = whole(&packed[..packed.len() / 2]);
    let (last, lines) = found.split_last().unwrap();
    assert_eq!((last.0, &last.2), (0, &Err("gzip_truncated")));
    assert!(lines.len() > 5_000 && lines.len() < 20_000, "{}", lines.len());
    let mut expected = noise.lines();
    assert!(lines.iter().all(|line| line.2.as_deref() == Ok(expected.next().unwrap())));
}

#[test]
fn pieces_give_every_line_once_whatever_they_cut() {
    let text = b"first line\nsecond\n\nthird one\nlast";
    let expected: Vec<String> = whole(text).into_iter().map(|line| line.2.unwrap()).collect();
    for length in 1..=text.len() {
        let mut found = Vec::new();
        for offset in (0..text.len()).step_by(length) {
            let inside = offset > 0 && text[offset - 1] != b'\n';
            let inside = if inside { InsideLine::Yes } else { InsideLine::No };
            let length = length.min(text.len() - offset);
            let piece = Piece { offset: offset as u64, length: length as u64 };
            let reader = LineReader::piece(&text[offset..], 100, piece, inside);
            for (at, _, line) in all(reader) {
                let line = line.unwrap();
                assert!(text[at as usize..].starts_with(line.as_bytes()));
                found.push(line);
            }
            let reader = LineReader::piece(&text[offset..], 100, piece, inside);
            let digest = reader.finish().unwrap();
            assert_eq!(digest.blake3, blake3::hash(&text[offset..offset + length]));
        }
        assert_eq!(found, expected, "pieces of {length}");
    }
}
