//! Compares pieces with SentencePiece's own, and checks files that must be refused.

use super::proto::{ModelProto, NormaliserProto, PieceProto, TrainerProto};
use super::*;

fn testdata(name: &str) -> std::path::PathBuf {
    std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/lm").join(name)
}

fn pieces(model: &Model, scratch: &mut Scratch, text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    model.encode(scratch, text, |piece| pieces.push(model.spelling(piece).to_owned()));
    pieces
}

fn check_golden(file: &str, normalised: &str) {
    let text = std::fs::read_to_string(testdata(file)).unwrap();
    let models = ["de", "fr"]
        .map(|lang| (lang, Model::load(&testdata(&format!("{lang}.sp.model"))).expect("a model")));
    let mut scratch = Scratch::default();
    let mut checked = 0;
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let (_, model) = models.iter().find(|(lang, _)| row["lang"] == *lang).unwrap();
        let got = pieces(model, &mut scratch, row[normalised].as_str().unwrap());
        assert_eq!(got.join(" "), row["pieces"].as_str().unwrap(), "{line}");
        checked += 1;
    }
    assert!(checked >= 100, "{checked} rows");
}

#[test]
fn pieces_are_sentencepieces_for_every_reference_text() {
    check_golden("reference_scores.jsonl", "normalized");
}

#[test]
fn pieces_are_sentencepieces_for_spaces_other_scripts_and_noise() {
    check_golden("pieces.jsonl", "text");
}

fn proto(words: &[(&str, f32, PieceKind)]) -> ModelProto {
    let piece = |(piece, score, kind): &(&str, f32, PieceKind)| PieceProto {
        piece: Some((*piece).to_owned()),
        score: Some(*score),
        kind: Some(*kind as i32),
    };
    let all = words.iter().map(piece);
    let unknown = piece(&("<unk>", 0.0, PieceKind::Unknown));
    ModelProto {
        pieces: std::iter::once(unknown).chain(all).collect(),
        trainer_spec: Some(TrainerProto::default()),
        normalizer_spec: Some(NormaliserProto::default()),
    }
}

fn of(proto: &ModelProto) -> Result<Model, LoadError> {
    Model::from_bytes(&proto.encode_to_vec(), "m.model")
}

const LETTERS: [(&str, f32, PieceKind); 5] = [
    ("▁", -2.0, PieceKind::Normal),
    ("a", -1.0, PieceKind::Normal),
    ("aa", -2.0, PieceKind::Normal),
    ("<x>", 0.0, PieceKind::UserDefined),
    ("b", -3.0, PieceKind::Unused),
];

#[test]
fn the_first_of_equal_paths_is_kept_and_unknown_neighbours_are_one_piece() {
    let model = of(&proto(&LETTERS)).unwrap();
    let mut scratch = Scratch::default();
    assert_eq!(pieces(&model, &mut scratch, "aa"), ["▁", "aa"]);
    assert_eq!(pieces(&model, &mut scratch, "a<x>bbéa"), ["▁", "a", "<x>", "bbé", "a"]);
    assert_eq!(pieces(&model, &mut scratch, "  "), [""; 0]);
}

#[test]
fn an_unknown_character_becomes_its_bytes_if_the_model_has_them() {
    let mut words: Vec<(String, f32, PieceKind)> =
        (0..256).map(|byte| (format!("<0x{byte:02X}>"), 0.0, PieceKind::Byte)).collect();
    words.push(("▁".to_owned(), -1.0, PieceKind::Normal));
    let borrowed: Vec<_> = words.iter().map(|(w, s, k)| (w.as_str(), *s, *k)).collect();
    let mut model = proto(&borrowed);
    model.trainer_spec = Some(TrainerProto { byte_fallback: Some(true), ..Default::default() });
    let found = pieces(&of(&model).unwrap(), &mut Scratch::default(), "é");
    assert_eq!(found, ["▁", "<0xC3>", "<0xA9>"]);
    model.pieces.remove(8);
    let refusal = of(&model).err().unwrap().to_string();
    assert!(refusal.contains("has no piece `<0x07>`"), "{refusal}");
}

#[test]
fn other_kinds_and_damaged_files_are_refused_with_the_reason() {
    let mut bpe = proto(&LETTERS);
    bpe.trainer_spec =
        Some(TrainerProto { model_type: Some(ModelKind::Bpe as i32), ..Default::default() });
    let refusal = of(&bpe).err().unwrap().to_string();
    assert!(refusal.contains("is of type `bpe`; only `unigram`"), "{refusal}");
    let mut map = proto(&LETTERS);
    let charsmap = Some(vec![255, 0, 0, 0, 1]);
    map.normalizer_spec =
        Some(NormaliserProto { precompiled_charsmap: charsmap, ..Default::default() });
    let refusal = of(&map).err().unwrap().to_string();
    assert!(refusal.contains("says `255` bytes, but has 1"), "{refusal}");
    let nothing = Model::from_bytes(b"PK\x03\x04", "m.model").err().unwrap().to_string();
    assert!(nothing.contains("`m.model` is not a SentencePiece model"), "{nothing}");
}

#[test]
fn a_damaged_model_never_panics_when_it_encodes() {
    let whole = std::fs::read(testdata("fr.sp.model")).unwrap();
    let text = "Ｑuels sont  les ﬁls de l’homme ? Été — 한국어 \u{1F600} ①";
    let mut taken = 0;
    for seed in 0..48_usize {
        let mut damaged = whole.clone();
        for at in (seed * 11..damaged.len()).rev().step_by(4001 * (seed + 1)) {
            damaged[at] ^= 0x11;
        }
        if let Ok(model) = Model::from_bytes(&damaged, "damaged") {
            taken += 1;
            let mut scratch = Scratch::default();
            let first = pieces(&model, &mut scratch, text);
            assert_eq!(first, pieces(&model, &mut scratch, text));
        }
    }
    assert!(taken > 0, "every damaged model was refused: nothing was tried");
}
