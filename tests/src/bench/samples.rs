//! Inputs of every slice, made from data in the repository: real pages, posts and code, and
//! generated papers around real prose.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use thresher_tests::job::{root, sample};

use crate::slices::gunzipped;

/// Approximate size of an input.
const TARGET_BYTES: usize = 8 << 20;

/// One input of a slice.
pub(crate) struct Sample {
    pub(crate) slice: &'static str,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Writes the tokenizer of GPT-NeoX-20B and returns its path.
pub(crate) fn tokenizer(path: &Path) -> anyhow::Result<String> {
    let packed = std::fs::read(root().join("worker/testdata/tokens/gpt-neox-20b.json.gz"))?;
    std::fs::write(path, gunzipped(&packed)?)?;
    Ok(path.display().to_string())
}

/// Returns an input of each slice, in the order of RedPajama's table.
pub(crate) fn samples() -> anyhow::Result<Vec<Sample>> {
    let of = |slice, name: &str, bytes| Sample { slice, name: name.to_owned(), bytes };
    Ok(vec![
        of("commoncrawl", "crawl.warc.wet.gz", repeated(&crawl()?)),
        of("c4", "c4-train.00000-of-01024.json.gz", repeated(&c4()?)),
        of("github", "github_000000000000.json.gz", repeated(&code()?)),
        of("books", "pg19_000.jsonl.gz", repeated(&books()?)),
        of("arxiv", "arXiv_src_2303_001.tar", papers()?),
        of("wikipedia", "frwiki-20230320-pages-articles-multistream.xml.bz2", repeated(&dump()?)),
        of("stackexchange", "a.stackexchange.com/Posts.xml", posts()?),
    ])
}

/// Repeats bytes up to the target size; members of gzip and streams of bzip2 may be concatenated.
fn repeated(bytes: &[u8]) -> Vec<u8> {
    bytes.repeat(TARGET_BYTES.div_ceil(bytes.len().max(1)))
}

fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn data(path: &str) -> anyhow::Result<Vec<u8>> {
    Ok(std::fs::read(root().join("worker/testdata").join(path))?)
}

fn crawl() -> anyhow::Result<Vec<u8>> {
    let mut all = Vec::new();
    for file in files_below(&sample().join("crawl-data"), ".wet.gz")? {
        all.extend(std::fs::read(file)?);
    }
    Ok(all)
}

fn c4() -> anyhow::Result<Vec<u8>> {
    Ok(std::fs::read(root().join("worker/sources/src/c4/testdata/c4-sample.01.json.gz"))?)
}

/// Returns this repository's own code, in the format of BigQuery.
fn code() -> anyhow::Result<Vec<u8>> {
    let mut rows = Vec::new();
    for folder in ["worker", "coordinator", "proto", "tests/it"] {
        for file in files_below(&root().join(folder), ".rs")? {
            let content = std::fs::read_to_string(&file)?;
            let row = json!({"id": "", "content": content, "repo_name": "a/b", "license": "mit",
                             "ref": "refs/heads/main", "path": file.display().to_string()});
            writeln!(rows, "{row}")?;
        }
    }
    gzip(&rows)
}

/// Returns paragraphs of Wikipedia articles as one long text.
fn prose() -> anyhow::Result<String> {
    let rows = String::from_utf8(data("lm/reference_scores.jsonl")?)?;
    let mut text = String::new();
    for row in rows.lines() {
        let row: serde_json::Value = serde_json::from_str(row)?;
        text.push_str(row["text"].as_str().unwrap_or_default());
        text.push_str("\n\n");
    }
    Ok(text)
}

fn books() -> anyhow::Result<Vec<u8>> {
    let text = prose()?.repeat(4);
    let row = json!({"short_book_title": "A", "publication_date": 1913, "url": "u", "text": text});
    gzip(format!("{row}\n").as_bytes())
}

fn papers() -> anyhow::Result<Vec<u8>> {
    let prose = prose()?;
    let mut body = String::from(
        "\\documentclass{article}\n\\newcommand{\\norm}[1]{\\left\\|#1\\right\\|}\n\
         \\def\\eps{\\varepsilon}\n\\begin{document}\n",
    );
    for (number, paragraph) in prose.split("\n\n").enumerate() {
        body.push_str(&format!(
            "\\section{{Part {number}}} % a note\n{paragraph}\n\
             \\begin{{equation}}\\norm{{x_{number}}} < \\eps\\end{{equation}}\n"
        ));
    }
    body.push_str("\\bibliography{all}\n\\end{document}\n");
    let paper = gzip(body.as_bytes())?;
    let mut tar = tar::Builder::new(Vec::new());
    for number in 0..TARGET_BYTES / paper.len().max(1) {
        let mut header = tar::Header::new_ustar();
        header.set_size(paper.len() as u64);
        tar.append_data(&mut header, format!("2303/2303.{number:05}.gz"), paper.as_slice())?;
    }
    Ok(tar.into_inner()?)
}

fn dump() -> anyhow::Result<Vec<u8>> {
    let mut all = Vec::new();
    for language in ["en", "de", "fr", "ru", "pl", "uk", "cs"] {
        all.extend(data(&format!("wikipedia/{language}wiki-pages-articles.xml.bz2"))?);
    }
    Ok(all)
}

/// Returns the posts of a real site, repeated with new ids.
fn posts() -> anyhow::Result<Vec<u8>> {
    let site = String::from_utf8(data("stackexchange/Posts.xml")?)?;
    let rows: Vec<&str> =
        site.lines().filter(|line| line.trim_start().starts_with("<row")).collect();
    let mut all = String::from("<posts>\n");
    for copy in 0..TARGET_BYTES / site.len() {
        for row in &rows {
            let mut row = (*row).to_owned();
            for name in [" Id=\"", " ParentId=\"", " AcceptedAnswerId=\""] {
                row = row.replacen(name, &format!("{name}{}", copy + 1), 1);
            }
            all.push_str(&row);
            all.push('\n');
        }
    }
    all.push_str("</posts>\n");
    Ok(all.into_bytes())
}

fn files_below(folder: &Path, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path, ending)?);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
