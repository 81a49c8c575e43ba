//! Counts the file operations of a job, as a parallel file system sees them, and makes inputs for
//! it.
//!
//! A library that is preloaded into every process of the job writes down each operation with its
//! path (`operations/count.c`). It needs a C compiler, which the build needs too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
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

/// Operations in a job's work directory, by kind and stage folder.
#[derive(Debug)]
pub struct Operations(BTreeMap<(String, String), u64>);

impl Operations {
    /// Reads what was written down. The work directory is `state/work`.
    pub fn read(log: &Path) -> io::Result<Self> {
        let mut counts = BTreeMap::new();
        for line in std::fs::read_to_string(log)?.lines() {
            let Some((kind, path)) = line.split_once(' ') else { continue };
            let Some((_, below)) = path.split_once(WORK_FOLDER) else { continue };
            let stage = below.trim_start_matches('/').split('/').next().unwrap_or_default();
            *counts.entry((kind.to_owned(), stage.to_owned())).or_default() += 1;
        }
        Ok(Self(counts))
    }

    /// Returns the number of one kind in the folder of a stage.
    pub fn of(&self, kind: &str, stage: &str) -> u64 {
        self.0.get(&(kind.to_owned(), stage.to_owned())).copied().unwrap_or(0)
    }

    /// Returns the number in the folder of a stage.
    pub fn in_stage(&self, stage: &str) -> u64 {
        self.0.iter().filter(|((_, of), _)| of == stage).map(|(_, count)| count).sum()
    }

    /// Returns the number in all folders.
    pub fn all(&self) -> u64 {
        self.0.values().sum()
    }
}

/// Writes WET files of one page each. No two lines of them are equal.
pub fn write_inputs(folder: &Path, files: u64, lines_per_file: u64) -> io::Result<()> {
    for file in 0..files {
        let mut text = String::new();
        for line in file * lines_per_file..(file + 1) * lines_per_file {
            // In letters, because line dedup treats all digits alike.
            let letter = |place: u32| char::from(b'a' + (line / 26_u64.pow(place) % 26) as u8);
            let word: String = (0..6).map(letter).collect();
            let _ = writeln!(text, "a line with a word of its own {word}");
        }
        let record = format!(
            "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://a.example/{file}\r\n\
             WARC-Record-ID: <urn:uuid:{file:032x}>\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{text}\r\n\r\n",
            text.len()
        );
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        io::Write::write_all(&mut member, record.as_bytes())?;
        std::fs::write(folder.join(format!("{file:06}.warc.wet.gz")), member.finish()?)?;
    }
    Ok(())
}
