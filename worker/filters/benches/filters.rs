//! How fast the document filters are: MB of text per CPU second of one thread, each filter alone
//! and all four of the web preset together.
//!
//! `cargo bench -p thresher-filters --bench filters -- TEXT [DOCUMENT_BYTES]`
//!
//! TEXT is UTF-8; it is cut into documents at line ends, of about DOCUMENT_BYTES (3,000 unless
//! given). "alone" is a chain of one filter, so it includes finding the words. The last figure is
//! the chain as a job runs it: a dropped document skips the filters behind. The figure before it
//! has every threshold open, so that every filter reads every document; C4 still edits.
//! It only measures: no figure fails a build.

use std::hint::black_box;
use std::io::Write;

use rustix::time::{ClockId, clock_gettime};
use thresher_filters::{Document, FilterChain, FiltersSpec, Outcome, Scratch};

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
    for (name, changes) in cases() {
        let chain = FilterChain::new(&FiltersSpec::over_defaults(&changes)?)?;
        let (best, kept) = measure(&chain, &documents);
        let speed = text.len() as f64 / 1e6 / best;
        writeln!(out, "{name:22} {speed:8.1} MB/s  {best:.3} CPU s  {kept} kept")?;
    }
    Ok(())
}

/// The web preset's filters.
const WEB: [&str; 4] = ["gopher_repetition", "gopher_quality", "c4_quality", "fineweb_quality"];

/// Changes of the defaults, as a job file writes them.
fn cases() -> Vec<(&'static str, String)> {
    let only = |wanted: &str| {
        let switch = |name| format!("[{name}]\nenabled = {}\n", name == wanted);
        ["length"].into_iter().chain(WEB).map(switch).collect()
    };
    let mut cases = vec![("words (length alone)", only("length"))];
    cases.extend(WEB.map(|name| (name, only(name))));
    cases.extend([("all four, none drops", open()), ("all four", String::new())]);
    cases
}

/// Thresholds that no ordinary document fails.
fn open() -> String {
    let mut changes = String::new();
    for (name, section) in thresher_filters::default_sections() {
        changes += &format!("[{name}]\n");
        for (key, value) in section.as_table().into_iter().flatten() {
            let open = match (key.as_str(), value.is_float()) {
                (key, true) if key.starts_with("max_") => "inf",
                (key, true) if key.starts_with("min_") => "0.0",
                ("min_words", _) => "0",
                ("min_sentences", _) => "1",
                ("drop_curly_bracket_pages" | "drop_lorem_ipsum_pages", _) => "false",
                _ => continue,
            };
            changes += &format!("{key} = {open}\n");
        }
    }
    changes
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

/// The best of five passes, in CPU seconds of this thread, and how many documents were kept.
fn measure(chain: &FilterChain, documents: &[&str]) -> (f64, usize) {
    let mut scratch = Scratch::default();
    let mut best = f64::INFINITY;
    let mut kept = 0;
    for _ in 0..5 {
        let before = thread_seconds();
        kept = documents
            .iter()
            .filter(|text| {
                let outcome = chain.evaluate(Document::of_text(text), &mut scratch);
                !matches!(black_box(outcome), Outcome::Drop(..))
            })
            .count();
        best = best.min(thread_seconds() - before);
    }
    (best, kept)
}

fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
