//! Compares with the texts of mwparserfromhell, which `testdata/wikipedia/make_golden.py` writes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::namespaces::prefixes_of;
use super::super::pages::{Found, PageFinder, parse};
use super::*;

const GOLDEN: &str = include_str!("../../../../testdata/wikipedia/golden.jsonl");

#[derive(Deserialize)]
struct Row {
    wikitext: Option<String>,
    dump: Option<String>,
    title: Option<String>,
    text: String,
}

fn rows() -> Vec<Row> {
    GOLDEN.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stripped(wikitext: &str, language: &str) -> String {
    strip(wikitext, &prefixes_of(language, &BTreeMap::new()))
}

/// Wikitext for which the results differ on purpose: unbalanced ticks, which mwparserfromhell pairs
/// by backtracking.
const DIFFERENT: &[&str] = &["'''a ''b''' c"];

#[test]
fn short_cases_equal_the_texts_of_mwparserfromhell() {
    let mut wrong = Vec::new();
    for row in rows() {
        let Some(wikitext) = row.wikitext.filter(|it| !DIFFERENT.contains(&it.as_str())) else {
            continue;
        };
        let got = ["de", "en"].map(|language| stripped(&wikitext, language));
        if !got.contains(&row.text.trim_end().to_owned()) {
            wrong.push(format!("{wikitext:?}\n  expected {:?}\n  found    {:?}", row.text, got[1]));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn real_pages_equal_the_texts_of_mwparserfromhell() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/wikipedia/");
    let mut texts = BTreeMap::new();
    for row in rows() {
        if let (Some(dump), Some(title)) = (row.dump, row.title) {
            texts.insert((dump, title), row.text);
        }
    }
    let dumps: std::collections::BTreeSet<String> = texts.keys().map(|key| key.0.clone()).collect();
    let mut different = Vec::new();
    let (mut equal, mut pages, mut same_lines, mut lines) = (0, 0, 0, 0);
    for dump in dumps {
        let file = std::fs::File::open(format!("{folder}{dump}")).unwrap();
        let mut input = bzip2::read::MultiBzDecoder::new(file);
        let mut finder = PageFinder::new(16 << 20);
        while let Some(found) = finder.next(&mut input).unwrap() {
            let Found::Whole(page) = found else { panic!("{found:?}") };
            let page = parse(page).unwrap();
            let expected = texts[&(dump.clone(), page.title.clone())].trim_end().to_owned();
            let got = stripped(&page.text, &dump[..2]);
            pages += 1;
            equal += u32::from(got == expected);
            let known: std::collections::HashSet<&str> = expected.lines().collect();
            same_lines += got.lines().filter(|line| known.contains(line)).count();
            lines += got.lines().count().max(expected.lines().count());
            if got != expected {
                different.push(format!("{dump}: {}", page.title));
            }
        }
    }
    // On these pages mwparserfromhell fails to parse a template and a reference.
    let known =
        ["enwiki-pages-articles.xml.bz2: Angela Merkel", "ukwiki-pages-articles.xml.bz2: Берлін"];
    assert_eq!(different, known, "{equal} of {pages} pages, {same_lines} of {lines} lines");
}

#[test]
fn hostile_pages_take_time_in_proportion_to_their_length() {
    let signs = [
        "{{",
        "[[",
        "[[a|",
        "<b>",
        "''",
        "'''",
        "=",
        "\n==",
        "\n= [[",
        "{|\n",
        "[http://a ",
        "{{{a|",
        "<!--",
        "<ref>",
        "</b>",
        "<b><i></b>",
        "&#",
        "[[a|b]]",
        "{{a}}",
        "\n== a ==",
        "[",
        "<nowiki>",
    ];
    for sign in signs {
        for close in ["", "]]", "}}", "</b>", "''", "}}}"] {
            let page = sign.repeat(30_000) + &close.repeat(30_000);
            let _ = stripped(&page, "en");
        }
    }
}
