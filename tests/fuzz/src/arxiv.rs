//! arXiv's parsers, without the code that opens inputs and reports papers.

#[path = "../../../worker/sources/src/arxiv/macros.rs"]
mod macros;
#[path = "../../../worker/sources/src/arxiv/members.rs"]
mod members;
#[path = "../../../worker/sources/src/arxiv/published.rs"]
mod published;
#[path = "../../../worker/sources/src/arxiv/thresher_rules.rs"]
mod thresher_rules;
#[path = "../../../worker/sources/src/arxiv/unusable.rs"]
mod unusable;

use unusable::Unusable;

/// Returns the text by the published rules and by ours; `None` for a paper that is refused.
pub fn texts(tex: &[u8], max_bytes: usize) -> [Option<String>; 2] {
    let files = [("a.tex".to_owned(), tex.to_vec())];
    [published::text_of(&files, max_bytes).ok(), thresher_rules::text_of(&files, max_bytes).ok()]
}

/// Returns the offset and size of each member of a tar.
pub fn members(tar: &[u8], from: u64, until: u64) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let rest = tar.get(from as usize..).unwrap_or_default();
    let mut members = members::Members::of_piece(rest, from, until, 1 << 20).expect("memory reads");
    while let Some(item) = members.next().expect("memory reads") {
        found.push(match item {
            members::Item::Member { at, bytes, .. } => (at, bytes.len() as u64),
            members::Item::TooLarge { at, bytes, .. } => (at, bytes),
            members::Item::Damaged { at, .. } => (at, 0),
        });
    }
    found
}

/// Returns whether bytes start a tar.
pub fn is_tar(bytes: &[u8]) -> bool {
    members::is_tar(bytes)
}
