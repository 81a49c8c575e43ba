//! Rows of StackExchange's sites, without their threads.

#[path = "../../../worker/sources/src/stackexchange/posts.rs"]
mod posts;
#[path = "../../../worker/sources/src/stackexchange/rows.rs"]
mod places;

use crate::formats::piece::Piece;

/// Returns the offset, length and content of each row of a piece.
pub fn rows(file: &[u8], piece: Piece, max_bytes: usize) -> Vec<(u64, u64, String)> {
    let from = (piece.offset as usize).min(file.len());
    let ahead = from + places::LOOK_AHEAD_BYTES as usize;
    let around = &file[..ahead.min(file.len())];
    let mut rows = places::Rows::of_piece(&file[from..], max_bytes, piece, around);
    let mut found = Vec::new();
    while let Some((at, bytes, row)) = rows.next().expect("memory reads") {
        found.push((at, bytes, format!("{row:?}")));
    }
    found
}
