//! `sample`: chooses a part of a corpus, by a job that is run as `run` runs it.
//!
//! The verb only writes the job file: one source for each source of the corpus, with its share. So
//! a sample is resumed, distributed and accounted for like any other job.
//!
//! **Invariant:** the job file depends on the manifest of the corpus and the arguments alone. A
//! smaller sample of the same seed is contained in a larger one.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use thresher_job::JobSpec;
use thresher_worker::stages::sources_of;
use toml::{Table, Value};

use super::corpus_job::{place, refuse_open_split, run_written, table};
use super::run::RunSettings;

/// Name of the job file in the state directory.
const JOB_FILE: &str = "sample.toml";

/// Choose a part of a corpus by the content of its documents
///
/// Every source is sampled in proportion. The same seed chooses the same documents, and a smaller
/// sample is contained in a larger one. Documents that are not chosen are listed as dropped.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  thresher sample corpus --rate 0.1% -o corpus-small\n  \
                        thresher sample s3://bucket/corpus --documents 930514 -o sample")]
pub(super) struct SampleArgs {
    /// Output of a complete job: a directory, or an address on S3 or https
    #[arg(value_name = "CORPUS")]
    corpus: String,
    /// Share of the documents, such as `0.1%` or `0.001`
    #[arg(long, value_name = "SHARE", value_parser = parse_rate, conflicts_with = "documents",
          required_unless_present = "documents")]
    rate: Option<f64>,
    /// Number of documents
    #[arg(long, value_name = "N")]
    documents: Option<u64>,
    /// Where to write shards and report: a directory, or `s3://bucket/prefix`
    #[arg(short = 'o', long, value_name = "DIR")]
    output: String,
    /// Sample only this side of the corpus' split
    #[arg(long, value_name = "SIDE")]
    split: Option<String>,
    /// Choose other documents
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    settings: RunSettings,
}

pub(super) fn sample(args: SampleArgs) -> anyhow::Result<ExitCode> {
    run_written(&job_file(&args)?, JOB_FILE, args.settings, "the same `thresher sample`")
}

/// Returns the job file of the sample, with absolute paths.
fn job_file(args: &SampleArgs) -> anyhow::Result<String> {
    refuse_open_split(&args.corpus, args.split.as_deref())?;
    let corpus = place(&args.corpus)?;
    let mut job = Table::new();
    job.insert("job".to_owned(), table([("name", "sample".into())]));
    let source = [
        ("slice", "corpus".into()),
        ("base", corpus.as_str().into()),
        ("listing", "manifest.json".into()),
    ];
    let whole = source.clone().into_iter();
    let mut sources = Vec::new();
    match (args.rate, args.documents) {
        (Some(rate), _) => {
            let sample = table([("rate", rate.into()), ("seed", seed(args.seed)?)]);
            let selected = side(args.split.as_deref(), None);
            sources.push(table(whole.chain([("select", selected), ("sample", sample)])));
        }
        (None, documents) => {
            let wanted = documents.context("neither a rate nor a number of documents was given")?;
            let there = sources_of(&source_of(&corpus, args.split.as_deref())?)?;
            let counts: Vec<u64> = there.iter().map(|(_, documents)| *documents).collect();
            for ((name, _), documents) in there.iter().zip(shares(&counts, wanted)) {
                let number = i64::try_from(documents).context("too many documents")?;
                let sample = table([("documents", number.into()), ("seed", seed(args.seed)?)]);
                let select = side(args.split.as_deref(), Some(name));
                let own = [("name", name.as_str().into()), ("select", select), ("sample", sample)];
                sources.push(table(source.clone().into_iter().chain(own)));
            }
        }
    }
    job.insert("source".to_owned(), Value::Array(sources));
    job.insert("output".to_owned(), table([("path", place(&args.output)?.into())]));
    Ok(job.to_string())
}

/// Returns what is selected of a corpus.
fn side(split: Option<&str>, source: Option<&str>) -> Value {
    let named = [("split", split), ("source", source)];
    let given = named.into_iter().filter_map(|(key, name)| Some((key, name?)));
    table(given.map(|(key, name)| (key, Value::Array(vec![name.into()]))))
}

