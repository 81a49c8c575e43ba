//! Checks that a language model file is refused or scores any words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::kenlm::Model;

fuzz_target!(|data: &[u8]| {
    if let Ok(model) = Model::from_bytes(data, "fuzzed") {
        let words = ["<unk>", "der", "\u{2581}a", "", "der"].map(|word| model.word(word));
        let _ = model.score(words);
    }
});
