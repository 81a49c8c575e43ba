//! Tests that every form gives the same content, and what damage and bombs cost.

use std::io::Write;

use lzma_rust2::{XzOptions, XzWriter};

use super::*;
use crate::gzip::Damage;

const FORMS: [Form; 4] = [Form::Gzip, Form::Zstd, Form::Xz, Form::Bzip2];
const JSON: Expected = Expected { reader: "tests", contents: &[Form::Json] };

fn packed(form: Form, content: &[u8]) -> Vec<u8> {
    if form == Form::Zstd {
        return zstd::encode_all(content, 3).unwrap();
    }
    if form == Form::Xz {
        let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
        writer.write_all(content).unwrap();
        return writer.finish().unwrap();
    }
    if form == Form::Bzip2 {
        let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        writer.write_all(content).unwrap();
        return writer.finish().unwrap();
    }
    assert_eq!(form, Form::Gzip);
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

/// An input that returns at most `step` bytes per read.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(buffer.len());
        self.0.read(&mut buffer[..count])
    }
}

/// Returns the content, its whole members and the damage of an input.
fn read<R: Read>(unpacker: &mut Unpacker<R>) -> (Vec<u8>, Vec<Vec<u8>>, Vec<Damage>) {
    let (mut all, mut members, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
    let mut member = Vec::new();
    loop {
        match unpacker.next_event().unwrap() {
            Event::Piece { last } => {
                all.extend_from_slice(unpacker.piece());
                member.extend_from_slice(unpacker.piece());
                if last {
                    members.push(std::mem::take(&mut member));
                }
            }
            Event::Damage(damage) => {
                member.clear();
                damaged.push(damage);
            }
            Event::End => return (all, members, damaged),
        }
        assert!(unpacker.capacity() < 16 << 20);
    }
}

fn unpacker(input: &[u8]) -> Unpacker<&[u8]> {
    Unpacker::new(input, GzipLimits::default())
}

fn noise(count: u32) -> Vec<u8> {
    (0..count).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

#[test]
fn one_packing_can_follow_another() {
    let texts = [&b"{\"a\": 1}\n"[..], &b"{\"b\": 2}\n".repeat(50_000), b"{\"c\": 3}\n"];
    for first in FORMS {
        for second in FORMS {
            for padding in [&b""[..], &[0; 700]] {
                let one = [&packed(first, texts[0])[..], padding].concat();
                let two = [&packed(second, texts[1])[..], padding].concat();
                let input = [&one[..], &two, &packed(first, texts[2])].concat();
                for step in [7, 1 << 20] {
                    let expected = Unpacker::new(Trickle(&input, step), GzipLimits::default());
                    let mut reader = expected.expecting(&JSON);
                    let (all, members, damaged) = read(&mut reader);
                    assert_eq!((all, damaged.as_slice()), (texts.concat(), &[][..]));
                    assert_eq!(members, texts, "{first} {second}");
                    assert_eq!(reader.input_digest().bytes, input.len() as u64);
                    assert_eq!(reader.input_digest().blake3, blake3::hash(&input));
                }
                // Damage of the second costs nothing of what is before it.
                let cut = [&one[..], &two[..two.len() - padding.len() - 9]].concat();
                let (all, members, damaged) = read(&mut unpacker(&cut));
                assert!(all.starts_with(texts[0]), "{first} {second}");
                assert_eq!((&members[0][..], damaged.len()), (texts[0], 1));
                assert_eq!(damaged[0].offset, one.len() as u64);
                // Garbage behind it is garbage.
                let (all, _, damaged) =
                    read(&mut unpacker(&[&one, &two, &b"garbage"[..]].concat()));
                assert_eq!((all, damaged.len()), (texts[..2].concat(), 1));
                assert!(damaged[0].is_between_members());
            }
        }
    }
}

#[test]
fn every_form_gives_its_content_whatever_the_size_of_reads() {
    for content in [&b""[..], b"a", &b"some text\n".repeat(90_000), &noise(200_000)] {
        for form in FORMS {
            let input = packed(form, content);
            assert_eq!(Form::of(&input), form);
            let (all, members, damaged) = read(&mut unpacker(&input));
            assert_eq!((members.len(), damaged), (1, vec![]), "{form}");
            assert!(all == content, "{form}");
            let trickle = Unpacker::new(Trickle(&input, 1000), GzipLimits::default());
            assert!(read(&mut { trickle }).0 == content, "{form}");
            let mut reader = UnpackedReader::new(unpacker(&input));
            let mut whole = Vec::new();
            reader.read_to_end(&mut whole).unwrap();
            assert!(whole == content, "{form}");
            let digest = reader.finish().unwrap();
            assert_eq!((digest.bytes, digest.blake3), (input.len() as u64, blake3::hash(&input)));
        }
        assert_eq!(read(&mut unpacker(content)).0, content, "plain");
    }
}

#[test]
fn members_follow_one_another_and_padding_costs_nothing() {
    for form in FORMS {
        let (one, two) = (packed(form, b"one"), packed(form, b"two"));
        for padding in [0, 4, 512, 300_000] {
            let zeros = vec![0; padding];
            let input = [&one[..], &zeros, &two, &zeros].concat();
            let (_, members, damaged) = read(&mut unpacker(&input));
            assert_eq!((members, damaged), (vec![b"one".to_vec(), b"two".to_vec()], vec![]));
        }
        let input = [&one[..], b"garbage", &two, b"more"].concat();
        let (_, members, damaged) = read(&mut unpacker(&input));
        assert_eq!(members, [b"one", b"two"], "{form}");
        assert!(damaged.iter().all(Damage::is_between_members), "{damaged:?}");
        let offsets: Vec<u64> = damaged.iter().map(|it| it.offset).collect();
        assert_eq!(offsets, [one.len() as u64, (one.len() + 7 + two.len()) as u64], "{form}");
    }
}

#[test]
fn a_damaged_member_loses_only_itself() {
    for form in FORMS {
        let members: Vec<Vec<u8>> = (0..3_u8).map(|n| packed(form, &vec![n; 5000])).collect();
        let second = members[0].len();
        let mut reported = 0;
        for at in 12..members[1].len() {
            let mut input = members.concat();
            input[second + at] ^= 0x55;
            let (_, whole, damaged) = read(&mut unpacker(&input));
            assert_eq!(whole.first(), Some(&vec![0; 5000]), "{form}, byte {at}");
            assert_eq!(whole.last(), Some(&vec![2; 5000]), "{form}, byte {at}");
            reported += usize::from(!damaged.is_empty());
            assert!(damaged.iter().all(|it| it.offset >= second as u64), "{form}, byte {at}");
        }
        // zstd was not asked for checksums.
        assert!(form == Form::Zstd || reported > members[1].len() / 2, "{form}: {reported}");
    }
}

#[test]
fn a_damaged_start_of_the_first_member_loses_only_that_member() {
    for form in FORMS {
        let members: Vec<Vec<u8>> =
            (0..3_u8).map(|n| packed(form, &noise(300 + u32::from(n)))).collect();
        // Without a checksum, other damage in the head of a zstd frame can look sound.
        for at in 0..if form == Form::Zstd { 4 } else { 10 } {
            let mut input = members.concat();
            input[at] ^= 0x55;
            let (_, whole, damaged) = read(&mut unpacker(&input));
            let sound = [noise(301), noise(302)];
            assert!(whole.ends_with(&sound), "{form}, byte {at}: {damaged:?}");
            assert!(whole.len() == 2 || damaged.is_empty(), "{form}, byte {at}: {damaged:?}");
        }
        let mut input = members.concat();
        input[0] ^= 0x55;
        let (all, _, damaged) = read(&mut unpacker(&input).without_guesses());
        assert!(all == input && damaged.is_empty(), "{form}");
    }
    for signature in [&b"\x28\xb5\x2f\xfd"[..], b"\xfd7zXZ\0", b"BZh9"] {
        let input = [b"\x01 binary ", signature, &noise(500)].concat();
        assert!(read(&mut unpacker(&input)).0 == input, "{}", signature.escape_ascii());
    }
}

#[test]
fn an_input_that_is_cut_off_gives_what_is_there() {
    let content = noise(100_000);
    for form in FORMS {
        let input = packed(form, &content);
        let (all, members, damaged) = read(&mut unpacker(&input[..input.len() * 2 / 3]));
        let reason = damaged.first().map(|it| it.reason).unwrap_or_default();
        assert!(reason.ends_with("_truncated"), "{form}: {damaged:?}");
        assert!(members.is_empty() && content.starts_with(&all), "{form}");
        // bzip2 unpacks a block of 100 kB only as a whole.
        assert!(all.len() >= content.len() / 3, "{form}: {}", all.len());
    }
}

/// The frame with the dictionary, in the form of `.warc.zst`.
fn dictionary_frame(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_le_bytes();
    [b"\x5d\x2a\x4d\x18", &length[..], content].concat()
}

#[test]
fn zstd_frames_can_use_the_dictionary_before_them() {
    let samples: Vec<Vec<u8>> =
        (0..300).map(|n| format!("WARC/1.0 record {n} of the crawl, {}", n * 7).into()).collect();
    let dictionary = zstd::dict::from_samples(&samples, 4096).unwrap();
    let mut frames = Vec::new();
    for sample in &samples[..3] {
        let mut encoder = zstd::bulk::Compressor::with_dictionary(3, &dictionary).unwrap();
        frames.extend(encoder.compress(sample).unwrap());
    }
    let packed_dictionary = zstd::encode_all(&dictionary[..], 3).unwrap();
    for stored in [&dictionary, &packed_dictionary] {
        let input = [dictionary_frame(stored), frames.clone()].concat();
        let (_, members, damaged) = read(&mut unpacker(&input));
        assert_eq!((members, damaged), (samples[..3].to_vec(), vec![]));
    }
    let (_, members, damaged) = read(&mut unpacker(&frames));
    assert!(members.is_empty() && !damaged.is_empty(), "the dictionary is missing");
}

#[test]
fn skippable_frames_are_skipped_anywhere() {
    let skippable = |length: usize| {
        let size = (length as u32).to_le_bytes();
        [b"\x50\x2a\x4d\x18", &size[..], &vec![7; length]].concat()
    };
    let frames: Vec<Vec<u8>> = (0..3).map(|n| packed(Form::Zstd, &[n])).collect();
    let input = [&skippable(0)[..], &frames[0], &skippable(900_000), &frames[1], &frames[2]];
    let input = [&input.concat()[..], &skippable(5)].concat();
    let (all, _, damaged) = read(&mut Unpacker::new(Trickle(&input, 7), GzipLimits::default()));
    assert_eq!((all, damaged), (vec![0, 1, 2], vec![]));
    let (_, _, damaged) = read(&mut unpacker(&input[..input.len() - 1]));
    assert_eq!(damaged[0].reason, "zstd_truncated");
}

#[test]
fn what_needs_too_much_memory_is_refused_by_name() {
    let zstd = long_frame(1100);
    let mut options = XzOptions::with_preset(0);
    options.lzma_options.dict_size = 1 << 30;
    let mut xz = XzWriter::new(Vec::new(), options).unwrap();
    xz.write_all(b"text").unwrap();
    let xz = xz.finish().unwrap();
    for (form, input) in [(Form::Zstd, &zstd[..]), (Form::Xz, &xz)] {
        let mut unpacker = unpacker(input);
        let error = loop {
            match unpacker.next_event() {
                Ok(event) => assert_eq!(event, Event::Piece { last: false }, "{form}"),
                Err(error) => break error,
            }
        };
        let Some(FormError::Memory { form: found, needed_kib, allowed_kib }) =
            FormError::of(&error)
        else {
            panic!("{error}")
        };
        assert_eq!(*found, form);
        assert!(needed_kib > allowed_kib, "{error}");
    }
    let long = [packed(Form::Zstd, b"one"), zstd, packed(Form::Zstd, b"two")].concat();
    let (_, members, damaged) = read(&mut unpacker(&long));
    assert_eq!((members.len(), damaged.len()), (2, 1), "a later frame costs itself");
}

/// A frame with a window of 2 GiB, as `zstd --long=31` writes it, of blocks of 128 KiB.
fn long_frame(blocks: u32) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3];
    for block in 1..=blocks {
        let header = (128 << 10 << 3) | 1 << 1 | u32::from(block == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b'x');
    }
    frame
}

