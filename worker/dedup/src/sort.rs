//! Sorts tagged hashes: one scatter by the top bits into buckets that fit the first-level cache,
//! then a comparison sort of each. Keys that are not spread evenly make it slower, never wrong.

use super::key::HashKey;
use super::position::Span;

/// Target number of entries per bucket: 16 kB of `u64` keys with their tags.
const BUCKET_ENTRIES: usize = 1024;
/// With more buckets than this, the scatter misses the TLB at every entry.
const MAX_BUCKETS: usize = 1 << 13;

/// Sorts the entries that `source` yields, by key and then tag. `source` is run twice and must
/// yield the same entries both times. Keys outside `span` are only sorted among equal ones.
// `for_each` is twice as fast as `for` here: over a flattened iterator it becomes nested loops.
pub(super) fn sort_tagged<K: HashKey, I: Iterator<Item = (K, u64)>>(
    span: Span,
    count: usize,
    source: impl Fn() -> I,
) -> Vec<K::Tagged> {
    let buckets = (count / BUCKET_ENTRIES).clamp(1, MAX_BUCKETS);
    let scale = Scale::new(span, buckets);
    // `ends[b]` first counts bucket b + 1, then is the position of bucket b's next entry.
    let mut ends = vec![0usize; scale.buckets + 1];
    source().for_each(|(key, _)| ends[scale.bucket(key.top()) + 1] += 1);
    let mut total = 0;
    for end in &mut ends {
        total += *end;
        *end = total;
    }
    let mut sorted = vec![K::BLANK; total];
    source().for_each(|(key, tag)| {
        let end = &mut ends[scale.bucket(key.top())];
        sorted[*end] = key.tag(tag);
        *end += 1;
    });
    let mut begin = 0;
    for end in &ends[..scale.buckets] {
        sorted[begin..*end].sort_unstable();
        begin = *end;
    }
    sorted
}

/// Maps top bits to buckets, monotonically, by one multiplication.
struct Scale {
    first: u64,
    buckets: usize,
    factor: u64,
}

impl Scale {
    fn new(span: Span, buckets: usize) -> Self {
        let width = span.width();
        let buckets = if (buckets as u128) < width { buckets } else { 1 };
        // Fits 64 bits because buckets < width, or there is one bucket, for which 0 is right.
        let factor = if buckets == 1 { 0 } else { ((buckets as u128) << 64) / width };
        Self { first: span.first, buckets, factor: factor as u64 }
    }

    #[inline]
    fn bucket(&self, top: u64) -> usize {
        let distance = top.wrapping_sub(self.first);
        let bucket = (u128::from(distance) * u128::from(self.factor)) >> 64;
        // A key outside the span is still together with its equals.
        (bucket as usize).min(self.buckets - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_span_maps_its_ends_to_its_end_buckets() {
        let spans = [
            Span::WHOLE,
            Span { first: 5, last: 5 },
            Span { first: 1 << 40, last: (1 << 40) + 9000 },
            Span { first: u64::MAX - 8191, last: u64::MAX },
            Span { first: u64::MAX - 8192, last: u64::MAX },
        ];
        for span in spans {
            for buckets in [1, 2, 3, 1000, MAX_BUCKETS] {
                let scale = Scale::new(span, buckets);
                assert_eq!(scale.bucket(span.first), 0);
                assert!(scale.bucket(span.last) < scale.buckets, "{span:?} {buckets}");
            }
        }
    }

    #[test]
    fn entries_come_out_by_key_then_tag_however_uneven_they_are() {
        for keys in [
            (0..20_000u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect::<Vec<_>>(),
            (0..20_000).map(|i| i % 3).collect(),
            (0..20_000).rev().map(|i| u64::MAX - i % 5000).collect(),
        ] {
            let source = || keys.iter().copied().zip((0..20_000u64).rev());
            let sorted = sort_tagged::<u64, _>(Span::WHOLE, keys.len(), source);
            let mut expected: Vec<(u64, u64)> = source().collect();
            expected.sort_unstable();
            let sorted: Vec<(u64, u64)> = sorted.into_iter().map(u64::untag).collect();
            assert_eq!(sorted, expected);
        }
    }
}
