//! Trains small models: checks their bytes, what they distinguish, and what is refused.
//! `tests/peers/trained.py` compares one with fastText itself.

use super::*;
use crate::fasttext::Model;

fn texts(lang: &str) -> Vec<String> {
    let rows = include_str!("../../../testdata/lm/reference_scores.jsonl");
    let rows = rows.lines().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap());
    rows.filter(|row| row["lang"] == lang)
        .map(|row| row["text"].as_str().unwrap().to_owned())
        .collect()
}

struct Corpora {
    _folder: tempfile::TempDir,
    arguments: ClassifierArgs,
}

/// Writes German documents as JSON lines in zstd, and French ones as plain text in gzip.
fn corpora() -> Corpora {
    let folder = tempfile::tempdir().unwrap();
    let row = |text: &String| serde_json::json!({ "text": text }).to_string() + "\n";
    let german: String = texts("de").iter().map(row).collect();
    let french: String = texts("fr").iter().map(|text| format!("{text}\n")).collect();
    let (positive, negative) =
        (folder.path().join("de.jsonl.zst"), folder.path().join("fr.txt.gz"));
    let german = format!("{german}no document\n{{\"title\": \"none\"}}\n");
    std::fs::write(&positive, zstd::encode_all(german.as_bytes(), 1).unwrap()).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(french.as_bytes()).unwrap();
    std::fs::write(&negative, gzip.finish().unwrap()).unwrap();
    let arguments = ClassifierArgs {
        positive: vec![positive],
        negative: vec![negative],
        output: folder.path().join("model.bin"),
        positive_label: "wiki".to_owned(),
        negative_label: "cc".to_owned(),
        dim: 10,
        lr: 0.1,
        epochs: 5,
        min_count: 1,
        seed: 7,
    };
    Corpora { _folder: folder, arguments }
}

#[test]
fn the_same_documents_and_seed_give_the_same_bytes_and_another_seed_gives_others() {
    let mut corpora = corpora();
    let (first, summary, warnings) = train_classifier(&corpora.arguments).unwrap();
    assert!(summary.contains("200 documents"), "{summary}");
    let [bad] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(
        bad.contains("2 lines are not documents; line 101: expected ident at column 2"),
        "{bad}"
    );
    assert_eq!(first, train_classifier(&corpora.arguments).unwrap().0);
    corpora.arguments.seed = 8;
    assert_ne!(first, train_classifier(&corpora.arguments).unwrap().0);
}

#[test]
fn a_model_learns_to_distinguish_the_sets() {
    let mut corpora = corpora();
    corpora.arguments.epochs = 25;
    let (bytes, ..) = train_classifier(&corpora.arguments).unwrap();
    let model = Model::from_bytes(&bytes, "trained").unwrap();
    let classifier = crate::classifier::Classifier::new(model, "wiki").unwrap();
    let mut scratch = crate::classifier::ClassifierScratch::default();
    let mut score = |text: &str| classifier.classify(&mut scratch, text).unwrap().score;
    assert!(score("die würde des menschen und die freiheit der menschen") > 0.5);
    assert!(score("toute personne a droit à la liberté et à la vie") < 0.5);
}

#[test]
fn unusable_input_is_refused_with_the_reason() {
    let refused = |change: &dyn Fn(&mut ClassifierArgs)| {
        let mut corpora = corpora();
        change(&mut corpora.arguments);
        format!("{:#}", train_classifier(&corpora.arguments).unwrap_err())
    };
    let same = refused(&|args| args.negative_label = "wiki".to_owned());
    assert!(same.contains("both labels are `wiki`"), "{same}");
    let missing = refused(&|args| args.positive = vec!["/nowhere/x.jsonl".into()]);
    assert!(missing.contains("failed to read `/nowhere/x.jsonl`"), "{missing}");
    let rare = refused(&|args| args.min_count = 1 << 40);
    assert!(rare.contains("no word occurs"), "{rare}");
    let zero = refused(&|args| args.dim = 0);
    assert!(zero.contains("must be more than 0"), "{zero}");
}
