//! `mix`: puts parts of corpora together in given proportions, by a job that is run as `run` runs
//! it.
//!
//! The verb reads the manifests of the corpora, finds how often each part is read (`shares`), and
//! writes a job file: one source for each part and epoch. A fraction of an epoch is the documents
//! with the smallest hashes, so 2.3 epochs are every document twice and 30 % of them once more.
//!
//! **Invariant:** the job file depends on the mix file and the manifests alone.

mod amount;
mod shares;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use thresher_worker::inspect::manifest_of;
use thresher_worker::stages::{CountEntry, Manifest};
use toml::{Table, Value};

use self::amount::Amount;
use self::shares::{Part, Wanted, epochs};
use super::corpus_job::{place, run_written, table};
use super::print;
use super::run::RunSettings;

/// Name of the job file in the state directory.
const JOB_FILE: &str = "mix.toml";
/// A part is not read more often, unless the mix file says so.
const MOST_EPOCHS: f64 = 100.0;
/// The tables that the mix file and a job file have in common.
const OF_JOB: [&str; 4] = ["output", "tokens", "units", "s3"];

/// Put parts of corpora together in given proportions
///
/// The mix file has a table `[mix]`, a `[[take]]` for each part, and `[output]` as in a job file.
/// Of a corpus with a split, the documents for training are taken.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  thresher mix mix.toml --dry-run\n  thresher mix mix.toml\n\n\
    Example of a mix file:\n  \
    [mix]\n  name = \"two-trillion\"\n  tokens = \"2T\"\n  \
    [[take]]\n  corpus = \"corpora/crawl\"\n  weight = 8\n  max_epochs = 1\n  \
    [[take]]\n  corpus = \"corpora/wiki\"\n  source = [\"wikipedia\"]\n  language = [\"en\"]\n  epochs = 2.3\n  \
    [output]\n  path = \"mixed\"\n  formats = [\"parquet\"]")]
pub(super) struct MixArgs {
    /// Mix file
    #[arg(value_name = "MIX.toml")]
    file: PathBuf,
    /// Print what would be read, and read nothing
    #[arg(long)]
    dry_run: bool,
    /// Print weights for token files that the corpora have, and read nothing
    #[arg(long, conflicts_with = "dry_run")]
    weights: bool,
    #[command(flatten)]
    settings: RunSettings,
}

/// A mix file, without the tables that are also a job file's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MixFile {
    mix: MixHead,
    take: Vec<Take>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MixHead {
    name: String,
    /// The amount of the whole mix in one of three units.
    tokens: Option<Amount>,
    documents: Option<Amount>,
    bytes: Option<Amount>,
    max_epochs: Option<f64>,
    #[serde(default)]
    seed: i64,
}

/// A part of a mix.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    corpus: String,
    name: Option<String>,
    #[serde(default)]
    source: Vec<String>,
    #[serde(default)]
    language: Vec<String>,
    weight: Option<f64>,
    epochs: Option<f64>,
    /// An amount in the unit of the mix.
    amount: Option<Amount>,
    max_epochs: Option<f64>,
}

/// What amounts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Tokens,
    Documents,
    Bytes,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Documents => "documents",
            Self::Bytes => "bytes of text",
        }
    }
}

pub(super) fn mix(args: MixArgs) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("failed to read `{}`", args.file.display()))?;
    let folder = std::path::absolute(&args.file)?.parent().map(Path::to_owned).unwrap_or_default();
    let wrong = || format!("`{}` is not a mix file", args.file.display());
    let (file, of_job) = parse(&text).with_context(wrong)?;
    let plan = Plan::of(&file, &folder)?;
    if args.weights {
        print::result(&plan.weights()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    plan.refuse_without_documents()?;
    if args.dry_run {
        print::result(&plan.shown())?;
        return Ok(ExitCode::SUCCESS);
    }
    print::note(plan.shown().trim_end());
    let job = plan.job(of_job, &folder)?;
    run_written(&job, JOB_FILE, args.settings, "the same `thresher mix`")
}

/// Parses a mix file; also returns the tables that are a job file's.
fn parse(text: &str) -> anyhow::Result<(MixFile, Table)> {
    let mut whole: Table = text.parse()?;
    let of_job =
        OF_JOB.iter().filter_map(|name| Some(((*name).to_owned(), whole.remove(*name)?))).collect();
    Ok((Value::Table(whole).try_into()?, of_job))
}

/// A mix with the corpora that it reads.
struct Plan<'f> {
    head: &'f MixHead,
    unit: Unit,
    /// The amount that was asked for.
    whole: Option<f64>,
    parts: Vec<Planned<'f>>,
}

