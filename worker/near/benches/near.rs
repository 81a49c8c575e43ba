//! How fast signatures are: MB of text per CPU second of one thread, for each preset and by stage.
//!
//! `cargo bench -p thresher-near --bench near -- TEXT [DOCUMENT_BYTES [CASE]]`
//!
//! TEXT is UTF-8; it is cut into documents at line ends, of about DOCUMENT_BYTES (3,000 unless
//! given), and only the cases whose name starts with CASE are measured. Each stage includes those
//! before it; the last is the whole signature. Both the widest vectors of this processor and
//! portable code are measured. Tokens are runs of four bytes of the rule's text, since a tokeniser
//! is not part of this crate. The columns `rule` and `words` are with the widest vectors in every
//! row. It only measures: no figure fails a build.

use std::hint::black_box;
use std::io::Write;

use rustix::time::{ClockId, clock_gettime};
use thresher_near::{
    ItemHash, Preset, Shingles, SignatureRule, Signer, TextRule, WordSplitter, Words,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    // Cargo passes `--bench` itself.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut out = std::io::stdout();
    let Some(path) = arguments.next() else {
        writeln!(std::io::stderr(), "usage: near TEXT [DOCUMENT_BYTES [CASE]]")?;
        return Ok(());
    };
    let document_bytes = arguments.next().map_or(Ok(3_000), |argument| argument.parse())?;
    let wanted = arguments.next().unwrap_or_default();
    let text = std::fs::read_to_string(path)?;
    let documents = cut(&text, document_bytes);
    writeln!(out, "{} documents, {:.1} MB; MB/s", documents.len(), text.len() as f64 / 1e6)?;
    writeln!(
        out,
        "{:24} {:>9} {:>8} {:>8} {:>8} {:>10}",
        "", "vectors", "rule", "words", "hashes", "signature"
    )?;
    for (name, rule) in cases().into_iter().filter(|(name, _)| name.starts_with(&wanted)) {
        for signer in [Signer::portable(rule), Signer::new(rule)] {
            measure_case(&name, rule, signer, &documents, text.len(), &mut out)?;
        }
    }
    Ok(())
}

/// The presets, and one of one's own: FineWeb's shingles with a hash that rolls.
fn cases() -> Vec<(String, SignatureRule)> {
    let rule = |preset: Preset| preset.parameters().signature_rule();
    let mut cases: Vec<_> =
        Preset::ALL.iter().map(|&preset| (preset.name().to_owned(), rule(preset))).collect();
    let fineweb = rule(Preset::FineWeb);
    let own = |item| SignatureRule { item, ..fineweb };
    cases.push(("fineweb, xxh64".to_owned(), own(ItemHash::Xxh64)));
    cases.push(("fineweb, rolling xxh3".to_owned(), own(ItemHash::RollingXxh3)));
    cases
}

fn measure_case(
    name: &str,
    rule: SignatureRule,
    mut signer: Signer,
    documents: &[&str],
    bytes: usize,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let speed = |seconds: f64| bytes as f64 / 1e6 / seconds;
    let mut text = String::new();
    let rule_seconds = best_of(documents, |document| {
        rule.text.apply(document, &mut text);
        black_box(text.len());
    });
    let width = signer.width_name();
    if matches!(rule.shingles, Shingles::Tokens(_)) {
        let tokens: Vec<Vec<u32>> = documents.iter().map(|document| tokens(document)).collect();
        let seconds = best_of(&tokens, |tokens| {
            black_box(signer.sign_tokens(tokens).ok());
        });
        let (rule, signature) = (speed(rule_seconds), speed(rule_seconds + seconds));
        writeln!(out, "{name:24} {width:>9} {rule:8.1} {:>8} {:>8} {signature:10.1}", "", "")?;
        return Ok(());
    }
    let mut words = Words::default();
    let words_seconds = best_of(documents, |document| {
        rule.text.apply(document, &mut text);
        match (rule.shingles, rule.words) {
            (Shingles::Words(_), WordSplitter::English) => words.split_english(&text),
            (Shingles::Words(_), WordSplitter::Spaces) => words.split_at_spaces(&text),
            (Shingles::Characters(_) | Shingles::Tokens(_), _) => {}
        }
        black_box(words.joined().len());
    });
    let hash_seconds = best_of(documents, |document| {
        black_box(signer.hash_text(document).ok());
    });
    let sign_seconds = best_of(documents, |document| {
        black_box(signer.sign(document).ok());
    });
    writeln!(
        out,
        "{name:24} {width:>9} {:8.1} {:8.1} {:8.1} {:10.1}",
        speed(rule_seconds),
        speed(words_seconds),
        speed(hash_seconds),
        speed(sign_seconds)
    )?;
    Ok(())
}

fn tokens(document: &str) -> Vec<u32> {
    let mut text = String::new();
    TextRule::Dolma3.apply(document, &mut text);
    text.as_bytes().as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

/// Returns the CPU seconds of the fastest pass over all items: at least three passes, and more for
/// about a second.
fn best_of<T>(items: &[T], mut each: impl FnMut(&T)) -> f64 {
    let (mut best, mut passes, mut total) = (f64::INFINITY, 0, 0.0);
    while passes < 3 || total < 1.0 {
        let started = cpu_seconds();
        items.iter().for_each(&mut each);
        let seconds = cpu_seconds() - started;
        best = best.min(seconds);
        total += seconds;
        passes += 1;
    }
    best
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Cuts a text at line ends into documents of at least `document_bytes`.
fn cut(text: &str, document_bytes: usize) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let from = rest.len().min(document_bytes);
        let end = rest.as_bytes()[from..].iter().position(|&byte| byte == b'\n');
        let (document, behind) = rest.split_at(end.map_or(rest.len(), |at| from + at + 1));
        documents.push(document);
        rest = behind;
    }
    documents
}
