//! The published sets of parameters, one entry each.
//!
//! What the sources say of thresholds is what they aimed at: no published pipeline but Dolma 3
//! compares candidates, so `threshold` is the similarity that verification asks for by default.

use crate::bands::Bands;
use crate::family::{ItemHash, Permutations};
use crate::rules::TextRule;
use crate::shingles::{Shingles, ShortDocuments};
use crate::signature::{SignatureRule, WordSplitter};
use crate::similarity::Threshold;

/// A published set of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// FineWeb (arXiv 2406.17557): datatrove, `examples/fineweb.py`.
    FineWeb,
    /// RedPajama-Data v2 (arXiv 2411.12372): `app/src/core/quality_signals/`, `bands` for 0.8.
    RedPajamaV2,
    /// SlimPajama: Cerebras modelzoo, `data_preparation/nlp/slimpajama/dedup/`.
    SlimPajama,
    /// Dolma 3 (arXiv 2512.13961, appendix A.2): duplodocus, tokens of p50k.
    Dolma3,
    /// Nemotron-CC (arXiv 2412.02595): NeMo Curator's fuzzy deduplication on cuDF.
    Nemotron,
}

/// The parameters of a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// What decides a signature but the number of its minima, which is that of the rows.
    signature: SignatureRule,
    /// The division of a signature into bands.
    pub bands: Bands,
    /// The similarity that verification asks for.
    pub threshold: Threshold,
}

impl Parameters {
    fn new(signature: SignatureRule, (bands, rows): (usize, usize), millionths: u32) -> Self {
        let threshold = Threshold::from_millionths(millionths);
        Self { signature, bands: Bands { bands, rows }, threshold }
    }

    /// Returns what decides a signature: as many minima as the bands have rows.
    pub fn signature_rule(&self) -> SignatureRule {
        SignatureRule { minima: self.bands.minima(), ..self.signature }
    }

    /// Returns the same parameters with other shingles.
    #[must_use]
    pub fn with_shingles(self, shingles: Shingles) -> Self {
        Self { signature: SignatureRule { shingles, ..self.signature }, ..self }
    }
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 5] =
        [Self::FineWeb, Self::RedPajamaV2, Self::SlimPajama, Self::Dolma3, Self::Nemotron];

    /// Returns what a job file calls the preset.
    pub fn name(self) -> &'static str {
        match self {
            Self::FineWeb => "fineweb",
            Self::RedPajamaV2 => "redpajama-v2",
            Self::SlimPajama => "slimpajama",
            Self::Dolma3 => "dolma3",
            Self::Nemotron => "nemotron",
        }
    }

    /// Returns the preset that a job file calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// Returns the preset's parameters.
    pub fn parameters(self) -> Parameters {
        match self {
            Self::FineWeb => Parameters::new(
                SignatureRule {
                    text: TextRule::FineWeb,
                    words: WordSplitter::English,
                    shingles: Shingles::Words(5),
                    short: ShortDocuments::NoShingles,
                    item: ItemHash::Sha1First8,
                    permutations: Permutations::Datatrove { seed: 1 },
                    minima: 0,
                },
                (14, 8),
                750_000,
            ),
            Self::RedPajamaV2 => Parameters::new(
                SignatureRule {
                    text: TextRule::RedPajamaV2,
                    words: WordSplitter::Spaces,
                    shingles: Shingles::Words(13),
                    short: ShortDocuments::NoShingles,
                    item: ItemHash::Sha1First4,
                    permutations: Permutations::DatasketchLegacy { seed: 42 },
                    minima: 0,
                },
                (9, 13),
                800_000,
            ),
            Self::SlimPajama => Parameters::new(
                SignatureRule {
                    text: TextRule::SlimPajama,
                    shingles: Shingles::Characters(13),
                    permutations: Permutations::DatasketchLegacy { seed: 1 },
                    // It drops documents of fewer than 200 characters before.
                    ..Self::RedPajamaV2.parameters().signature
                },
                (9, 13),
                800_000,
            ),
            Self::Dolma3 => Parameters::new(
                SignatureRule {
                    text: TextRule::Dolma3,
                    words: WordSplitter::Spaces,
                    shingles: Shingles::Tokens(5),
                    short: ShortDocuments::OneShingle,
                    item: ItemHash::Xxh3Wide,
                    permutations: Permutations::Multiply128,
                    minima: 0,
                },
                (26, 11),
                800_000,
            ),
            Self::Nemotron => Parameters::new(
                SignatureRule {
                    text: TextRule::None,
                    words: WordSplitter::Spaces,
                    shingles: Shingles::Characters(24),
                    short: ShortDocuments::OneShingle,
                    // Its hash is seeded by the first multiplier.
                    item: ItemHash::Murmur3 { seed: 1_608_637_543 },
                    permutations: Permutations::Nemo { seed: 42 },
                    minima: 0,
                },
                (20, 13),
                800_000,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_found_by_its_name() {
        for preset in Preset::ALL {
            assert_eq!(Preset::named(preset.name()), Some(preset));
        }
        assert_eq!(Preset::named("FineWeb"), None);
    }

    #[test]
    fn every_preset_has_one_minimum_per_row() {
        let minima: Vec<_> =
            Preset::ALL.iter().map(|p| p.parameters().signature_rule().minima).collect();
        assert_eq!(minima, [112, 117, 117, 286, 260]);
    }

    /// The item hash of NeMo is seeded by its permutations' first multiplier.
    #[test]
    fn nemos_seed_is_its_first_multiplier() {
        let parameters = Preset::Nemotron.parameters();
        let crate::vector::Parameters::Wrapping { a, .. } =
            parameters.signature.permutations.parameters(1)
        else {
            panic!("NeMo's arithmetic wraps");
        };
        assert_eq!(parameters.signature.item, ItemHash::Murmur3 { seed: a[0] });
    }
}
