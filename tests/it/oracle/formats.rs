//! Every form of an output at once (JSON lines, Parquet, token files, splits, folders of
//! languages): the same bytes in any world, and `verify` notices when any of them is altered.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use thresher_tests::job::JobText;
use thresher_tests::process::{Leftovers, output, succeed, thresher};

use super::kills::run_under_fire;
use super::models::tokenizer;
use super::slices::{job as slices, make_inputs};
use super::{clean, places, published, run, verify};

/// Exit status of `verify` for an output that differs from its manifest.
const DIFFERENT: i32 = 6;

/// A job over every slice, in every form.
fn job(inputs: &Path) -> JobText {
    let tokenizer = format!("\"{}\"", tokenizer(inputs).display());
    slices(inputs).set("tokenizer", &tokenizer).set(
        "shard_bytes",
        "\"100kB\"\nformats = [\"parquet\", \"jsonl\"]\nfolders = \"language\"\nfilter_values = true\n\
         splits.validation = \"10 %\"\ntokens.formats = [\"megatron\", \"olmo\"]\n\
         tokens.file_bytes = \"60kB\"",
    )
}

fn manifest(output: &Path) -> Value {
    serde_json::from_slice(&fs::read(output.join("manifest.json")).unwrap()).unwrap()
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Reads a pair as a trainer does: the tokens of each document.
fn documents_of(prefix: &Path) -> Vec<Vec<u16>> {
    let (bin, idx) = (prefix.with_extension("bin"), prefix.with_extension("idx"));
    let (bin, idx) = (fs::read(bin).unwrap(), fs::read(idx).unwrap());
    assert_eq!(&idx[..9], b"MMIDIDX\0\0");
    assert_eq!((number(&idx, 9), idx[17]), (1, 8));
    let n = number(&idx, 18) as usize;
    assert_eq!(number(&idx, 26) as usize, n + 1);
    assert_eq!(idx.len(), 34 + 4 * n + 8 * n + 8 * (n + 1));
    let mut documents = Vec::new();
    for place in 0..n {
        let length = &idx[34 + 4 * place..][..4];
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let start = number(&idx, 34 + 4 * n + 8 * place) as usize;
        assert_eq!(number(&idx, 34 + 12 * n + 8 * place) as usize, place);
        let tokens = bin[start..start + 2 * length].chunks_exact(2);
        documents.push(tokens.map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect());
    }
    let all: usize = documents.iter().map(Vec::len).sum();
    assert_eq!(all * 2, bin.len());
    documents
}

/// The numbers of tokens of all published documents of a source and a side, in order.
fn counted(output: &Path, source: &str, side: &str) -> Vec<u64> {
    let manifest = manifest(output);
    let mut counted = Vec::new();
    for shard in manifest["shards"].as_array().unwrap() {
        if shard["format"] == "jsonl" && shard["source"] == source && shard["split"] == side {
            let file = fs::File::open(output.join(shard["path"].as_str().unwrap())).unwrap();
            let text = zstd::decode_all(file).unwrap();
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let row: Value = serde_json::from_slice(line).unwrap();
                counted.push(row["tokens"].as_u64().unwrap());
            }
        }
    }
    counted
}

#[test]
fn every_form_of_an_output_has_the_same_bytes_in_any_world() {
    let inputs = tempfile::tempdir().unwrap();
    make_inputs(inputs.path());
    let text = job(inputs.path());
    let quiet = tempfile::tempdir().unwrap();
    let (corpus, state) = places(quiet.path());
    succeed(run(&text.write(quiet.path()), &state).args(["--workers", "1", "--slots", "1"]));
    verify(&corpus);
    let reference = published(&corpus);
    let has = |part: &str| reference.keys().any(|path| path.contains(part));
    for part in [
        "documents/train/en/commoncrawl-00000.jsonl.zst",
        "parquet/train/en/commoncrawl-00000.parquet",
        "parquet/validation/",
        "tokens/megatron/commoncrawl-train",
        "tokens/olmo/commoncrawl-train-00000.npy",
        "tokens/megatron/neox.yml",
        "README.md",
        "croissant.json",
        "B3SUMS",
    ] {
        assert!(has(part), "{part}: {reference:?}");
    }
    the_tokens_are_those_of_the_documents(&corpus);
    documents_have_what_filters_measured(&corpus);

    let other = tempfile::tempdir().unwrap();
    let (corpus, state) = places(other.path());
    succeed(run(&text.write(other.path()), &state).args(["--workers", "3", "--slots", "2"]));
    assert_eq!(published(&corpus), reference);

    let seed = 5;
    println!("seed {seed}");
    let fire = tempfile::tempdir().unwrap();
    let (corpus, state) = places(fire.path());
    let _leftovers = Leftovers(state.clone());
    run_under_fire(&text.write(fire.path()), &state, seed, 400);
    clean(&corpus);
    verify(&corpus);
    assert_eq!(published(&corpus), reference, "seed {seed}");
}

