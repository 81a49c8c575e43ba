//! Golden tests against fastText itself, and damaged files.

use rand::{RngExt, SeedableRng};

use super::*;

const LID: &[u8] = include_bytes!("../../../testdata/lid/lid.176.ftz");
const LID_REFERENCE: &str = include_str!("../../../testdata/lid/reference_udhr2.jsonl");
const TEXTS: &str = include_str!("../../../testdata/fasttext/texts.json");

/// A model, and fastText's output for `TEXTS` with it (`testdata/fasttext/make.py`).
macro_rules! golden {
    ($name:literal, $suffix:literal) => {
        (
            $name,
            include_bytes!(concat!("../../../testdata/fasttext/", $name, $suffix)).as_slice(),
            include_str!(concat!("../../../testdata/fasttext/", $name, ".jsonl")),
        )
    };
}

const GOLDEN: [(&str, &[u8], &str); 11] = [
    golden!("hs", ".bin"),
    golden!("hs-version-11", ".bin"),
    golden!("hs-quantised", ".ftz"),
    golden!("hs-qout", ".ftz"),
    golden!("softmax-words", ".bin"),
    golden!("softmax-plain", ".bin"),
    golden!("softmax-qnorm-pruned", ".ftz"),
    golden!("softmax-qout", ".ftz"),
    golden!("ova-trigrams", ".bin"),
    golden!("ova-words-pruned", ".ftz"),
    golden!("ns-chars", ".bin"),
];

#[derive(serde::Deserialize)]
struct Expected {
    text: String,
    labels: Vec<String>,
    scores: Vec<f32>,
}

