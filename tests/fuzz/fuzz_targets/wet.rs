//! Checks that arbitrary records yield the same intact bodies gzipped and plain.
#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use thresher_fuzz::formats::warc::{Item, WarcLimits, WarcReader};

const INFO: &[u8] = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nWARC-Date: 2024-05-17T00:00:00Z\r\n\
    Content-Length: 0\r\n\r\n\r\n\r\n";

fn bodies(input: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = WarcReader::new(input, WarcLimits::default());
    let mut bodies = Vec::new();
    while let Some(item) = reader.next().expect("memory gives no errors") {
        if let Item::Record(record) = item {
            bodies.push(record.body.to_vec());
        }
    }
    bodies
}

fuzz_target!(|data: &[u8]| {
    // An intact first record makes it a plain file by its first bytes, and records share the
    // member.
    let plain = [INFO, data].concat();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&plain).expect("memory gives no errors");
    let gzip = encoder.finish().expect("memory gives no errors");
    assert_eq!(bodies(&gzip), bodies(&plain));
});
