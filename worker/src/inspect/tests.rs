//! Tests with an output made by hand, which is sound at first, and then damaged in one way each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::stages::{
    DroppedEntry, InputEntry, Manifest, ManifestAccounting, SHARD_FOLDER, ShardEntry,
};
use serde_json::json;

const SHARDS: [&str; 2] = ["documents/cc-00000.jsonl.zst", "documents/cc-00001.jsonl.zst"];
const DROPPED: &str = "dropped/cc-00000.jsonl.zst";

/// Two shards with two and one documents, and three rows: too short, duplicate, quarantined.
fn output() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(SHARD_FOLDER)).unwrap();
    fs::create_dir(folder.path().join("dropped")).unwrap();
    let lines = [
        vec![document("a", "http://x/a?q=\"1\"", 1), document("b", "http://x/b", 2)],
        vec![document("c", "http://x/c", 3)],
    ];
    let twin = format!("content_hash {}", hash_of("b"));
    let rows = vec![
        row("d", "http://x/d", ("dropped", "commoncrawl/too_short", "")),
        row("e", "http://x/e", ("dropped", "dedup/duplicate_document", &twin)),
        row("", "", ("quarantined", "gzip_damaged", "at byte 5")),
    ];
    let shards = SHARDS.iter().zip(&lines).map(|(path, lines)| {
        let (bytes, blake3, json_bytes) = write(folder.path(), path, lines);
        let documents = lines.len() as u64;
        ShardEntry {
            path: (*path).to_owned(),
            format: thresher_job::Format::Jsonl,
            source: "cc".to_owned(),
            split: None,
            language: None,
            bytes,
            blake3,
            sha256: String::new(),
            documents,
            json_bytes,
        }
    });
    let shards: Vec<_> = shards.collect();
    let (bytes, blake3, _) = write(folder.path(), DROPPED, &rows);
    let count = |name: &str| (name.to_owned(), 1);
    let manifest = Manifest {
        format: 1,
        job_name: "hand-made".to_owned(),
        thresher: "0".to_owned(),
        schema: "uniform/1".to_owned(),
        recipe: String::new(),
        recipe_files: BTreeMap::new(),
        accounting: ManifestAccounting {
            records_in: 6,
            published: 3,
            dropped: BTreeMap::from([
                count("commoncrawl/too_short"),
                count("dedup/duplicate_document"),
            ]),
            quarantined: BTreeMap::from([count("gzip_damaged")]),
        },
        shards,
        dropped: vec![DroppedEntry { path: DROPPED.to_owned(), bytes, blake3, rows: 3 }],
        inputs: vec![InputEntry {
            path: "in.gz".to_owned(),
            piece: None,
            bytes: 9,
            blake3: String::new(),
        }],
        ..Manifest::default()
    };
    save(folder.path(), &manifest);
    fs::write(folder.path().join("report.json"), REPORT_JSON).unwrap();
    fs::write(folder.path().join("REPORT.md"), "# Report\n").unwrap();
    folder
}

/// A report of a version that wrote no checksums into it.
const REPORT_JSON: &str = "{\n  \"format\": 1\n}\n";

#[test]
fn an_altered_or_missing_report_is_found() {
    let output = output();
    let body = "{\n  \"format\": 1";
    let sums = format!(
        "{body},\n  \"checksums\": {{\n    \"report.json\": \"{}\",\n    \"REPORT.md\": \"{}\"\n  \
         }}\n}}\n",
        hash_of(body),
        hash_of("# Report\n")
    );
    fs::write(output.path().join("report.json"), sums).unwrap();
    assert_eq!(differences(output.path()), []);
    fs::write(output.path().join("REPORT.md"), "# Report of another\n").unwrap();
    let found = differences(output.path());
    assert!(
        matches!(&found[..], [Difference::Hash { path, .. }] if path == "REPORT.md"),
        "{found:?}"
    );
    fs::remove_file(output.path().join("REPORT.md")).unwrap();
    assert_eq!(differences(output.path()), [Difference::Missing { path: "REPORT.md".to_owned() }]);
}

