//! What the crate makes of documents, for the comparisons in `tests/peers/`.
//!
//! `near_peer words` reads lines of JSON with a `text` and writes, for each, what FineWeb's text
//! rule makes of it and the words. `near_peer signatures PRESET` writes one line of JSON per
//! document: its minima, or null. `near_peer clusters PRESET` writes one line per document: the
//! number of the first document of its cluster, by bands alone.

use std::io::{BufRead, BufWriter, Write};

use thresher_near::{Preset, Signer, TextRule, Words, components};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let texts = std::io::stdin().lock().lines().map(|line| text_of(&line?));
    let mut out = BufWriter::new(std::io::stdout().lock());
    match arguments[..] {
        ["words"] => words(texts, &mut out)?,
        ["signatures", name] => signatures(preset(name)?, texts, &mut out)?,
        ["clusters", name] => clusters(preset(name)?, texts, &mut out)?,
        _ => return Err("usage: near_peer words | signatures PRESET | clusters PRESET".into()),
    }
    out.flush()?;
    Ok(())
}

fn text_of(line: &str) -> Result<String, Failure> {
    let document: serde_json::Value = serde_json::from_str(line)?;
    Ok(document["text"].as_str().ok_or("a document without `text`")?.to_owned())
}

fn words(
    texts: impl Iterator<Item = Result<String, Failure>>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut rule = String::new();
    let mut words = Words::default();
    for text in texts {
        TextRule::FineWeb.apply(&text?, &mut rule);
        words.split_english(&rule);
        let words: Vec<&str> = words.iter().collect();
        writeln!(out, "{}", serde_json::json!({ "rule": rule, "words": words }))?;
    }
    Ok(())
}

fn preset(name: &str) -> Result<Preset, Failure> {
    Ok(Preset::named(name).ok_or_else(|| format!("no preset `{name}`"))?)
}

fn signatures(
    preset: Preset,
    texts: impl Iterator<Item = Result<String, Failure>>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut signer = Signer::new(preset.parameters().signature_rule());
    for text in texts {
        writeln!(out, "{}", serde_json::json!(signer.sign(&text?)?))?;
    }
    Ok(())
}

fn clusters(
    preset: Preset,
    texts: impl Iterator<Item = Result<String, Failure>>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let parameters = preset.parameters();
    let mut signer = Signer::new(parameters.signature_rule());
    let mut keys = Vec::new();
    let mut members = Vec::new();
    let mut documents = 0_u64;
    for text in texts {
        if let Some(signature) = signer.sign(&text?)? {
            keys.clear();
            parameters.bands.keys(&signature, &mut keys);
            members.extend(keys.iter().map(|&key| (key, documents)));
        }
        documents += 1;
    }
    members.sort_unstable();
    let mut edges = Vec::new();
    for group in members.chunk_by(|left, right| left.0 == right.0) {
        let positions: Vec<u64> = group.iter().map(|&(_, position)| position).collect();
        components::star(&positions, &mut edges);
    }
    let labels: std::collections::HashMap<u64, u64> =
        components::of_edges(&edges).into_iter().collect();
    for document in 0..documents {
        writeln!(out, "{}", labels.get(&document).unwrap_or(&document))?;
    }
    Ok(())
}
