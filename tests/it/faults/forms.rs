//! Inputs in forms that a slice does not read stop the job with one error, and others are read
//! whatever their names say.

use std::io::Write;
use std::path::Path;

use thresher_tests::job::JobText;
use thresher_tests::process::{output, succeed, thresher};

use super::slices::job_of;
use super::{complete, fail, member, page};

const UNFINISHED: i32 = 5;

fn row(number: usize) -> String {
    let name = char::from(b'a' + (number % 26) as u8);
    let text = format!("Row {number} {} of {name} has a text of its own.", "word ".repeat(number));
    format!("{{\"text\": \"{text}\", \"url\": \"https://r.example/{number}\"}}\n")
}

fn c4(folder: &Path, files: &[(&str, &[u8])]) -> JobText {
    job_of(folder, "c4", files, "[units]\ntarget_bytes = \"100kB\"\n")
}

#[test]
fn a_form_that_the_slice_does_not_read_blocks_the_job_with_one_error() {
    let json = [row(1), row(2)].concat();
    let warc = [member(&page(1)), member(&page(2))].concat();
    let lz4 = [b"\x04\x22\x4d\x18", json.as_bytes()].concat();
    for (slice, name, bytes, form, remedy) in [
        ("c4", "a.json", &warc[..], "WARC in gzip", "`slice = \"commoncrawl\"`"),
        ("c4", "a.json.lz4", &lz4, "lz4", "pack it with gzip, zstd, xz or bzip2"),
        ("commoncrawl", "a.warc.gz", json.as_bytes(), "JSON lines", "read JSON lines"),
        ("commoncrawl", "a.arc", b"filedesc://a.arc 0.0.0.0 2008", "ARC", "warcio recompress"),
        ("books", "a.jsonl", b"[{\"text\": \"a\"}]", "a JSON array", "jq -c '.[]'"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let tables = "[units]\ntarget_bytes = \"20B\"\n";
        let job = job_of(folder.path(), slice, &[(name, bytes)], tables);
        let (code, said) = fail(folder.path(), &job);
        assert_eq!(code, UNFINISHED, "{said}");
        let error = format!("is {form}, which the slice `{slice}` does not read");
        assert!(said.contains("error: the job is blocked: ") && said.contains(&error), "{said}");
        assert!(said.contains("hint: ") && said.contains(remedy), "{said}");
        assert!(!folder.path().join("corpus/manifest.json").try_exists().unwrap());

        let planned = output(thresher().arg("plan").arg(job.write(folder.path())));
        let said = String::from_utf8_lossy(&planned.stderr).into_owned();
        assert!(!planned.status.success() && said.contains(&error), "{said}");
    }
}

#[test]
fn a_blocked_job_resumes_once_the_input_is_packed_again() {
    let folder = tempfile::tempdir().unwrap();
    let json = [row(1), row(2)].concat();
    let lz4 = [b"\x04\x22\x4d\x18", json.as_bytes()].concat();
    let good = [row(3), row(4)].concat();
    let (code, said) =
        fail(folder.path(), &c4(folder.path(), &[("a.json", good.as_bytes()), ("b.json", &lz4)]));
    assert_eq!(code, UNFINISHED, "{said}");
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    let job = c4(folder.path(), &[("a.json", good.as_bytes()), ("b.json", json.as_bytes())]);
    assert_eq!(complete(folder.path(), &job).published(), 4);
}

#[test]
fn large_inputs_whose_names_hide_that_they_are_packed_stay_whole() {
    let rows: String = (0..400).map(row).collect();
    let units = std::iter::once(0xfeff).chain(rows.encode_utf16());
    let utf16: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(rows.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert!(gzip.len() > 200_000 && rows.len() > 200_000, "both are cut into units of 100 kB");
    let mut published = Vec::new();
    for bytes in [rows.as_bytes(), &gzip, &utf16] {
        let folder = tempfile::tempdir().unwrap();
        let outcome = complete(folder.path(), &c4(folder.path(), &[("a.jsonl", bytes)]));
        published.push((outcome.published(), outcome.manifest["accounting"]["records_in"].clone()));
    }
    assert_eq!(published[0].1, 400);
    assert!(published.iter().all(|it| *it == published[0]), "{published:?}");
}

#[test]
fn a_mark_before_a_listing_costs_no_input() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [row(1), row(2)];
    let files = [("a.json", rows[0].as_bytes()), ("b.json", rows[1].as_bytes())];
    let job = c4(folder.path(), &files).set("listing", "\"in.paths\"").write(folder.path());
    let list = "\u{feff}a.json\r\nb.json\r\n";
    let utf16: Vec<u8> = list.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [list.as_bytes(), &utf16] {
        std::fs::write(folder.path().join("in/in.paths"), bytes).unwrap();
        let shown = succeed(thresher().args(["plan", "--json"]).arg(&job));
        assert!(shown.contains("\"inputs\": 2") || shown.contains("\"inputs\":2"), "{shown}");
    }
}

#[test]
fn a_small_source_may_be_dropped_as_a_whole() {
    let empty = std::fs::read(
        thresher_tests::job::root().join("worker/testdata/forms/empty-documents.json.gz"),
    );
    let folder = tempfile::tempdir().unwrap();
    let job = job_of(folder.path(), "c4", &[("a.json.gz", &empty.unwrap())], "")
        .set("slice", "\"c4\"\nsteps = [\"lines\", \"filters\"]");
    let outcome = complete(folder.path(), &job);
    assert_eq!(
        (outcome.published(), outcome.manifest["accounting"]["records_in"].as_u64()),
        (0, Some(25))
    );
}
