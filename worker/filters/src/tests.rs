//! Tests the chain as a whole, and the segmentation that the filters share.

use super::view::ViewBuffers;
use super::words::count_sentences;
use super::*;

/// Returns the verdict of one filter on one text.
pub(super) fn verdict(filter: &dyn Filter, text: &str) -> Verdict {
    let mut scratch = Scratch::default();
    let Scratch { view, work, .. } = &mut scratch;
    filter.check(&view.view(Document::of_text(text)), work)
}

/// The settings that a filter documents.
pub(super) fn defaults<S: FilterSettings>() -> S {
    let mut section = default_sections()[S::NAME].as_table().unwrap().clone();
    section.remove("enabled");
    section.remove("scripts");
    sections::read(section, thresher_settings::Written { text: "", under: S::NAME }).unwrap()
}

/// The job file's table with changes, and only the named filters switched on.
fn only(names: &[&str], changes: &str) -> FiltersSpec {
    let mut table: toml::Table = changes.parse().unwrap();
    for filter in FILTERS {
        let section = table.entry(filter.name()).or_insert_with(|| toml::Table::new().into());
        let enabled = names.contains(&filter.name());
        section.as_table_mut().unwrap().insert("enabled".to_owned(), enabled.into());
    }
    FiltersSpec::over_defaults(&table.to_string()).unwrap()
}

/// The filters as the preset `thresher` runs them.
fn thresher() -> FiltersSpec {
    FiltersSpec::over_defaults("").unwrap()
}

fn tokens(text: &str) -> Vec<String> {
    let mut buffers = ViewBuffers::default();
    let view = buffers.view(Document::of_text(text));
    view.words.iter().map(|word| word.of(text).to_owned()).collect()
}

#[test]
fn text_is_cut_into_the_tokens_that_an_english_tokeniser_counts() {
    for (text, expected) in [
        ("Mr. Smith said (\"hello\").", "Mr.|Smith|said|(|\"|hello|\"|)|."),
        ("it's 3.5% -- don't, I'm", "it|'s|3.5|%|--|do|n't|,|I|'m"),
        ("U.S. is well-known/odd; e.g. this...", "U.S.|is|well|-|known|/|odd|;|e.g.|this|..."),
        ("wow!!! 10:30 1,000 a,b 2020-21", "wow|!|!|!|10:30|1,000|a|,|b|2020|-|21"),
        ("10km $5m (e.g.) A. B? USA.", "10|km|$|5|m|(|e.g.|)|A.|B|?|USA|."),
        ("see http://a.org/c?d=1, me@b.com.", "see|http://a.org/c?d=1|,|me@b.com|."),
        ("“q” ’tis it’s — a—b …", "“|q|”|’|tis|it|’s|—|a|—|b|…"),
        ("a_b foo.Bar x=y #tag @u C++ -x", "a_b|foo|.|Bar|x|=|y|#|tag|@u|C++|-x"),
        ("naïve café, Straße.\u{a0}Привет!", "naïve|café|,|Straße|.|Привет|!"),
        ("我们去。カタカナ ไทย 한국어 é", "我们|去|。|カタカナ|ไทย|한국어|é"),
        ("（清晨的渔港）“渔民们”，", "（|清晨|的|渔|港|）|“|渔民|们|”|，"),
    ] {
        assert_eq!(tokens(text).join("|"), expected, "{text}");
    }
}

#[test]
fn words_are_disjoint_in_order_and_hold_every_character_but_white_space() {
    let mut state = 3_u64;
    let alphabet: Vec<char> =
        "aZ9 .,'’\"-—…/:@\n\t\u{a0}\u{2028}\u{1c}#$%+éß我ไ한💩\u{301}().sS".chars().collect();
    for round in 0..2000 {
        let text: String = (0..40)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                alphabet[(state >> 33) as usize % alphabet.len()]
            })
            .collect();
        let mut buffers = ViewBuffers::default();
        let view = buffers.view(Document::of_text(&text));
        let mut covered = String::new();
        let mut last = 0;
        for word in view.words {
            assert!(word.start >= last && word.end > word.start, "round {round}: {text:?}");
            last = word.end;
            assert_eq!(word.chars as usize, word.of(&text).chars().count());
            covered.push_str(word.of(&text));
        }
        let expected: String = text.chars().filter(|&c| !punctuation::is_space(c)).collect();
        assert_eq!(covered, expected, "round {round}: {text:?}");
    }
}

