//! Tests that documents and rows are read back as they were written, and that damage is attributed
//! to the unit.

use tempfile::TempDir;
use thresher_formats::blocks::BlockFile;

use super::*;
use crate::staging::{RowVerdict, StagedDocument, StagedLabel};

fn facts() -> UnitFacts {
    UnitFacts { inputs: Vec::new(), recipe_files: BTreeMap::new(), tally: Tally::default() }
}

fn document<'a>(id: &'a str, text: &'a str) -> StagedDocument<'a> {
    StagedDocument {
        id,
        text,
        licence: Some("cc-by"),
        language_score: Some(0.1),
        perplexity: Some(f64::MIN_POSITIVE),
        classified: Some(StagedLabel { label: "__label__cc", probability: 0.3, score: 0.7 }),
        offset: u64::MAX,
        content_hash: [7; 32],
        meta: Some(r#"{"a":null}"#),
        ..StagedDocument::default()
    }
}

/// Writes `count` documents, every third one withdrawn, and returns the file's path.
fn written(folder: &TempDir, count: u32, text: &str) -> std::path::PathBuf {
    let mut writer = DocumentWriter::new(Vec::new()).unwrap();
    for number in 0..count {
        let id = number.to_string();
        let is_withdrawn = number % 3 == 2;
        let staged = if is_withdrawn {
            Staged::Withdrawn(StagedRow { id: &id, reason: "x/y", ..StagedRow::default() })
        } else {
            Staged::Document(Box::new(document(&id, text)))
        };
        let address = (number % 2 == 0).then_some(u64::from(number) << 40);
        let summary = DocumentSummary {
            rendered_bytes: number,
            is_withdrawn,
            address,
            ..DocumentSummary::default()
        };
        writer.push(&staged, summary).unwrap();
    }
    let path = folder.path().join("documents");
    std::fs::write(&path, writer.finish(&facts()).unwrap()).unwrap();
    path
}

#[test]
fn documents_are_read_back_from_any_place() {
    let folder = TempDir::new().unwrap();
    // Several documents a block, several blocks.
    let text = "é\n\u{0}\"".repeat(20_000);
    let file = DocumentFile::open(&written(&folder, 100, &text), 4).unwrap();
    assert!(file.metadata.document_blocks > 2);
    for (first, last) in [(0, u32::MAX), (0, 1), (11, 60), (99, u32::MAX), (5, 5), (100, u32::MAX)]
    {
        let mut places = Vec::new();
        file.for_each(first, last, |place, staged| {
            let id = place.to_string();
            match staged {
                Staged::Document(found) => assert_eq!(*found, document(&id, &text)),
                Staged::Withdrawn(row) => assert_eq!((row.id, place % 3), (id.as_str(), 2)),
            }
            places.push(place);
            Ok(())
        })
        .unwrap();
        assert!(places.into_iter().eq(first..last.min(100)), "{first}..{last}");
    }
    let summaries = file.summaries().unwrap();
    assert_eq!(summaries.len(), 100);
    assert_eq!(file.addressed(), 50);
    assert_eq!(summaries[64].address, Some(64 << 40));
    assert!(summaries[65].is_withdrawn && summaries[65].rendered_bytes == 65);
    assert_eq!(file.facts().unwrap(), facts());
}

#[test]
fn a_unit_without_documents_writes_a_file_too() {
    let folder = TempDir::new().unwrap();
    let file = DocumentFile::open(&written(&folder, 0, ""), 4).unwrap();
    assert!(file.summaries().unwrap().is_empty());
    file.for_each(0, u32::MAX, |_, _| panic!("there is no document")).unwrap();
}

#[test]
fn rows_are_read_back() {
    let folder = TempDir::new().unwrap();
    let mut writer = DropWriter::new(Vec::new()).unwrap();
    let row = |id| StagedRow {
        id,
        verdict: RowVerdict::Quarantined,
        record: 1 << 50,
        ..StagedRow::default()
    };
    for id in ["a", "b"] {
        writer.push(&row(id)).unwrap();
    }
    let path = folder.path().join("dropped");
    std::fs::write(&path, writer.finish().unwrap()).unwrap();
    let mut seen = 0;
    let rows = DropFile::open(&path, 0).unwrap();
    rows.for_each(|found| {
        assert_eq!(*found, row(["a", "b"][seen]));
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn a_file_of_another_encoding_is_refused_with_both_versions() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("documents");
    let file = BlockWriter::new(Vec::new(), DOCUMENTS, Compression::None).unwrap();
    let metadata = Metadata {
        encoding: ENCODING + 1,
        documents: 0,
        document_blocks: 0,
        addressed: 0,
        facts: facts(),
    };
    let bytes = file.finish(&serde_json::to_vec(&metadata).unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let error = DocumentFile::open(&path, 0).err().unwrap().to_string();
    let [theirs, ours] = [format!("encoding {}", ENCODING + 1), format!("reads {ENCODING}")];
    assert!(error.contains(&theirs) && error.contains(&ours), "{error}");
}

#[test]
fn a_record_that_cannot_be_decoded_is_damage_of_its_unit() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("dropped");
    for payload in [&b"\x02\0\0\0\xff\xff"[..], b"\x09\0\0\0a"] {
        let mut file = BlockWriter::new(Vec::new(), DROPPED, Compression::None).unwrap();
        file.push(0, 1, payload).unwrap();
        std::fs::write(&path, file.finish(b"").unwrap()).unwrap();
        assert!(BlockFile::open(&path, DROPPED).is_ok());
        let error = DropFile::open(&path, 12).unwrap().for_each(|_| Ok(()));
        assert!(
            matches!(&error, Err(UnitError::Damaged { producer, .. }) if producer.ordinal == 12),
            "{error:?}"
        );
    }
}
