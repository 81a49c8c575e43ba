//! Damaged inputs of every slice but web pages: what is readable is published, the rest is
//! quarantined where it was, and counted.

use std::io::Write;
use std::path::Path;

use tempfile::TempDir;
use thresher_tests::job::{JobText, root};
use thresher_tests::process::{output, succeed, thresher};

use super::{Outcome, complete, member};

/// A job over these files of a slice, with tables of its own.
pub(super) fn job_of(folder: &Path, slice: &str, files: &[(&str, &[u8])], tables: &str) -> JobText {
    for (name, bytes) in files {
        let path = folder.join("in").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    JobText::of(format!(
        "[job]\nname = \"t\"\n[[source]]\nslice = \"{slice}\"\nlisting = \"**/*\"\nbase = \"{}\"\n\
         [language]\nmodel = \"none\"\n[tokens]\ntokenizer = \"none\"\n[output]\n\
         path = \"corpus\"\n{tables}",
        folder.join("in").display()
    ))
}

/// Runs it; expects so many documents, and one quarantine of this reason, at its place.
fn expect(
    slice: &str,
    files: &[(&str, &[u8])],
    tables: &str,
    published: u64,
    (reason, input, offset): (&str, &str, usize),
) -> (Outcome, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let outcome = complete(folder.path(), &job_of(folder.path(), slice, files, tables));
    let accounting = &outcome.manifest["accounting"];
    assert_eq!(outcome.published(), published, "{accounting}");
    assert_eq!(outcome.quarantined(reason), 1, "{accounting}");
    let row = outcome.row(reason);
    assert_eq!((&row["offset"], &row["input"]), (&offset.into(), &input.into()), "{row}");
    (outcome, folder)
}

const SITE: &str = "a.stackexchange.com/Posts.xml";

#[test]
fn only_malformed_rows_of_a_site_are_lost_in_any_unit() {
    let question = |id: usize| {
        format!("  <row Id=\"{id}\" PostTypeId=\"1\" Title=\"Title {id}\" Body=\"Body {id}\" />\n")
    };
    let questions = |ids: std::ops::Range<usize>| ids.map(question).collect::<String>();
    let bad = "  <row Id=\"7 PostTypeId=\"1\" Title=\"x\" />\n";
    let (head, before, after) = ("<posts>\n", questions(100..200), questions(200..300));
    let answer = "  <row Id=\"900\" PostTypeId=\"2\" ParentId=\"100\" Body=\"The answer.\" />\n";
    let mut file = format!("{head}{before}{bad}{after}{answer}").into_bytes();
    // Rows start with their tag.
    let offset = head.len() + before.len() + 2;
    let not_utf8 = file.len() + 2;
    file.extend_from_slice(b"  <row Id=\"901\" Title=\"\xff\xff\" />\n</posts>\n");
    for tables in ["", "[units]\ntarget_bytes = \"2kB\"\n[stackexchange]\nsort_memory = \"2kB\"\n"]
    {
        let (found, _folder) =
            expect("stackexchange", &[(SITE, &file)], tables, 200, ("row_malformed", SITE, offset));
        assert_eq!(found.row("invalid_utf8")["offset"], not_utf8);
    }
}

#[test]
fn sites_beyond_the_largest_are_told_of() {
    let site = |questions: usize| {
        let rows = (0..questions).map(|id| {
            format!("<row Id=\"{id}\" PostTypeId=\"1\" Title=\"Title {id}\" Body=\"Body\" />\n")
        });
        format!("<posts>\n{}</posts>\n", rows.collect::<String>()).into_bytes()
    };
    let (large, small, least) = (site(9), site(5), site(2));
    let files: [(&str, &[u8]); 3] = [
        ("a.example/Posts.xml", &small),
        ("b.example/Posts.xml", &large),
        ("c.example/Posts.xml", &least),
    ];
    let folder = tempfile::tempdir().unwrap();
    let tables = "[stackexchange]\nlargest_sites = 1\n";
    let job = job_of(folder.path(), "stackexchange", &files, tables);
    let left_out = "left out 2 of the listed: `a.example`, `c.example`";
    let shown = succeed(thresher().arg("plan").arg(job.write(folder.path())));
    assert!(shown.contains(left_out), "{shown}");
    let shown = succeed(
        thresher()
            .arg("run")
            .arg(job.write(folder.path()))
            .arg("--state")
            .arg(folder.path().join("state")),
    );
    assert!(shown.contains(left_out), "{shown}");
    let corpus = folder.path().join("corpus");
    let report = std::fs::read_to_string(corpus.join("REPORT.md")).unwrap();
    assert!(
        report.contains("| left out | 2 of the listed: `a.example`, `c.example` |"),
        "{report}"
    );
    let report = std::fs::read_to_string(corpus.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["inputs"]["left_out"], serde_json::json!(["a.example", "c.example"]));
}

#[test]
fn a_7z_with_a_wrong_checksum_costs_its_site() {
    let archive = root().join("worker/testdata/stackexchange/posts.7z");
    let whole = std::fs::read(archive).unwrap();
    let mut bad = whole.clone();
    // A packed byte; the checksum is of what it unpacks to.
    bad[60] ^= 1;
    let (good, damaged) = ("a.stackexchange.com.7z", "b.stackexchange.com.7z");
    let files = [(good, whole.as_slice()), (damaged, bad.as_slice())];
    expect("stackexchange", &files, "", 1, ("archive_damaged", damaged, 0));
}

#[test]
fn a_broken_bzip2_block_costs_its_stream() {
    let packed = |id: usize| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        let page = format!(
            "<page><title>Page {id}</title><ns>0</ns><id>{id}</id><revision><timestamp>t\
             </timestamp><text>The text of page {id}.</text></revision></page>"
        );
        encoder.write_all(page.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let mut streams: Vec<Vec<u8>> = (0..9).map(packed).collect();
    let offset = streams[..4].concat().len();
    let middle = streams[4].len() / 2;
    streams[4][middle] ^= 0xff;
    let name = "dewiki-20230320-pages-articles-multistream.xml.bz2";
    let dump = streams.concat();
    for tables in ["", "[units]\ntarget_bytes = \"200\"\n"] {
        let at = ("bzip2_damaged", name, offset);
        expect("wikipedia", &[(name, &dump)], tables, 8, at);
    }
}

fn tar_of(papers: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in papers {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn papers_in_other_encodings_are_read_and_damaged_ones_cost_themselves() {
    let latin = member(b"\\section{Caf\xe9} Text of the paper.");
    let cut = &member(b"\\section{B} Another text, of which some is missing.")[..30];
    let tar = tar_of(&[("2303/2303.00001.gz", &latin), ("2303/2303.00002.gz", cut)]);
    let name = "arXiv_src_2303_001.tar";
    // A header has 512 bytes, and so has the padded member.
    let (found, _folder) = expect("arxiv", &[(name, &tar)], "", 1, ("gzip_damaged", name, 1024));
    let shard = std::fs::read(found.output.join("documents/arxiv-00000.jsonl.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(shard.as_slice()).unwrap()).unwrap();
    assert!(text.contains("\\\\section{Café} Text of the paper."), "{text}");
    // RedPajama dropped what is not valid UTF-8.
    let tables = "[arxiv]\nlatex = \"redpajama-v1\"\n";
    let (found, _folder) =
        expect("arxiv", &[(name, &tar)], tables, 0, ("gzip_damaged", name, 1024));
    assert_eq!(found.row("arxiv/not_utf8")["id"], "2303.00001");
}

#[test]
fn each_row_that_a_changed_page_of_parquet_costs_is_counted() {
    let file = root().join("worker/testdata/forms/parquet/page-checksums.parquet");
    let mut bytes = std::fs::read(file).unwrap();
    let text = b"row number 025";
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[at + 13] = b'8';
    let (input, reason) = ("a.parquet", "parquet_row_group_damaged");
    let (found, _folder) = expect("documents", &[(input, &bytes)], "", 19, (reason, input, 4));
    assert_eq!(found.quarantined("parquet_rows_lost"), 20);
    assert_eq!(found.manifest["accounting"]["records_in"], 40);
}

#[test]
fn a_parquet_file_that_was_cut_short_gives_nothing_else() {
    let whole = std::fs::read(root().join("worker/testdata/github/two.parquet")).unwrap();
    let (good, cut) = ("a.parquet", "b.parquet");
    for length in [whole.len() - 1, whole.len() / 2, 4] {
        let files = [(good, whole.as_slice()), (cut, &whole[..length])];
        expect("github", &files, "", 2, ("parquet_damaged", cut, 0));
    }
}

#[test]
fn a_line_of_a_gigabyte_is_stepped_over_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let row = |n: usize| format!("{{\"text\": \"Document {n}.\", \"url\": \"https://a.b/{n}\"}}\n");
    gzip.write_all(row(1).as_bytes()).unwrap();
    gzip.write_all(b"{\"text\": \"").unwrap();
    let piece = vec![b'a'; 1 << 20];
    for _ in 0..1024 {
        gzip.write_all(&piece).unwrap();
    }
    gzip.write_all(b"\"}\n").unwrap();
    gzip.write_all(row(2).as_bytes()).unwrap();
    let name = "c4-train.00000-of-01024.json.gz";
    let bytes = gzip.finish().unwrap();
    let job = job_of(folder.path(), "c4", &[(name, &bytes)], "").write(folder.path());
    // Threads have large stacks, of which next to nothing is used: what is written counts.
    let limit = format!("ulimit -d {}; exec \"$@\"", (700 << 20) / 1024);
    let run = thresher();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &limit, "sh"]).arg(run.get_program()).arg("run").arg(job);
    command.arg("--state").arg(folder.path().join("state")).args(["--slots", "1"]);
    let ended = output(&mut command);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let manifest = std::fs::read(folder.path().join("corpus/manifest.json")).unwrap();
    let manifest = serde_json::from_slice(&manifest).unwrap();
    let outcome = Outcome { manifest, output: folder.path().join("corpus") };
    assert_eq!((outcome.published(), outcome.quarantined("line_too_long")), (2, 1));
    assert_eq!(outcome.row("line_too_long")["offset"], row(1).len());
}

#[test]
fn a_plan_over_a_file_at_which_a_library_panics_says_nothing_of_panics() {
    let bad = std::fs::read(root().join("worker/testdata/github/no-dictionary.parquet")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let job = job_of(folder.path(), "github", &[("a.parquet", &bad)], "");
    let ended = output(thresher().arg("plan").arg(job.write(folder.path())));
    let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert!(ended.status.success() && !said.contains("panicked"), "{said}");
}
