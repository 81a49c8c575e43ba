//! Reads a 7z archive as sites are read: without a panic, and within the memory limit.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use sevenz_rust2::{ArchiveReader, Password};

fuzz_target!(|data: &[u8]| {
    let data = Cursor::new(data);
    let opened = ArchiveReader::new_with_memory_limit(data, Password::empty(), 1 << 16);
    let Ok(mut archive) = opened else { return };
    let _ = archive.for_each_entries(|_, reader| {
        let mut text = Vec::new();
        reader.take(1 << 20).read_to_end(&mut text)?;
        Ok(true)
    });
});
