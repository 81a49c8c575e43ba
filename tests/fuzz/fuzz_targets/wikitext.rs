//! Strips any text in both forms without a panic, in time, to no more than its entities and units
//! can expand to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::wikipedia::namespaces::{prefixes_of, siteinfo};
use thresher_fuzz::wikipedia::wikitext::{Form, strip};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let prefixes = prefixes_of("de", &siteinfo(&text));
    for form in [Form::Published, Form::Readable] {
        let stripped = strip(&text, &prefixes, form);
        assert!(stripped.len() <= 4 * text.len() + 64);
    }
});
