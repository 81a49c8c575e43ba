//! arXiv's parsers, without the code that opens inputs and reports papers.

#[path = "../../../worker/sources/src/arxiv/kind.rs"]
mod kind;
#[path = "../../../worker/sources/src/arxiv/paths.rs"]
mod paths;
#[path = "../../../worker/sources/src/arxiv/published.rs"]
mod published;
#[path = "../../../worker/sources/src/arxiv/thresher_rules/mod.rs"]
mod thresher_rules;
#[path = "../../../worker/sources/src/arxiv/unusable.rs"]
mod unusable;

use crate::members;

/// Returns the text by the published rules and by ours; `None` for a paper that is refused. The
/// first half of the bytes is a file that the second half can input as `b`.
pub fn texts(tex: &[u8], max_bytes: usize) -> [Option<String>; 2] {
    let one = [("a.tex".to_owned(), tex.to_vec())];
    let (input, root) = tex.split_at(tex.len() / 2);
    let two = [("b.tex".to_owned(), input.to_vec()), ("a.tex".to_owned(), root.to_vec())];
    let kind = kind::Kind::of(tex);
    assert!(kind == kind::Kind::Text || kind.reason().starts_with("arxiv/"));
    let ours = |files: &[(String, Vec<u8>)]| {
        let found = thresher_rules::text_of(files, max_bytes).ok()?;
        assert!(found.missing <= tex.len() as u64, "more files are missing than are named");
        Some(found.text)
    };
    assert!(ours(&two).is_none_or(|text| text.len() <= max_bytes));
    [published::text_of(&one, max_bytes).ok(), ours(&one)]
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
