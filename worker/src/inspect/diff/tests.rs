//! Two corpora made by hand, with each kind of difference.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::stages::{DroppedEntry, Manifest, ManifestAccounting, ShardEntry};

fn kept(id: &str, text: &str) -> Value {
    let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
    json!({"id": id, "text": text, "source": "cc", "url": format!("http://x/{id}"),
           "content_hash": hash})
}

fn lost(id: &str, verdict: &str, reason: &str) -> Value {
    json!({"id": id, "source": "cc", "url": format!("http://x/{id}"), "verdict": verdict,
           "reason": reason})
}

fn pack(place: &Path, rows: &[Value]) -> (u64, String) {
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let packed = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    fs::write(place, &packed).unwrap();
    (packed.len() as u64, blake3::hash(&packed).to_hex().to_string())
}

/// Writes a corpus with one shard for each list of documents.
fn corpus(shards: &[&[Value]], rows: &[Value]) -> TempDir {
    corpus_in("uniform/2", shards, rows)
}

fn corpus_in(schema: &str, shards: &[&[Value]], rows: &[Value]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("documents")).unwrap();
    fs::create_dir(folder.path().join("dropped")).unwrap();
    let shards = (0..).zip(shards).map(|(number, documents)| {
        let path = format!("documents/cc-{number}.jsonl.zst");
        let (bytes, blake3) = pack(&folder.path().join(&path), documents);
        ShardEntry {
            path,
            format: thresher_job::Format::Jsonl,
            source: "cc".to_owned(),
            split: None,
            language: None,
            bytes,
            blake3,
            sha256: String::new(),
            documents: documents.len() as u64,
            json_bytes: 0,
        }
    });
    let shards: Vec<ShardEntry> = shards.collect();
    let path = "dropped/cc-0.jsonl.zst".to_owned();
    let (bytes, blake3) = pack(&folder.path().join(&path), rows);
    let manifest = Manifest {
        format: 2,
        schema: schema.to_owned(),
        accounting: ManifestAccounting {
            published: shards.iter().map(|shard| shard.documents).sum(),
            ..ManifestAccounting::default()
        },
        shards,
        dropped: vec![DroppedEntry { path, bytes, blake3, rows: rows.len() as u64 }],
        ..Manifest::default()
    };
    fs::write(folder.path().join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    folder
}

/// A file beside the corpus.
fn listing_of(a: &TempDir) -> std::path::PathBuf {
    a.path().with_extension("listing")
}

fn arguments(a: &TempDir, b: &TempDir, memory: u64, threads: usize) -> DiffArgs {
    let name = |folder: &TempDir| folder.path().to_str().unwrap().to_owned();
    DiffArgs {
        a: name(a),
        b: name(b),
        documents: Some(listing_of(a)),
        json: false,
        memory: Bytes(memory),
        scratch: Some(b.path().to_owned()),
        threads: Some(threads),
    }
}

fn pair() -> (TempDir, TempDir) {
    let a = corpus(
        &[
            &[kept("same", "1"), kept("changed", "2"), kept("dropped", "3")],
            &[kept("renamed", "4"), kept("unread", "5")],
        ],
        &[
            lost("brought", "dropped", "filters/x"),
            lost("neither", "dropped", "filters/x"),
            lost("both", "dropped", "filters/y"),
        ],
    );
    let b = corpus(
        &[&[
            kept("new-name", "4"),
            kept("brought", "6"),
            kept("changed", "2 and more"),
            kept("same", "1"),
        ]],
        &[
            lost("dropped", "dropped", "filters/x"),
            lost("neither", "quarantined", "gzip_damaged"),
            lost("both", "dropped", "filters/y"),
        ],
    );
    (a, b)
}

