//! Checks that arbitrary records yield the same intact bodies gzipped and plain.
#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use thresher_fuzz::formats::warc::{Item, WarcLimits, WarcReader};

const INFO: &[u8] = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nWARC-Date: 2024-05-17T00:00:00Z\r\n\
    Content-Length: 0\r\n\r\n\r\n\r\n";

/// The first bytes of gzip, zstd (with its frames to skip), xz and bzip2.
const PACKINGS: [&[u8]; 5] =
    [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18", b"\xfd7zXZ", b"BZh"];

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
    // Packed records behind plain ones are read, but nothing is unpacked twice.
    if PACKINGS.iter().any(|magic| memchr::memmem::find(data, magic).is_some()) {
        return;
    }
    // An intact first record makes it a plain file by its first bytes, and records share the
    // member.
    let plain = [INFO, data].concat();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&plain).expect("memory gives no errors");
    let gzip = encoder.finish().expect("memory gives no errors");
    assert_eq!(bodies(&gzip), bodies(&plain));
});
