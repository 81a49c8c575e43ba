//! Small models: their bytes, what they distinguish, and what is refused. What fastText itself says
//! of one, `tests/peers/trained.py` compares.

use std::io::Write;

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
    sets: [LabelledFiles; 2],
    settings: TrainSettings,
}

impl Corpora {
    fn train(&self) -> Result<TrainedModel, TrainError> {
        train_classifier(&self.sets, &self.settings)
    }
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
    let set = |label: &str, file| LabelledFiles { label: label.to_owned(), files: vec![file] };
    let sets = [set("wiki", positive), set("cc", negative)];
    let settings = TrainSettings { dim: 10, lr: 0.1, epochs: 5, min_count: 1, seed: 7 };
    Corpora { _folder: folder, sets, settings }
}

#[test]
fn the_same_documents_and_seed_give_the_same_bytes_and_another_seed_gives_others() {
    let mut corpora = corpora();
    let first = corpora.train().unwrap();
    assert_eq!(first.documents, 200);
    let [bad] = first.skipped.as_slice() else { panic!("{:?}", first.skipped) };
    let bad = bad.to_string();
    assert!(
        bad.contains("2 lines are not documents; line 101: expected ident at column 2"),
        "{bad}"
    );
    assert_eq!(first.bytes, corpora.train().unwrap().bytes);
    corpora.settings.seed = 8;
    assert_ne!(first.bytes, corpora.train().unwrap().bytes);
}

#[test]
fn a_model_learns_to_distinguish_the_sets() {
    let mut corpora = corpora();
    corpora.settings.epochs = 25;
    let bytes = corpora.train().unwrap().bytes;
    let model = Model::from_bytes(&bytes, "trained").unwrap();
    let classifier = crate::classifier::Classifier::new(model, "wiki").unwrap();
    let mut scratch = crate::classifier::ClassifierScratch::default();
    let mut score = |text: &str| classifier.classify(&mut scratch, text).unwrap().score;
    assert!(score("die würde des menschen und die freiheit der menschen") > 0.5);
    assert!(score("toute personne a droit à la liberté et à la vie") < 0.5);
}

#[test]
fn what_cannot_be_trained_from_is_refused_with_the_reason() {
    let refused = |change: &dyn Fn(&mut Corpora)| {
        let mut corpora = corpora();
        change(&mut corpora);
        corpora.train().unwrap_err().to_string()
    };
    let same = refused(&|corpora| corpora.sets[1].label = "wiki".to_owned());
    assert!(same.contains("both labels are `wiki`"), "{same}");
    let missing = refused(&|corpora| corpora.sets[0].files = vec!["/nowhere/x.jsonl".into()]);
    assert!(missing.contains("failed to read `/nowhere/x.jsonl`"), "{missing}");
    let rare = refused(&|corpora| corpora.settings.min_count = 1 << 40);
    assert!(rare.contains("no word occurs"), "{rare}");
    let zero = refused(&|corpora| corpora.settings.dim = 0);
    assert!(zero.contains("must be more than 0"), "{zero}");
}
