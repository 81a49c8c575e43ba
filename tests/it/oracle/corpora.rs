//! Corpora as inputs: a job over a corpus publishes its documents again, and samples are parts of
//! one, whatever was killed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use thresher_tests::job::{JobText, root, sample};
use thresher_tests::process::{Leftovers, output, succeed, thresher};

use super::kills::{run_under_fire, verb_under_fire};
use super::models::tokenizer;
use super::{clean, places, published, run, verify};

/// Makes a corpus with two sources: pages with languages and scores, and rows with `meta`.
fn corpus(folder: &Path) {
    let rows: String = (0..300)
        .map(|n| {
            let text =
                format!("Row {n} has a text of its own. {}", format!("Word {n}. ").repeat(9));
            serde_json::json!({"body": text, "n": f64::from(n) / 3.0, "at": "2024-01-01"})
                .to_string()
                + "\n"
        })
        .collect();
    let inputs = folder.join("inputs");
    std::fs::create_dir_all(&inputs).unwrap();
    std::fs::write(inputs.join("rows.jsonl"), rows).unwrap();
    let text = format!(
        "[job]\nname = \"first\"\n[[source]]\nslice = \"c4\"\nname = \"pages\"\n\
         base = \"{}\"\nlisting = \"*.json.gz\"\n\
         [[source]]\nslice = \"documents\"\nname = \"rows\"\nbase = \"{}\"\nlisting = \"*.jsonl\"\n\
         columns = {{ text = \"body\", date = \"at\" }}\n\
         [language]\nmodel = \"{}\"\n[output]\npath = \"corpus\"\nshard_bytes = \"20kB\"\n",
        root().join("worker/sources/src/c4/testdata").display(),
        inputs.display(),
        sample().join("models/lid.176.ftz").display()
    );
    let (output, state) = places(folder);
    succeed(&mut run(&JobText::of(text).write(folder), &state));
    verify(&output);
}

/// A job that reads the corpus in `folder`.
fn again(folder: &Path, source: &str) -> JobText {
    JobText::of(format!(
        "[job]\nname = \"again\"\n[[source]]\nslice = \"corpus\"\nbase = \"{}\"\n\
         listing = \"manifest.json\"\n{source}\n[units]\ntarget_bytes = \"5kB\"\n\
         lease = \"3s\"\nheartbeat = \"200ms\"\ncrash_limit = 50\n\
         [output]\npath = \"corpus\"\nshard_bytes = \"20kB\"\n",
        folder.join("corpus").display()
    ))
}

