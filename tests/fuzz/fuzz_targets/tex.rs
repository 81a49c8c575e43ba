//! Reads any bytes as TeX: without a panic, and with no text beyond the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::arxiv::texts;

fuzz_target!(|data: &[u8]| {
    for text in texts(data, 50_000).into_iter().flatten() {
        // A byte that is not valid UTF-8 may become three bytes.
        assert!(text.len() <= 50_000.max(3 * data.len()) + 64, "{}", text.len());
    }
});
