//! Tests each kind of damage with its location and reason, and the memory limits.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// Returns bytes that compress about as well as text, different for every seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"etaoin shrdlucm\n"[(state >> 40) as usize % 16]
    };
    (0..length).map(|_| next()).collect()
}

fn member(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// Everything that a reader returned: whole members with their offsets, damage, and what is left of
/// an incomplete member.
#[derive(Debug, Default, PartialEq)]
struct Output {
    members: Vec<(u64, Vec<u8>)>,
    damages: Vec<(u64, &'static str)>,
    rest: Vec<u8>,
}

fn read_all(mut reader: GzipReader<impl Read>) -> Output {
    let mut output = Output::default();
    loop {
        match reader.next_event().unwrap() {
            Event::Piece { last } => {
                output.rest.extend_from_slice(reader.piece());
                if last {
                    let bytes = std::mem::take(&mut output.rest);
                    output.members.push((reader.member_offset(), bytes));
                }
            }
            Event::Damage(damage) => {
                output.rest.clear();
                output.damages.push((damage.offset, damage.reason));
            }
            Event::End => break,
        }
        assert!(reader.capacity() <= WINDOW_MAX_BYTES + HISTORY_BYTES + OUTPUT_MAX_BYTES);
    }
    assert_eq!(reader.next_event().unwrap(), Event::End);
    output
}

fn read_bytes(input: &[u8]) -> Output {
    read_all(GzipReader::new(input, GzipLimits::default()))
}

#[test]
fn members_come_whole_with_their_offsets_and_the_hash_of_the_input() {
    let parts = [noise(1, 1000), Vec::new(), noise(2, 700_000), noise(3, 10)];
    let members: Vec<_> = parts.iter().map(|part| member(part)).collect();
    let input = members.concat();
    let mut reader = GzipReader::new(&input[..], GzipLimits::default());
    let mut offset = 0;
    for (part, member) in parts.iter().zip(&members) {
        assert_eq!(reader.next_event().unwrap(), Event::Piece { last: true });
        assert_eq!(reader.piece(), part);
        assert_eq!(reader.member_offset(), offset);
        offset += member.len() as u64;
    }
    assert_eq!(reader.next_event().unwrap(), Event::End);
    let digest = InputDigest { bytes: input.len() as u64, blake3: blake3::hash(&input) };
    assert_eq!(reader.input_digest(), digest);
}

#[test]
fn a_member_larger_than_the_buffers_comes_in_pieces_and_the_next_one_is_found() {
    let large = noise(4, OUTPUT_MAX_BYTES + 1_000_000);
    let input = [member(&large), member(b"after")].concat();
    let output = read_bytes(&input);
    assert_eq!(output.members.len(), 2);
    assert!(output.members[0].1 == large);
    assert_eq!(output.members[1].1, b"after");
    assert_eq!(output.damages, []);
}

#[test]
fn a_member_whose_compressed_size_passes_the_window_is_streamed() {
    let state = &mut 7u64;
    let incompressible: Vec<u8> = std::iter::repeat_with(|| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 56) as u8
    })
    .take(WINDOW_MAX_BYTES + 500_000)
    .collect();
    let output = read_bytes(&[member(&incompressible), member(b"after")].concat());
    assert_eq!(output.members.len(), 2);
    assert!(output.members[0].1 == incompressible);
    assert_eq!(output.damages, []);
}

#[test]
fn a_damaged_member_is_reported_once_and_its_neighbours_are_whole() {
    let [a, b, c] = [1, 2, 3].map(|seed| noise(seed, 5_000));
    let members = [member(&a), member(&b), member(&c)];
    let second = members[0].len();
    let third = second + members[1].len();
    let mut lost_any = false;
    for at in second..third {
        let mut input = members.concat();
        input[at] ^= 0x10;
        let output = read_bytes(&input);
        assert_eq!(output.members.first(), Some(&(0, a.clone())), "flipped at {at}");
        assert_eq!(output.members.last(), Some(&(third as u64, c.clone())), "flipped at {at}");
        if output.damages.is_empty() {
            // Changes of the time and system in the header are not detected.
            assert!(at < second + 10, "flipped at {at}");
            assert_eq!(output.members.len(), 3);
            continue;
        }
        lost_any = true;
        assert_eq!(output.members.len(), 2, "flipped at {at}");
        assert_eq!(output.damages.len(), 1, "flipped at {at}");
        assert_eq!(output.damages[0].0, second as u64, "flipped at {at}");
    }
    assert!(lost_any);
}

