//! Measures text extraction in MB of markup per CPU second of the thread, and reports the results.
//!
//! `cargo bench -p thresher-text --bench html -- CRAWL.warc.gz…` reads WARC files;
//! `-- DIR` reads the `.html` files below a folder. With `--jsonl`, standard output gets one record
//! per page (`url`, `text`, …) for comparison with other extractors; figures go to standard error.
//! `--precision` and `--recall` set the job file's `html.focus`.
//! Without arguments the pages of `testdata` are read a hundred times.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use flate2::bufread::MultiGzDecoder;
use rustix::time::{ClockId, clock_gettime};
use thresher_formats::stop::Stop;
use thresher_job::Focus;
use thresher_text::html::{Extraction, HtmlRules, page_text};

fn main() -> anyhow::Result<()> {
    let mut paths = Vec::new();
    let mut bench = Bench::default();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // Cargo adds this argument.
            "--bench" => {}
            "--jsonl" => bench.jsonl = true,
            "--precision" => bench.rules.focus = Focus::Precision,
            "--recall" => bench.rules.focus = Focus::Recall,
            _ => paths.push(PathBuf::from(argument)),
        }
    }
    if paths.is_empty() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/html");
        for _ in 0..100 {
            bench.read(&pages)?;
        }
    }
    for path in &paths {
        bench.read(path)?;
    }
    bench.report();
    Ok(())
}

#[derive(Default)]
struct Bench {
    jsonl: bool,
    rules: HtmlRules,
    pages: u64,
    markup_bytes: u64,
    text_bytes: u64,
    whole_pages: u64,
    cpu_nanos: u128,
    slowest: (u128, String),
    reasons: BTreeMap<&'static str, u64>,
}

impl Bench {
    fn read(&mut self, path: &Path) -> anyhow::Result<()> {
        if path.is_dir() {
            let entries: io::Result<Vec<_>> = path.read_dir()?.collect();
            let mut entries: Vec<_> = entries?.into_iter().map(|entry| entry.path()).collect();
            entries.sort();
            return entries.iter().try_for_each(|entry| self.read(entry));
        }
        if path.extension().is_some_and(|extension| extension == "html") {
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
            let payload = [&head[..], &std::fs::read(path)?].concat();
            self.page(&format!("file://{}", path.display()), &payload);
        } else if path.extension().is_some_and(|extension| extension == "gz") {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            self.warc(BufReader::new(MultiGzDecoder::new(BufReader::new(file))))?;
        }
        Ok(())
    }

    fn warc(&mut self, mut reader: impl BufRead) -> anyhow::Result<()> {
        let mut line = String::new();
        loop {
            let (mut url, mut length, mut response) = (String::new(), None, false);
            while line.trim().is_empty() {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
            }
            while !line.trim().is_empty() {
                if let Some((name, value)) = line.split_once(':') {
                    let value = value.trim();
                    match name.to_ascii_lowercase().as_str() {
                        "warc-target-uri" => url = value.to_owned(),
                        "content-length" => length = Some(value.parse::<u64>()?),
                        "warc-type" => response = value == "response",
                        _ => {}
                    }
                }
                line.clear();
                reader.read_line(&mut line)?;
            }
            let Some(length) = length else { bail!("a record of `{url}` has no length") };
            let mut payload = Vec::new();
            reader.by_ref().take(length).read_to_end(&mut payload)?;
            if response {
                self.page(&url, &payload);
            }
        }
    }

    fn page(&mut self, url: &str, payload: &[u8]) {
        let before = thread_cpu_nanos();
        let outcome = page_text(payload, url, &self.rules, &Stop::default());
        let nanos = thread_cpu_nanos() - before;
        self.cpu_nanos += nanos;
        self.pages += 1;
        self.markup_bytes += payload.len() as u64;
        if nanos > self.slowest.0 {
            self.slowest = (nanos, url.to_owned());
        }
        match outcome {
            Ok(page) => {
                self.text_bytes += page.text.len() as u64;
                self.whole_pages += u64::from(page.extraction == Extraction::WholePage);
                if self.jsonl {
                    let record = serde_json::json!({
                        "url": url, "title": page.title, "text": page.text,
                        "charset": page.charset, "extraction": format!("{:?}", page.extraction),
                    });
                    println!("{record}");
                }
            }
            Err(error) => {
                *self.reasons.entry(error.reason()).or_default() += 1;
                if self.jsonl {
                    println!("{}", serde_json::json!({ "url": url, "reason": error.reason() }));
                }
            }
        }
    }

    fn report(&self) {
        let _ = io::stdout().flush();
        let seconds = self.cpu_nanos as f64 / 1e9;
        let megabytes = self.markup_bytes as f64 / 1e6;
        eprintln!(
            "{} pages, {megabytes:.1} MB of markup in {seconds:.2} CPU s: {:.1} MB/s, {:.2} ms/page",
            self.pages,
            megabytes / seconds,
            seconds * 1e3 / self.pages.max(1) as f64,
        );
        eprintln!(
            "{:.1} MB of text; whole page instead of main content: {}; refused: {:?}",
            self.text_bytes as f64 / 1e6,
            self.whole_pages,
            self.reasons,
        );
        eprintln!("slowest: {:.1} ms, {}", self.slowest.0 as f64 / 1e6, self.slowest.1);
    }
}

fn thread_cpu_nanos() -> u128 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u128 * 1_000_000_000 + now.tv_nsec as u128
}