#[test]
fn a_small_frame_with_a_large_window_is_read() {
    let (all, members, damaged) = read(&mut unpacker(&long_frame(8)));
    assert_eq!((all.len(), members.len(), damaged.len()), (1 << 20, 1, 0));
}

#[test]
fn a_bomb_is_stopped_in_every_form() {
    let limits = GzipLimits { member_max_bytes: 1 << 20, member_max_ratio: 10 };
    for form in FORMS {
        let input = [packed(form, &vec![0; 4 << 20]), packed(form, b"next")].concat();
        let (all, members, damaged) = read(&mut Unpacker::new(&input[..], limits));
        assert!(damaged[0].reason.ends_with("_bomb"), "{form}: {damaged:?}");
        assert!(all.len() < 3 << 20, "{form}");
        assert_eq!(members, [b"next"], "{form}");
    }
}

#[test]
fn only_the_expected_forms_are_read() {
    let refused = |input: &[u8]| {
        let mut unpacker = unpacker(input).expecting(&JSON);
        loop {
            match unpacker.next_event() {
                Ok(Event::Piece { .. }) if !unpacker.piece().is_empty() => return None,
                Ok(Event::End) => return None,
                Ok(_) => {}
                Err(error) => return Some(FormError::of(&error).unwrap().clone()),
            }
        }
    };
    for content in [&b"{\"text\": 1}"[..], b"no known form", b""] {
        assert_eq!(refused(content), None);
        for form in FORMS {
            assert_eq!(refused(&packed(form, content)), None);
        }
    }
    for (content, form) in [
        (&b"WARC/1.0\r\n"[..], Form::Warc),
        (b"\x04\x22\x4d\x18....", Form::Lz4),
        (b"PK\x03\x04....", Form::Zip),
        (b"\xff\xfe\0\0", Form::Utf32),
        (b"[{\"text\": 1}]", Form::JsonArray),
    ] {
        let expected = &JSON;
        assert_eq!(refused(content), Some(FormError::Unexpected { form, packed: None, expected }));
        for packing in FORMS {
            let packed_in = Some(packing);
            let error = FormError::Unexpected { form, packed: packed_in, expected };
            assert_eq!(refused(&packed(packing, content)), Some(error));
        }
    }
}

