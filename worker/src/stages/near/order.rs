//! The order in which documents survive: `near.prefer`, as bytes that are compared from the left.
//!
//! **Invariant:** a rank is a function of the document and the job file. Of equal ranks, the order
//! of the sources and their inputs decides.

use thresher_job::Preference;
use thresher_unit::staging::StagedDocument;

/// Longest part of a dump's name or a date that is compared.
const NAME_BYTES: usize = 24;

/// Returns the rank of a document of source number `source`: the smaller survives.
pub(super) fn rank(prefer: &[Preference], source: u32, document: &StagedDocument<'_>) -> Vec<u8> {
    let mut rank = Vec::new();
    for preference in prefer {
        match preference {
            Preference::Source => rank.extend(source.to_be_bytes()),
            Preference::Oldest => push_age(document, &mut rank, |byte| byte),
            Preference::Newest => push_age(document, &mut rank, |byte| !byte),
            Preference::Shortest => rank.extend(document.chars.to_be_bytes()),
            Preference::Longest => rank.extend((!document.chars).to_be_bytes()),
            Preference::Perplexity => rank.extend(ascending(document.perplexity)),
            Preference::Classifier => {
                let score = document.classified.map(|found| -found.score);
                rank.extend(ascending(score));
            }
        }
    }
    rank
}

/// The rank of a document of an earlier output: before those that [`behind_earlier`] returns.
pub(super) const EARLIER: [u8; 1] = [0];

/// Returns the rank of a document in a job that is compared with earlier outputs.
pub(super) fn behind_earlier(rank: Vec<u8>) -> Vec<u8> {
    [vec![1], rank].concat()
}

/// Adds the name of the dump and the date, and first whether there is any: a document without comes
/// last, whether the newest or the oldest is wanted.
fn push_age(document: &StagedDocument<'_>, rank: &mut Vec<u8>, change: impl Fn(u8) -> u8) {
    rank.push(u8::from(document.dump.is_empty() && document.date.is_empty()));
    for name in [document.dump, document.date] {
        let bytes = name.bytes().chain(std::iter::repeat(0)).take(NAME_BYTES);
        rank.extend(bytes.map(&change));
    }
}

/// Returns a number as bytes in the order of numbers; none, and what is no number, comes last.
fn ascending(number: Option<f64>) -> [u8; 8] {
    let Some(number) = number.filter(|number| !number.is_nan()) else { return [u8::MAX; 8] };
    // Zero has two forms.
    let bits = (number + 0.0).to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    ordered.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use thresher_unit::staging::StagedLabel;

    use super::*;

    fn document(dump: &'static str, chars: u64, score: Option<f64>) -> StagedDocument<'static> {
        let classified = score.map(|score| StagedLabel { score, ..StagedLabel::default() });
        StagedDocument { dump, chars, classified, perplexity: score, ..StagedDocument::default() }
    }

    #[test]
    fn the_preferred_document_has_the_smaller_rank() {
        let old = document("CC-MAIN-2019-18", 5, Some(-0.5));
        let new = document("CC-MAIN-2024-10", 70_000, Some(0.25));
        let bare = document("", 6, None);
        for (prefer, order) in [
            (Preference::Newest, [&new, &old, &bare]),
            (Preference::Oldest, [&old, &new, &bare]),
            (Preference::Longest, [&new, &bare, &old]),
            (Preference::Shortest, [&old, &bare, &new]),
            (Preference::Perplexity, [&old, &new, &bare]),
            (Preference::Classifier, [&new, &old, &bare]),
        ] {
            let ranks = order.map(|document| rank(&[prefer], 0, document));
            assert!(ranks.is_sorted_by(|a, b| a < b), "{prefer:?} {ranks:?}");
        }
        assert!(rank(&[Preference::Source], 1, &new) < rank(&[Preference::Source], 256, &new));
        assert_eq!(
            rank(&[Preference::Perplexity], 0, &document("", 1, Some(-0.0))),
            rank(&[Preference::Perplexity], 0, &document("", 1, Some(0.0)))
        );
        assert!(rank(&[], 0, &new).is_empty());
    }

    #[test]
    fn a_later_property_decides_only_between_equal_ones() {
        let prefer = [Preference::Newest, Preference::Longest];
        let (a, b) = (document("x", 9, None), document("x", 8, None));
        assert!(rank(&prefer, 0, &a) < rank(&prefer, 0, &b));
        assert!(rank(&prefer, 0, &document("y", 1, None)) < rank(&prefer, 0, &a));
    }
}
