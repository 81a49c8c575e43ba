//! Measures megabytes of text per CPU second: perplexity and its parts, and tokens.
//!
//! `cargo bench --bench models [-- FILE.jsonl…]` reads documents (`text` of each line) from the
//! files, or from the committed reference. The best of several rounds counts.
//! `tests/peers/models.py` prints the same figures of the libraries that others use.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::io::Read;

use rustix::time::{ClockId, clock_gettime};
use thresher_models::kenlm;
use thresher_models::sentencepiece::{self, Piece};
use thresher_models::tokens::{TokenCounter, TokenizerFile};
use thresher_text::ccnet_document::normalise_document;

const ROUNDS: usize = 5;
const PIECES: &[u8] = include_bytes!("../../testdata/lm/fr.sp.model");
const LANGUAGE: &[u8] = include_bytes!("../../testdata/lm/fr.arpa.bin");
const TOKENIZER: &[u8] = include_bytes!("../../testdata/tokens/gpt-neox-20b.json.gz");
const REFERENCE: &str = include_str!("../../testdata/lm/reference_scores.jsonl");

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
    let bytes: usize = documents.iter().map(String::len).sum();
    println!("{name}: {} documents, {bytes} bytes", documents.len());
    let pieces = sentencepiece::Model::from_bytes(PIECES, "fr.sp.model")?;
    let language = kenlm::Model::from_bytes(LANGUAGE, "fr.arpa.bin")?;
    let mut scratch = sentencepiece::Scratch::default();
    let (mut normal, mut words) = (String::new(), Vec::new());
    report("normal form of documents", bytes, || {
        for text in &documents {
            normalise_document(text, &mut normal);
            black_box(&normal);
        }
    });
    report("SentencePiece", bytes, || {
        for text in &documents {
            pieces.encode(&mut scratch, text, |piece| {
                black_box(piece);
            });
        }
    });
    let numbers: Vec<kenlm::WordId> = (0..pieces.piece_count() as u32)
        .map(|id| language.word(pieces.spelling(Piece::Known(id))))
        .collect();
    report("SentencePiece and KenLM", bytes, || {
        for text in &documents {
            words.clear();
            pieces.encode(&mut scratch, text, |piece| match piece {
                Piece::Known(id) => words.push(numbers[id as usize]),
                Piece::Unknown(text) => words.push(language.word(text)),
            });
            black_box(language.score(words.iter().copied()));
        }
    });
    let mut json = String::new();
    flate2::read::GzDecoder::new(TOKENIZER).read_to_string(&mut json)?;
    let tokenizer = TokenizerFile::from_json(&json, "gpt-neox-20b.json")?;
    report("tokens", bytes, || {
        for text in &documents {
            black_box(tokenizer.count(text).ok());
        }
    });
    Ok(())
}

fn report(name: &str, bytes: usize, mut round: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = cpu_seconds();
        // Enough work that the resolution of the clock does not matter.
        let mut repeats = 0;
        while cpu_seconds() - started < 0.2 {
            round();
            repeats += 1;
        }
        best = best.min((cpu_seconds() - started) / f64::from(repeats));
    }
    println!("{name:<28} {:>8.1} MB/s", bytes as f64 / best / 1e6);
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