#[test]
fn each_kind_of_difference_is_counted_once_whatever_the_memory_and_threads() {
    let (a, b) = pair();
    let diff = arguments(&a, &b, 1 << 28, 1).run().unwrap();
    let found = |other: &str| Found { source: "cc".into(), other: other.into(), documents: 1 };
    assert!(!diff.equal);
    assert_eq!(
        diff.sources,
        [SourceDiff { source: "cc".into(), same: 1, changed: 1, only_in_a: 3, only_in_b: 2 }]
    );
    assert_eq!(diff.only_in_a, [found("dropped: filters/x"), found(UNKNOWN), found(ELSEWHERE)]);
    assert_eq!(diff.only_in_b, [found("dropped: filters/x"), found(ELSEWHERE)]);
    let [other] = &diff.other_reasons[..] else { panic!("{:?}", diff.other_reasons) };
    assert_eq!((&*other.a, &*other.b), ("dropped: filters/x", "quarantined: gzip_damaged"));
    let listing = fs::read_to_string(listing_of(&a)).unwrap();
    assert_eq!(listing.lines().count(), 7, "two lines of a change, five of others: {listing}");
    for (memory, threads) in [(1, 1), (300, 4)] {
        assert_eq!(arguments(&a, &b, memory, threads).run().unwrap(), diff);
        assert_eq!(fs::read_to_string(listing_of(&a)).unwrap(), listing);
    }
    let text = diff.to_string();
    assert!(text.starts_with("A has 5 documents, B has 4\n"), "{text}");
}

#[test]
fn a_corpus_equals_itself_in_other_shards() {
    let documents = [kept("1", "one"), kept("2", "two"), kept("2", "two")];
    let rows = [lost("3", "dropped", "filters/x")];
    let whole = corpus(&[&documents], &rows);
    let parts = corpus(&[&documents[2..], &documents[..2]], &rows);
    let diff = arguments(&whole, &parts, 1, 2).run().unwrap();
    assert!(diff.equal && diff.sources[0].same == 3, "{diff:?}");
    assert_eq!(fs::read_to_string(listing_of(&whole)).unwrap(), "");
    assert!(diff.to_string().starts_with("both have the same 3 documents\n"), "{diff}");
}

#[test]
fn documents_without_hashes_are_compared_by_their_texts() {
    let published = |text: &str, line: u64| {
        let meta = json!({"url": format!("http://x/{line}")});
        json!({"text": text, "meta": meta, "source": format!("cc/dump/file/line{line}")})
    };
    let [a, b] = ["one", "two"].map(|text| {
        let rows = [published(text, 1), published("same", 2)];
        corpus_in("redpajama-v1", &[&rows], &[])
    });
    assert!(compare_both(&a, &a).equal);
    // `source` names the place of a document there.
    let expected = SourceDiff { source: "cc".into(), same: 1, changed: 1, ..Default::default() };
    assert_eq!(compare_both(&a, &b).sources, [expected]);
}

fn compare_both(a: &TempDir, b: &TempDir) -> CorpusDiff {
    DiffArgs { documents: None, ..arguments(a, b, 1, 1) }.run().unwrap()
}

#[test]
fn a_list_is_not_written_into_a_corpus() {
    let (a, b) = pair();
    let shard = b.path().join("documents/cc-0.jsonl.zst");
    let before = fs::read(&shard).unwrap();
    for place in [shard.clone(), b.path().join("new"), a.path().join("dropped/../manifest.json")] {
        let arguments = DiffArgs { documents: Some(place), ..arguments(&a, &b, 1, 1) };
        let error = arguments.run().unwrap_err().to_string();
        assert!(error.contains("hint: name a file outside of both corpora"), "{error}");
    }
    assert_eq!(fs::read(&shard).unwrap(), before);
}

#[test]
fn a_corpus_of_token_files_has_no_documents_to_compare() {
    let (a, b) = pair();
    let path = b.path().join("manifest.json");
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest.shards.clear();
    manifest.tokens.push(crate::stages::TokenEntry {
        path: "tokens/x.bin".to_owned(),
        source: "cc".to_owned(),
        split: None,
        bytes: 0,
        blake3: String::new(),
        documents: 4,
        tokens: 4,
    });
    fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    let arguments = DiffArgs { documents: None, ..arguments(&a, &b, 1, 1) };
    let error = arguments.run().unwrap_err().to_string();
    assert!(error.contains("only token files\nhint: "), "{error}");
}

#[test]
fn a_damaged_corpus_is_not_compared() {
    let (a, b) = pair();
    let path = b.path().join("documents/cc-0.jsonl.zst");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = arguments(&a, &b, 1, 1).run().unwrap_err().to_string();
    assert!(error.contains("cc-0.jsonl.zst` differs from its manifest\nhint: `thresher verify`"));
}
