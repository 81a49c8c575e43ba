//! fastText's training with softmax: the mean of the words' vectors is moved towards that of its
//! label.
//!
//! **Invariant:** sums run in one fixed order, and exponential and logarithm come from `libm`, so
//! that the weights depend only on examples, settings and seed.

use thresher_domain::SplitMix64;

use super::random::symmetric;
use super::vocabulary::Corpus;

const LABELS: usize = 2;
/// Number of tokens after which the learning rate is updated.
const RATE_UPDATE_TOKENS: u64 = 100;

pub(super) struct Settings {
    pub(super) dimensions: usize,
    pub(super) rate: f32,
    pub(super) epochs: u32,
}

/// The two matrices, row after row.
pub(super) struct Weights {
    pub(super) input: Vec<f32>,
    pub(super) output: Vec<f32>,
    /// The mean loss of the last epoch.
    pub(super) last_loss: f64,
}

pub(super) fn train(corpus: &Corpus, settings: &Settings, random: &mut SplitMix64) -> Weights {
    let dimensions = settings.dimensions;
    let scale = 1.0 / dimensions as f32;
    let cells = corpus.words.len() * dimensions;
    let mut weights = Weights {
        input: (0..cells).map(|_| symmetric(random) * scale).collect(),
        output: vec![0.0; LABELS * dimensions],
        last_loss: 0.0,
    };
    let all = (corpus.tokens * u64::from(settings.epochs)) as f32;
    let (mut hidden, mut gradient) = (vec![0.0; dimensions], vec![0.0; dimensions]);
    let (mut seen, mut pending) = (0, 0);
    for _ in 0..settings.epochs {
        let mut loss = 0.0;
        let mut examples = 0_u64;
        for example in &corpus.examples {
            let rate = settings.rate * (1.0 - seen as f32 / all).max(0.0);
            pending += example.tokens;
            if !example.words.is_empty() {
                let place = (&mut hidden[..], &mut gradient[..]);
                loss += weights.update(&example.words, example.label, rate, place);
                examples += 1;
            }
            if pending > RATE_UPDATE_TOKENS {
                seen += pending;
                pending = 0;
            }
        }
        weights.last_loss = loss / examples.max(1) as f64;
    }
    weights
}

impl Weights {
    /// Makes one step; returns the loss before it.
    fn update(
        &mut self,
        words: &[u32],
        label: usize,
        rate: f32,
        (hidden, gradient): (&mut [f32], &mut [f32]),
    ) -> f64 {
        let dimensions = hidden.len();
        let share = 1.0 / words.len() as f32;
        hidden.fill(0.0);
        for &word in words {
            let row = &self.input[word as usize * dimensions..][..dimensions];
            hidden.iter_mut().zip(row).for_each(|(sum, cell)| *sum += cell);
        }
        hidden.iter_mut().for_each(|cell| *cell *= share);
        let probabilities = self.probabilities(hidden);
        gradient.fill(0.0);
        for (index, probability) in probabilities.into_iter().enumerate() {
            let wanted = if index == label { 1.0 } else { 0.0 };
            let step = rate * (wanted - probability);
            let row = &mut self.output[index * dimensions..][..dimensions];
            for ((cell, sum), unit) in row.iter_mut().zip(gradient.iter_mut()).zip(&*hidden) {
                *sum += step * *cell;
                *cell += step * unit;
            }
        }
        gradient.iter_mut().for_each(|cell| *cell *= share);
        for &word in words {
            let row = &mut self.input[word as usize * dimensions..][..dimensions];
            row.iter_mut().zip(&*gradient).for_each(|(cell, step)| *cell += step);
        }
        // fastText, too, adds this before it takes the logarithm.
        f64::from(-libm::logf(probabilities[label] + 1e-5))
    }

    fn probabilities(&self, hidden: &[f32]) -> [f32; LABELS] {
        let mut scores = [0.0; LABELS];
        for (score, row) in scores.iter_mut().zip(self.output.chunks_exact(hidden.len())) {
            *score = row.iter().zip(hidden).fold(0.0, |sum, (a, b)| sum + a * b);
        }
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers = scores.map(|score| libm::expf(score - most));
        let sum: f32 = powers.iter().sum();
        powers.map(|power| power / sum)
    }
}
