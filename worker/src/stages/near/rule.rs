//! How a job compares documents: its `[near]` section as parameters of signatures.

use thresher_clusters::{Evidence, TextEvidence};
use thresher_job::{JobSpec, NearPreset, ShinglesSpec, Verify};
use thresher_models::tokens::{TokenizerFile, Tokens};
use thresher_near::containment::ContainedParts;
use thresher_near::preset::Parameters;
use thresher_near::{Bands, Preset, Shingles, Signer, Threshold};

use super::super::JobContext;
use super::super::manifest::IndexRule;
use thresher_unit::UnitError;

/// The parameters of a job.
#[derive(Debug, Clone, Copy)]
pub(super) struct NearRule {
    preset: Preset,
    parameters: Parameters,
}

impl NearRule {
    /// Returns the preset's parameters with those that the job sets; `None` if the job compares
    /// nothing by bands.
    pub(super) fn of(job: &JobSpec) -> Option<Self> {
        let near = &job.near;
        let preset = match near.preset {
            NearPreset::Fineweb => Preset::FineWeb,
            NearPreset::RedpajamaV2 => Preset::RedPajamaV2,
            NearPreset::Slimpajama => Preset::SlimPajama,
            NearPreset::Dolma3 => Preset::Dolma3,
            NearPreset::Nemotron => Preset::Nemotron,
            NearPreset::RedpajamaV1 => return None,
        };
        let mut parameters = preset.parameters();
        if let Some(shingles) = near.shingles {
            parameters = parameters.with_shingles(match shingles {
                ShinglesSpec::Words(number) => Shingles::Words(number as usize),
                ShinglesSpec::Characters(number) => Shingles::Characters(number as usize),
                ShinglesSpec::Tokens(number) => Shingles::Tokens(number as usize),
            });
        }
        let Bands { bands, rows } = parameters.bands;
        let or = |own: Option<u64>, preset| own.map_or(preset, |own| own as usize);
        parameters.bands = Bands { bands: or(near.bands, bands), rows: or(near.rows, rows) };
        if let (Some(share), Verify::Jaccard) = (near.threshold, near.verify) {
            parameters.threshold = Threshold::from_millionths((share * 1e6).round() as u32);
        }
        Some(Self { preset, parameters })
    }

    /// Returns the parameters of a job that compares documents by bands.
    pub(super) fn of_context(context: &JobContext) -> Result<Self, UnitError> {
        let no_rule = || UnitError::Defect("the job compares no documents by bands".to_owned());
        Self::of(&context.job).ok_or_else(no_rule)
    }

    /// Returns the division of a signature.
    pub(super) fn bands(&self) -> Bands {
        self.parameters.bands
    }

    /// Returns what decides keys and evidence. `tokenizer` is the hash of the tokenizer, if
    /// shingles are tokens.
    pub(super) fn of_index(&self, verify: Verify, tokenizer: Option<String>) -> IndexRule {
        let Bands { bands, rows } = self.parameters.bands;
        let shingles = match self.parameters.signature_rule().shingles {
            Shingles::Words(number) => ShinglesSpec::Words(number as u32),
            Shingles::Characters(number) => ShinglesSpec::Characters(number as u32),
            Shingles::Tokens(number) => ShinglesSpec::Tokens(number as u32),
        };
        IndexRule {
            preset: self.preset.name().to_owned(),
            shingles: shingles.into(),
            bands: bands as u64,
            rows: rows as u64,
            verify,
            tokenizer,
        }
    }

    /// Returns the similarity that verification asks for.
    pub(super) fn threshold(&self) -> Threshold {
        self.parameters.threshold
    }
}

/// Returns how an index differs from what a job needs, with a hint; `None` if the job can use it.
/// A job that compares nothing needs no evidence.
pub(super) fn differences(index: &IndexRule, job: &IndexRule) -> Option<String> {
    let word = |verify: Verify| format!("{verify:?}").to_lowercase();
    let named = |tokenizer: &Option<String>| tokenizer.clone().unwrap_or("none".to_owned());
    let needs = job.verify != Verify::None;
    let pairs = [
        ("near.preset", index.preset.clone(), job.preset.clone()),
        ("near.shingles", index.shingles.clone(), job.shingles.clone()),
        ("near.bands", index.bands.to_string(), job.bands.to_string()),
        ("near.rows", index.rows.to_string(), job.rows.to_string()),
        ("near.verify", word(if needs { index.verify } else { job.verify }), word(job.verify)),
        ("tokens.tokenizer (blake3)", named(&index.tokenizer), named(&job.tokenizer)),
    ];
    let differ: Vec<String> = pairs
        .into_iter()
        .filter(|(_, there, here)| there != here)
        .map(|(key, there, here)| format!("`{key}` is `{there}` there and `{here}` in this job"))
        .collect();
    (!differ.is_empty()).then(|| {
        format!(
            "{}\nhint: set what that output has, or make it again with the values of this job",
            differ.join(", ")
        )
    })
}

