//! Checks that a fastText model is refused or labels any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::fasttext::{LineFeeds, Model, Scratch};

fuzz_target!(|data: &[u8]| {
    if let Ok(model) = Model::from_bytes(data, "fuzzed") {
        let (mut scratch, mut best) = (Scratch::default(), Vec::new());
        model.predict(&mut scratch, "a b\nc \u{e9}", LineFeeds::Separate, 2, &mut best);
        for (label, _) in &best {
            let _ = model.label(*label);
        }
    }
});
