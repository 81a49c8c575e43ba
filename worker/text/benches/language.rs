//! Measures megabytes of text per CPU second: language identification, fastText's one-line
//! prediction, and the normal form of lines with its hashes.
//!
//! `cargo bench --bench language [-- FILE.jsonl…]` reads documents (`text` of each line) from the
//! files, or from the committed reference. The best of several rounds counts.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use thresher_models::fasttext::Model;
use thresher_text::ccnet_line::{line_hash_sha1, line_hash_xxh3, normalise_line};
use thresher_text::language::{LanguageIdentifier, LanguageScratch, View};

const ROUNDS: usize = 5;
const MODEL: &[u8] = include_bytes!("../../testdata/lid/lid.176.ftz");
const REFERENCE: &str = include_str!("../../testdata/lid/reference_udhr2.jsonl");

#[derive(serde::Deserialize)]
struct Row {
    text: String,
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` passes `--bench`.
    let files: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if files.is_empty() {
        return measure("reference", REFERENCE);
    }
    files.iter().try_for_each(|file| measure(file, &std::fs::read_to_string(file)?))
}

fn measure(name: &str, rows: &str) -> anyhow::Result<()> {
    let documents: Vec<String> = rows
        .lines()
        .map(|line| serde_json::from_str(line).map(|row: Row| row.text))
        .collect::<Result<_, _>>()?;
    let lines: Vec<&str> = documents.iter().flat_map(|text| text.lines()).collect();
    let bytes: usize = documents.iter().map(String::len).sum();
    println!("{name}: {} documents, {} lines, {bytes} bytes", documents.len(), lines.len());
    let model = Arc::new(Model::from_bytes(MODEL, "lid.176.ftz")?);
    let mut scratch = LanguageScratch::default();
    for view in [View::Thresher, View::RedpajamaV1] {
        let identifier = LanguageIdentifier::new(Arc::clone(&model), view);
        report(&format!("language of documents, {view:?}"), bytes, || {
            for text in &documents {
                black_box(identifier.identify(&mut scratch, text));
            }
        });
    }
    let identifier = LanguageIdentifier::new(model, View::Thresher);
    report("language of lines", bytes, || {
        for line in &lines {
            black_box(identifier.identify(&mut scratch, line));
        }
    });
    let mut form = Vec::new();
    report("normal form of lines", bytes, || {
        for line in &lines {
            normalise_line(line, &mut form);
            black_box(&form);
        }
    });
    for (name, hash) in [
        ("normal form and XXH3", line_hash_xxh3 as fn(&[u8]) -> u64),
        ("normal form and SHA-1", line_hash_sha1),
    ] {
        report(name, bytes, || {
            for line in &lines {
                normalise_line(line, &mut form);
                black_box(hash(&form));
            }
        });
    }
    Ok(())
}

fn report(name: &str, bytes: usize, mut round: impl FnMut()) {
    let best = (0..ROUNDS)
        .map(|_| {
            let start = cpu_seconds();
            round();
            cpu_seconds() - start
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name:>40} {:10.1} MB/s", bytes as f64 / 1e6 / best);
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