fn seed(seed: u64) -> anyhow::Result<Value> {
    let number = i64::try_from(seed).with_context(|| format!("the seed `{seed}` is too large"))?;
    Ok(Value::Integer(number))
}

/// Returns a source that reads all of a corpus.
fn source_of(corpus: &str, split: Option<&str>) -> anyhow::Result<thresher_job::SourceSpec> {
    let source = table([
        ("slice", "corpus".into()),
        ("base", corpus.into()),
        ("listing", "manifest.json".into()),
        ("select", side(split, None)),
    ]);
    let mut job = Table::new();
    job.insert("job".to_owned(), table([("name", "sample".into())]));
    job.insert("source".to_owned(), Value::Array(vec![source]));
    job.insert("output".to_owned(), table([("path", "/unused".into())]));
    let mut job = JobSpec::parse(&job.to_string(), Path::new("/"))?;
    Ok(job.source.remove(0))
}

/// Divides a number of documents among sources in proportion to their sizes, by the method of
/// Webster: with a larger number no source gets fewer documents, as it could by rounding.
fn shares(sizes: &[u64], wanted: u64) -> Vec<u64> {
    let all: u128 = sizes.iter().map(|size| u128::from(*size)).sum();
    if u128::from(wanted) >= all {
        return sizes.to_vec();
    }
    // A share differs from its exact value by less than the number of sources.
    let slack = sizes.len() as u64;
    let exact = |size: u64| (u128::from(size) * u128::from(wanted) / all) as u64;
    let mut shares: Vec<u64> =
        sizes.iter().map(|size| exact(*size).saturating_sub(slack)).collect();
    let mut left = wanted - shares.iter().sum::<u64>();
    while left > 0 {
        let mut next: Option<usize> = None;
        for (number, size) in sizes.iter().enumerate().filter(|(n, size)| shares[*n] < **size) {
            // The larger of size / (2 * share + 1).
            let part = |n: usize| 2 * u128::from(shares[n]) + 1;
            let is_better = |best: usize| {
                u128::from(*size) * part(best) > u128::from(sizes[best]) * part(number)
            };
            if next.is_none_or(is_better) {
                next = Some(number);
            }
        }
        let Some(next) = next else { break };
        shares[next] += 1;
        left -= 1;
    }
    shares
}

/// Parses a share: `0.1%` or `0.001`.
fn parse_rate(text: &str) -> Result<f64, String> {
    let (number, part) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text, 1.0),
    };
    let rate = number.parse::<f64>().ok().map(|number| number / part);
    rate.filter(|rate| (0.0..=1.0).contains(rate))
        .ok_or_else(|| format!("`{text}` is not a share; write it like `0.1%` or `0.001`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_percent_or_as_a_number() {
        assert_eq!(parse_rate("0.1%"), Ok(0.001));
        assert_eq!(parse_rate("50 %"), Ok(0.5));
        assert_eq!(parse_rate("1"), Ok(1.0));
        for wrong in ["2", "-1%", "101%", "NaN", "a", ""] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn documents_are_divided_in_proportion_and_grow_with_their_number() {
        // Rounding the exact values of these gives some source less for 11 than for 10.
        for sizes in [vec![9061, 7179, 5259, 3319, 1182], vec![1, 1, 1000], vec![5], vec![0, 7]] {
            let all: u64 = sizes.iter().sum();
            let mut before = vec![0; sizes.len()];
            for wanted in (0..200).chain([all - 1, all, all + 5]).filter(|n| *n <= all + 5) {
                let now = shares(&sizes, wanted);
                assert_eq!(now.iter().sum::<u64>(), wanted.min(all), "{sizes:?} {wanted}");
                for (share, size) in now.iter().zip(&sizes) {
                    let exact = *size as f64 * wanted.min(all) as f64 / all as f64;
                    assert!((*share as f64 - exact).abs() < 1.5, "{sizes:?} {wanted}: {now:?}");
                }
                let grows = now.iter().zip(&before).all(|(share, earlier)| share >= earlier);
                assert!(grows || wanted < before.iter().sum(), "{sizes:?} {wanted}: {now:?}");
                before = now;
            }
        }
    }
}