#[test]
fn an_output_without_documents_is_not_sound() {
    let output = output();
    change(output.path(), |manifest| {
        manifest.shards.clear();
        manifest.accounting.published = 0;
        manifest.accounting.records_in = 3;
    });
    for shard in SHARDS {
        fs::remove_file(output.path().join(shard)).unwrap();
    }
    let report = verify(&output.path().into(), 2).unwrap();
    assert_eq!(report.differences, [Difference::NothingPublished { records_in: 3 }]);
    assert!(!report.sound && report.to_string().contains("nothing was published"), "{report}");
}

fn hash_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn document(id: &str, url: &str, record: u64) -> String {
    let document = json!({
        "id": id,
        "text": id,
        "source": "cc",
        "url": url,
        "language": "en",
        "input": "in.gz",
        "offset": record * 100,
        "record": record,
        "content_hash": hash_of(id),
    });
    format!("{document}\n")
}

fn row(id: &str, url: &str, (verdict, reason, detail): (&str, &str, &str)) -> String {
    let mut row = json!({
        "id": id,
        "url": url,
        "verdict": verdict,
        "reason": reason,
        "source": "cc",
        "input": "in.gz",
        "offset": 7,
        "record": 9,
    });
    if !detail.is_empty() {
        row["detail"] = json!(detail);
    }
    format!("{row}\n")
}

fn write(output: &Path, path: &str, lines: &[String]) -> (u64, String, u64) {
    let json = lines.concat();
    let packed = zstd::encode_all(json.as_bytes(), 3).unwrap();
    fs::write(output.join(path), &packed).unwrap();
    let hash = blake3::hash(&packed).to_hex().to_string();
    (packed.len() as u64, hash, json.len() as u64)
}

fn save(output: &Path, manifest: &Manifest) {
    fs::write(output.join(MANIFEST), serde_json::to_vec(manifest).unwrap()).unwrap();
}

fn change(output: &Path, edit: impl FnOnce(&mut Manifest)) {
    let mut manifest = read_manifest(&output.into()).unwrap();
    edit(&mut manifest);
    save(output, &manifest);
}

fn differences(output: &Path) -> Vec<Difference> {
    let report = verify(&output.into(), 3).unwrap();
    assert_eq!(report.sound, report.differences.is_empty());
    report.differences
}

#[test]
fn a_sound_output_is_sound_whatever_the_number_of_threads() {
    let output = output();
    let report = verify(&output.path().into(), 1).unwrap();
    assert_eq!(report.differences, []);
    assert_eq!((report.shards, report.documents, report.rows, report.records_in), (2, 3, 3, 6));
    assert!(report.sound && report.to_string().contains("is sound"), "{report}");
    assert_eq!(verify(&output.path().into(), 8).unwrap(), report);
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let output = output();
    let path = output.path().join(SHARDS[1]);
    let sound = fs::read(&path).unwrap();
    for place in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[place] ^= 1;
        fs::write(&path, bytes).unwrap();
        let found = differences(output.path());
        let hash = |d: &Difference| matches!(d, Difference::Hash { path, .. } if path == SHARDS[1]);
        assert!(found.iter().any(hash), "byte {place}: {found:?}");
    }
}

#[test]
fn a_missing_shard_and_a_surplus_file_are_named() {
    let output = output();
    fs::rename(output.path().join(SHARDS[0]), output.path().join("documents/other")).unwrap();
    let found = differences(output.path());
    assert_eq!(found[0], Difference::Missing { path: SHARDS[0].to_owned() });
    assert_eq!(found[1], Difference::Surplus { path: "documents/other".to_owned() });
    assert_eq!(found[2], Difference::Published { expected: 3, found: 1 });
}

#[test]
fn a_truncated_shard_is_damaged_and_of_another_length() {
    let output = output();
    let path = output.path().join(SHARDS[0]);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let found = differences(output.path());
    assert!(found.iter().any(|d| matches!(d, Difference::Damaged { .. })), "{found:?}");
    assert!(found.iter().any(|d| matches!(d, Difference::Bytes { .. })), "{found:?}");
}