/// Returns the similarity that a job asks for as a share, if it compares documents by bands.
pub(in crate::stages) fn near_threshold(job: &JobSpec) -> Option<f64> {
    NearRule::of(job).map(|rule| f64::from(rule.threshold().millionths()) / 1e6)
}

/// Computes what documents are compared by. One thread has one.
pub(super) struct Signing<'c> {
    rule: NearRule,
    signer: Signer,
    tokenizer: Option<&'c TokenizerFile>,
    tokens: Tokens,
    text: String,
}

impl<'c> Signing<'c> {
    /// Prepares for the documents of a job. A tokenizer is read if shingles are tokens.
    pub(super) fn new(context: &'c JobContext, rule: NearRule) -> Result<Self, UnitError> {
        let tokenizer = match context.job.near.needs_tokenizer() {
            true => context.scorers()?.quality.tokenizer(),
            false => None,
        };
        let signer = Signer::new(rule.parameters.signature_rule());
        Ok(Self { rule, signer, tokenizer, tokens: Tokens::default(), text: String::new() })
    }

    /// Puts the key of each band of a text into `keys`; none if the text has no shingles.
    pub(super) fn keys(&mut self, text: &str, keys: &mut Vec<u64>) -> Result<(), UnitError> {
        keys.clear();
        let signature = match self.tokenizer {
            Some(tokenizer) => {
                self.rule.parameters.signature_rule().text.apply(text, &mut self.text);
                let tokens = tokenizer.encode(&self.text, &mut self.tokens).map_err(data)?;
                self.signer.sign_tokens(tokens)
            }
            None => self.signer.sign(text),
        };
        if let Some(signature) = signature.map_err(|error| UnitError::Defect(error.to_string()))? {
            self.rule.parameters.bands.keys(&signature, keys);
        }
        Ok(())
    }

    /// Returns what the job compares a text by.
    pub(super) fn evidence(&mut self, verify: Verify, text: &str) -> Result<Evidence, UnitError> {
        Ok(match verify {
            Verify::Jaccard => Evidence::Shingles(self.shingles(text)?),
            Verify::Containment => Evidence::Text(text_evidence(text)),
            Verify::None => Evidence::None,
        })
    }

    /// Returns the hashes of a text's shingles, sorted and each once.
    fn shingles(&mut self, text: &str) -> Result<Vec<u64>, UnitError> {
        let shingles = match self.tokenizer {
            Some(tokenizer) => {
                self.rule.parameters.signature_rule().text.apply(text, &mut self.text);
                let tokens = tokenizer.encode(&self.text, &mut self.tokens).map_err(data)?;
                self.signer.shingles_of_tokens(tokens)
            }
            None => self.signer.shingles(text),
        };
        shingles.map_err(|error| UnitError::Defect(error.to_string()))
    }
}

fn text_evidence(text: &str) -> TextEvidence {
    let ContainedParts { characters, tokens, trigrams, character_grams } = ContainedParts::of(text);
    TextEvidence { characters, tokens, trigrams, character_grams }
}

fn data(error: impl std::fmt::Display) -> UnitError {
    UnitError::Data(format!("failed to cut a document into tokens: {error}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn rule(near: &str) -> Option<NearRule> {
        let text = format!(
            "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"*.gz\"\n\
             steps = [\"near\"]\n[language]\nmodel = \"none\"\n[output]\npath = \"out\"\n[near]\n{near}"
        );
        NearRule::of(&JobSpec::parse(&text, Path::new("/jobs")).expect("the job is valid"))
    }

    #[test]
    fn keys_beside_a_preset_replace_its_parameters_one_by_one() {
        let preset = rule("preset = \"redpajama-v2\"").unwrap();
        assert_eq!(preset.bands(), Bands { bands: 9, rows: 13 });
        let own = rule("shingles = \"3 characters\"\nbands = 20\nthreshold = 0.9").unwrap();
        assert_eq!(own.bands(), Bands { bands: 20, rows: 8 });
        assert_eq!(own.threshold(), Threshold::from_millionths(900_000));
        let signature = own.parameters.signature_rule();
        assert_eq!((signature.shingles, signature.minima), (Shingles::Characters(3), 160));
        assert!(rule("preset = \"redpajama-v1\"").is_none());
    }
}