/// A part with what its corpus has of it.
struct Planned<'f> {
    take: &'f Take,
    name: String,
    /// The corpus as an absolute path or an address.
    corpus: String,
    manifest: Manifest,
    size: f64,
    epochs: f64,
}

impl<'f> Plan<'f> {
    fn of(file: &'f MixFile, folder: &Path) -> anyhow::Result<Self> {
        let head = &file.mix;
        let (unit, whole) = match (head.tokens, head.documents, head.bytes) {
            (tokens, None, None) => (Unit::Tokens, tokens),
            (None, Some(documents), None) => (Unit::Documents, Some(documents)),
            (None, None, Some(bytes)) => (Unit::Bytes, Some(bytes)),
            _ => {
                bail!("`mix` has two amounts\nhint: keep one of `tokens`, `documents` and `bytes`")
            }
        };
        let (mut parts, mut sized) = (Vec::new(), Vec::new());
        for (number, take) in file.take.iter().enumerate() {
            let part = Planned::of(take, folder, unit, number)?;
            sized.push(Part {
                wanted: wanted(take, &part.name)?,
                size: part.size,
                most_epochs: take.max_epochs.or(head.max_epochs).unwrap_or(MOST_EPOCHS),
            });
            parts.push(part);
        }
        let whole = whole.map(|Amount(amount)| amount);
        let found = epochs(&sized, whole).map_err(|problem| {
            anyhow::anyhow!("{problem}\nhint: set `mix.tokens`, for instance to \"100B\"")
        })?;
        for (part, epochs) in parts.iter_mut().zip(found) {
            part.epochs = epochs;
        }
        Ok(Self { head, unit, whole, parts })
    }

    /// Returns an error if a corpus has token files alone, which only weights can use.
    fn refuse_without_documents(&self) -> anyhow::Result<()> {
        let mut parts = self.parts.iter();
        match parts.find(|part| part.manifest.readable_shards().next().is_none()) {
            Some(part) => bail!(
                "the corpus `{}` of the part `{}` has no shards of documents\nhint: name the \
                 corpus of which its token files were made; weights alone need no documents",
                part.corpus,
                part.name
            ),
            None => Ok(()),
        }
    }

    /// Returns a table of the parts for people.
    fn shown(&self) -> String {
        let all: f64 = self.parts.iter().map(|part| part.size * part.epochs).sum();
        let mut text = format!("mix `{}`, in {}:\n", self.head.name, self.unit.name());
        for part in &self.parts {
            let amount = part.size * part.epochs;
            text += &format!(
                "  {:<24} {:>16.0}  x {:>8.4} epochs = {:>16.0}  {:>5.1} %\n",
                part.name,
                part.size,
                part.epochs,
                amount,
                100.0 * amount / all.max(1.0)
            );
        }
        if let Some(whole) = self.whole.filter(|whole| (all - whole).abs() > whole * 0.01) {
            let why = match all < whole {
                true => "the parts have no more within `max_epochs`",
                false => "`epochs` and `amount` alone give more",
            };
            text += &format!("  the mix has {all:.0} of the {whole:.0} asked for: {why}\n");
        }
        text
    }

    /// Returns the job file.
    fn job(&self, of_job: Table, folder: &Path) -> anyhow::Result<String> {
        let mut sources = Vec::new();
        for part in &self.parts {
            part.sources(self.head.seed, &mut sources);
        }
        if sources.is_empty() {
            bail!("the mix reads nothing\nhint: see `--dry-run` for what each part gives");
        }
        let mut job = of_job;
        for (in_table, key) in [("output", "path"), ("tokens", "tokenizer")] {
            if let Some(Value::String(path)) = job.get_mut(in_table).and_then(|it| it.get_mut(key))
            {
                *path = absolute(folder, path)?;
            }
        }
        job.insert("job".to_owned(), table([("name", self.head.name.as_str().into())]));
        job.insert("source".to_owned(), Value::Array(sources));
        Ok(job.to_string())
    }

