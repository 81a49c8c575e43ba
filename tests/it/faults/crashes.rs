//! A unit that kills its workers.

use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use thresher_tests::process::{output, thresher};

use super::{job_over, member, page, record};

/// More than the limit leaves, less than the job allows a record.
const RECORD_BYTES: usize = 700 << 20;
const LIMIT_KILOBYTES: usize = 600 << 10;

/// A record that is small on disk, and larger than a worker may become.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let head = record(1, &[]);
    let head = String::from_utf8(head).unwrap();
    let head = head.replace("Content-Length: 0", &format!("Content-Length: {RECORD_BYTES}"));
    std::io::Write::write_all(&mut encoder, head.trim_end_matches("\r\n").as_bytes()).unwrap();
    std::io::Write::write_all(&mut encoder, b"\r\n\r\n").unwrap();
    let block = vec![b'a'; 1 << 20];
    for _ in 0..RECORD_BYTES >> 20 {
        std::io::Write::write_all(&mut encoder, &block).unwrap();
    }
    std::io::Write::write_all(&mut encoder, b"\r\n\r\n").unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_unit_that_aborts_its_workers_fails_permanently_with_their_last_output() {
    let folder = tempfile::tempdir().unwrap();
    let good = [member(&page(1)), member(&page(2))].concat();
    std::fs::write(folder.path().join("good.warc.wet.gz"), good).unwrap();
    std::fs::write(folder.path().join("bad.warc.wet.gz"), bomb()).unwrap();
    let job = job_over(folder.path(), "inputs.txt", b"bad.warc.wet.gz\ngood.warc.wet.gz\n")
        .set("target_bytes", "\"1B\"\non_failed_units = \"continue\"")
        .set("crash_limit", "1")
        .append("[commoncrawl]\nmax_record_bytes = \"2GiB\"");
    let state = folder.path().join("state");
    let program = thresher();
    // Allocation fails in the worker, which aborts: what the kernel's memory limit would do.
    let mut limited = Command::new("bash");
    limited
        .args(["-c", &format!("ulimit -c 0 -v {LIMIT_KILOBYTES}; exec \"$@\""), "bash"])
        .arg(program.get_program())
        .arg("run")
        .arg(job.write(folder.path()))
        .arg("--state")
        .arg(&state)
        .args(["--slots", "1"])
        // A backtrace would be the last words instead.
        .env_remove("RUST_BACKTRACE");
    let ended = output(&mut limited);
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("was killed by signal 6"), "{said}");
    assert!(said.contains("memory allocation of"), "{said}");
    let manifest = std::fs::read(folder.path().join("corpus/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["accounting"]["published"], 2, "{manifest}");
    assert_eq!(manifest["absent_units"], serde_json::json!([0]), "{manifest}");
}
