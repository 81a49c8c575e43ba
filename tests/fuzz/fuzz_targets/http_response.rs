//! Splits and decodes arbitrary bytes as an HTTP response: without a panic, within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::formats::http_response::{HttpLimits, HttpResponse};

fuzz_target!(|data: &[u8]| {
    let limits = HttpLimits { body_bytes: 1 << 16, ..HttpLimits::default() };
    let Ok(response) = HttpResponse::split(data, &limits) else { return };
    assert!((100..1000).contains(&response.status));
    if let Ok(body) = response.body(&limits) {
        assert!(body.bytes.len() <= limits.body_bytes);
    }
});