    /// Returns a line for each pair of token files: its weight, and its path without ending.
    fn weights(&self) -> anyhow::Result<String> {
        let all: f64 = self.parts.iter().map(|part| part.size * part.epochs).sum();
        let mut lines = String::new();
        for part in &self.parts {
            let pairs = part.pairs()?;
            let tokens: u64 = pairs.iter().map(|(_, tokens)| tokens).sum();
            for (prefix, of_pair) in pairs {
                let share = part.size * part.epochs / all * of_pair as f64 / tokens.max(1) as f64;
                lines += &format!("{share:.9} {prefix}\n");
            }
        }
        Ok(lines)
    }
}

impl<'f> Planned<'f> {
    fn of(take: &'f Take, folder: &Path, unit: Unit, number: usize) -> anyhow::Result<Self> {
        let corpus = absolute(folder, &take.corpus)?;
        let manifest = manifest_of(&corpus)?;
        let name = take.name.clone().unwrap_or_else(|| format!("part{}", number + 1));
        let mut part = Self { take, name, corpus, manifest, size: 0.0, epochs: 0.0 };
        part.refuse_unknown_names()?;
        let mut size = 0;
        for count in part.counts() {
            size += match unit {
                Unit::Documents => count.documents,
                Unit::Bytes => count.text_bytes,
                Unit::Tokens => count.tokens.with_context(|| {
                    format!(
                        "the corpus `{}` has no counts of tokens\nhint: run its job with \
                         `tokens.tokenizer`, or give `mix.bytes` or `mix.documents`",
                        part.corpus
                    )
                })?,
            };
        }
        if size == 0 {
            bail!(
                "the part `{}` has no documents\nhint: check its `source` and `language`; the \
                 README.md of `{}` lists what is there",
                part.name,
                part.corpus
            );
        }
        part.size = size as f64;
        Ok(part)
    }

    /// Returns an error for a source or language that the corpus does not have.
    fn refuse_unknown_names(&self) -> anyhow::Result<()> {
        let counts = &self.manifest.counts;
        let sources = counts.iter().map(|count| count.source.as_str()).collect();
        let languages = counts.iter().filter_map(|count| count.language.as_deref()).collect();
        for (key, selected, known) in
            [("source", &self.take.source, sources), ("language", &self.take.language, languages)]
        {
            let known: BTreeSet<&str> = known;
            if let Some(name) = selected.iter().find(|name| !known.contains(name.as_str())) {
                let known: Vec<&str> = known.into_iter().collect();
                bail!(
                    "`{key}` of the part `{}` names `{name}`, which the corpus `{}` does not \
                     have\nhint: it has `{}`",
                    self.name,
                    self.corpus,
                    known.join("`, `")
                );
            }
        }
        Ok(())
    }

