//! Compares with the texts of mwparserfromhell, which `testdata/wikipedia/make_golden.py` writes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::namespaces::prefixes_of;
use super::super::pages::{Found, PageFinder, parse};
use super::*;
use crate::testing::expect_linear;

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
    strip(wikitext, &prefixes_of(language, &BTreeMap::new()), Form::Published)
}

fn readable(wikitext: &str) -> String {
    strip(wikitext, &prefixes_of("en", &BTreeMap::new()), Form::Readable)
}

#[test]
fn short_cases_equal_the_texts_of_mwparserfromhell() {
    let mut wrong = Vec::new();
    for row in rows() {
        let Some(wikitext) = row.wikitext else { continue };
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
    // On this page mwparserfromhell fails to parse a template and a reference.
    let known = ["enwiki-pages-articles.xml.bz2: Angela Merkel"];
    assert_eq!(different, known, "{equal} of {pages} pages, {same_lines} of {lines} lines");
}

#[test]
fn ticks_of_elisions_are_text_and_italics() {
    let cases = [
        ("Dal 1936 l'''Olympiastadion'' (stadio).", "Dal 1936 l'Olympiastadion (stadio)."),
        ("l'''Iliade'' et l'''Odyssée'', l'''Humanité''.", "lIliade et l'''Odyssée, lHumanité''."),
        ("'''s'' x", "'s x"),
        ("a<ref>''x</ref>''b", "a<ref>x</ref>b"),
        ("a<ref>''x</ref>b", "ab"),
        ("''a [[b|l'''c'']] d''", "a l'c d"),
        ("* l'''a''\n* d'''b''' c", "la''\n db''' c"),
        ("l''''a''''", "l'a'"),
        ("[http://e.org l'''a''] b''", "l'a b''"),
        ("== l'''a'' ==\nb", "\n\nl'a \nb"),
    ];
    for (wikitext, text) in cases {
        assert_eq!(stripped(wikitext, "fr"), text, "{wikitext}");
    }
}

#[test]
fn the_readable_form_keeps_what_templates_and_formulas_say() {
    let cases = [
        ("The area is {{convert|10|km2|sqmi}} and {{cvt|5|ft|m}}.", "The area is 10 km² and 5 ft."),
        ("Il mesure {{unité|12|km}} ou {{nombre|1234}} pas.", "Il mesure 12 km ou 1234 pas."),
        ("It is <math>E = mc^2</math> here.", "It is E = mc^2 here."),
        ("x<sup>2</sup>, CO<sub>2</sub>, 4<sup>th</sup>", "x², CO₂, 4th"),
        ("The word {{lang|fr|mot ''juste''}} is.", "The word mot juste is."),
        ("A {{nowrap|[[Berlin|big]] city}} b", "A big city b"),
        ("Born {{birth date|1950|3|4}} in x", "Born 1950-03-04 in x"),
        ("a{{ndash}}b, c{{nbsp}}d", "a – b, c d"),
        ("one<br>two<br />three", "one\ntwo\nthree"),
        ("Paris ({{IPA|fr|paʁi}}; {{lang-fr|Paname}}) is", "Paris (Paname) is"),
        ("Paris ({{IPA|fr|paʁi}}) is", "Paris is"),
        ("A word{{citation needed}}. Next <ref>x</ref> one.", "A word. Next one."),
        ("{{Infobox|name=x}}\nText.", "Text."),
        ("{{Infobox|area={{convert|1|km}}}}", ""),
        ("Call f() and g( ).", "Call f() and g( )."),
        ("At {{coord|51|N|0|W}} it is", "At it is"),
    ];
    for (wikitext, text) in cases {
        assert_eq!(readable(wikitext), text, "{wikitext}");
    }
}

#[test]
fn the_first_argument_of_an_unknown_template_is_not_text() {
    let cases = [
        ("It is {{foobar|5}} km long.", "It is km long."),
        ("It is {{foobar|5|7}} long and {{foobar|word}} high.", "It is long and high."),
        ("So {{sqrt|2}} and {{pct|1|3}} of {{gaps|299|792|458}}.", "So √2 and 33% of 299792458."),
        ("Some 5{{e|6}}, {{10^|6}} or {{exp|3}}.", "Some 5×10⁶, 10⁶ or e³."),
        ("La surface est de 5 m{{exp|2}} au XX{{e}}.", "La surface est de 5 m² au XXe."),
        (
            "Edward VII ({{reign|1901|1910}}) was the {{ordinal|7}}.",
            "Edward VII (r. 1901–1910) was the 7th.",
        ),
    ];
    for (wikitext, text) in cases {
        assert_eq!(readable(wikitext), text, "{wikitext}");
    }
}

#[test]
fn prose_on_the_line_of_a_heading_is_kept() {
    let cases = [
        (
            "Lead.\n== History == The city.\n\n== Next ==\nx",
            "Lead.\n\nHistory\nThe city.\n\nNext\nx",
        ),
        ("Lead.\n== History ==The city.\n== Next ==\nx", "Lead.\n\nHistory\nThe city.\n\nNext\nx"),
        ("==Only== text", "Only\ntext"),
        ("== A == {{citation needed}} More.\nB.", "A\nMore.\nB."),
        ("== A == {{lang|fr|mot}}", "A\nmot"),
        ("== A == [[B]]", "A\nB"),
        ("== A == <b>B</b>", "A\nB"),
        // These are not headings.
        ("Lead.\n= b = c", "Lead.\n= b = c"),
        ("Lead.\n== b = c", "Lead.\n== b = c"),
        ("Lead.\n=== b == c", "Lead.\n=== b == c"),
        // Here only markup is behind the heading.
        ("== A ==<ref>x</ref>\nB.\n== C == {{anchor|c}}", "A\nB."),
        ("== A == <!-- c --> \nB.", "A\nB."),
    ];
    for (wikitext, text) in cases {
        assert_eq!(readable(wikitext), text, "{wikitext}");
    }
    assert_eq!(stripped("==Only== text", "en"), "\n\nOnly text");
}

#[test]
fn blocks_of_html_are_on_their_own_lines() {
    let cases = [
        ("<div>First.</div><div>Second.</div>", "First.\nSecond."),
        ("<p>First.</p><p>Second.</p>", "First.\n\nSecond."),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("<ul><li>one<li>two</ul>after", "one\ntwo\nafter"),
        ("<blockquote>Quoted.</blockquote>He left.", "Quoted.\n\nHe left."),
        ("Next<center>Mid</center>End <h2>H</h2>After", "Next\nMid\nEnd\n\nH\n\nAfter"),
        ("One<table><tr><td>x</td></tr></table>two", "One\ntwo"),
        ("a <span>b</span> <small>c</small>d", "a b cd"),
        ("Text.\n<div>\nMore.\n</div>\nEnd.", "Text.\nMore.\nEnd."),
        ("Text.\n\n<div>More.</div>\n\nEnd.", "Text.\n\nMore.\n\nEnd."),
        ("* <div>one</div>\n* two", "one\ntwo"),
        ("== <div>A</div><div>B</div> ==\nText.", "A B\nText."),
        ("== A <div>B</div> ==", ""),
    ];
    for (wikitext, text) in cases {
        assert_eq!(readable(wikitext), text, "{wikitext}");
    }
    assert_eq!(stripped("<div>a</div><p>b</p>c", "en"), "abc");
}

#[test]
fn a_quote_that_is_not_closed_takes_no_prose() {
    let cases = [
        (
            "A.<ref name=\"x>bad</ref> B stays.\n\nC stays.<ref name=\"y\">g</ref> D stays.",
            "A. B stays.\n\nC stays. D stays.",
        ),
        ("A.<ref name=\"y\" / > B.<ref>x</ref> C.", "A. B. C."),
        ("A.<ref name='x>bad \"it's\"</ref> B.<ref name='y'/> C.", "A. B. C."),
        ("A.<REF>bad</REF> B.", "A. B."),
        ("A <span class=\"x>in</span> B <span class=\"y\">C</span>.", "A in B C."),
    ];
    for (wikitext, text) in cases {
        assert_eq!(readable(wikitext), text, "{wikitext}");
    }
}

#[test]
fn the_words_of_templates_are_kept() {
    let cases = [
        ("He said: {{blockquote|text=To be.|author=X}} Then", "He said:\n\nTo be.\n\nThen"),
        ("{{quote|text=He ''said''.}}", "He said."),
        ("{{poem quote|text=One\nTwo}}", "One\nTwo"),
        ("{{quotation|Long [[a|words]].|X}}", "Long words."),
        ("{{cquote|quote=Q}}", "Q"),
        ("{{quote|1=One}} {{Blockquote|Two}}", "One\n\nTwo"),
        ("a {{langx|de|Wort}} b", "a Wort b"),
        ("a {{math|''x''}} b {{math|1=x=2}}", "a x b x=2"),
        ("a {{chem2|H2O}} b", "a H₂O b"),
        ("a {{native name|fr|Nom}} b", "a Nom b"),
        ("the {{ship|HMS|Victory}} and {{HMS|Hood|51}}", "the HMS Victory and HMS Hood"),
        ("a {{hlist|b|[[c|d]]||{{lang|fr|e}}}} f", "a b, d, e f"),
        ("a {{ubl|b|c}} d", "a\nb\nc\nd"),
        ("a {{gloss|word}} b", "a ‘word’ b"),
        ("a {{sort|2|two}} {{not a typo|teh}} b", "a two teh b"),
        ("a {{ill|lt=Shown|A|de}} b", "a Shown b"),
        ("a {{ill|A|de|lt=}} {{interlanguage link|B|fr}}", "a A B"),
    ];
    for (wikitext, text) in cases {
        assert_eq!(readable(wikitext), text, "{wikitext}");
    }
}

#[test]
fn links_to_other_languages_are_removed_and_colons_are_not_text() {
    let cases = [
        ("See [[:File:C.png]] and [[:Category:D]].", "See File:C.png and Category:D."),
        ("See [[:Category:D|this]] and [[:fr:Baz]].", "See this and fr:Baz."),
        ("Text.\n[[de:Foo]]\n[[zh-min-nan:Foo]] [[Fr:Foo|x]]", "Text."),
        ("[[wikt:word]] and [[Alien: Covenant]]", "wikt:word and Alien: Covenant"),
    ];
    for (wikitext, text) in cases {
        assert_eq!(readable(wikitext), text, "{wikitext}");
    }
    assert_eq!(stripped("[[de:Foo]] [[:File:C.png]]", "en"), "de:Foo :File:C.png");
}

#[test]
fn of_variants_of_a_language_one_is_kept() {
    let readable = |text: &str, language| {
        strip(text, &prefixes_of(language, &BTreeMap::new()), Form::Readable)
    };
    let cases = [
        ("Човек (-{Homo sapiens}-) је.", "Човек (Homo sapiens) је."),
        ("а -{sr-ec:реч;sr-el:reč}- б", "а реч б"),
        ("а -{sr-ec: [[реч|ријеч]]&nbsp;x; sr-el:reč;}- б", "а ријеч\u{a0}x б"),
        ("а -{R|реч}- б", "а реч б"),
        ("а -{T|реч}- -{H|sr-ec:реч}- б", "а б"),
        ("{{lang|en|-{a}-}} -{b}- ''-{c}-''", "a b c"),
        ("а -{б", "а -{б"),
        ("а }- б", "а }- б"),
    ];
    for (wikitext, text) in cases {
        assert_eq!(readable(wikitext, "sr"), text, "{wikitext}");
    }
    assert_eq!(readable("а -{б}- в", "ru"), "а -{б}- в");
}

#[test]
fn parts_that_a_page_does_not_show_are_removed() {
    let cases = [
        ("a <includeonly>b</includeonly> c", "a c"),
        ("a <noinclude>b</noinclude> <onlyinclude>c</onlyinclude>", "a b c"),
        ("a</small> b <b>c <ref>d</ref> e</ref>", "a b c e"),
        ("a<center>b</div>c", "a\nb\nc"),
        ("a <foo> b </bar> 1 < 2", "a <foo> b </bar> 1 < 2"),
        ("10<sup>1.5</sup> and 10<sup>6</sup>", "10^1.5 and 10⁶"),
        ("a\n:{|\n|x\n|}\nb", "a\n\nb"),
        ("a\n:: {|\n|x\n|}\nb", "a\n \nb".replace(' ', "").as_str().to_owned().leak()),
        ("a\n<div class=\"x\">{|\n|y\n|}</div>\nb", "a\nb"),
        ("a {| b\n|}", "a {| b\n|}"),
    ];
    for (wikitext, text) in cases {
        assert_eq!(readable(wikitext), text, "{wikitext}");
    }
}

#[test]
fn the_readable_form_has_no_categories_and_no_headings_without_text() {
    let page = "Text.\n\n== Life ==\nBorn.\n\n== References ==\n{{reflist}}\n\n=== Notes ===\n\n\
                == External links ==\n* {{official|x}}\n\n[[Category:A|B]]\n[[Category:X]]\n";
    assert_eq!(readable(page), "Text.\n\nLife \nBorn.".replace("Life \n", "Life\n"));
    let page = "== A ==\n=== B ===\nText.\n__NOTOC__\n[[:Category:X|link]]";
    assert_eq!(readable(page), "A\n\nB\nText.\n\nlink");
}

#[test]
fn real_pages_are_readable() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/wikipedia/");
    let (mut pages, mut emptied, mut gaps) = (0, 0, 0);
    for language in ["cs", "de", "en", "fr", "pl", "ru"] {
        let file = std::fs::File::open(format!("{folder}{language}wiki-pages-articles.xml.bz2"));
        let mut input = bzip2::read::MultiBzDecoder::new(file.unwrap());
        let mut finder = PageFinder::new(16 << 20);
        let prefixes = prefixes_of(language, &BTreeMap::new());
        while let Some(found) = finder.next(&mut input).unwrap() {
            let Found::Whole(page) = found else { panic!("{found:?}") };
            let page = parse(page).unwrap();
            let text = strip(&page.text, &prefixes, Form::Readable);
            pages += 1;
            for empty in ["()", "( )", "(,", "(;", " ,", "，)"] {
                emptied += text.matches(empty).count()
                    - page.text.matches(empty).count().min(text.matches(empty).count());
            }
            gaps += text.matches("  ").count();
            assert!(!text.contains(readable::is_mark) && !text.contains("\n\n\n"));
        }
    }
    assert!(pages > 30, "{pages}");
    assert_eq!((emptied, gaps), (0, 0), "in {pages} pages");
}

