//! Checks that a `tokenizer.json` is refused or counts tokens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::tokens::{TokenCounter, TokenizerFile};

fuzz_target!(|data: &[u8]| {
    thresher_fuzz::let_panics_be_caught();
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(tokenizer) = TokenizerFile::from_json(text, "fuzzed") {
        let _ = tokenizer.count("a b\nc \u{e9}\u{301}");
    }
});
