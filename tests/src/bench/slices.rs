//! Measures megabytes of input per CPU second for each slice, and the time of each step.
//!
//! Inputs are data of the repository, repeated until they are large enough to measure; so the
//! figures compare steps and slices, and `thresher plan` measures a job's own data. Steps are those
//! of the default preset, on one thread, without disk and network.

use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;
use thresher_filters as filters;
use thresher_job::{JobSpec, Step};
use thresher_sources::{Input, RecordOutcome, source_of};
use thresher_text::ccnet_line::{line_hash_xxh3, normalise_line};
use thresher_text::language::{LanguageScratch, View};
use thresher_text::lines::lines;
use thresher_worker::stages::JobContext;

use crate::cpu;
use crate::options::Options;
use crate::samples::{Sample, samples, tokenizer};
use crate::table::median;

/// CPU seconds of each step; zero for a step that the slice does not have.
#[derive(Default)]
struct Steps {
    read: f64,
    lines: f64,
    language: f64,
    filters: f64,
    tokens: f64,
    publish: f64,
}

pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let tokenizer = tokenizer(&folder.path().join("tokenizer.json"))?;
    println!(
        "{:<14} {:>9} {:>9} {:>10}   CPU ms for each MB of input: read, lines, language, filters, \
         tokens, publish",
        "slice", "input MB", "text MB", "MB/CPU-s"
    );
    for sample in samples()? {
        let job = job_of(options, &sample, &tokenizer)?;
        let context = JobContext::new(job, 1, "bench".to_owned())?;
        let mut rounds = Vec::new();
        let mut text_bytes = 0;
        for _ in 0..options.rounds {
            let (steps, bytes) = measure(&context, &sample, folder.path().join("scratch"))?;
            rounds.push(steps);
            text_bytes = bytes;
        }
        print(&sample, text_bytes, &rounds);
    }
    Ok(())
}

fn print(sample: &Sample, text_bytes: usize, rounds: &[Steps]) {
    let megabytes = sample.bytes.len() as f64 / 1e6;
    let step = |of: fn(&Steps) -> f64| median(rounds.iter().map(of).collect());
    let all = [
        step(|s| s.read),
        step(|s| s.lines),
        step(|s| s.language),
        step(|s| s.filters),
        step(|s| s.tokens),
        step(|s| s.publish),
    ];
    let steps: Vec<String> =
        all.iter().map(|seconds| format!("{:>7.1}", seconds * 1e3 / megabytes)).collect();
    println!(
        "{:<14} {megabytes:>9.1} {:>9.1} {:>10.1}   {}",
        sample.slice,
        text_bytes as f64 / 1e6,
        megabytes / all.iter().sum::<f64>(),
        steps.join(" ")
    );
}

fn job_of(options: &Options, sample: &Sample, tokenizer: &str) -> anyhow::Result<JobSpec> {
    let model = std::fs::canonicalize(&options.model)
        .with_context(|| format!("the model `{}`", options.model.display()))?;
    let text = format!(
        "[job]\nname = \"bench\"\n[[source]]\nslice = \"{}\"\nlisting = \"{}\"\n\
         [language]\nmodel = \"{}\"\n[tokens]\ntokenizer = \"{tokenizer}\"\n\
         [output]\npath = \"/nowhere\"\n",
        sample.slice,
        sample.name,
        model.display()
    );
    Ok(JobSpec::parse(&text, std::path::Path::new("/"))?)
}

/// Runs one round; also returns the size of the texts that were read.
fn measure(
    context: &JobContext,
    sample: &Sample,
    scratch: PathBuf,
) -> anyhow::Result<(Steps, usize)> {
    let (job, source) = (&context.job, &context.job.source[0]);
    let reader = source_of(source.slice);
    let input = Input::sample(&sample.name, &sample.name, &sample.bytes, scratch);
    let mut steps = Steps::default();
    let mut started = cpu::of_this_process();
    let mut lap = || {
        let now = cpu::of_this_process();
        now - std::mem::replace(&mut started, now)
    };
    let mut bytes = 0;
    reader.read(job, source, &input, &mut |record| {
        if let RecordOutcome::Page(page) = record.outcome {
            bytes += black_box(page.text).len();
        }
        Ok(())
    })?;
    steps.read = lap();
    let mut texts = Vec::new();
    reader.read(job, source, &input, &mut |record| {
        if let RecordOutcome::Page(page) = record.outcome {
            texts.push(page.text.to_owned());
        }
        Ok(())
    })?;
    lap();
    let scorers = context.scorers()?;
    if job.has_step(source, Step::Lines) {
        let mut normal = Vec::new();
        for line in texts.iter().flat_map(|text| lines(text)) {
            normalise_line(line, &mut normal);
            black_box(line_hash_xxh3(&normal));
        }
        steps.lines = lap();
    }
    if job.has_step(source, Step::Language) || job.has_step(source, Step::Label) {
        let identifier = scorers.language.as_ref().context("no language model")?;
        let mut scratch = LanguageScratch::default();
        for text in &texts {
            black_box(identifier.identify_as(View::Thresher, &mut scratch, text));
        }
        steps.language = lap();
    }
    if job.has_step(source, Step::Filters) {
        let mut scratch = filters::Scratch::default();
        for text in &texts {
            black_box(scorers.filters.evaluate(filters::Document::of_text(text), &mut scratch));
        }
        steps.filters = lap();
    }
    for text in &texts {
        black_box(scorers.quality.tokens(text)?);
    }
    steps.tokens = lap();
    publish(&texts)?;
    steps.publish = lap();
    Ok((steps, bytes))
}

/// Hashes, renders and compresses the texts as for a shard.
fn publish(texts: &[String]) -> anyhow::Result<()> {
    let mut encoder = zstd::stream::Encoder::new(std::io::sink(), 3)?;
    for text in texts {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        serde_json::to_writer(&mut encoder, &json!({ "text": text, "hash": hash.as_str() }))?;
    }
    encoder.finish()?;
    Ok(())
}

/// Inflates gzip data.
pub(crate) fn gunzipped(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut text)?;
    Ok(text)
}
