//! Checks that pieces of a `Posts.xml`, cut anywhere, yield each row of the file once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thresher_fuzz::formats::piece::Piece;
use thresher_fuzz::stackexchange::rows;

fuzz_target!(|data: &[u8]| {
    let Some((cut, file)) = data.split_first() else { return };
    let (cut, end) = (u64::from(*cut).min(file.len() as u64), file.len() as u64);
    let whole = rows(file, Piece { offset: 0, length: end }, 200);
    let mut pieces = rows(file, Piece { offset: 0, length: cut }, 200);
    pieces.extend(rows(file, Piece { offset: cut, length: end - cut }, 200));
    assert_eq!(pieces, whole);
});