    /// Returns what the manifest says of the documents that the part selects.
    fn counts(&self) -> impl Iterator<Item = &CountEntry> {
        let is_in = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|selected| selected == name)
        };
        self.manifest.counts.iter().filter(move |count| {
            count.split.as_deref().is_none_or(|split| split == "train")
                && is_in(&self.take.source, &count.source)
                && is_in(&self.take.language, count.language.as_deref().unwrap_or_default())
        })
    }

    /// Returns the documents of each source of the corpus.
    fn documents(&self) -> Vec<(&str, u64)> {
        let mut sources: Vec<(&str, u64)> = Vec::new();
        for count in self.counts() {
            match sources.iter_mut().find(|(name, _)| *name == count.source) {
                Some((_, documents)) => *documents += count.documents,
                None => sources.push((&count.source, count.documents)),
            }
        }
        sources
    }

    /// Adds a source of the job for each source of the corpus and each epoch.
    fn sources(&self, seed: i64, into: &mut Vec<Value>) {
        let documents = self.documents();
        for (source, of_source) in &documents {
            // A part of one source has its own name only.
            let base = match documents.len() {
                1 => self.name.clone(),
                _ => format!("{}-{source}", self.name),
            };
            let last = self.epochs.fract();
            let rest = (last * *of_source as f64).round() as u64;
            for epoch in 1..=self.epochs.trunc() as u64 + u64::from(rest > 0) {
                let is_part = epoch > self.epochs.trunc() as u64;
                let name = format!("{base}-{epoch}");
                let mut selected = vec![("source", names(&[(*source).to_owned()]))];
                if self.manifest.splits.is_some() {
                    selected.push(("split", names(&["train".to_owned()])));
                }
                if !self.take.language.is_empty() {
                    selected.push(("language", names(&self.take.language)));
                }
                let mut entries = vec![
                    ("name", name.into()),
                    ("slice", "corpus".into()),
                    ("base", self.corpus.as_str().into()),
                    ("listing", "manifest.json".into()),
                    ("select", table(selected)),
                ];
                if is_part {
                    let rest = Value::Integer(rest as i64);
                    entries.push(("sample", table([("documents", rest), ("seed", seed.into())])));
                }
                into.push(table(entries));
            }
        }
    }

    /// Returns the pairs of token files for training, with their tokens.
    fn pairs(&self) -> anyhow::Result<Vec<(String, u64)>> {
        if !self.take.language.is_empty() {
            bail!(
                "the part `{}` selects languages, which token files do not keep apart\nhint: leave \
                 out `--weights`, so that the mix is written",
                self.name
            );
        }
        let names: Vec<&str> = self.documents().into_iter().map(|(name, _)| name).collect();
        let is_ours = |source: &str, split: Option<&str>| {
            names.contains(&source) && split.is_none_or(|split| split == "train")
        };
        let pairs: Vec<(String, u64)> = self
            .manifest
            .tokens
            .iter()
            .filter(|entry| is_ours(&entry.source, entry.split.as_deref()))
            .filter_map(|entry| Some((entry.path.strip_suffix(".bin")?, entry.tokens)))
            .map(|(prefix, tokens)| (format!("{}/{prefix}", self.corpus), tokens))
            .collect();
        if pairs.is_empty() {
            bail!(
                "the corpus `{}` has no pairs of token files\nhint: `thresher tokenize` writes them",
                self.corpus
            );
        }
        Ok(pairs)
    }
}

fn wanted(take: &Take, name: &str) -> anyhow::Result<Wanted> {
    match (take.weight, take.epochs, take.amount) {
        (Some(weight), None, None) if weight > 0.0 => Ok(Wanted::Weight(weight)),
        (Some(weight), None, None) => {
            bail!("the weight of the part `{name}` is `{weight}`\nhint: it must be above 0")
        }
        (None, Some(epochs), None) if epochs >= 0.0 => Ok(Wanted::Epochs(epochs)),
        (None, None, Some(Amount(amount))) => Ok(Wanted::Amount(amount)),
        _ => bail!(
            "the part `{name}` does not say how much it gives\nhint: give it one of `weight`, \
             `epochs` and `amount`"
        ),
    }
}

fn names(of: &[String]) -> Value {
    Value::Array(of.iter().map(|name| name.as_str().into()).collect())
}

/// Returns an address as it is, and a path as one from the folder of the mix file.
fn absolute(folder: &Path, path: &str) -> anyhow::Result<String> {
    if path.contains("://") {
        return Ok(path.to_owned());
    }
    let path = folder.join(path);
    place(path.to_str().context("a path in the mix file is not valid UTF-8")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_mix_file() {
        let text = include_str!("../../../../deploy/mixes/two-trillion.toml");
        let (file, of_job) = parse(text).unwrap();
        assert_eq!(file.mix.tokens.map(|Amount(amount)| amount), Some(2e12));
        assert!(of_job.contains_key("output"));
        let parts: Vec<Part> = file
            .take
            .iter()
            .map(|take| Part {
                wanted: wanted(take, "part").unwrap(),
                size: 1e11,
                most_epochs: take.max_epochs.unwrap_or(MOST_EPOCHS),
            })
            .collect();
        let found = epochs(&parts, Some(2e12)).unwrap();
        let all: f64 = found.iter().map(|epochs| epochs * 1e11).sum();
        // The crawl has no more than one epoch of each part, which is less than what is left.
        assert!(all < 2e12 && found[..3] == [1.0; 3] && found.last() == Some(&3.0), "{found:?}");
    }
}
