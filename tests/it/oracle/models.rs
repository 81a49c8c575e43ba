//! Jobs with every model: perplexity, a classifier trained here, tokens.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use thresher_tests::job::{JobText, root};
use thresher_tests::process::{output, succeed, thresher};

use super::{places, published, run, verify};

/// A classifier of German against French texts, trained by the product.
fn train(folder: &Path) -> PathBuf {
    let rows = std::fs::read_to_string(root().join("worker/testdata/lm/reference_scores.jsonl"));
    let (mut german, mut french) = (String::new(), String::new());
    for line in rows.unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let to = if row["lang"] == "de" { &mut german } else { &mut french };
        to.push_str(line);
        to.push('\n');
    }
    let (positive, negative) = (folder.join("de.jsonl"), folder.join("fr.jsonl"));
    std::fs::write(&positive, german).unwrap();
    std::fs::write(&negative, french).unwrap();
    let model = folder.join("wiki.bin");
    let mut command = thresher();
    command.args(["train", "classifier", "--epochs", "25", "--positive"]).arg(&positive);
    let trained = succeed(command.arg("--negative").arg(&negative).arg("-o").arg(&model));
    assert!(trained.contains("200 documents"), "{trained}");
    model
}

pub(super) fn tokenizer(folder: &Path) -> PathBuf {
    let packed = root().join("worker/testdata/tokens/gpt-neox-20b.json.gz");
    let mut text = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(std::fs::File::open(packed).unwrap());
    reader.read_to_end(&mut text).unwrap();
    let path = folder.join("tokenizer.json");
    std::fs::write(&path, text).unwrap();
    path
}

/// The sample's pages, scored by German models, whose language model is a quantised trie.
fn job(folder: &Path, perplexity: &str, classifier: &str) -> JobText {
    let models = root().join("worker/testdata/lm");
    let tables = format!(
        "[perplexity]\nmodels = \"{}\"\nlm = \"{{lang}}.trie-q8b8a22.bin\"\n{perplexity}\n\
         [classifier]\nmodel = \"{}\"\n{classifier}\n[tokens]\ntokenizer = \"{}\"\n",
        models.display(),
        train(folder).display(),
        tokenizer(folder).display()
    );
    JobText::sample_times(1, folder).append(&tables)
}

const KEEP_ALL: &str = "missing = \"all\"\nbuckets = [\"head\", \"middle\", \"tail\", \"all\"]";

/// Published bytes, and the report.
fn outcome(job: &JobText, workers: &str) -> (BTreeMap<String, String>, serde_json::Value, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (corpus, state) = places(folder.path());
    succeed(run(&job.write(folder.path()), &state).args(["--workers", workers, "--slots", "2"]));
    verify(&corpus);
    let report = std::fs::read_to_string(corpus.join("report.json")).unwrap();
    (published(&corpus), serde_json::from_str(&report).unwrap(), folder)
}

pub(super) fn documents(folder: &Path) -> Vec<serde_json::Value> {
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(folder.join("corpus/documents")).unwrap() {
        let packed = std::fs::read(entry.unwrap().path()).unwrap();
        let text = zstd::decode_all(packed.as_slice()).unwrap();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        rows.extend(lines.map(|l| serde_json::from_slice::<serde_json::Value>(l).unwrap()));
    }
    rows
}

#[test]
fn scores_and_tokens_are_published_and_workers_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(folder.path(), KEEP_ALL, "min_score = 0.0");
    let (files, report, place) = outcome(&job, "1");
    let rows = documents(place.path());
    let german: Vec<_> = rows.iter().filter(|row| row["language"] == "de").collect();
    assert!(german.len() > 5 && rows.len() > german.len(), "{} of {}", german.len(), rows.len());
    for row in &rows {
        let scored = row["language"] == "de";
        assert_eq!(row["perplexity"].is_number(), scored, "{row}");
        assert_eq!(row["bucket"] == "all", !scored, "{row}");
        assert!(row["tokens"].as_u64().unwrap() > 10, "{row}");
        assert!((0.0..=1.0).contains(&row["reference_score"].as_f64().unwrap()), "{row}");
    }
    let tokens: u64 = rows.iter().map(|row| row["tokens"].as_u64().unwrap()).sum();
    assert_eq!(report["scores"]["tokens_by_slice"]["commoncrawl"].as_u64(), Some(tokens));
    assert_eq!(outcome(&job, "3").0, files);
}

#[test]
fn pages_of_other_buckets_and_with_low_scores_are_dropped_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let perplexity = "missing = \"all\"\nbuckets = [\"tail\", \"all\"]";
    let (_, report, place) = outcome(&job(folder.path(), perplexity, "min_score = 0.5"), "2");
    let dropped = report["records"]["dropped"].as_object().unwrap();
    assert!(dropped["classifier/low_score"].as_u64().unwrap() > 0, "{dropped:?}");
    let buckets = report["scores"]["buckets"]["de"].as_object().unwrap();
    let better = |name: &str| buckets.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    for name in ["head", "middle"] {
        let counted = dropped.get(&format!("perplexity/{name}")).and_then(|n| n.as_u64());
        assert_eq!(counted.unwrap_or(0), better(name), "{name}: {dropped:?}");
    }
    for row in documents(place.path()) {
        assert!(row["bucket"] == "tail" || row["bucket"] == "all", "{row}");
        assert!(row["reference_score"].as_f64().unwrap() >= 0.5, "{row}");
    }
}

#[test]
fn a_job_whose_models_are_missing_says_which_file_and_where_it_may_be_had() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(folder.path(), "missing = \"fail\"", "").set("model", "\"none\"");
    let refused = output(run(&job.write(folder.path()), &places(folder.path()).1).arg("--json"));
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("perplexity.models") && text.contains("language.model"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let job = self::job(folder.path(), "missing = \"fail\"", "");
    let job = job.write(folder.path());
    let state = places(folder.path()).1;
    // Neither a unit was started nor a state directory made.
    for command in [&mut run(&job, &state), thresher().arg("plan").arg(&job)] {
        let failed = output(command);
        assert_eq!(failed.status.code(), Some(1));
        let text = String::from_utf8_lossy(&failed.stderr);
        for part in [".sp.model`", "dl.fbaipublicfiles.com", "`perplexity.missing = \"all\"`"] {
            assert!(text.contains(part), "{text}\nlacks {part}");
        }
        assert!(!state.try_exists().unwrap());
    }
}

#[test]
fn every_file_that_a_job_lacks_is_named_at_once_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let job = JobText::sample_times(1, folder.path())
        .set("model", "\"/nowhere/lid.176.bin\"")
        .append("[classifier]\nmodel = \"/nowhere/wikiref.model.bin\"")
        .append("[tokens]\ntokenizer = \"/nowhere/tokenizer.json\"")
        .append("[filters.c4_quality]\nbad_words_file = \"/nowhere/words.txt\"");
    let state = places(folder.path()).1;
    let failed = output(&mut run(&job.write(folder.path()), &state));
    assert_eq!(failed.status.code(), Some(1));
    let text = String::from_utf8_lossy(&failed.stderr);
    for part in [
        "`/nowhere/lid.176.bin`",
        "fasttext.cc/docs",
        "`/nowhere/wikiref.model.bin`",
        "data.together.xyz",
        "keeps documents unscored",
        "`/nowhere/tokenizer.json`",
        "huggingface.co/EleutherAI",
        "/nowhere/words.txt",
    ] {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
    assert!(!state.try_exists().unwrap());
}
