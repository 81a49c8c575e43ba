//! Compares scores with KenLM's own, and checks files that must be refused.

use std::path::PathBuf;

use super::*;

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/lm").join(name)
}

fn load(name: &str) -> Model {
    Model::load(&testdata(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the pieces and KenLM's score of the rows for one model.
fn reference(model: &str) -> Vec<(String, f64)> {
    let text = std::fs::read_to_string(testdata("reference_scores.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let rows = rows.filter(|row| row["model"] == model);
    rows.map(|row| (row["pieces"].as_str().unwrap().to_owned(), row["log10"].as_f64().unwrap()))
        .collect()
}

fn score(model: &Model, pieces: &str) -> f32 {
    model.score(pieces.split_ascii_whitespace().map(|word| model.word(word)))
}

/// Returns the greatest difference from KenLM.
fn worst(file: &str, rows_of: &str) -> f64 {
    let (model, rows) = (load(file), reference(rows_of));
    assert_eq!((model.order(), rows.len()), (5, 25));
    let differences =
        rows.iter().map(|(pieces, log10)| (f64::from(score(&model, pieces)) - log10).abs());
    differences.fold(0.0, f64::max)
}

#[test]
fn scores_are_kenlms_for_every_kind_of_file() {
    for (file, rows) in [
        ("fr.arpa.bin", "fr.arpa.bin"),
        ("de.arpa.gz", "de.arpa.bin"),
        ("de.trie.bin", "de.trie.bin"),
        ("de.trie-q8b8.bin", "de.trie-q8b8.bin"),
        ("de.trie-q8b8a22.bin", "de.trie-q8b8a22.bin"),
    ] {
        let worst = worst(file, rows);
        assert!(worst < 1e-4, "{file}: {worst}");
    }
}

#[test]
fn an_unknown_word_and_no_word_have_scores() {
    let (binary, text) = (load("de.trie.bin"), load("de.arpa.gz"));
    assert_eq!(binary.word("no such piece"), 0);
    for sentence in ["", "no-such-piece", "▁der no-such-piece ▁menschen", "<unk>"] {
        let scores = (score(&binary, sentence), score(&text, sentence));
        assert!((scores.0 - scores.1).abs() < 1e-5, "{sentence}: {scores:?}");
        assert!(scores.0 < 0.0, "{sentence}: {scores:?}");
    }
}

#[test]
fn a_truncated_model_is_refused_or_lacks_only_its_spelled_words() {
    for file in ["fr.arpa.bin", "de.trie-q8b8a22.bin"] {
        let whole = std::fs::read(testdata(file)).unwrap();
        for part in 0..64 {
            let cut = whole.len() * part / 64;
            if let Ok(model) = Model::from_bytes(&whole[..cut], file) {
                assert!(part > 56, "{file} cut to {cut} of {} bytes is accepted", whole.len());
                assert!(model.score([1, 2, 3]).is_finite());
            }
        }
    }
}

#[test]
fn a_damaged_model_never_panics_when_it_scores() {
    for file in ["fr.arpa.bin", "de.trie.bin", "de.trie-q8b8.bin", "de.trie-q8b8a22.bin"] {
        let whole = std::fs::read(testdata(file)).unwrap();
        for seed in 0..24_usize {
            let mut damaged = whole.clone();
            // A stride that is not a multiple of any entry's size reaches every field.
            for at in (seed * 7 + 40..damaged.len()).step_by(997 * (seed + 1)) {
                damaged[at] ^= 0x5A;
            }
            if let Ok(model) = Model::from_bytes(&damaged, file) {
                let score = model.score((0..300).map(|n| n * 13 % 5000));
                // Any number is correct: the test is that there is one.
                assert_eq!(score.to_bits(), model.score((0..300).map(|n| n * 13 % 5000)).to_bits());
            }
        }
    }
}

fn refusal(bytes: &[u8]) -> String {
    match Model::from_bytes(bytes, "m.bin") {
        Ok(_) => panic!("the model is accepted"),
        Err(error) => error.to_string(),
    }
}

/// Returns the first bytes of a real model, with some replaced.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut model = std::fs::read(testdata("fr.arpa.bin")).unwrap();
    model[at..at + bytes.len()].copy_from_slice(bytes);
    model
}

#[test]
fn files_of_another_kind_are_refused_with_the_reason() {
    let count = refusal(&with(0x6C, &u64::MAX.to_le_bytes()));
    assert!(count.contains("would take") && count.contains("are left"), "{count}");
    for (bytes, reason) in [
        (with(49, b"4"), "has format version `4`, not 5"),
        (with(0x3C, &2.0_f32.to_le_bytes()), "another number format"),
        (with(0x58, &[1]), "its order is `1`"),
        (with(0x5C, &f32::NAN.to_le_bytes()), "its probing multiplier is `NaN`"),
        (with(0x60, &[1]), "is of type `probing with rest costs`"),
        (with(0x60, &[9]), "is of type `9`"),
        (with(0x68, &[7]), "its tables have version `7`"),
        (b"mmap lm http://kheafield.com/code incomplete\n\0\0\0".to_vec(), "is unfinished"),
        (b"PK\x03\x04 something".to_vec(), "it starts with `PK\\x03\\x04 something`"),
        (Vec::new(), "it starts with ``"),
    ] {
        let refusal = refusal(&bytes);
        assert!(refusal.contains(reason), "{refusal}\nlacks {reason}");
    }
}

const SMALL: &str = "\\data\\\nngram 1=4\nngram 2=2\nngram 3=1\n\n\\1-grams:\n-1\t<unk>\n-9\t<s>\t\
                     -0.5\n-2\t</s>\n-0.75\ta\t-0.25\n\n\\2-grams:\n-0.5\t<s> a\t-0.125\n\
                     -0.25\ta a\t-0.0625\n\n\
                     \\3-grams:\n-0.03125\ta a </s>\n\n\\end\\\n";

#[test]
fn an_arpa_file_scores_as_its_lines_say_even_if_it_was_pruned() {
    let model = Model::from_bytes(SMALL.as_bytes(), "small.arpa").unwrap();
    let score = |words: &str| score(&model, words);
    // "a </s>" is not a 2-gram, although a 3-gram ends in it: back-off of "a" and "<s> a", 1-gram.
    assert_eq!(score("a"), -0.5 + (-2.0 - 0.25 - 0.125));
    assert_eq!(score("a a"), -0.5 + (-0.25 - 0.125) - 0.03125);
    assert_eq!(score(""), -2.0 - 0.5);
}

#[test]
fn a_malformed_arpa_file_is_refused_with_its_line() {
    for (from, to, reason) in [
        ("ngram 2=2", "ngram 2=3", "on line 16: its first or last field"),
        ("ngram 2=2", "ngram 7=2", "on line 3: `ngram 7=2` is not a valid count"),
        ("-0.75\ta", "x\ta", "on line 10: its first or last field is not a logarithm"),
        ("a a\t-0.06", "b a\t-0.06", "on line 14: it has a word that is not a 1-gram"),
        ("a a\t-0.06", "<s> a\t-0.06", "on line 14: the n-gram occurs twice"),
        ("\\end\\", "", "`\\end\\` is expected here"),
        ("</s>\n-0.75", "<x>\n-0.75", "a word that is not a 1-gram"),
    ] {
        assert!(SMALL.contains(from), "{from}");
        let refusal = refusal(SMALL.replacen(from, to, 1).as_bytes());
        assert!(refusal.contains(reason), "{refusal}\nlacks {reason}");
    }
}