#[test]
fn sentences_start_after_an_end_mark_and_the_punctuation_behind_it() {
    for (text, expected) in [
        ("", 0),
        ("no end", 1),
        ("One. Two! Three? four", 4),
        ("One.) \"Two\"...", 2),
        ("Mr. A. met Dr. B. in the U.S. today.", 1),
        ("Wait... what?! Yes.", 2),
        ("我来。你去。", 2),
        // Thai and Lao phrases of five words, but not single words.
        ("ชาวประมงกลับมาถึงบ้าน ผู้คนในตลาดกำลังจัดวางปลา วัดบนภูเขามองเห็นอ่าว", 3),
        ("ปลา ตลาด วัด บ้าน ภูเขา เรือ", 1),
        ("បណ្ណាល័យដែលសាងសង់។ នៅពេលព្រឹក។", 2),
        ("བོད་ཀྱི་སྐད། ཡིག་ནི།", 2),
    ] {
        let mut buffers = ViewBuffers::default();
        assert_eq!(
            count_sentences(buffers.view(Document::of_text(text)).words),
            expected,
            "{text}"
        );
    }
}

const PROSE: &str = "The first line of the text has the words that the rules ask to be there.\n\
    Another sentence follows it, with a comma and with more of what they have to say.\n\
    menu login\n\
    The third line tells us that nothing here is said twice in the same way at all.\n\
    A fourth one speaks of cats, dogs and birds which live together on an old farm.\n\
    Finally the text ends where the reader would expect it to end, with a full stop.";

#[test]
fn the_web_preset_keeps_prose_and_takes_its_menu_out() {
    let chain = FilterChain::new(&thresher()).unwrap();
    let mut scratch = Scratch::default();
    let expected = PROSE.replace("menu login\n", "");
    let Outcome::Rewritten(text) = chain.evaluate(Document::of_text(PROSE), &mut scratch) else {
        panic!("not edited")
    };
    assert_eq!(text, expected);
}

#[test]
fn drops_are_counted_by_reason_and_tallies_add_up() {
    let chain = FilterChain::new(&only(&["gopher_quality"], "")).unwrap();
    let mut scratch = Scratch::default();
    let reason = "gopher_quality/too_few_words";
    assert_eq!(
        chain.evaluate(Document::of_text("Hello there."), &mut scratch),
        Outcome::Drop(reason, Some(Measured { value: 2.0, threshold: 50.0 }))
    );
    let mut sum = scratch.take_tally();
    assert_eq!(scratch.take_tally(), Tally::default());
    let again = sum.clone();
    sum.add(&again);
    assert_eq!(sum.dropped.into_iter().collect::<Vec<_>>(), [(reason, 2)]);
}

#[test]
fn an_empty_chain_keeps_everything_unread() {
    let chain = FilterChain::new(&only(&[], "")).unwrap();
    assert!(chain.is_empty());
    assert_eq!(chain.evaluate(Document::default(), &mut Scratch::default()), Outcome::Keep);
}

#[test]
fn a_text_beyond_the_limit_is_dropped_unread() {
    let chain = FilterChain::new(&thresher()).unwrap();
    let text = " ".repeat(MAX_TEXT_BYTES + 1);
    let mut scratch = Scratch::default();
    assert_eq!(
        chain.evaluate(Document::of_text(&text), &mut scratch),
        Outcome::Drop("filters/text_too_large", None)
    );
}

#[test]
fn every_filter_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = FILTERS.iter().map(Definition::name).collect();
    assert_eq!(names.len(), FILTERS.len());
    assert!(thresher().is_enabled("gopher_quality") && !thresher().is_enabled("length"));
}

