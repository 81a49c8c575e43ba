//! A worker with a disk of its own keeps there what nobody else reads, and leaves nothing.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use thresher_tests::job::JobText;
use thresher_tests::process::{Leftovers, output, thresher, worker};

use super::{places, published, run};

/// More keys than a slot sorts in memory.
const PAGES: u64 = 150;
const LINES_PER_PAGE: u64 = 10_000;

#[test]
fn keys_are_sorted_on_the_nodes_own_disk_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.warc.wet.gz"), many_lines()).unwrap();
    let job = JobText::over(folder.path(), "a.warc.wet.gz").set("model", "\"none\"");
    let job = job.append("[dedup]\nmemory = \"64MiB\"\n");

    let (shared, local) = (folder.path().join("shared"), folder.path().join("local"));
    fs::create_dir(&shared).unwrap();
    let (reference, state) = places(&shared);
    let ran = output(run(&job.write(&shared), &state).args(["--slots", "4"]));
    assert!(ran.status.success(), "{ran:?}");

    fs::create_dir(&local).unwrap();
    let (corpus, state) = places(&local);
    let scratch = folder.path().join("nvme");
    let mut served = thresher()
        .arg("serve")
        .arg(job.write(&local))
        .arg("--state")
        .arg(&state)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _leftovers = Leftovers(state.clone());
    let mut command = worker();
    command.arg("connect").arg("--state").arg(&state).args(["--slots", "4"]);
    let mut working = command.arg("--scratch").arg(&scratch).spawn().unwrap();
    let mut seen = Vec::new();
    while working.try_wait().unwrap().is_none() {
        seen.extend(names(&scratch));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(working.wait().unwrap().success());
    assert!(served.wait().unwrap().success());
    assert!(seen.iter().any(|name| name.starts_with("lines.")), "nothing was there: {seen:?}");
    assert_eq!(names(&scratch), Vec::<String>::new(), "something was left");
    assert_eq!(published(&corpus), published(&reference));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A WET file of short lines, no two alike.
fn many_lines() -> Vec<u8> {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    for page in 0..PAGES {
        // In letters: digits are all one to line dedup.
        let letters = |line: u64| {
            let digits = [17_576 * 26, 17_576, 676, 26, 1].map(|unit| (line / unit % 26) as u8);
            String::from_utf8_lossy(&digits.map(|digit| b'a' + digit)).into_owned() + "\n"
        };
        let body: String =
            (page * LINES_PER_PAGE..(page + 1) * LINES_PER_PAGE).map(letters).collect();
        write!(
            file,
            "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://page.example/{page}\r\n\
             WARC-Record-ID: <urn:uuid:{page:032x}>\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{body}\r\n\r\n",
            body.len()
        )
        .unwrap();
    }
    file.finish().unwrap()
}
