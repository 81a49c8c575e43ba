//! Counts the file operations of a job, as a parallel file system sees them, and makes inputs for
//! it.
//!
//! A library that is preloaded into every process of the job writes down each operation with its
//! path, and counts bytes (`operations/count.c`). It needs a C compiler, which the build needs too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

const SOURCE: &str = "src/operations/count.c";
/// Names the file in which operations are written down.
const LOG: &str = "THRESHER_TEST_OPERATIONS";

/// The library that counts.
pub struct Counter {
    library: PathBuf,
}

impl Counter {
    /// Builds the library in a folder.
    pub fn build(folder: &Path) -> io::Result<Self> {
        let library = folder.join("count.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(SOURCE);
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        let built = compiler.output()?;
        if !built.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&built.stderr).into_owned()));
        }
        Ok(Self { library })
    }

    /// Makes a command and its children write their operations to a file.
    pub fn watch(&self, command: &mut Command, log: &Path) {
        command.env("LD_PRELOAD", &self.library).env(LOG, log);
    }
}

/// The work directory of a job whose state is in `state`.
const WORK_FOLDER: &str = "/state/work";
/// The folder of the inputs starts with this name.
const INPUT_FOLDER: &str = "/inputs";
/// The folder under which [`Operations`] has those on inputs.
pub const INPUTS: &str = "inputs";
/// The kinds whose amounts are bytes.
const BYTES: [&str; 2] = ["read", "write"];

/// Operations in a job's work directory and on its inputs, by kind and folder of a stage.
#[derive(Debug)]
pub struct Operations(BTreeMap<(String, String), u64>);

impl Operations {
    /// Reads what was written down. The work directory is `state/work`, and the name of the folder
    /// of inputs starts with `inputs`.
    pub fn read(log: &Path) -> io::Result<Self> {
        let mut counts = BTreeMap::new();
        for line in BufReader::new(File::open(log)?).lines() {
            let line = line?;
            let Some((kind, path)) = line.split_once(' ') else { continue };
            let Some(folder) = folder_of(path) else { continue };
            let (kind, amount) = match kind.split_once('+') {
                Some((kind, bytes)) => (kind, bytes.parse().map_err(io::Error::other)?),
                None => (kind, 1),
            };
            *counts.entry((kind.to_owned(), folder.to_owned())).or_default() += amount;
        }
        Ok(Self(counts))
    }

    /// Returns the number of one kind in the folder of a stage; of `read` and `write`, the bytes.
    pub fn of(&self, kind: &str, stage: &str) -> u64 {
        self.0.get(&(kind.to_owned(), stage.to_owned())).copied().unwrap_or(0)
    }

    /// Returns the number in the folder of a stage.
    pub fn in_stage(&self, stage: &str) -> u64 {
        self.sum(|kind, of| of == stage && !BYTES.contains(&kind))
    }

    /// Returns the number in all folders.
    pub fn all(&self) -> u64 {
        self.sum(|kind, _| !BYTES.contains(&kind))
    }

    /// Returns the bytes that were read or written in all folders.
    pub fn bytes(&self, kind: &str) -> u64 {
        self.sum(|of, _| of == kind)
    }

    /// Returns the folders.
    pub fn folders(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(_, folder)| folder.as_str()).collect()
    }

    fn sum(&self, counts: impl Fn(&str, &str) -> bool) -> u64 {
        let counted = self.0.iter().filter(|((kind, folder), _)| counts(kind, folder));
        counted.map(|(_, count)| count).sum()
    }
}

/// Returns the folder of the stage, or of the inputs, that a path is in.
fn folder_of(path: &str) -> Option<&str> {
    match path.split_once(WORK_FOLDER) {
        Some((_, below)) => below.trim_start_matches('/').split('/').next(),
        None => path.contains(INPUT_FOLDER).then_some(INPUTS),
    }
}

/// Writes WET files of one page each. A line is one word, and no two of them are equal.
pub fn write_inputs(folder: &Path, files: u64, lines_per_file: u64) -> io::Result<()> {
    for file in 0..files {
        let mut text = String::new();
        for line in file * lines_per_file..(file + 1) * lines_per_file {
            let _ = writeln!(text, "{}", word(line));
        }
        write_page(folder, file, &text)?;
    }
    Ok(())
}

/// Writes WET files of one page each. The pages of four neighbours differ in their last words only.
pub fn write_similar_inputs(folder: &Path, files: u64) -> io::Result<()> {
    const WORDS: u64 = 60;
    // Words of different pages have no common order.
    const APART: u64 = 7919;
    for file in 0..files {
        let first = file / 4 * WORDS;
        let mut words: Vec<String> = (first..first + WORDS).map(|at| word(at * APART)).collect();
        words.push(word(file * APART + 1));
        write_page(folder, file, &format!("A title\n{}\n", words.join(" ")))?;
    }
    Ok(())
}

/// Returns a word of letters, because line dedup treats all digits alike.
fn word(number: u64) -> String {
    (0..6).map(|place| char::from(b'a' + (number / 26_u64.pow(place) % 26) as u8)).collect()
}

fn write_page(folder: &Path, file: u64, text: &str) -> io::Result<()> {
    let record = format!(
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://a.example/{file}\r\n\
         WARC-Record-ID: <urn:uuid:{file:032x}>\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\n\r\n{text}\r\n\r\n",
        text.len()
    );
    let mut member = GzEncoder::new(Vec::new(), Compression::fast());
    io::Write::write_all(&mut member, record.as_bytes())?;
    std::fs::write(folder.join(format!("{file:06}.warc.wet.gz")), member.finish()?)
}
