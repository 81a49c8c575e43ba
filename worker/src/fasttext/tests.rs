//! Golden tests against fastText itself, and hostile files.

use super::*;

const LID: &[u8] = include_bytes!("../../testdata/lid/lid.176.ftz");
const LID_REFERENCE: &str = include_str!("../../testdata/lid/reference_udhr2.jsonl");

#[derive(serde::Deserialize)]
struct Expected {
    text: String,
    labels: Vec<String>,
    scores: Vec<f32>,
}

#[test]
fn languages_and_scores_are_those_of_fasttext() {
    let model = Model::from_bytes(LID, "lid.176.ftz").unwrap();
    let mut scratch = Scratch::new();
    let mut out = Vec::new();
    let mut worst = 0.0_f32;
    for line in LID_REFERENCE.lines() {
        let expected: Expected = serde_json::from_str(line).unwrap();
        model.predict(&mut scratch, &expected.text, LineFeeds::Separate, 3, &mut out);
        let labels: Vec<&str> =
            out.iter().map(|&(id, _)| model.label(id).trim_start_matches("__label__")).collect();
        assert_eq!(labels, expected.labels, "{}", expected.text);
        for (&(_, score), expected) in out.iter().zip(&expected.scores) {
            worst = worst.max((score - expected).abs());
        }
    }
    assert!(worst <= 1e-5, "{worst}");
}
