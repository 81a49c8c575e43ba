//! CCNet's cutoffs for each language: the perplexities below which 30 and 60 percent of the
//! documents of a dump are. CCNet published them with its models, and they fit only those.

use thresher_domain::Bucket;

/// Returns the bucket of a document.
pub(super) fn bucket_of(language: &str, perplexity: f64) -> Bucket {
    match cutoffs(language) {
        None => Bucket::All,
        Some((head, _)) if perplexity < head => Bucket::Head,
        Some((_, middle)) if perplexity < middle => Bucket::Middle,
        Some(_) => Bucket::Tail,
    }
}

/// Returns the 30th and 60th percentile of a language that CCNet has a model of.
pub fn cutoffs(language: &str) -> Option<(f64, f64)> {
    let at = CUTOFFS.binary_search_by(|(name, ..)| (*name).cmp(language)).ok()?;
    let (_, head, middle) = CUTOFFS[at];
    Some((head, middle))
}

/// Returns the languages that CCNet has models of.
pub fn languages() -> impl Iterator<Item = &'static str> {
    CUTOFFS.iter().map(|(name, ..)| *name)
}

/// The cutoffs, sorted by language.
const CUTOFFS: [(&str, f64, f64); 48] = [
    ("af", 540.0, 770.0),
    ("ar", 490.0, 790.0),
    ("az", 600.0, 950.0),
    ("be", 670.0, 910.0),
    ("bg", 450.0, 680.0),
    ("bn", 190.0, 300.0),
    ("ca", 210.0, 330.0),
    ("cs", 820.0, 1140.0),
    ("da", 380.0, 600.0),
    ("de", 370.0, 590.0),
    ("el", 450.0, 670.0),
    ("en", 340.0, 520.0),
    ("es", 180.0, 290.0),
    ("et", 1270.0, 1620.0),
    ("fa", 370.0, 700.0),
    ("fi", 1110.0, 1500.0),
    ("fr", 180.0, 330.0),
    ("gu", 1110.0, 1570.0),
    ("he", 1280.0, 1710.0),
    ("hi", 480.0, 790.0),
    ("hr", 720.0, 910.0),
    ("hu", 80.0, 140.0),
    ("hy", 750.0, 1080.0),
    ("id", 600.0, 970.0),
    ("is", 850.0, 1190.0),
    ("it", 220.0, 360.0),
    ("ja", 1110.0, 1450.0),
    ("ka", 910.0, 1310.0),
    ("kk", 610.0, 930.0),
    ("km", 1040.0, 2180.0),
    ("kn", 2210.0, 2800.0),
    ("ko", 920.0, 2130.0),
    ("lt", 190.0, 270.0),
    ("lv", 1130.0, 1480.0),
    ("mk", 530.0, 740.0),
    ("ml", 2430.0, 3220.0),
    ("mn", 680.0, 1010.0),
    ("mr", 1380.0, 1870.0),
    ("my", 2530.0, 3040.0),
    ("ne", 860.0, 1130.0),
    ("nl", 430.0, 650.0),
    ("no", 430.0, 680.0),
    ("pl", 160.0, 260.0),
    ("pt", 170.0, 270.0),
    ("ro", 180.0, 270.0),
    ("ru", 210.0, 310.0),
    ("uk", 140.0, 220.0),
    ("zh", 1460.0, 1950.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_its_cuts_rise() {
        assert!(CUTOFFS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(CUTOFFS.iter().all(|(_, head, middle)| 0.0 < *head && head < middle));
    }

    #[test]
    fn a_document_on_a_cut_belongs_to_the_bucket_above() {
        for (language, perplexity, bucket) in [
            ("en", 339.9, Bucket::Head),
            ("en", 340.0, Bucket::Middle),
            ("en", 519.9, Bucket::Middle),
            ("en", 520.0, Bucket::Tail),
            ("hu", 80.0, Bucket::Middle),
            ("zh", 1949.9, Bucket::Middle),
            ("sv", 1.0, Bucket::All),
        ] {
            assert_eq!(bucket_of(language, perplexity), bucket, "{language} {perplexity}");
        }
    }
}