/// Openings of every element, and other signs.
#[rustfmt::skip]
const OPENINGS: [&str; 63] = [
    "{{", "{{ ", "[[", "[[a|", "<b>", "''", "'''", "=", "\n==", "\n= [[", "\n= {{a\n",
    "\n= <b>\n", "\n= a [[b\n]] =", "{|\n", "\n{|\n|}", "{{ \n{|\n|}", "[http://a ", "[http://a",
    "[http://{{", "[http://{{{a|", "[http://a ''", "''[http://a ", "{{{a|", "{{a|b=",
    "{{lang|fr|", "{{convert|1|", "<!--", "<ref>", "<ref name=", "<ref name=\"a", "<a <!-- ",
    "</b>", "</b ", "<b><i></b>", "<nowiki>", "<nowiki></", "<pre>&", "&#", "&amp", "[[a|b]]",
    "{{a}}", "\n== a ==", "\n* ", "\n*#:;", "\n; a : ", "[", "'''a''b", "[[\n''x]]", "{{nowrap|",
    "({{a}}", "{{a}} ,", "__A", "[[File:a|", "[[Category:a|", "<li>", "\n----",
    "{{hlist|a|", "<div>", "== a == b\n", "-{", "\n:{|", "<div>{|", "<includeonly>",
];

