//! A dump cut anywhere gives each bzip2 stream once, whatever its bytes.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::wikipedia::streams::{BzStreams, Damage};

/// Place and length of every stream that begins in the piece, or that it is damaged.
fn streams(dump: &[u8], from: usize, until: usize) -> Vec<(u64, Option<usize>)> {
    let mut streams = BzStreams::new(&dump[from..], from as u64, until as u64, false);
    let mut found = Vec::new();
    while streams.next_stream().expect("memory gives no errors") {
        let mut text = Vec::new();
        // A bomb is somebody else's business: pages are found in what flows by.
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
    // A stream's own bytes may hold what looks like another's begin: who comes from the front reads
    // over it, who begins behind does not. No stream that the whole has may be missing.
    for stream in &whole {
        assert!(pieces.contains(stream), "{stream:?} of {whole:?} is not in {pieces:?}");
    }
});