#[test]
fn wrong_counts_of_the_manifest_are_found() {
    let output = output();
    change(output.path(), |manifest| {
        manifest.shards[0].documents = 5;
        manifest.shards[1].json_bytes += 1;
        manifest.dropped[0].rows = 2;
    });
    let path = |path: &str| path.to_owned();
    assert!(matches!(
        differences(output.path()).as_slice(),
        [
            Difference::Lines { path: first, expected: 5, found: 2 },
            Difference::JsonBytes { path: second, .. },
            Difference::Lines { path: third, expected: 2, found: 3 },
        ] if [first, second, third] == [&path(SHARDS[0]), &path(SHARDS[1]), &path(DROPPED)]
    ));
}

#[test]
fn sums_and_reasons_that_do_not_add_up_are_found() {
    let output = output();
    change(output.path(), |manifest| {
        let accounting = &mut manifest.accounting;
        accounting.dropped.remove("commoncrawl/too_short");
        accounting.quarantined.insert("gzip_damaged".to_owned(), 4);
    });
    let found = differences(output.path());
    assert_eq!(found[0], Difference::Sum { records_in: 6, accounted: 8 });
    assert_eq!(
        found[1..].iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "1 records are dropped as `commoncrawl/too_short`, not 0",
            "1 records are quarantined as `gzip_damaged`, not 4"
        ]
    );
}

#[test]
fn missing_units_of_the_manifest_are_reported_and_are_not_a_difference() {
    let output = output();
    change(output.path(), |manifest| {
        manifest.accounting.records_in = 10;
        manifest.absent_shards = vec![2];
    });
    let report = verify(&output.path().into(), 2).unwrap();
    assert_eq!((report.differences.as_slice(), report.unpublished), (&[][..], 4));
    assert!(report.to_string().contains("+ 4 in shards that failed"), "{report}");
    assert!(report.sound && report.has_missing_units());
    change(output.path(), |manifest| manifest.shards[0].documents = 5);
    assert!(!verify(&output.path().into(), 2).unwrap().sound);
}

#[test]
fn sums_that_overflow_are_a_difference() {
    let output = output();
    change(output.path(), |manifest| {
        for reason in ["a", "b"] {
            manifest.accounting.dropped.insert(reason.to_owned(), u64::MAX);
        }
    });
    let sum = Difference::Sum { records_in: 6, accounted: u64::MAX };
    assert_eq!(differences(output.path())[0], sum);
}

#[test]
fn an_output_without_a_manifest_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let error = verify(&folder.path().into(), 1).unwrap_err().to_string();
    assert!(error.contains("manifest.json") && error.contains("hint:"), "{error}");
    fs::write(folder.path().join(MANIFEST), "{}").unwrap();
    assert!(matches!(verify(&folder.path().into(), 1), Err(InspectError::BadManifest { .. })));
}

#[test]
fn a_page_is_traced_by_url_id_and_hash() {
    let output = output();
    let by_url = trace(&output.path().into(), "http://x/a?q=\"1\"", 2).unwrap();
    let [found] = by_url.sightings.as_slice() else { panic!("{by_url:?}") };
    assert_eq!(found.outcome, Outcome::Published);
    assert_eq!((found.input.as_str(), found.offset, found.record), ("in.gz", 100, 1));
    assert_eq!((found.file.as_str(), found.line), (SHARDS[0], 1));
    assert_eq!(trace(&output.path().into(), "a", 1).unwrap().sightings, by_url.sightings);
    assert_eq!(trace(&output.path().into(), &hash_of("a"), 1).unwrap().sightings, by_url.sightings);
    assert!(
        trace(&output.path().into(), "http://x/", 1).unwrap().sightings.is_empty(),
        "only whole URLs"
    );
}

