//! Compares token counts with the library `tokenizers`, and the time with it and with gigatoken, on
//! the pages of WET files: no text is there twice.
//!
//! A tokenizer remembers words, so the first pass over the texts (cold) and a later one (warm) are
//! two figures. Reading the files and loading the tokenizer are not counted for any of them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde_json::{Value, json};
use thresher_models::tokens::{TokenCounter, TokenizerFile};

use crate::cpu;
use crate::options::Options;
use crate::samples::tokenizer;
use crate::table::{Row, median};

/// Bytes of text, taken from pages at even distances.
const TEXT_BYTES: usize = 28_000_000;

/// CPU seconds of the first and of a later pass.
#[derive(Default)]
struct Passes {
    cold: Vec<f64>,
    warm: Vec<f64>,
}

pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let file = tokenizer(&folder.path().join("tokenizer.json"))?;
    let texts = some_of(crate::language::texts(options)?);
    let rows = folder.path().join("texts.jsonl");
    let mut out = BufWriter::new(File::create(&rows)?);
    for text in &texts {
        serde_json::to_writer(&mut out, &json!({ "text": text }))?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    drop(out);

    let megabytes = texts.iter().map(String::len).sum::<usize>() as f64 / 1e6;
    let (mut ours, mut giga, mut theirs) =
        (Passes::default(), Passes::default(), Passes::default());
    let mut versions = [String::new(), String::new()];
    for _ in 0..options.rounds {
        let counter = TokenizerFile::load(file.as_ref())?;
        let mut counted = 0;
        for passes in [&mut ours.cold, &mut ours.warm] {
            let started = cpu::of_this_process();
            counted = texts.iter().map(|text| counter.count(text)).sum::<Result<u64, _>>()?;
            passes.push(cpu::of_this_process() - started);
        }
        for (number, (library, passes)) in
            [("gigatoken", &mut giga), ("tokenizers", &mut theirs)].into_iter().enumerate()
        {
            let facts = peer(options, library, &rows, file.as_ref())?;
            anyhow::ensure!(facts["tokens"] == counted, "ours: {counted}; {library}: {facts}");
            passes.cold.push(facts["cold"].as_f64().context("no time was printed")?);
            passes.warm.push(facts["warm"].as_f64().context("no time was printed")?);
            versions[number] = facts["version"].as_str().unwrap_or_default().to_owned();
        }
    }
    let texts = texts.len();
    println!("# {texts} pages, {megabytes:.1} MB of text, the same number of tokens by all");
    let [of_giga, of_tokenizers] = versions;
    for (pass, ours, other, name, aim) in [
        ("cold", &ours.cold, &giga.cold, format!("gigatoken {of_giga}"), "no slower"),
        ("warm", &ours.warm, &giga.warm, format!("gigatoken {of_giga}"), "no slower"),
        ("cold", &ours.cold, &theirs.cold, format!("tokenizers {of_tokenizers}"), "no slower"),
    ] {
        let (ours, other) = (median(ours.clone()), median(other.clone()));
        Row {
            figure: &format!("tokens, {pass}"),
            ours: format!("{ours:.2} s {:.1} MB/s", megabytes / ours),
            other: format!("{name} {other:.2} s {:.1} MB/s", megabytes / other),
            ratio: format!("{:.2}", ours / other),
            aim,
            reached: ours <= other,
        }
        .print();
    }
    Ok(())
}

/// Counts the tokens with a library from PyPI, twice.
fn peer(options: &Options, library: &str, rows: &Path, tokenizer: &Path) -> anyhow::Result<Value> {
    let mut peer = Command::new(&options.python);
    peer.arg(options.peers.join("tokens.py")).arg(rows).args(["--library", library]);
    let (_, printed) = cpu::of_command(peer.arg("--tokenizer").arg(tokenizer))?;
    Ok(serde_json::from_slice(&printed)?)
}

/// Returns texts at even distances.
fn some_of(texts: Vec<String>) -> Vec<String> {
    let all: usize = texts.iter().map(String::len).sum();
    let step = (all / TEXT_BYTES).max(1);
    texts.into_iter().step_by(step).collect()
}
