//! Reads arbitrary bytes as a WARC file: without a panic, and with the same items, or the same
//! refusal of the file's form, for any size of reads.
#![no_main]

use std::io::{Read, Result};

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::formats::unpack::FormError;
use thresher_fuzz::formats::warc::{Item, WarcLimits, WarcReader};

struct Trickle<'a> {
    input: &'a [u8],
    step: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.step.min(buffer.len());
        self.input.read(&mut buffer[..count])
    }
}

/// Offset of an item, why it is quarantined if it is, and its body.
type Found = (u64, &'static str, Vec<u8>);

fn items(input: &[u8], step: usize) -> (Vec<Found>, Option<FormError>) {
    let limits = WarcLimits { record_max_bytes: 1 << 20, ..WarcLimits::default() };
    let mut reader = WarcReader::new(Trickle { input, step }, limits);
    let mut items = Vec::new();
    loop {
        let item = match reader.next() {
            Ok(Some(item)) => item,
            Ok(None) => break,
            Err(error) => {
                let refused = FormError::of(&error).cloned();
                assert!(refused.is_some(), "{error}");
                return (items, refused);
            }
        };
        items.push(match item {
            Item::Record(record) => {
                assert!(record.header.fields().count() > 0);
                (record.offset, "", record.body.to_vec())
            }
            Item::Quarantined(bad) => (bad.offset, bad.reason, Vec::new()),
        });
    }
    assert_eq!(reader.input_digest().bytes, input.len() as u64);
    (items, None)
}

fuzz_target!(|data: &[u8]| {
    let whole = items(data, usize::MAX);
    assert!(!whole.0.is_empty() || whole.1.is_some());
    assert_eq!(items(data, 7), whole);
});
