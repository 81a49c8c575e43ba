//! Checks that the second of two intact members is read, whatever bytes are between them.
#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use thresher_fuzz::formats::gzip::{Event, GzipLimits, GzipReader};

fn member(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).expect("memory gives no errors");
    encoder.finish().expect("memory gives no errors")
}

fuzz_target!(|data: &[u8]| {
    let input = [&member(b"first")[..], data, &member(b"the last member")].concat();
    let mut reader = GzipReader::new(&input[..], GzipLimits::default());
    let (mut wholes, mut rest) = (Vec::new(), Vec::new());
    loop {
        match reader.next_event().expect("memory gives no errors") {
            Event::Piece { last } => {
                rest.extend_from_slice(reader.piece());
                if last {
                    wholes.push(std::mem::take(&mut rest));
                }
            }
            Event::Damage(damage) => {
                assert!(damage.offset < input.len() as u64);
                rest.clear();
            }
            Event::End => break,
        }
    }
    assert_eq!(wholes.first().map(Vec::as_slice), Some(&b"first"[..]));
    assert_eq!(wholes.last().map(Vec::as_slice), Some(&b"the last member"[..]));
});