#[test]
fn utf_16_becomes_utf_8_however_it_is_packed_and_cut() {
    let text = "z\u{df}\u{6c34}\u{1f98a}\r\nnext\n".repeat(200);
    let units: Vec<u16> = std::iter::once(0xfeff).chain(text.encode_utf16()).collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    for input in [little.clone(), big, packed(Form::Zstd, &little), packed(Form::Gzip, &little)] {
        for step in [1, 7, 4096] {
            let unpacker = Unpacker::new(Trickle(&input, step), GzipLimits::default());
            let (all, _, damaged) = read(&mut unpacker.as_text());
            assert_eq!((str::from_utf8(&all), damaged), (Ok(text.as_str()), vec![]));
        }
    }
    for (input, expected) in [
        (&b"\xff\xfea\0\x3d\xd8b\0"[..], "a\u{fffd}b"),
        (b"\xff\xfea\0b", "a\u{fffd}"),
        (b"\xff\xfea\0\x3d\xd8", "a\u{fffd}"),
        (b"\xfe\xff", ""),
    ] {
        let (all, ..) = read(&mut unpacker(input).as_text());
        assert_eq!(str::from_utf8(&all), Ok(expected), "{}", input.escape_ascii());
    }
}

#[test]
fn what_is_before_a_wrong_checksum_or_a_cut_is_not_lost() {
    let zstd_checked = |content: &[u8]| {
        let mut writer = zstd::Encoder::new(Vec::new(), 1).unwrap();
        writer.include_checksum(true).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    };
    for content in [b"{\"a\": 1}\n".to_vec(), b"{\"b\": 2}\n".repeat(100_000), noise(200_000)] {
        // The byte before the end that belongs to a checksum. An xz stream ends with an index.
        for (input, from_end) in [
            (packed(Form::Gzip, &content), 1),
            (packed(Form::Gzip, &content), 8),
            (zstd_checked(&content), 1),
            (packed(Form::Bzip2, &content), 2),
            (packed(Form::Xz, &content), 1),
            (packed(Form::Xz, &content), 12),
        ] {
            let mut wrong = input.clone();
            wrong[input.len() - from_end] ^= 0x55;
            for step in [1000, 1 << 20] {
                let trickle = Trickle(&wrong, step);
                let (all, _, damaged) = read(&mut Unpacker::new(trickle, GzipLimits::default()));
                let form = Form::of(&input);
                assert_eq!(damaged.len(), 1, "{form} -{from_end}: {damaged:?}");
                assert!(all == content, "{form} -{from_end}: {} of {}", all.len(), content.len());
            }
        }
    }
    let content = noise(600_000);
    for form in FORMS {
        let input = packed(form, &content);
        let (all, _, damaged) = read(&mut unpacker(&input[..input.len() / 2]));
        assert_eq!(damaged.len(), 1, "{form}");
        let least = content.len() / 2 - (1 << 20);
        assert!(all.len() > least && content.starts_with(&all), "{form}: {}", all.len());
    }
}
