//! Reads a Parquet file like The Stack: as rows or damage, whatever its library panics on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::formats::parquet_file::ParquetFile;

fuzz_target!(|data: &[u8]| {
    thresher_fuzz::let_panics_be_caught();
    let bytes = prost::bytes::Bytes::copy_from_slice(data);
    let Ok(file) = ParquetFile::open(bytes, 64 << 20) else { return };
    for group in 0..file.groups().min(100) {
        let _ = file.begin(group);
        let mut rows = 0;
        let _ = file.rows(group, |_, _| {
            rows += 1;
            if rows < 1000 { Ok(()) } else { Err(()) }
        });
    }
});
