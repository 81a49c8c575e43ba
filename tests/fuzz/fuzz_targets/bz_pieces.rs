//! Checks that a dump cut anywhere yields each bzip2 stream once, whatever its bytes.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::wikipedia::streams::{BzStreams, Damage};

/// Returns the offset and length of every stream that starts in the piece, or that it is damaged.
fn streams(dump: &[u8], from: usize, until: usize) -> Vec<(u64, Option<usize>)> {
    let mut streams = BzStreams::new(&dump[from..], from as u64, until as u64, false);
    let mut found = Vec::new();
    while streams.next_stream().expect("memory gives no errors") {
        let mut text = Vec::new();
        // Bombs are handled elsewhere: pages are searched while the text streams past.
        let read = streams.by_ref().take(1 << 20).read_to_end(&mut text);
        let length = match read {
            Ok(length) => Some(length),
            Err(error) => {
                assert!(Damage::of(&error).is_some(), "{error}");
                None
            }
        };
        found.push((streams.stream_at(), length));
    }
    found
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, dump)) = data.split_first() else { return };
    let cut = usize::from(*cut).min(dump.len());
    let whole = streams(dump, 0, dump.len());
    let mut pieces = streams(dump, 0, cut);
    pieces.extend(streams(dump, cut, dump.len()));
    // The bytes of a stream may contain what looks like the start of another: a reader from the
    // front skips it, a reader that starts after the front does not. No stream of the whole may be
    // missing.
    for stream in &whole {
        assert!(pieces.contains(stream), "{stream:?} of {whole:?} is not in {pieces:?}");
    }
});