/// Documents whose source has filters say what these measured; the others have null.
fn documents_have_what_filters_measured(corpus: &Path) {
    let manifest = manifest(corpus);
    let rows_of = |source: &str| {
        let shards = manifest["shards"].as_array().unwrap().iter();
        let ours = shards.filter(|it| it["format"] == "jsonl" && it["source"] == source);
        let mut rows: Vec<Value> = Vec::new();
        for shard in ours {
            let file = fs::File::open(corpus.join(shard["path"].as_str().unwrap())).unwrap();
            let text = zstd::decode_all(file).unwrap();
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            rows.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
        }
        assert!(!rows.is_empty(), "{source}");
        rows
    };
    for row in rows_of("commoncrawl") {
        let values = row["filter_values"].as_str().unwrap();
        let values: Value = serde_json::from_str(values).unwrap();
        let words = values["gopher_quality/too_few_words"].as_u64().unwrap();
        assert!((50..=100_000).contains(&words), "{row}");
    }
    assert!(rows_of("wikipedia").iter().all(|row| row["filter_values"].is_null()));
}

/// The pairs of a source hold each of its documents once, with a token after each; those of several
/// files follow each other.
fn the_tokens_are_those_of_the_documents(corpus: &Path) {
    let manifest = manifest(corpus);
    let entries = manifest["tokens"].as_array().unwrap();
    let mut pairs: BTreeMap<(String, String), Vec<Vec<u16>>> = BTreeMap::new();
    let mut several = false;
    for entry in entries {
        let path = entry["path"].as_str().unwrap();
        let Some(prefix) = path.strip_suffix(".bin") else { continue };
        several |= prefix.contains("/00001_text_document");
        let text = |key: &str| entry[key].as_str().unwrap().to_owned();
        let documents = documents_of(&corpus.join(prefix));
        assert_eq!(documents.len() as u64, entry["documents"], "{path}");
        pairs.entry((text("source"), text("split"))).or_default().extend(documents);
    }
    assert!(several, "no source has several pairs: {entries:?}");
    assert!(pairs.len() > 8, "{:?}", pairs.keys());
    for ((source, side), documents) in pairs {
        let mut expected = counted(corpus, &source, &side);
        let mut found: Vec<u64> = documents.iter().map(|it| it.len() as u64 - 1).collect();
        assert!(documents.iter().all(|it| it.last() == Some(&0)), "{source} {side}");
        // Folders of languages have another order than the tokens.
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{source} {side}");
    }
}

#[test]
fn a_seed_shuffles_tokens_and_keeps_every_document() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = format!("[tokens]\ntokenizer = \"{}\"", tokenizer(folder.path()).display());
    let tokens = |order: &str| {
        let place = tempfile::tempdir().unwrap();
        let more = format!("tokens.formats = [\"megatron\"]\ntokens.order = \"{order}\"");
        let text = JobText::sample_times(1, folder.path()).append(&tokenizer);
        let text = text.set("shard_bytes", &format!("\"30kB\"\n{more}"));
        let (corpus, state) = places(place.path());
        succeed(&mut run(&text.write(place.path()), &state));
        verify(&corpus);
        documents_of(&corpus.join("tokens/megatron/commoncrawl_text_document"))
    };
    let (canonical, first, second) =
        (tokens("canonical"), tokens("shuffled:1"), tokens("shuffled:2"));
    assert_eq!(first, tokens("shuffled:1"));
    assert!(first != canonical && first != second);
    let sorted = |mut documents: Vec<Vec<u16>>| {
        documents.sort();
        documents
    };
    let canonical = sorted(canonical);
    assert!(canonical.len() > 20, "{}", canonical.len());
    assert_eq!(sorted(first), canonical);
    assert_eq!(sorted(second), canonical);
}

#[test]
fn an_altered_file_of_any_form_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = format!("[tokens]\ntokenizer = \"{}\"", tokenizer(folder.path()).display());
    let text = JobText::sample_times(1, folder.path()).append(&tokenizer);
    let more = "\"200kB\"\nformats = [\"parquet\"]\ntokens.formats = [\"megatron\", \"olmo\"]";
    let (corpus, state) = places(folder.path());
    succeed(&mut run(&text.set("shard_bytes", more).write(folder.path()), &state));
    verify(&corpus);
    // Documents are found in Parquet alone, too.
    let page = "https://libreoffice-help-en-us.example/en-US/text/swriter/guide/table_delete.html";
    let traced = succeed(thresher().arg("trace").arg(&corpus).arg(page));
    assert!(traced.contains("published in `parquet/commoncrawl-00000.parquet`"), "{traced}");
    for path in [
        "README.md",
        "croissant.json",
        "B3SUMS",
        "parquet/commoncrawl-00000.parquet",
        "tokens/megatron/commoncrawl_text_document.bin",
        "tokens/megatron/commoncrawl_text_document.idx",
        "tokens/megatron/data-path.txt",
        "tokens/olmo/commoncrawl-00000.npy",
    ] {
        let path = corpus.join(path);
        let whole = fs::read(&path).unwrap();
        let mut altered = whole.clone();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        fs::write(&path, &altered).unwrap();
        let found = output(thresher().arg("verify").arg(&corpus));
        assert_eq!(found.status.code(), Some(DIFFERENT), "{}: {found:?}", path.display());
        fs::write(&path, &whole).unwrap();
    }
    verify(&corpus);
}

