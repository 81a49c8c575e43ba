//! Measures the document filters in MB of text per CPU second of one thread, each filter alone and
//! all four of the web preset together.
//!
//! `cargo bench -p thresher-text --bench filters -- TEXT [DOCUMENT_BYTES]`
//!
//! TEXT is UTF-8; it is cut at line ends into documents of about DOCUMENT_BYTES (default 3,000).
//! "alone" is a chain of one filter, so it includes finding the words. The last figure is the chain
//! as a job runs it: a dropped document skips the remaining filters. For the figure before it, no
//! threshold drops anything, so that every filter evaluates every document; C4 still edits.
//! No figure here fails a build.

use std::hint::black_box;
use std::io::Write;

use rustix::time::{ClockId, clock_gettime};
use thresher_job::filters::FiltersSpec;
use thresher_text::filters::{FilterChain, Outcome, Scratch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo passes `--bench` itself.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(path) = arguments.next() else {
        writeln!(std::io::stderr(), "usage: filters TEXT [DOCUMENT_BYTES]")?;
        return Ok(());
    };
    let document_bytes = arguments.next().map_or(Ok(3_000), |argument| argument.parse())?;
    let text = std::fs::read_to_string(path)?;
    let documents = cut(&text, document_bytes);
    let mut out = std::io::stdout();
    writeln!(out, "{} documents, {:.1} MB", documents.len(), text.len() as f64 / 1e6)?;
    for (name, spec) in cases() {
        let chain = FilterChain::new(&spec)?;
        let (best, kept) = measure(&chain, &documents);
        let speed = text.len() as f64 / 1e6 / best;
        writeln!(out, "{name:22} {speed:8.1} MB/s  {best:.3} CPU s  {kept} kept")?;
    }
    Ok(())
}

fn cases() -> Vec<(&'static str, FiltersSpec)> {
    let only = |change: fn(&mut FiltersSpec)| {
        let mut spec = FiltersSpec::default();
        change(&mut spec);
        spec
    };
    vec![
        ("words (length alone)", only(|spec| spec.length.enabled = true)),
        ("gopher_repetition", only(|spec| spec.gopher_repetition.enabled = true)),
        ("gopher_quality", only(|spec| spec.gopher_quality.enabled = true)),
        ("c4_quality", only(|spec| spec.c4_quality.enabled = true)),
        ("fineweb_quality", only(|spec| spec.fineweb_quality.enabled = true)),
        ("all four, none drops", open()),
        ("all four", FiltersSpec::thresher()),
    ]
}

/// Returns the web preset with thresholds that no ordinary document fails.
fn open() -> FiltersSpec {
    let mut spec = FiltersSpec::thresher();
    let repetition = &mut spec.gopher_repetition;
    for bound in [
        &mut repetition.max_duplicate_paragraphs,
        &mut repetition.max_duplicate_paragraph_chars,
        &mut repetition.max_duplicate_lines,
        &mut repetition.max_duplicate_line_chars,
        &mut repetition.max_top_2_gram_chars,
        &mut repetition.max_top_3_gram_chars,
        &mut repetition.max_top_4_gram_chars,
        &mut repetition.max_duplicate_5_gram_chars,
        &mut repetition.max_duplicate_6_gram_chars,
        &mut repetition.max_duplicate_7_gram_chars,
        &mut repetition.max_duplicate_8_gram_chars,
        &mut repetition.max_duplicate_9_gram_chars,
        &mut repetition.max_duplicate_10_gram_chars,
        &mut spec.gopher_quality.max_mean_word_chars,
        &mut spec.gopher_quality.max_hashes_per_word,
        &mut spec.gopher_quality.max_ellipses_per_word,
        &mut spec.gopher_quality.max_bullet_lines,
        &mut spec.gopher_quality.max_ellipsis_lines,
        &mut spec.fineweb_quality.max_short_lines,
        &mut spec.fineweb_quality.max_duplicate_line_chars,
        &mut spec.fineweb_quality.max_newlines_per_word,
    ] {
        *bound = f64::INFINITY;
    }
    spec.gopher_quality.min_words = 0;
    spec.gopher_quality.min_mean_word_chars = 0.0;
    spec.gopher_quality.min_alphabetic_words = 0.0;
    spec.c4_quality.drop_curly_bracket_pages = false;
    spec.c4_quality.drop_lorem_ipsum_pages = false;
    spec.c4_quality.min_sentences = 1;
    spec.fineweb_quality.min_terminal_lines = 0.0;
    spec
}

fn cut(text: &str, document_bytes: usize) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut rest = text;
    while rest.len() > document_bytes {
        let newline = rest.as_bytes()[document_bytes..].iter().position(|&byte| byte == b'\n');
        let end = newline.map_or(rest.len(), |at| document_bytes + at);
        documents.push(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or("");
    }
    if !rest.is_empty() {
        documents.push(rest);
    }
    documents
}

/// Returns the best of five passes, in CPU seconds of this thread, and the number of documents
/// kept.
fn measure(chain: &FilterChain, documents: &[&str]) -> (f64, usize) {
    let mut scratch = Scratch::default();
    let mut best = f64::INFINITY;
    let mut kept = 0;
    for _ in 0..5 {
        let before = thread_seconds();
        kept = documents
            .iter()
            .filter(|text| !matches!(black_box(chain.judge(text, &mut scratch)), Outcome::Drop(_)))
            .count();
        best = best.min(thread_seconds() - before);
    }
    (best, kept)
}

fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
