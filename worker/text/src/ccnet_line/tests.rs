//! Golden tests against CCNet's own functions (`testdata/ccnet_line/make.py`).

use std::collections::BTreeMap;

use super::*;

const MAPPINGS: &str = include_str!("../../../testdata/ccnet_line/mappings.tsv");
const LINES: &str = include_str!("../../../testdata/ccnet_line/lines.tsv");
const TEXTS: &str = include_str!("../../../testdata/lid/reference_udhr2.jsonl");

/// Letters and digits that were added after Unicode 14, the version of the golden file's Python.
const NEWER: &[std::ops::RangeInclusive<u32>] = &[
    0x1C89..=0x1C89,
    0xA7CB..=0xA7CC,
    0xA7CE..=0xA7CE,
    0xA7D2..=0xA7D2,
    0xA7D4..=0xA7D4,
    0xA7DA..=0xA7DA,
    0xA7DC..=0xA7DC,
    0x10D40..=0x10D49,
    0x10D50..=0x10D65,
    0x116D0..=0x116E3,
    0x11BF0..=0x11BF9,
    0x11F50..=0x11F59,
    0x16130..=0x16139,
    0x16D70..=0x16D79,
    0x16EA0..=0x16EB8,
    0x1CCF0..=0x1CCF9,
    0x1E4F0..=0x1E4F9,
    0x1E5F1..=0x1E5FA,
];

fn normalised(line: &str) -> String {
    let mut room = b"what was there before".to_vec();
    String::from_utf8(normalise_line(line, &mut room).to_vec()).unwrap()
}

#[test]
fn every_code_point_maps_as_in_ccnet() {
    let mut golden = BTreeMap::new();
    for line in MAPPINGS.lines().filter(|line| !line.starts_with('#')) {
        let (code, form) = line.split_once('\t').unwrap();
        let form: Vec<u8> = (0..form.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&form[at..at + 2], 16).unwrap())
            .collect();
        golden.insert(u32::from_str_radix(code, 16).unwrap(), String::from_utf8(form).unwrap());
    }
    let mut differing = Vec::new();
    for c in '\0'..=char::MAX {
        let expected = golden.get(&u32::from(c)).map_or_else(|| c.to_string(), Clone::clone);
        if normalised(&format!("a{c}b")) != format!("a{expected}b") {
            differing.push(u32::from(c));
        }
    }
    let known: Vec<u32> = NEWER.iter().cloned().flatten().collect();
    assert_eq!(differing, known, "{differing:x?}");
}

#[test]
fn real_lines_hash_as_in_ccnet() {
    #[derive(serde::Deserialize)]
    struct Row {
        text: String,
    }
    let hash = |line: &str| format!("{:016x}", line_hash_sha1(normalised(line).as_bytes()));
    let mut lines = 0;
    for (text, expected) in TEXTS.lines().zip(LINES.lines()) {
        let Row { text } = serde_json::from_str(text).unwrap();
        let found = format!("{}\t{}", hash(&text), hash(&text.to_uppercase()));
        assert_eq!(found, expected, "{text}");
        lines += 1;
    }
    assert_eq!(lines, 1510);
}

#[test]
fn a_capital_sigma_is_final_only_at_the_end_of_a_word() {
    assert_eq!(normalised("ΟΔΟΣ ΣΟΦΙΑΣ 12"), "οδος σοφιας 00");
    assert_eq!(normalised("Σ"), "σ");
    // It is stripped before lowercasing, and deleted after it.
    assert_eq!(normalised("ΑΣ\u{1C}"), "ας");
    assert_eq!(normalised("ΑΣ»Β"), "αςβ");
}

#[test]
fn white_space_is_that_of_python() {
    assert_eq!(normalised("\u{1F}\u{3000}\u{85}a  b\u{A0}\u{2028}\u{1C}"), "a  b");
    // The zero-width space is not white space.
    assert_eq!(normalised("\u{200B}a "), "\u{200B}a");
    assert_eq!(normalised(" \t\u{1D} "), "");
    assert_eq!(normalised(""), "");
    // White space that a deletion exposes is not stripped.
    assert_eq!(normalised("« a »"), " a ");
}

#[test]
fn characters_that_grow_fit_into_the_room() {
    for c in ['Ⱥ', 'İ', 'Ω', '𞤀'] {
        for count in 0..40 {
            let line = format!("{}A", c.to_string().repeat(count));
            let expected: String = line.to_lowercase();
            assert_eq!(normalised(&line), expected);
        }
    }
}

#[test]
fn blocks_and_single_characters_agree() {
    let line = "The Quick [BROWN] Fox-42 jumps; «over» 7 láZy dogs\tand Ünits №9 – 完了。OK!";
    let (mut whole, mut single) = (String::new(), String::new());
    for start in line.char_indices().map(|(index, _)| index) {
        whole.push_str(&normalised(&format!("x{}x", &line[start..])));
        single.push('x');
        for c in line[start..].chars() {
            let form = normalised(&format!("a{c}b"));
            single.push_str(&form[1..form.len() - 1]);
        }
        single.push('x');
    }
    assert_eq!(whole, single);
}

#[test]
fn hashes_are_the_first_bytes_little_endian() {
    // SHA-1 of an empty input: da39a3ee5e6b4b0d…
    assert_eq!(line_hash_sha1(b""), 0x0d4b_6b5e_eea3_39da);
    assert_eq!(line_hash_xxh3(b""), 0x2d06_8005_38d3_94c2);
}