/// Returns pages of half a megabyte with openings, and with as many closings.
fn hostile_pages() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for sign in OPENINGS {
        let close = match sign.trim_start().chars().next() {
            Some('{' | '(') => "}}",
            Some('[') => "]]",
            Some('<') => "</b>",
            Some('=') => "]] =\n",
            _ => "''",
        };
        for close in ["", close] {
            let count = (1 << 19) / (sign.len() + close.len());
            let page = sign.repeat(count) + &close.repeat(count);
            pages.push((format!("{sign:?} and {close:?}"), page));
        }
    }
    pages
}

#[test]
fn hostile_pages_take_time_in_proportion_to_their_length() {
    let prefixes = prefixes_of("en", &BTreeMap::new());
    for (number, (kind, page)) in hostile_pages().into_iter().enumerate() {
        let form = if number % 2 == 0 { Form::Published } else { Form::Readable };
        expect_linear(&format!("{kind}, {form:?}"), || {
            let _ = strip(&page, &prefixes, form);
        });
    }
}

#[test]
fn characters_that_mark_blocks_are_kept_in_the_published_form() {
    assert_eq!(stripped("a\u{8}b\u{e}c\u{1}d", "en"), "a\u{8}b\u{e}cd");
    assert_eq!(readable("a\u{8}b\u{e}c\u{1}d"), "abcd");
}