#[test]
fn a_dropped_page_has_its_reason_and_a_duplicate_its_kept_document() {
    let output = output();
    let short = trace(&output.path().into(), "http://x/d", 2).unwrap();
    assert_eq!(short.sightings[0].reason.as_deref(), Some("commoncrawl/too_short"));
    let twice = trace(&output.path().into(), "http://x/e", 2).unwrap();
    let [found] = twice.sightings.as_slice() else { panic!("{twice:?}") };
    assert_eq!((found.outcome, found.file.as_str(), found.line), (Outcome::Dropped, DROPPED, 2));
    let [twin] = found.kept_documents.as_slice() else { panic!("{found:?}") };
    assert_eq!((twin.url.as_str(), twin.file.as_str(), twin.line), ("http://x/b", SHARDS[0], 2));
    assert!(twice.to_string().contains("kept    http://x/b"), "{twice}");
}

#[test]
fn a_quarantined_record_without_an_id_is_found_by_its_input() {
    let output = output();
    let found = trace(&output.path().into(), "in.gz", 2).unwrap();
    let [found] = found.sightings.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (found.outcome, found.reason.as_deref()),
        (Outcome::Quarantined, Some("gzip_damaged"))
    );
}

#[test]
fn records_of_the_old_schema_are_traced_too() {
    let output = output();
    let line = concat!(
        r#"{"text":"t", "source":"cc/x/in.gz/line4","meta":{"id":"f","url":"http://x/f","#,
        r#""language":"de","input":"in.gz","offset":40,"record":4,"content_hash":"00"}}"#,
        "\n"
    );
    write(output.path(), SHARDS[1], &[line.to_owned()]);
    let found = &trace(&output.path().into(), "http://x/f", 1).unwrap().sightings[0];
    assert_eq!((found.id.as_str(), found.offset, found.record), ("f", 40, 4));
    assert_eq!(found.source, "cc/x/in.gz/line4");
}

#[test]
fn a_survey_lists_inputs_and_measures_a_sample() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let job = "[job]\nname = \"a\"\n[[source]]\nslice = \"commoncrawl\"\n\
               listing = \"cc/whirlwind.warc.wet.gz\"\nbase = \".\"\n\
               [language]\nmodel = \"lid/lid.176.ftz\"\n[output]\npath = \"out\"\n";
    let job = thresher_job::JobSpec::parse(job, &testdata).unwrap();
    let survey = survey(&job, 8_000_000).unwrap();
    let source = &survey.sources[0];
    let bytes = fs::metadata(testdata.join("cc/whirlwind.warc.wet.gz")).unwrap().len();
    assert_eq!((source.inputs, source.bytes, source.units), (1, bytes, 1));
    let sample = source.sample;
    assert_eq!((sample.inputs, sample.bytes), (1, bytes));
    assert!(sample.records >= 1 && sample.lines >= sample.distinct_lines, "{sample:?}");
    assert!(survey.model_bytes > 0);
}

#[test]
fn a_survey_asks_the_users_commands_as_the_job_does() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "{\"text\":\"first\",\"url\":\"u\",\"timestamp\":\"t\"}\n\
                {\"text\":\"second\",\"url\":\"v\",\"timestamp\":\"t\"}\n";
    fs::write(folder.path().join("a.json"), rows).unwrap();
    let job = "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"*.json\"\nbase = \".\"\n\
               commands = [\"judge\"]\n[steps]\nc4 = []\n[language]\nmodel = \"none\"\n[tokens]\n\
               tokenizer = \"none\"\n[output]\npath = \"out\"\n[[command]]\nname = \"judge\"\n\
               run = [\"sh\", \"-c\", '''while read -r line; do case \"$line\" in\n\
               *second*) echo '{\"keep\": false, \"reason\": \"x\"}';;\n\
               *) echo '{\"keep\": true}';; esac; done''']\n";
    let job = thresher_job::JobSpec::parse(job, folder.path()).unwrap();
    let sample = survey(&job, 8_000_000).unwrap().sources[0].sample;
    assert_eq!((sample.pages, sample.documents), (2, 1), "{sample:?}");
}
