//! Checks that the values of a JSON text do not depend on how its bytes arrive, and that what the
//! parser of JSON accepts as an array of objects is divided into these objects.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::formats::gzip::GzipLimits;
use thresher_fuzz::formats::json_lines::Item;
use thresher_fuzz::formats::json_values::ValueReader;
use thresher_fuzz::formats::unpack::Unpacker;
use thresher_fuzz::unless_refused;

/// Gives a few bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(buffer.len()).min(self.1);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn values(input: impl Read, max_bytes: usize) -> Vec<(u64, Vec<u8>)> {
    let unpacker = Unpacker::new(input, GzipLimits::default());
    let mut reader = ValueReader::new(unpacker, max_bytes);
    let mut found = Vec::new();
    while let Some(item) = unless_refused(reader.next_item()) {
        found.push(match item {
            Item::Line(line) => (line.offset, line.bytes.to_vec()),
            Item::Quarantined(bad) => (bad.offset, bad.reason.as_bytes().to_vec()),
        });
    }
    found
}

fuzz_target!(|data: &[u8]| {
    let Some((step, text)) = data.split_first() else { return };
    let step = usize::from(*step).max(1);
    assert_eq!(values(Slow(text, step), 100), values(text, 100));
    type Objects = Vec<serde_json::Map<String, serde_json::Value>>;
    if let Ok(objects) = serde_json::from_slice::<Objects>(text) {
        let found = values(text, usize::MAX >> 1);
        assert_eq!(found.len(), objects.len());
        for ((_, bytes), object) in found.iter().zip(&objects) {
            let value: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
            assert_eq!(value, Some(object.clone().into()));
        }
    }
});