#[test]
fn newlines_collapse_to_two() {
    assert_eq!(collapsed("\n\na\n\n\n\nb\n\nc\nd\n"), "a\n\nb\n\nc\nd");
    assert_eq!(collapsed("\n\n\n"), "");
}

#[test]
fn templates_of_several_languages_keep_their_words_and_numbers() {
    let cases = [
        (
            "Le {{1er}} mai, M{{me}} A, n{{o|5}}, au {{XIXe siècle}}.",
            "Le 1er mai, Mme A, no 5, au XIXe siècle.",
        ),
        ("En {{-44}}, {{lien|langue=en|trad=Foo|texte=Le Foo}}.", "En 44 av. J.-C., Le Foo."),
        ("Am {{Datum|3|5|1850}}: {{enS|word}}, {{Bruch|1|2}}.", "Am 1850-05-03: word, 1⁄2."),
        ("{{Не переведено|Бар}} и {{дробь|1|2}}.", "Бар и 1⁄2."),
        ("{{読み仮名|東京|とうきょう}}は{{ruby|漢字|かんじ}}。", "東京は漢字。"),
        ("El {{fecha|3|5|1850}}, {{versalita|Pérez}}.", "El 1850-05-03, Pérez."),
        ("{{małe|tekst}} {{ułamek|1|2}}", "tekst 1⁄2"),
    ];
    for (wikitext, text) in cases {
        assert_eq!(strip(wikitext, &prefixes_of("en", &BTreeMap::new()), Form::Readable), text);
    }
}
