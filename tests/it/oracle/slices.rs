//! One job over every slice at once: the same bytes whatever the workers, and whoever was killed.
//!
//! Inputs are made of what the repository carries: its own sources as code, its licence as a book,
//! C4's published form, the sample crawl, excerpts of dumps, and a command that turns lines into
//! documents.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use thresher_tests::job::{JobText, root, sample};
use thresher_tests::process::{Leftovers, succeed};

use super::kills::run_under_fire;
use super::{clean, places, published, run, verify};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The files of a folder of the repository, in order of their names.
fn files_of(folder: &str) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn put(path: PathBuf, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Rows as BigQuery exports them; a few twice, and some that are damaged.
fn code_rows() -> Vec<u8> {
    let mut lines = Vec::new();
    let files = files_of("worker/filters/src");
    for (path, content) in files.iter().chain(&files[..2]) {
        let row = json!({"id": "", "repo_name": "a/b", "ref": "refs/heads/main", "path": path,
                         "license": "apache-2.0", "content": content});
        writeln!(lines, "{row}").unwrap();
    }
    lines.extend_from_slice(b"{\"path\": \"x.py\", \"content\":\n\xff\xfe\n");
    lines
}

fn repository() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let licence = std::fs::read_to_string(root().join("LICENSE")).unwrap();
    let files = files_of("proto/job/src").into_iter().chain([("LICENSE".to_owned(), licence)]);
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, format!("b-1.0/{path}"), content.as_bytes()).unwrap();
    }
    gzip(&builder.into_inner().unwrap())
}

pub(super) fn make_inputs(folder: &Path) {
    let c4 = root().join("worker/sources/src/c4/testdata/c4-sample.01.json.gz");
    let c4 = std::fs::read(c4).unwrap();
    put(folder.join("c4/c4-train.00000-of-01024.json.gz"), &c4);
    put(folder.join("c4/c4-train.00001-of-01024.json.gz"), &c4[..c4.len() / 2]);
    put(folder.join("github/github_000000000000.json"), &code_rows());
    put(folder.join("github/repository.tar.gz"), &repository());
    let book = std::fs::read_to_string(root().join("LICENSE")).unwrap();
    let marked = |text: &str| {
        format!(
            "Title: Terms\n*** START OF THE PROJECT GUTENBERG EBOOK TERMS ***\n{text}\n\
             *** END OF THE PROJECT GUTENBERG EBOOK TERMS ***\nmore"
        )
    };
    put(folder.join("books/1.txt"), marked(&book).as_bytes());
    put(folder.join("books/2.txt"), marked(&book.replacen("Version", "version", 1)).as_bytes());
    let other: String = files_of("worker/dedup/src").into_iter().map(|file| file.1).collect();
    put(folder.join("books/3.txt"), marked(&other).as_bytes());
    make_texts(folder);
    let row = |number: u32| json!({"content": format!("Row {number}."), "meta": {"link": "http://r.example/"}});
    let rows: Vec<Value> = (0..200).map(row).collect();
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    put(folder.join("rows/array.json"), &serde_json::to_vec_pretty(&rows[..100]).unwrap());
    put(folder.join("rows/lines.jsonl"), lines.as_bytes());
    put(folder.join("rows/packed.jsonl.zst"), &zstd::encode_all(lines.as_bytes(), 1).unwrap());
    put(folder.join("own/lines.list.x"), b"first line\nsecond line\nthird line\nfirst line\n");
}

/// Wikipedia, StackExchange and arXiv, each whole and damaged.
fn make_texts(folder: &Path) {
    let data = root().join("worker/testdata");
    let dump = std::fs::read(data.join("wikipedia/frwiki-pages-articles.xml.bz2")).unwrap();
    let mut damaged = dump.clone();
    damaged[dump.len() / 2] ^= 0xff;
    let name = "wikipedia/frwiki-20230320-pages-articles-multistream.xml.bz2";
    put(folder.join(name), &[damaged, dump].concat());
    let site = std::fs::read(data.join("stackexchange/Posts.xml")).unwrap();
    put(folder.join("stackexchange/conlang.meta.stackexchange.com/Posts.xml"), &site);
    let mut archive = std::fs::read(data.join("stackexchange/posts.7z")).unwrap();
    put(folder.join("stackexchange/a.stackexchange.com.7z"), &archive);
    archive[50] ^= 0xff;
    put(folder.join("stackexchange/b.stackexchange.com.7z"), &archive);
    let mut papers = tar::Builder::new(Vec::new());
    for number in 0..40 {
        let tex = format!(
            "\\newcommand{{\\n}}[1]{{<#1>}}\n\\section{{A}}% note\n\\n{{{number}}} caf\u{e9}"
        );
        let mut paper = gzip(tex.as_bytes());
        if number == 7 {
            paper.truncate(20);
        }
        let mut header = tar::Header::new_ustar();
        header.set_size(paper.len() as u64);
        let name = format!("2303/2303.{number:05}.gz");
        papers.append_data(&mut header, name, paper.as_slice()).unwrap();
    }
    put(folder.join("arxiv/arXiv_src_2303_001.tar"), &papers.into_inner().unwrap());
}

/// A source of rows, up to the value of its `base`.
const ROWS: &str = r#"[[source]]
slice = "documents"
listing = "*"
columns = { text = "content", url = "meta.link" }
base ="#;

