//! Unpacks arbitrary bytes in whatever form they seem to have: without a panic, in bounded memory,
//! and with the same content and damage for any size of reads.
#![no_main]

use std::io::{Read, Result};

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::formats::gzip::{Event, GzipLimits};
use thresher_fuzz::formats::unpack::{FormError, Unpacker};

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

/// Returns the length of the content, the offsets and reasons of damage, and whether the input was
/// refused.
fn unpacked(input: &[u8], step: usize) -> (u64, Vec<(u64, &'static str)>, bool) {
    let limits = GzipLimits { member_max_bytes: 1 << 20, member_max_ratio: 100 };
    let mut unpacker = Unpacker::new(Trickle { input, step }, limits).as_text();
    let (mut bytes, mut damaged) = (0, Vec::new());
    loop {
        match unpacker.next_event() {
            Ok(Event::Piece { .. }) => bytes += unpacker.piece().len() as u64,
            Ok(Event::Damage(damage)) => {
                assert!(damage.offset < input.len() as u64);
                damaged.push((damage.offset, damage.reason));
            }
            Ok(Event::End) => break,
            Err(error) => {
                assert!(FormError::of(&error).is_some(), "{error}");
                return (bytes, damaged, true);
            }
        }
    }
    assert_eq!(unpacker.input_digest().bytes, input.len() as u64);
    (bytes, damaged, false)
}

fuzz_target!(|data: &[u8]| {
    assert_eq!(unpacked(data, 7), unpacked(data, usize::MAX));
});
