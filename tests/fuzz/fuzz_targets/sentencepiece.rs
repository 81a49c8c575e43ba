//! Checks that a SentencePiece model is refused or splits any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::sentencepiece::{Model, Scratch};

fuzz_target!(|data: &[u8]| {
    if let Ok(model) = Model::from_bytes(data, "fuzzed") {
        let mut scratch = Scratch::default();
        for text in ["", "a b", "\u{e9}\u{301} \u{1f600}  x\ny"] {
            model.encode(&mut scratch, text, |piece| {
                let _ = model.spelling(piece);
            });
        }
    }
});
