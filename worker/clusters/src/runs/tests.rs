//! Files are what was pushed, in any order and memory, and damage is reported by name.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const FORMAT: RunFormat =
    RunFormat { kind: Kind(*b"TEST"), division: 4, compression: Compression::None };

type Record = (u32, Vec<u8>, Vec<u8>);

fn written(records: &[Record], memory_bytes: usize, folder: &TempDir) -> Vec<u8> {
    let mut writer = RunWriter::new(Vec::new(), FORMAT, memory_bytes, folder.path()).unwrap();
    for (part, key, payload) in records {
        writer.push(*part, key, payload).unwrap();
    }
    writer.finish().unwrap()
}

fn file(folder: &TempDir, number: u32, bytes: &[u8]) -> RunFile {
    let path = folder.path().join(format!("{number}.runs"));
    fs::write(&path, bytes).unwrap();
    RunFile { number, path }
}

fn read(files: &[RunFile], part: u32, open_files: usize) -> Result<Vec<Record>, RunsError> {
    let files = RunFiles::open(files, FORMAT, part, open_files)?;
    let mut merge = files.merge()?;
    let mut records = Vec::new();
    let decode = |key: &[u8], payload: &[u8]| Some((part, key.to_vec(), payload.to_vec()));
    while let Some(record) = merge.next_decoded(decode)? {
        records.push(record);
    }
    Ok(records)
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let bytes = |most| prop::collection::vec(0_u8..4, 0..most);
    prop::collection::vec((0_u32..4, bytes(4), bytes(300)), 0..120)
}

proptest! {
    #[test]
    fn a_file_is_what_was_pushed_in_any_order_and_memory(
        (records, shuffled) in records().prop_flat_map(|records| {
            (Just(records.clone()), Just(records).prop_shuffle())
        }),
        memory_bytes in 0_usize..20_000,
        groups in 1_usize..5,
        open_files in 0_usize..5,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let bytes = written(&records, usize::MAX, &folder);
        prop_assert!(bytes == written(&shuffled, memory_bytes, &folder));

        let parts = shuffled.chunks(records.len().div_ceil(groups).max(1));
        let files: Vec<RunFile> = (0..).zip(parts)
            .map(|(number, part)| file(&folder, number, &written(part, memory_bytes, &folder)))
            .collect();
        let mut expected: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
        for record in records {
            expected.entry(record.0).or_default().push(record);
        }
        for part in 0..5 {
            let mut expected = expected.remove(&part).unwrap_or_default();
            expected.sort();
            prop_assert_eq!(read(&files, part, open_files).unwrap(), expected);
        }
    }
}

/// Enough records for several blocks of two parts, and several blocks in each run.
fn many() -> Vec<Record> {
    let record = |at: u32| (at % 2, at.to_be_bytes().to_vec(), vec![at as u8; 5000]);
    (0..400).map(record).collect()
}

#[test]
fn runs_of_many_blocks_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written(&many(), usize::MAX, &folder);
    assert_eq!(written(&many(), 1 << 20, &folder), bytes);
    let files = [file(&folder, 0, &bytes)];
    let found = read(&files, 1, 1).unwrap();
    assert_eq!(found, many().into_iter().filter(|record| record.0 == 1).collect::<Vec<_>>());
}

#[test]
fn a_changed_byte_is_reported_with_the_file_and_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let small: Vec<Record> = (0..9).map(|at| (at % 2, vec![at as u8], vec![7; 3])).collect();
    let good = written(&small, usize::MAX, &folder);
    let other = file(&folder, 8, &good);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        let files = [other.clone(), file(&folder, 9, &bad)];
        let read = (0..2).try_for_each(|part| read(&files, part, 2).map(|_| ()));
        let error = read.unwrap_err();
        assert_eq!(error.number, 9, "byte {at}");
        assert!(error.to_string().contains("9.runs"), "byte {at}: {error}");
    }
    fs::remove_file(&other.path).unwrap();
    assert!(read(&[other], 0, 2).unwrap_err().to_string().contains("8.runs"));
}

#[test]
fn a_file_with_other_content_than_records_in_order_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let block = |records: &[(&[u8], &[u8])]| {
        let mut block = Vec::new();
        records.iter().for_each(|(key, payload)| put_record(&mut block, key, payload));
        block
    };
    let in_order = block(&[(b"\0\0\0\0a", b""), (b"\0\0\0\0b", b"")]);
    let cases: [(&[u8], u64, u32, &str); 6] = [
        (&in_order, 2, 4, ""),
        (&in_order, 3, 4, "another number of records"),
        (&in_order, 2, 5, "other parts"),
        (&block(&[(b"\0\0\0\0b", b""), (b"\0\0\0\0a", b"")]), 2, 4, "not in order"),
        (&block(&[(b"\0\0\0\0a", b""), (b"\0\0\0\x01b", b"")]), 2, 4, "another part"),
        (&[255; 40], 2, 4, "not made of records"),
    ];
    for (block, records, division, expected) in cases {
        let mut writer = BlockWriter::new(Vec::new(), FORMAT.kind, Compression::None).unwrap();
        writer.push(0, 2, block).unwrap();
        let summary = serde_json::to_vec(&Summary { division, records }).unwrap();
        let files = [file(&folder, 3, &writer.finish(&summary).unwrap())];
        match read(&files, 0, 1) {
            Ok(records) => assert!(expected.is_empty() && records.len() == 2),
            Err(error) => {
                assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}");
            }
        }
    }
}

#[test]
fn a_sink_and_a_scratch_folder_that_fail_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let mut writer = RunWriter::new(Vec::new(), FORMAT, 0, &missing).unwrap();
    writer.push(0, b"a", b"").unwrap();
    let error = writer.push(0, b"b", b"").unwrap_err();
    assert!(matches!(&error, RunWriteError::Scratch(_)));
    assert!(error.to_string().contains("missing"), "{error}");
    let mut short = [0; 64];
    let mut writer = RunWriter::new(&mut short[..], FORMAT, 1 << 20, folder.path()).unwrap();
    writer.push(0, b"a", &[7; 100]).unwrap();
    assert!(matches!(writer.finish(), Err(RunWriteError::Output(_))));
}