#[test]
fn a_truncated_last_member_is_reported_with_its_offset() {
    let first = member(&noise(1, 5000));
    let second = member(&noise(2, 5000));
    for left in 1..second.len() {
        let output = read_bytes(&[&first[..], &second[..left]].concat());
        assert_eq!(output.members.len(), 1);
        assert_eq!(output.damages, [(first.len() as u64, REASON_TRUNCATED)], "{left} bytes left");
    }
}

#[test]
fn what_was_inflated_before_damage_is_returned() {
    let data = noise(5, 400_000);
    let mut input = member(&data);
    let cut = input.len() - 3;
    input.truncate(cut);
    let mut reader = GzipReader::new(&input[..], GzipLimits::default());
    let mut found = Vec::new();
    while let Event::Piece { last } = reader.next_event().unwrap() {
        assert!(!last);
        found.extend_from_slice(reader.piece());
    }
    assert!(found == data);
}

#[test]
fn garbage_between_members_is_reported_and_zeros_at_the_end_are_not() {
    let first = member(b"first");
    let last = member(&noise(9, 300_000));
    let input = [&first[..], b"no gzip \x1f\x8b\x08\x00 at all", &last, &[0; 200_000]].concat();
    let output = read_bytes(&input);
    assert_eq!(output.members.len(), 2);
    assert_eq!(output.damages, [(first.len() as u64, REASON_GARBAGE)]);
}

#[test]
fn a_damaged_first_byte_does_not_make_the_file_plain() {
    let mut input = [member(&noise(1, 3000)), member(b"second")].concat();
    input[0] = b'x';
    let output = read_bytes(&input);
    assert_eq!(output.damages, [(0, REASON_GARBAGE)]);
    assert_eq!(output.members.len(), 1);
}

#[test]
fn a_bomb_is_cut_off_and_the_next_member_is_read() {
    let bomb = member(&vec![0; 20 << 20]);
    let input = [member(b"before"), bomb, member(b"after")].concat();
    let limits = GzipLimits { member_max_bytes: 1 << 20, member_max_ratio: 100 };
    let output = read_all(GzipReader::new(&input[..], limits));
    let texts: Vec<_> = output.members.iter().map(|member| &member.1[..]).collect();
    assert_eq!(texts, [&b"before"[..], b"after"]);
    assert_eq!(output.damages.len(), 1);
    assert_eq!(output.damages[0].1, REASON_BOMB);
}

#[test]
fn nested_headers_cost_no_more_than_linear_work() {
    // Every header starts a stored block that holds all the headers after it.
    let mut input = Vec::new();
    for _ in 0..40_000 {
        input.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
        input.extend_from_slice(&[0, 0xff, 0xff, 0, 0]);
    }
    let mut reader = GzipReader::new(&input[..], GzipLimits::default());
    while reader.next_event().unwrap() != Event::End {}
    let bound = REWORK_FREE_BYTES + 4 * input.len() as u64;
    assert!(reader.rework_bytes <= bound, "{} bytes again", reader.rework_bytes);
}

#[test]
fn plain_input_passes_through() {
    let text = noise(8, 1_500_000);
    let mut reader = GzipReader::new(&text[..], GzipLimits::default());
    let mut found = Vec::new();
    while let Event::Piece { last } = reader.next_event().unwrap() {
        found.extend_from_slice(reader.piece());
        assert!(reader.is_plain());
        assert_eq!(last, reader.piece().is_empty());
    }
    assert!(found == text);
    assert_eq!(reader.input_digest().blake3, blake3::hash(&text));
}

/// An input that fails once at every multiple of `every` bytes.
struct Flaky<'a> {
    input: &'a [u8],
    every: usize,
    failed: bool,
}

impl Read for Flaky<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.failed = !self.failed;
        if self.failed {
            return Err(io::Error::other("flaky"));
        }
        let count = self.every.min(buffer.len());
        self.input.read(&mut buffer[..count])
    }
}

#[test]
fn reading_continues_after_an_error_of_the_input() {
    let large = noise(4, OUTPUT_MAX_BYTES + 100_000);
    let input = [member(b"first"), member(&large), member(b"last")].concat();
    let flaky = Flaky { input: &input, every: 30_000, failed: false };
    let mut reader = GzipReader::new(flaky, GzipLimits::default());
    let (mut found, mut errors) = (Vec::new(), 0);
    loop {
        match reader.next_event() {
            Ok(Event::Piece { .. }) => found.extend_from_slice(reader.piece()),
            Ok(Event::End) => break,
            Ok(Event::Damage(damage)) => panic!("{damage:?}"),
            Err(_) => errors += 1,
        }
    }
    assert!(errors > 10);
    assert!(found == [&b"first"[..], &large, b"last"].concat());
}
