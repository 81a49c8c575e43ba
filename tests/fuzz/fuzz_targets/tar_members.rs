//! Checks that members of a tar are inside it and in order, for any bytes and from any block on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::arxiv::{is_tar, members};

fuzz_target!(|data: &[u8]| {
    let _ = is_tar(data);
    for from in [0, 512, 700] {
        let found = members(data, from, u64::MAX);
        assert!(found.is_sorted_by(|a, b| a.0 < b.0), "{found:?}");
        assert!(found.iter().all(|(at, _)| *at < data.len().max(1) as u64), "{found:?}");
    }
});
