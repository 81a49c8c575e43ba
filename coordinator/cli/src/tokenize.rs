//! `tokenize`: writes token files of a corpus, by a job that is run as `run` runs it.
//!
//! Nothing is prepared again: the documents and their order are those of the corpus, so a pair has
//! the bytes that the corpus' own job would have written.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use toml::{Table, Value};

use super::corpus_job::{place, refuse_open_split, run_written, table};
use super::run::RunSettings;

/// Name of the job file in the state directory.
const JOB_FILE: &str = "tokenize.toml";

/// A form of token files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TokenForm {
    /// `.bin` and `.idx` for Megatron-LM, GPT-NeoX and NeMo
    Megatron,
    /// `.npy` and `.csv.gz` for OLMo-core
    Olmo,
}

/// Write token files of a corpus for a trainer
///
/// The documents are those of the corpus, in its order; nothing is prepared again.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  thresher tokenize corpus --tokenizer tokenizer.json -o tokens\n  \
                        thresher tokenize corpus --tokenizer t.json --form olmo --shuffle 7 -o tokens"
)]
pub(super) struct TokenizeArgs {
    /// Output of a complete job: a directory, or an address on S3 or https
    #[arg(value_name = "CORPUS")]
    corpus: String,
    /// A tokenizer.json, such as that of GPT-NeoX-20B
    #[arg(long, value_name = "FILE")]
    tokenizer: PathBuf,
    /// Form of the token files; may be repeated
    #[arg(long = "form", value_enum, value_name = "FORM", default_value = "megatron")]
    forms: Vec<TokenForm>,
    /// Token that ends a document
    #[arg(long, value_name = "TOKEN", default_value = "<|endoftext|>")]
    eod: String,
    /// Shuffle the shards of a source, and the documents of each shard
    #[arg(long, value_name = "SEED")]
    shuffle: Option<u64>,
    /// Read only this side of the corpus' split
    #[arg(long, value_name = "SIDE")]
    split: Option<String>,
    /// Where to write: a directory, or `s3://bucket/prefix`
    #[arg(short = 'o', long, value_name = "DIR")]
    output: String,
    #[command(flatten)]
    settings: RunSettings,
}

pub(super) fn tokenize(args: TokenizeArgs) -> anyhow::Result<ExitCode> {
    run_written(&job_file(&args)?, JOB_FILE, args.settings, "the same `thresher tokenize`")
}

/// Returns the job file, with absolute paths.
fn job_file(args: &TokenizeArgs) -> anyhow::Result<String> {
    refuse_open_split(&args.corpus, args.split.as_deref())?;
    let mut source = vec![
        ("slice", "corpus".into()),
        ("base", place(&args.corpus)?.into()),
        ("listing", "manifest.json".into()),
    ];
    if let Some(split) = &args.split {
        source.push(("select", table([("split", Value::Array(vec![split.as_str().into()]))])));
    }
    let tokenizer = args.tokenizer.to_str().context("the path of the tokenizer is not UTF-8")?;
    let forms = args.forms.iter().map(|form| {
        Value::from(match form {
            TokenForm::Megatron => "megatron",
            TokenForm::Olmo => "olmo",
        })
    });
    let mut tokens =
        vec![("formats", Value::Array(forms.collect())), ("eod", args.eod.as_str().into())];
    if let Some(seed) = args.shuffle {
        tokens.push(("order", format!("shuffled:{seed}").into()));
    }
    let output = table([
        ("path", place(&args.output)?.into()),
        ("formats", Value::Array(Vec::new())),
        ("tokens", table(tokens)),
    ]);
    let mut job = Table::new();
    job.insert("job".to_owned(), table([("name", "tokenize".into())]));
    job.insert("source".to_owned(), Value::Array(vec![table(source)]));
    job.insert("tokens".to_owned(), table([("tokenizer", place(tokenizer)?.into())]));
    job.insert("output".to_owned(), output);
    Ok(job.to_string())
}