/// The documents of an output, each as its line.
fn documents(output: &Path) -> BTreeSet<String> {
    let manifest = std::fs::read(output.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let shards = manifest["shards"].as_array().unwrap().clone();
    let lines = shards.iter().flat_map(|shard| {
        let file = std::fs::File::open(output.join(shard["path"].as_str().unwrap())).unwrap();
        let text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    lines.collect()
}

fn shards(output: &Path) -> Vec<(String, String)> {
    let all = published(output).into_iter();
    let is_shard = |path: &str| path.starts_with("documents/") && path.ends_with(".zst");
    all.filter(|(path, _)| is_shard(path)).collect()
}

#[test]
fn a_corpus_without_steps_publishes_the_same_documents() {
    let first = tempfile::tempdir().unwrap();
    corpus(first.path());
    let expected = shards(&first.path().join("corpus"));
    assert!(expected.len() > 4, "{expected:?}");

    let quiet = tempfile::tempdir().unwrap();
    let (output, state) = places(quiet.path());
    succeed(&mut run(&again(first.path(), "").write(quiet.path()), &state));
    verify(&output);
    assert_eq!(shards(&output), expected);
    let reference = published(&output);
    for seed in 1..=2 {
        let folder = tempfile::tempdir().unwrap();
        let (output, state) = places(folder.path());
        let _leftovers = Leftovers(state.clone());
        run_under_fire(&again(first.path(), "").write(folder.path()), &state, seed, 200);
        verify(&output);
        clean(&output);
        assert_eq!(published(&output), reference, "seed {seed}");
    }

    let selected = tempfile::tempdir().unwrap();
    let job = again(first.path(), "select = { source = [\"rows\"] }\nname = \"old\"");
    let job = job.write(selected.path());
    let planned = succeed(thresher().arg("plan").arg(&job));
    assert!(planned.contains("old"), "{planned}");
    let (output, state) = places(selected.path());
    succeed(&mut run(&job, &state));
    verify(&output);
    let found = documents(&output);
    assert_eq!(found.len(), 300);
    let kept = |line: &String| line.contains(r#""source":"rows","slice":"documents""#);
    assert!(found.iter().all(kept), "{:?}", found.first());
    assert!(shards(&output).iter().all(|(path, _)| path.starts_with("documents/old-")));
}

#[test]
fn a_shard_that_differs_from_its_manifest_blocks_the_job() {
    let first = tempfile::tempdir().unwrap();
    corpus(first.path());
    let shard = first.path().join("corpus/documents/rows-00001.jsonl.zst");
    let whole = std::fs::read(&shard).unwrap();
    let mut altered = zstd::decode_all(&whole[..]).unwrap();
    altered[20] ^= 1;
    let mut altered = zstd::encode_all(&altered[..], 3).unwrap();
    altered.resize(whole.len(), 0);
    for content in [&altered[..], &whole[..whole.len() - 1]] {
        std::fs::write(&shard, content).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (corpus, state) = places(folder.path());
        let job = again(first.path(), "").write(folder.path());
        let ended = output(&mut run(&job, &state));
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(5), "{said}");
        assert!(said.contains("rows-00001.jsonl.zst`") && said.contains("manifest"), "{said}");
        assert!(said.contains("hint: "), "{said}");
        assert!(!corpus.join("manifest.json").try_exists().unwrap());
        let checked = output(thresher().arg("verify").arg(first.path().join("corpus")));
        let found = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(!checked.status.success() && found.contains("rows-00001.jsonl.zst"), "{found}");
        std::fs::write(&shard, &whole).unwrap();
        succeed(&mut run(&job, &state));
        assert_eq!(shards(&corpus), shards(&first.path().join("corpus")));
    }
}

#[test]
fn a_sample_that_was_blocked_is_resumed_by_the_same_command() {
    let first = tempfile::tempdir().unwrap();
    corpus(first.path());
    let shard = first.path().join("corpus/documents/rows-00001.jsonl.zst");
    let whole = std::fs::read(&shard).unwrap();
    std::fs::write(&shard, vec![0; whole.len()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    let sample = || {
        let mut command = thresher();
        command.arg("sample").arg(first.path().join("corpus")).arg("-o").arg(&small);
        command.args(["--documents", "20"]);
        command
    };
    let ended = output(&mut sample());
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(5), "{said}");
    assert!(said.contains("hint: the same `thresher sample` resumes the job"), "{said}");
    std::fs::write(&shard, whole).unwrap();
    succeed(&mut sample());
    verify(&small);
    assert_eq!(documents(&small).len(), 20);
}

#[test]
fn samples_are_contained_in_larger_ones_and_are_the_same_after_kills() {
    let first = tempfile::tempdir().unwrap();
    corpus(first.path());
    let whole = documents(&first.path().join("corpus"));
    let sampled = |arguments: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("deep/sample");
        let corpus = first.path().join("corpus");
        succeed(thresher().arg("sample").arg(corpus).arg("-o").arg(&output).args(arguments));
        verify(&output);
        let report = std::fs::read(output.join("report.json")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        let manifest = std::fs::read(output.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let accounting = &manifest["accounting"];
        let found = documents(&output);
        let not_chosen = accounting["dropped"]["sample/not_chosen"].as_u64().unwrap_or(0);
        assert_eq!(not_chosen + found.len() as u64, whole.len() as u64, "{report}");
        found
    };
    let of = |found: &BTreeSet<String>, source: &str| {
        let named = format!("\"source\":\"{source}\"");
        found.iter().filter(|line| line.contains(&named)).count()
    };
    let (small, large) = (sampled(&["--rate", "10%"]), sampled(&["--rate", "0.3"]));
    assert!(small.is_subset(&large) && large.is_subset(&whole));
    assert!((15..60).contains(&of(&small, "rows")), "{}", small.len());
    let (few, more) = (sampled(&["--documents", "20"]), sampled(&["--documents", "100"]));
    assert_eq!((few.len(), more.len()), (20, 100));
    assert!(few.is_subset(&more) && more.is_subset(&whole));
    let share = 100.0 * of(&whole, "rows") as f64 / whole.len() as f64;
    assert!((of(&more, "rows") as f64 - share).abs() <= 1.0, "{share}");
    assert_ne!(sampled(&["--documents", "20", "--seed", "5"]), few);
    assert_eq!(sampled(&["--documents", "100000"]), whole);

    let job = || again(first.path(), "sample = { documents = 30, seed = 1 }");
    let quiet = tempfile::tempdir().unwrap();
    let (output, state) = places(quiet.path());
    succeed(run(&job().write(quiet.path()), &state).args(["--workers", "2", "--slots", "2"]));
    let folder = tempfile::tempdir().unwrap();
    let (killed, state) = places(folder.path());
    let _leftovers = Leftovers(state.clone());
    run_under_fire(&job().write(folder.path()), &state, 3, 200);
    verify(&killed);
    clean(&killed);
    assert_eq!(published(&killed), published(&output));
}

/// Writes a file of a mix of the corpus that publishes to this output.
fn mix_file(corpus: &Path, output: &Path) -> std::path::PathBuf {
    let take = |name: &str, epochs: f64| {
        format!(
            "[[take]]\nname = \"{name}\"\ncorpus = \"{}\"\nsource = [\"{name}\"]\n\
             epochs = {epochs}\n",
            corpus.display()
        )
    };
    let parts = take("pages", 2.3) + &take("rows", 0.5);
    let output_table = format!("[output]\npath = \"{}\"\n", output.display());
    let file = output.with_extension("mix.toml");
    std::fs::write(
        &file,
        format!("[mix]\nname = \"m\"\nseed = 4\ndocuments = 1000\n{parts}{output_table}"),
    )
    .unwrap();
    file
}

#[test]
fn the_verbs_over_a_corpus_write_the_same_bytes_after_kills() {
    let first = tempfile::tempdir().unwrap();
    corpus(first.path());
    let corpus = first.path().join("corpus");
    let tokenizer = tokenizer(first.path());
    let sample = |output: &Path| {
        let mut command = thresher();
        command.arg("sample").arg(&corpus).args(["--rate", "40%", "-o"]).arg(output);
        command
    };
    let mix = |output: &Path| {
        let mut command = thresher();
        command.arg("mix").arg(mix_file(&corpus, output));
        command
    };
    let tokenize = |output: &Path| {
        let mut command = thresher();
        command.arg("tokenize").arg(&corpus).arg("--tokenizer").arg(&tokenizer).arg("-o");
        command.arg(output).args(["--form", "megatron", "--form", "olmo", "--shuffle", "3"]);
        command
    };
    type Verb<'v> = &'v dyn Fn(&Path) -> Command;
    for (name, verb) in [("sample", &sample as Verb<'_>), ("mix", &mix), ("tokenize", &tokenize)] {
        let command = |folder: &Path| {
            let (output, state) = places(folder);
            let mut command = verb(&output);
            command.arg("--state").arg(state);
            command
        };
        let quiet = tempfile::tempdir().unwrap();
        succeed(&mut command(quiet.path()));
        let (output, _) = places(quiet.path());
        verify(&output);
        let reference = published(&output);
        let folder = tempfile::tempdir().unwrap();
        let (output, state) = places(folder.path());
        let _leftovers = Leftovers(state.clone());
        verb_under_fire(|| command(folder.path()), &state, 1, 150);
        verify(&output);
        clean(&output);
        assert_eq!(published(&output), reference, "{name}");
    }
}