fn lid_reference() -> Vec<Expected> {
    LID_REFERENCE.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn predict(model: &Model, scratch: &mut Scratch, text: &str, k: usize) -> Vec<(LabelId, f32)> {
    let mut out = Vec::new();
    model.predict(scratch, text, LineFeeds::Separate, k, &mut out);
    out
}

#[test]
fn languages_and_scores_are_those_of_fasttext() {
    let model = Model::from_bytes(LID, "lid.176.ftz").unwrap();
    let mut scratch = Scratch::new();
    let mut worst = 0.0_f32;
    for expected in lid_reference() {
        let found = predict(&model, &mut scratch, &expected.text, 3);
        let labels: Vec<&str> =
            found.iter().map(|&(id, _)| model.label(id).trim_start_matches("__label__")).collect();
        assert_eq!(labels, expected.labels, "{}", expected.text);
        for (&(_, score), expected) in found.iter().zip(&expected.scores) {
            worst = worst.max((score - expected).abs());
        }
    }
    assert!(worst <= 1e-5, "{worst}");
}

#[test]
fn every_kind_of_model_predicts_as_fasttext_does() {
    let texts: Vec<String> = serde_json::from_str(TEXTS).unwrap();
    // All models share one scratch, which must notice each change.
    let mut scratch = Scratch::new();
    for (name, bytes, expected) in GOLDEN {
        let model = Model::from_bytes(bytes, name).unwrap();
        assert_eq!(expected.lines().count(), texts.len());
        for (text, line) in texts.iter().zip(expected.lines()) {
            let expected: [Vec<(u32, f32)>; 3] = serde_json::from_str(line).unwrap();
            for (k, expected) in [1, 3, usize::MAX].into_iter().zip(expected) {
                let mut found = predict(&model, &mut scratch, text, k);
                if found.len() > 12 {
                    found.drain(6..found.len() - 6);
                }
                let label = |id| model.label(id).trim_start_matches("__label__").parse::<u32>();
                let labels: Vec<u32> = found.iter().map(|&(id, _)| label(id).unwrap()).collect();
                let golden: Vec<u32> = expected.iter().map(|&(label, _)| label).collect();
                assert_eq!(labels, golden, "{name}, k = {k}: {text:?}");
                for (found, expected) in found.iter().zip(&expected) {
                    let difference = (found.1 - expected.1).abs();
                    assert!(difference <= 1e-5, "{name}: {found:?} {expected:?}, {text:?}");
                }
            }
        }
    }
}

#[test]
fn a_score_has_the_same_bits_whatever_was_read_before() {
    let model = Model::from_bytes(LID, "lid.176.ftz").unwrap();
    let mut used = Scratch::new();
    let bits = |found: Vec<(LabelId, f32)>| -> Vec<(LabelId, u32)> {
        found.into_iter().map(|(id, score)| (id, score.to_bits())).collect()
    };
    let mut all = 0_u64;
    for expected in lid_reference() {
        let fresh = bits(predict(&model, &mut Scratch::new(), &expected.text, 2));
        assert_eq!(bits(predict(&model, &mut used, &expected.text, 2)), fresh);
        for (id, score) in fresh {
            all = all.rotate_left(5) ^ u64::from(id.0) << 32 ^ u64::from(score);
        }
    }
    // The bits that every machine must compute.
    assert_eq!(all, 0x1fb0_90c2_5c33_cf06, "{all:#x}");
}

#[test]
fn line_feeds_separate_or_vanish() {
    let model = Model::from_bytes(LID, "lid.176.ftz").unwrap();
    let mut scratch = Scratch::new();
    let text = "\nAlle Men\n\nschen sind frei\nund \n gleich\n";
    let mut read = |text: &str, feeds| {
        let mut out = Vec::new();
        model.predict(&mut scratch, text, feeds, 5, &mut out);
        out
    };
    let spaced = read(text, LineFeeds::Separate);
    assert_eq!(spaced, read(&text.replace('\n', " "), LineFeeds::Vanish));
    let glued = read(text, LineFeeds::Vanish);
    assert_eq!(glued, read(&text.replace('\n', ""), LineFeeds::Separate));
    assert_ne!(glued, spaced);
}

#[test]
fn a_truncated_model_is_refused_at_every_length() {
    for (name, bytes, _) in GOLDEN {
        for length in (0..bytes.len()).step_by(41).chain([bytes.len() - 1]) {
            let refused = Model::from_bytes(&bytes[..length], name).err();
            assert!(refused.is_some(), "{name} cut at {length}");
        }
        let longer = [bytes, &[0]].concat();
        assert!(Model::from_bytes(&longer, name).is_err());
    }
}

#[test]
fn a_corrupted_model_is_refused_or_predicts_without_panic() {
    let seed = 20_251_122;
    println!("seed {seed}");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut scratch = Scratch::new();
    for (name, bytes, _) in GOLDEN {
        for round in 0..400 {
            let mut bytes = bytes.to_vec();
            // Headers matter most.
            let span = if round % 2 == 0 { 120 } else { bytes.len() };
            for _ in 0..1 + round % 3 {
                bytes[random.random_range(0..span)] = random.random();
            }
            if let Ok(model) = Model::from_bytes(&bytes, name) {
                predict(&model, &mut scratch, "the people </x> und перед __label__3 rights", 3);
            }
        }
    }
}

#[test]
fn refusals_name_the_file_the_offset_and_the_reason() {
    let (_, hs, _) = GOLDEN[0];
    let refusal = |bytes: &[u8]| match Model::from_bytes(bytes, "some.bin") {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    let with = |offset: usize, value: &[u8]| {
        let mut bytes = hs.to_vec();
        bytes[offset..offset + value.len()].copy_from_slice(value);
        refusal(&bytes)
    };
    assert!(refusal(&hs[8..]).contains("old format"), "{}", refusal(&hs[8..]));
    assert!(refusal(b"PK\x03\x04 and so on, for some while").contains("no fastText model"));
    assert!(refusal(&[]).contains("byte 0"));
    assert!(with(4, &[13]).contains("version `13`"));
    assert!(with(36, &[2]).contains("unsupervised"));
    assert!(with(32, &[9]).contains("loss `9`"));
    // This vocabulary has two thousand million entries in a file of 20 kB.
    let huge = with(64, &i32::MAX.to_le_bytes());
    assert!(huge.contains("some.bin` at byte"), "{huge}");
    // This input matrix has another shape.
    let dimensions = with(8, &[6]);
    assert!(dimensions.contains("x `5`, but"), "{dimensions}");
}
