//! The place of each shard in the token files of its source.
//!
//! Lengths are known since PREPARE, so sums over the shards give each its range. A pair ends before
//! the shard that would make it too large.

use thresher_job::{LeaseOrder, TokenFormat};
use thresher_proto::pb::{PublishUnit, TokenPlace};
use thresher_unit::UnitError;

use super::TokenRules;
use crate::stages::JobContext;

/// Collects the documents and tokens of the shards of a source.
pub(in crate::stages) struct TokenLayout {
    order: LeaseOrder,
    source: String,
    /// The largest number of tokens of a pair.
    most_tokens: u64,
    /// Documents and tokens of each shard, by side.
    sides: Vec<Vec<(u64, u64)>>,
}

impl TokenLayout {
    /// Starts the layout of a source, if the job writes token files.
    pub(in crate::stages) fn start(
        context: &JobContext,
        source: &str,
        sides: usize,
    ) -> Result<Option<Self>, UnitError> {
        let spec = &context.job.output.tokens;
        if spec.formats.is_empty() {
            return Ok(None);
        }
        let width = TokenRules::read(context)?.width;
        let most_tokens = if spec.formats.contains(&TokenFormat::Megatron) {
            (spec.file_bytes.0 / width.bytes()).max(1)
        } else {
            u64::MAX
        };
        let sides = vec![vec![(0, 0)]; sides];
        Ok(Some(Self { order: spec.order, source: source.to_owned(), most_tokens, sides }))
    }

    /// Adds a document of the current shard. `tokens` counts the one that ends it.
    pub(in crate::stages) fn document(&mut self, side: usize, tokens: u64) {
        if let Some((documents, sum)) = self.sides[side].last_mut() {
            *documents += 1;
            *sum += tokens;
        }
    }

    /// Ends the current shard.
    pub(in crate::stages) fn end_shard(&mut self) {
        for shards in &mut self.sides {
            shards.push((0, 0));
        }
    }

    /// Gives each shard its places.
    pub(in crate::stages) fn finish(self, shards: &mut [PublishUnit]) {
        for (side, counts) in self.sides.iter().enumerate() {
            for (shard, place) in
                shards.iter_mut().zip(self.places(side, counts, shards_of(counts)))
            {
                shard.tokens.push(place);
            }
        }
    }

    fn places(&self, side: usize, counts: &[(u64, u64)], shards: usize) -> Vec<TokenPlace> {
        let mut order: Vec<usize> = (0..shards).collect();
        if let LeaseOrder::Shuffled(seed) = self.order {
            order.sort_by_key(|shard| shuffled(seed, (&self.source, side), *shard as u64));
        }
        let mut places = vec![TokenPlace::default(); shards];
        let mut pair = TokenPlace::default();
        for shard in &order {
            let (documents, tokens) = counts[*shard];
            if pair.tokens > 0 && pair.tokens + tokens > self.most_tokens {
                pair = TokenPlace { pair: pair.pair + 1, ..TokenPlace::default() };
            }
            let (first_document, first_token) = (pair.documents, pair.tokens);
            let numbered = TokenPlace { pair: pair.pair, ..TokenPlace::default() };
            places[*shard] =
                TokenPlace { first_document, first_token, documents, tokens, ..numbered };
            pair.documents += documents;
            pair.tokens += tokens;
        }
        let pairs = pair.pair + 1;
        let mut documents = vec![0; pairs as usize];
        for place in &places {
            documents[place.pair as usize] += place.documents;
        }
        for place in &mut places {
            place.pairs = pairs;
            place.pair_documents = documents[place.pair as usize];
        }
        places
    }
}

/// The last entry is of the shard that would come next.
fn shards_of(counts: &[(u64, u64)]) -> usize {
    counts.len().saturating_sub(1)
}

/// Returns the number by which something is sorted that a seed shuffles.
pub(in crate::stages) fn shuffled(seed: u64, of: (&str, usize), number: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("thresher 2026-11-30 order of tokens");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(of.1 as u64).to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(of.0.as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(order: LeaseOrder, most_tokens: u64) -> Vec<TokenPlace> {
        let sides = vec![vec![(0, 0)]];
        let mut layout = TokenLayout { order, source: "s".to_owned(), most_tokens, sides };
        let shards = [&[10, 5][..], &[], &[7], &[1, 1, 1]];
        for shard in shards {
            shard.iter().for_each(|tokens| layout.document(0, *tokens));
            layout.end_shard();
        }
        let mut units = vec![PublishUnit::default(); shards.len()];
        layout.finish(&mut units);
        units.into_iter().map(|unit| unit.tokens[0]).collect()
    }

    #[test]
    fn shards_follow_each_other_without_a_gap() {
        let starts = |places: &[TokenPlace]| -> Vec<(u32, u64, u64)> {
            places.iter().map(|it| (it.pair, it.first_document, it.first_token)).collect()
        };
        let one = layout(LeaseOrder::Canonical, 1_000);
        assert_eq!(starts(&one), [(0, 0, 0), (0, 2, 15), (0, 2, 15), (0, 3, 22)]);
        assert!(one.iter().all(|place| (place.pairs, place.pair_documents) == (1, 6)), "{one:?}");
        let two = layout(LeaseOrder::Canonical, 20);
        assert_eq!(starts(&two), [(0, 0, 0), (0, 2, 15), (1, 0, 0), (1, 1, 7)]);
        assert_eq!((two[0].pair_documents, two[3].pair_documents, two[0].pairs), (2, 4, 2));
    }

    #[test]
    fn a_seed_changes_the_order_and_nothing_else() {
        let sorted = |mut places: Vec<TokenPlace>| {
            places.sort_by_key(|place| (place.first_token, place.documents));
            let mut next = 0;
            for place in &places {
                assert_eq!(place.first_token, next, "{places:?}");
                next += place.tokens;
            }
            next
        };
        let orders: Vec<_> = (0..8).map(|seed| layout(LeaseOrder::Shuffled(seed), 1_000)).collect();
        assert!(orders.iter().any(|places| *places != orders[0]), "no seed changes the order");
        assert_eq!(layout(LeaseOrder::Shuffled(3), 1_000), orders[3]);
        assert!(orders.into_iter().all(|places| sorted(places) == 25));
    }
}
