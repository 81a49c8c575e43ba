//! Rewrites arbitrary lines as JSON: without a panic, and valid JSON keeps its value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use thresher_fuzz::repaired;

fuzz_target!(|data: &[u8]| {
    let Some(line) = repaired(data) else {
        assert!(str::from_utf8(data).is_err());
        return;
    };
    if let Ok(before) = serde_json::from_slice::<Value>(data) {
        assert_eq!(serde_json::from_str::<Value>(&line).ok(), Some(before));
    }
});
