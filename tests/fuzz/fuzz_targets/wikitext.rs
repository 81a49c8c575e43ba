//! Strips any text without a panic, in time, to no more than its entities can expand to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::wikipedia::namespaces::{prefixes_of, siteinfo};
use thresher_fuzz::wikipedia::wikitext::strip;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let stripped = strip(&text, &prefixes_of("de", &siteinfo(&text)));
    assert!(stripped.len() <= 4 * text.len() + 64);
});
