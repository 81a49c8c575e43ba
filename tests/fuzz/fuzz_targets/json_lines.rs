//! Checks that pieces of JSON lines, cut anywhere, yield each line once, gzipped or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::formats::gzip::GzipLimits;
use thresher_fuzz::formats::json_lines::{InsideLine, Item, LineReader};
use thresher_fuzz::formats::piece::Piece;
use thresher_fuzz::unless_refused;

fn lines<R: std::io::Read>(mut reader: LineReader<R>) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some(item) = unless_refused(reader.next_item()) {
        found.push(match item {
            Item::Line(line) => (line.offset, line.bytes.to_vec()),
            Item::Quarantined(bad) => (bad.offset, bad.reason.as_bytes().to_vec()),
        });
    }
    found
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, file)) = data.split_first() else { return };
    let _ = lines(LineReader::whole(file, 100, GzipLimits::default()));
    let cut = usize::from(*cut).min(file.len());
    let piece = |from: usize, to: usize| {
        let piece = Piece { offset: from as u64, length: (to - from) as u64 };
        let inside = match from > 0 && file[from - 1] != b'\n' {
            true => InsideLine::Yes,
            false => InsideLine::No,
        };
        lines(LineReader::piece(&file[from..], 100, piece, inside))
    };
    let whole = piece(0, file.len());
    assert_eq!([piece(0, cut), piece(cut, file.len())].concat(), whole);
});