const READER: &str =
    r#"awk '{printf "{\"text\": \"%s of %s\"}\n", $0, ENVIRON["THRESHER_INPUT"]}'"#;
const JUDGE: &str = r#"while read -r line; do case "$line" in
    *third*) echo '{"keep": false, "reason": "third"}';;
    *second*) echo '{"text": "rewritten"}';;
    *) echo '{"keep": true}';; esac; done"#;

pub(super) fn job(inputs: &Path) -> JobText {
    let base = inputs.display();
    JobText::of(format!(
        r#"
[job]
name = "slices"
[[source]]
slice = "commoncrawl"
base = "{}"
listing = "crawl-data/CC-MAIN-2024-10/wet.paths.gz"
[[source]]
slice = "c4"
base = "{base}/c4"
listing = "*.json.gz"
[[source]]
slice = "github"
base = "{base}/github"
listing = "*"
[[source]]
slice = "books"
base = "{base}/books"
listing = "*.txt"
[[source]]
slice = "external"
base = "{base}/own"
listing = "*.x"
reader = "lines"
commands = ["judge"]
[[source]]
slice = "wikipedia"
base = "{base}/wikipedia"
listing = "*.bz2"
[[source]]
slice = "stackexchange"
base = "{base}/stackexchange"
listing = "**/*[lz]"
[[source]]
slice = "arxiv"
base = "{base}/arxiv"
listing = "*.tar"
{ROWS} "{base}/rows"
[tokens]
tokenizer = "none"
[stackexchange]
sort_memory = "20kB"
[[command]]
name = "lines"
run = ["sh", "-c", '''{READER}''']
[[command]]
name = "judge"
run = ["sh", "-c", '''{JUDGE}''']
[language]
model = "{}"
[units]
target_bytes = "30kB"
lease = "3s"
heartbeat = "200ms"
crash_limit = 50
max_quarantined_share = 1.0
[output]
path = "corpus"
shard_bytes = "100kB"
[filters.gopher_quality]
min_stop_words = 0
"#,
        sample().display(),
        sample().join("models/lid.176.ftz").display()
    ))
}

fn accounting(output: &Path) -> Value {
    let manifest = std::fs::read(output.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["accounting"].clone()
}

#[test]
fn all_slices_of_one_job_give_the_same_bytes_in_any_world() {
    let inputs = tempfile::tempdir().unwrap();
    make_inputs(inputs.path());
    let text = job(inputs.path());
    let quiet = tempfile::tempdir().unwrap();
    let (output, state) = places(quiet.path());
    succeed(run(&text.write(quiet.path()), &state).args(["--workers", "1", "--slots", "1"]));
    verify(&output);
    let reference = published(&output);

    let accounting = accounting(&output);
    let (dropped, quarantined) = (&accounting["dropped"], &accounting["quarantined"]);
    assert_eq!(dropped["dedup/near_duplicate"], 1, "{dropped}");
    assert_eq!(dropped["judge/third"], 1, "{dropped}");
    assert_eq!(quarantined["gzip_truncated"], 1, "{quarantined}");
    assert_eq!(quarantined["invalid_utf8"], 1, "{quarantined}");
    assert_eq!(quarantined["invalid_json"], 1, "{quarantined}");
    let report = std::fs::read(output.join("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(quarantined["bzip2_damaged"], 1, "{quarantined}");
    assert_eq!(quarantined["archive_damaged"], 1, "{quarantined}");
    assert_eq!(quarantined["gzip_damaged"], 1, "{quarantined}");
    let site = root().join("worker/testdata/stackexchange/Posts.xml");
    let site = std::fs::read_to_string(site).unwrap();
    let slices = report["slices"].as_array().unwrap();
    let documents = |slice: &Value| slice["documents"].as_u64().unwrap();
    let of = |name: &str| {
        let found = slices.iter().find(|slice| slice["slice"] == name);
        documents(found.unwrap_or_else(|| panic!("no slice `{name}` in {slices:?}")))
    };
    assert_eq!(slices.len(), 9, "{slices:?}");
    assert_eq!(of("documents"), 200, "{slices:?}");
    assert_eq!(slices.iter().map(documents).sum::<u64>(), accounting["published"]);
    assert_eq!((of("books"), of("external")), (2, 2), "{slices:?}");
    assert_eq!((of("wikipedia"), of("arxiv")), (3, 39), "{slices:?}");
    // The site was cut into pieces: each of its questions, and that of the archive.
    let questions = site.matches(" Title=\"").count() as u64;
    assert_eq!(of("stackexchange"), questions + 1, "{slices:?}");
    assert!(of("github") > 10, "{slices:?}");
    assert!(of("commoncrawl") > 0 && of("c4") > 0, "{slices:?}");

    let other = tempfile::tempdir().unwrap();
    let (output, state) = places(other.path());
    succeed(run(&text.write(other.path()), &state).args(["--workers", "3", "--slots", "2"]));
    assert_eq!(published(&output), reference);

    let seed = 11;
    println!("seed {seed}");
    let fire = tempfile::tempdir().unwrap();
    let (output, state) = places(fire.path());
    let _leftovers = Leftovers(state.clone());
    let died = run_under_fire(&text.write(fire.path()), &state, seed, 400);
    println!("seed {seed}: {} coordinators and {} workers were killed", died.0, died.1);
    clean(&output);
    verify(&output);
    assert_eq!(published(&output), reference, "seed {seed}");
}