#[test]
fn a_readme_that_no_job_wrote_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (corpus, state) = places(folder.path());
    fs::create_dir(&corpus).unwrap();
    fs::write(corpus.join("README.md"), "mine").unwrap();
    let job = JobText::sample_times(1, folder.path()).write(folder.path());
    let refused = output(&mut run(&job, &state));
    assert!(!refused.status.success(), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("README.md` exists") && said.contains("hint: "), "{said}");
    assert_eq!(fs::read_to_string(corpus.join("README.md")).unwrap(), "mine");
    fs::remove_file(corpus.join("README.md")).unwrap();
    succeed(&mut run(&job, &state));
    verify(&corpus);
}

#[test]
fn a_corpus_that_is_tokenised_later_has_the_pair_that_its_job_would_have_written() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(folder.path());
    let table = format!("[tokens]\ntokenizer = \"{}\"", tokenizer.display());
    let at_once = JobText::sample_times(1, folder.path()).append(&table);
    let at_once = at_once.set("shard_bytes", "\"30kB\"\ntokens.formats = [\"megatron\"]");
    let first = tempfile::tempdir().unwrap();
    let (corpus, state) = places(first.path());
    succeed(&mut run(&at_once.write(first.path()), &state));

    let second = tempfile::tempdir().unwrap();
    let (plain, state) = places(second.path());
    succeed(&mut run(&JobText::sample_times(1, folder.path()).write(second.path()), &state));
    let tokens = second.path().join("tokens");
    let mut command = thresher();
    command.arg("tokenize").arg(&plain).arg("--tokenizer").arg(&tokenizer);
    succeed(command.arg("-o").arg(&tokens).current_dir(second.path()));
    verify(&tokens);
    for ending in ["bin", "idx"] {
        let path = format!("tokens/megatron/commoncrawl_text_document.{ending}");
        let read = |output: &Path| fs::read(output.join(&path)).unwrap();
        assert_eq!(read(&tokens), read(&corpus), "{path}");
    }
    assert!(!tokens.join("documents").try_exists().unwrap());
}

#[test]
fn a_mix_has_each_part_as_often_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let (corpus, state) = places(folder.path());
    succeed(&mut run(&JobText::sample_times(1, folder.path()).write(folder.path()), &state));
    let documents = manifest(&corpus)["accounting"]["published"].as_u64().unwrap();
    let file = folder.path().join("mix.toml");
    let text = "[mix]\nname = \"mixed\"\ndocuments = 0\n[[take]]\nname = \"web\"\n\
                corpus = \"corpus\"\nepochs = 2.25\n[output]\npath = \"mixed\"\n";
    fs::write(&file, text).unwrap();
    let shown = output(thresher().arg("mix").arg(&file).arg("--dry-run"));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("2.2500 epochs"), "{shown:?}");
    succeed(thresher().arg("mix").arg(&file));
    let mixed = folder.path().join("mixed");
    verify(&mixed);
    let part = (documents as f64 * 0.25).round() as u64;
    let found = manifest(&mixed);
    assert_eq!(found["accounting"]["published"], 2 * documents + part);
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for shard in found["shards"].as_array().unwrap() {
        let file = fs::File::open(mixed.join(shard["path"].as_str().unwrap())).unwrap();
        let text = zstd::decode_all(file).unwrap();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let row: Value = serde_json::from_slice(line).unwrap();
            *times.entry(row["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(times.len() as u64, documents);
    assert_eq!(times.values().filter(|times| **times == 3).count() as u64, part);
    assert!(times.values().all(|times| (2..=3).contains(times)), "{times:?}");
}

#[test]
fn the_side_of_a_split_is_chosen_for_a_sample() {
    let folder = tempfile::tempdir().unwrap();
    let (corpus, state) = places(folder.path());
    let text = JobText::sample_times(1, folder.path());
    let text = text.set("shard_bytes", "\"200kB\"\nsplits.validation = \"20 %\"");
    succeed(&mut run(&text.write(folder.path()), &state));
    verify(&corpus);
    let sample = folder.path().join("sample");
    let command = |side: &[&str]| {
        let mut command = thresher();
        command.arg("sample").arg(&corpus).args(["--rate", "50%", "-o"]).arg(&sample).args(side);
        output(&mut command)
    };
    let refused = command(&[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("`--split train`"), "{said}");
    assert!(command(&["--split", "train"]).status.success());
    verify(&sample);
    let of = |corpus: &Path, side: Option<&str>| {
        let counts = manifest(corpus)["counts"].as_array().unwrap().clone();
        let chosen = counts.iter().filter(|count| count["split"].as_str() == side);
        chosen.map(|count| count["documents"].as_u64().unwrap()).sum::<u64>()
    };
    let (train, validation) = (of(&corpus, Some("train")), of(&corpus, Some("validation")));
    assert!(train > 2 * validation && validation > 20, "{train} {validation}");
    let found = manifest(&sample)["accounting"]["records_in"].as_u64().unwrap();
    assert_eq!(found, train);
}