#[test]
fn a_filter_sees_url_title_and_language_after_another_edited_the_text() {
    let document = Document { url: "http://a.org", title: "A", language: Some("en"), text: "b" };
    let mut buffers = ViewBuffers::default();
    let view = buffers.view(Document { text: "two words", ..document });
    assert_eq!((view.url, view.title, view.language), ("http://a.org", "A", Some("en")));
    assert_eq!((view.text, view.chars, view.words.len()), ("two words", 9, 2));
}

/// The thresholds under which the golden verdicts were given.
fn golden_spec(name: &str) -> FiltersSpec {
    match name {
        "c4_quality_end_marks" => only(&["c4_quality"], "[c4_quality]\nrequire_end_mark = true"),
        name => {
            let known = FILTERS.iter().any(|filter| filter.name() == name);
            assert!(known, "golden.jsonl names an unknown filter `{name}`");
            only(&[name], "")
        }
    }
}

#[derive(serde::Deserialize)]
struct GoldenCase {
    id: String,
    text: String,
    verdicts: std::collections::BTreeMap<String, GoldenVerdict>,
}

#[derive(serde::Deserialize)]
struct GoldenVerdict {
    reason: Option<String>,
    text: Option<String>,
}

#[test]
fn verdicts_and_edits_are_those_of_datatrove() {
    let mut scratch = Scratch::default();
    let mut judged = 0;
    for line in include_str!("../../testdata/filters/golden.jsonl").lines() {
        let case: GoldenCase = serde_json::from_str(line).unwrap();
        for (name, golden) in &case.verdicts {
            let chain = FilterChain::new(&golden_spec(name)).unwrap();
            let (reason, text) = match chain.evaluate(Document::of_text(&case.text), &mut scratch) {
                Outcome::Keep => (None, None),
                Outcome::Rewritten(text) => (None, Some(text)),
                Outcome::Drop(reason, _) => (reason.split('/').nth(1), None),
            };
            assert_eq!(reason, golden.reason.as_deref(), "{name}: {}", case.id);
            assert_eq!(text, golden.text.as_deref(), "{name}: {}", case.id);
            judged += 1;
        }
    }
    assert!(judged >= 400, "only {judged} golden verdicts were read");
}

#[test]
fn a_rule_with_a_threshold_says_what_it_measured() {
    let chain = FilterChain::new(&only(&["length"], "[length]\nmin_chars = 10")).unwrap();
    let mut scratch = Scratch::default();
    let measured = Some(Measured { value: 5.0, threshold: 10.0 });
    let outcome = chain.evaluate(Document::of_text("seven"), &mut scratch);
    assert_eq!(outcome, Outcome::Drop("length/too_few_chars", measured));
    // A later document has nothing of it.
    let chain = FilterChain::new(&only(&["gopher_repetition"], "")).unwrap();
    let outcome = chain.evaluate(Document::of_text(""), &mut scratch);
    assert_eq!(outcome, Outcome::Drop("gopher_repetition/empty", None));
}

#[test]
fn every_rule_says_what_it_measured_in_a_document_that_is_kept() {
    let chain = FilterChain::new(&thresher()).unwrap();
    let mut scratch = Scratch::default();
    let _ = chain.evaluate(Document::of_text("seven"), &mut scratch);
    let (outcome, values) = chain.measure(Document::of_text(PROSE), &mut scratch);
    assert!(!matches!(outcome, Outcome::Drop(..)), "{outcome:?}");
    let of = |reason: &str| {
        let found: Vec<f64> = values.iter().filter(|it| it.0 == reason).map(|it| it.1).collect();
        assert_eq!(found.len(), 1, "{reason}: {values:?}");
        found[0]
    };
    let words = PROSE.split_whitespace().count() as f64;
    assert_eq!(of("gopher_quality/too_few_words"), words);
    assert_eq!(of("gopher_quality/too_few_words"), of("gopher_quality/too_many_words"));
    assert_eq!(of("gopher_quality/too_few_stop_words"), 2.0, "it stops at the threshold");
    assert_eq!(of("gopher_repetition/duplicate_lines"), 0.0);
    of("fineweb_quality/too_many_newlines");
    let document = Document::of_text("");
    assert_eq!(FilterChain::new(&only(&[], "")).unwrap().measure(document, &mut scratch).1, []);
}
