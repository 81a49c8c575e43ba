//! The preset `redpajama-v1` keeps the pages that RedPajama's own script would, and numbers them
//! alike.
//!
//! The script is written again here, over lists in memory; it and the job read the same random
//! crawl, whose pages share few addresses and digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use thresher_tests::job::JobText;
use thresher_tests::process::succeed;

use super::{places, published, run, verify};

struct Page {
    url: String,
    digest: String,
    text: String,
}

/// Files of pages; every text is another one.
fn crawl(seed: u64) -> Vec<Vec<Page>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let files = random.random_range(2..6);
    let mut number = 0;
    (0..files)
        .map(|_| {
            let pages = random.random_range(1..30);
            let mut page = || {
                number += 1;
                Page {
                    url: format!("https://example.org/{}", random.random_range(0..25)),
                    digest: format!("sha1:{}", random.random_range(0..25)),
                    // As long as CCNet wants it, and not distinguished by digits, which it ignores.
                    text: format!(
                        "{}The words of page {}.",
                        "All ".repeat(100),
                        "x".repeat(number)
                    ),
                }
            };
            (0..pages).map(|_| page()).collect()
        })
        .collect()
}

fn write(files: &[Vec<Page>], folder: &Path) -> String {
    let mut names = String::new();
    for (number, pages) in files.iter().enumerate() {
        let name = format!("part-{number}.warc.wet");
        let mut text = String::new();
        for page in pages {
            write!(
                text,
                "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: {}\r\n\
                 WARC-Block-Digest: {}\r\nContent-Type: text/plain\r\n\
                 Content-Length: {}\r\n\r\nTitle\n{}\r\n\r\n",
                page.url,
                page.digest,
                "Title\n".len() + page.text.len(),
                page.text
            )
            .unwrap();
        }
        std::fs::write(folder.join(&name), text).unwrap();
        writeln!(names, "{name}").unwrap();
    }
    names
}

/// What RedPajama's deduplication leaves: source and text of each page.
fn as_published(files: &[Vec<Page>]) -> Vec<(String, String)> {
    let (mut digests, mut urls) = (BTreeSet::new(), BTreeSet::new());
    for pages in files {
        // As in a dictionary of Python: an address stays where it came first, with its last digest.
        let mut order = Vec::new();
        let mut last = BTreeMap::new();
        for page in pages {
            if last.insert(&page.url, &page.digest).is_none() {
                order.push(&page.url);
            }
        }
        for url in order {
            if digests.insert(last[url]) {
                urls.insert(url);
            }
        }
    }
    let mut kept = Vec::new();
    for (number, pages) in files.iter().enumerate() {
        let pages = pages.iter().filter(|page| urls.contains(&page.url));
        kept.extend(pages.enumerate().map(|(line, page)| {
            // CCNet's normal form of these texts is their own.
            (format!("cc/test/part-{number}.warc.wet/line{line}"), page.text.clone())
        }));
    }
    kept
}

fn shards(output: &Path) -> Vec<(String, String)> {
    let mut names: Vec<_> = std::fs::read_dir(output.join("documents"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let mut documents = Vec::new();
    for name in names {
        let text = zstd::decode_all(std::fs::File::open(name).unwrap()).unwrap();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let document: Value = serde_json::from_slice(line).unwrap();
            let field = |key: &str| document[key].as_str().unwrap().to_owned();
            documents.push((field("source"), field("text")));
        }
    }
    documents
}

fn job(base: &Path, unit_bytes: u64, shard_bytes: u64, memory: &str) -> JobText {
    let base = base.display();
    JobText::of(format!(
        r#"
[job]
name = "addresses"
preset = "redpajama-v1"
[[source]]
slice = "commoncrawl"
base = "{base}"
listing = "{base}/inputs.txt"
dump = "test"
[language]
model = "none"
[perplexity]
models = "none"
[classifier]
model = "none"
[units]
target_bytes = "{unit_bytes}B"
[dedup]
memory = "{memory}"
[output]
path = "corpus"
shard_bytes = "{shard_bytes}B"
"#
    ))
}

#[test]
fn pages_are_kept_and_numbered_as_in_redpajama() {
    for seed in 1..=3 {
        println!("seed {seed}");
        let files = crawl(seed);
        let inputs = tempfile::tempdir().unwrap();
        let names = write(&files, inputs.path());
        std::fs::write(inputs.path().join("inputs.txt"), names).unwrap();
        let large = outcome(&job(inputs.path(), 1 << 20, 1 << 20, "1GiB"));
        assert_eq!(large, as_published(&files), "seed {seed}");
        if seed == 1 {
            // A unit for each file, shards cut inside of them, and passes over the addresses.
            let small = outcome(&job(inputs.path(), 1, 3000, "1MiB"));
            assert_eq!(small, large, "seed {seed}");
        }
    }
}

fn outcome(text: &JobText) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let (output, state) = places(folder.path());
    succeed(&mut run(&text.write(folder.path()), &state));
    verify(&output);
    assert!(!published(&output).is_empty());
    shards(&output)
}
