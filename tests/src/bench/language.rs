//! Compares language identification with fastText's own Python wheel, on the pages of WET files.
//!
//! Reading the files and loading the model are not counted for either side.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::process::Command;
use std::sync::Arc;

use anyhow::Context;
use thresher_formats::warc::{Item, WarcLimits, WarcReader};
use thresher_models::fasttext::Model;
use thresher_text::language::{LanguageIdentifier, LanguageScratch, View};

use crate::cpu;
use crate::options::Options;
use crate::table::{Row, median};

const AIM_MEGABYTES: f64 = 15.0;

pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    let texts = texts(options)?;
    let folder = tempfile::tempdir_in(&options.folder)?;
    let rows = folder.path().join("texts.jsonl");
    let mut out = BufWriter::new(File::create(&rows)?);
    for text in &texts {
        serde_json::to_writer(&mut out, &serde_json::json!({ "text": text }))?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    drop(out);

    let identifier =
        LanguageIdentifier::new(Arc::new(Model::load(&options.model)?), View::Thresher);
    let mut scratch = LanguageScratch::default();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let start = cpu::of_this_process();
        for text in &texts {
            black_box(identifier.identify(&mut scratch, text));
        }
        ours.push(cpu::of_this_process() - start);
        let mut peer = Command::new(&options.python);
        peer.arg(options.peers.join("fasttext_lid.py")).arg(&rows);
        let (_, printed) = cpu::of_command(peer.arg("--model").arg(&options.model))?;
        let facts: serde_json::Value = serde_json::from_slice(&printed)?;
        theirs.push(facts["stages"]["predict"].as_f64().context("no time was printed")?);
    }
    let megabytes = texts.iter().map(String::len).sum::<usize>() as f64 / 1e6;
    let (ours, theirs) = (median(ours), median(theirs));
    Row {
        figure: &format!("language id, {} pages", texts.len()),
        ours: format!("{ours:.2} s {:.1} MB/s", megabytes / ours),
        other: format!("fastText {theirs:.2} s {:.1} MB/s", megabytes / theirs),
        ratio: format!("1/{:.1}", theirs / ours),
        aim: ">= 15 MB/s",
        reached: megabytes / ours >= AIM_MEGABYTES,
    }
    .print();
    Ok(())
}

/// Returns the pages of the WET files.
pub(crate) fn texts(options: &Options) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for path in options.need_files()? {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let mut reader = WarcReader::new(file, WarcLimits::default());
        while let Some(item) = reader.next()? {
            if let Item::Record(record) = item
                && record.header.warc_type() == Some(b"conversion")
            {
                texts.push(String::from_utf8_lossy(record.body).into_owned());
            }
        }
    }
    Ok(texts)
}
