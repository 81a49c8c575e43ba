//! Checks that a dump's XML, in reads of any size, yields the same pages.
#![no_main]

use std::io::{Read, Result};

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::wikipedia::pages::{Found, PageFinder, parse};

struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.1.min(buffer.len());
        self.0.read(&mut buffer[..count])
    }
}

fn pages(xml: &[u8], step: usize) -> Vec<String> {
    let (mut finder, mut input) = (PageFinder::new(2000), Trickle(xml, step));
    let mut found = Vec::new();
    while let Some(next) = finder.next(&mut input).expect("memory gives no errors") {
        found.push(match next {
            Found::Whole(page) => match parse(page) {
                Ok(page) => format!("{} {} {}", page.id, page.title, page.text),
                Err(what) => what,
            },
            Found::TooLarge(bytes) => format!("{bytes} bytes"),
            Found::Cut(bytes) => format!("cut after {bytes}"),
        });
    }
    found
}

fuzz_target!(|data: &[u8]| assert_eq!(pages(data, usize::MAX), pages(data, 5)));
