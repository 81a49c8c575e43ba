//! The templates that stand for words, and the arguments that are their words.

use super::super::readable;
use super::arguments::Argument;

/// Templates of which one argument is kept, by its number. 0 is the last one.
#[rustfmt::skip]
const WORDS: &[(&str, usize)] = &[
    ("\"", 1), ("abbr", 1), ("abbréviation", 1), ("audio", 2), ("big", 1), ("bold", 1),
    ("center", 1), ("citation étrangère", 2), ("citation", 1), ("code", 1), ("color", 2),
    ("colour", 2), ("em", 1), ("emphase", 1), ("flag", 1), ("flagcountry", 1), ("flagu", 1),
    ("font color", 2), ("fontcolor", 2), ("formatnum", 1), ("gras", 1), ("ill", 1), ("illm", 1),
    ("incise", 1), ("interlanguage link", 1), ("italic", 1), ("italique", 1), ("jumelage", 1),
    ("kbd", 1), ("keypress", 1), ("lang", 2), ("langue", 2), ("langx", 2), ("larger", 1),
    ("lien", 1), ("linktext", 1), ("math", 1), ("mono", 1), ("mvar", 1), ("native name", 2),
    ("nihongo", 1), ("nobold", 1), ("nobr", 1), ("nobreak", 1), ("noitalic", 1), ("nowrap", 1),
    ("nts", 1), ("number", 1), ("overline", 1), ("petit", 1), ("petites capitales", 1),
    ("polytonic", 1), ("romanisation", 0), ("sc", 1), ("script", 2), ("sic", 1), ("small", 1),
    ("smallcaps", 1), ("smaller", 1), ("sort", 2), ("strong", 1), ("tmath", 1),
    ("tooltip", 1), ("trad", 1), ("not a typo", 1), ("notatypo", 1),
    ("transl", 0), ("transliteration", 0), ("translitération", 0), ("underline", 1),
    ("unicode", 1), ("vanchor", 1), ("var", 1), ("zh", 1), ("нп3", 1), ("нп5", 1),
    ("仮リンク", 1), ("要出典", 1), ("読み仮名", 1), ("ruby", 1), ("旧字体", 1),
    ("не переведено", 1), ("małe", 1), ("versalita", 1), ("pc", 1), ("guil", 1), ("japonais", 1),
    ("nobr romains", 1), ("ens", 1), ("frs", 1), ("las", 1), ("polytonisch", 1), ("esd", 1),
];

/// Templates for quotations, which are blocks.
const QUOTATIONS: [&str; 13] = [
    "blockquote",
    "bquote",
    "citation bloc",
    "cquote",
    "poem quote",
    "poemquote",
    "quotation",
    "quote",
    "verse translation",
    "zitat",
    "cita",
    "cytat",
    "цитата",
];

/// Prefixes of ships that are templates, too: `{{HMS|Hood|51}}`.
const SHIPS: [&str; 12] =
    ["hmas", "hmcs", "hmnzs", "hms", "ijn", "mv", "rms", "sms", "ss", "usns", "uss", "uscgc"];

/// The words of a template: some of its arguments, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// The indexes of the arguments.
    pub(super) parts: Vec<usize>,
    pub(super) before: String,
    pub(super) between: &'static str,
    pub(super) after: &'static str,
}

/// Returns whether a template stands for words.
pub(super) fn has_words(name: &str) -> bool {
    !words_of(name, &[Argument::of("a"), Argument::of("b")]).parts.is_empty()
}

/// Returns the words of a template, which are empty if it is not known.
pub(super) fn words_of(name: &str, arguments: &[Argument<'_>]) -> Words {
    let one = |number: usize| positional(arguments, number).into_iter().collect::<Vec<_>>();
    match name {
        "hlist" | "flatlist" => Words { between: ", ", ..all(arguments) },
        "ubl" | "ublist" | "unbulleted list" => {
            let line = readable::LINE;
            Words { before: line.to_owned(), between: line, after: line, ..all(arguments) }
        }
        "plainlist" | "plain list" => {
            let line = readable::LINE;
            Words { parts: one(1), before: line.to_owned(), after: line, ..Words::default() }
        }
        "gloss" => Words { parts: one(1), before: "‘".to_owned(), after: "’", between: "" },
        "ship" => {
            let parts = one(1).into_iter().chain(one(2)).collect();
            Words { parts, between: " ", ..Words::default() }
        }
        _ if SHIPS.contains(&name) => {
            Words { parts: one(1), before: name.to_uppercase() + " ", ..Words::default() }
        }
        _ if QUOTATIONS.contains(&name) => {
            let text = named(arguments, &["text", "quote", "content", "zitat", "texte"]);
            let parts = text.map_or_else(|| one(1), |at| vec![at]);
            let edge = readable::PARAGRAPH;
            Words { parts, before: edge.to_owned(), after: edge, between: "" }
        }
        _ => {
            let shown = || match name {
                "ill" | "illm" | "interlanguage link" => named(arguments, &["lt"]),
                "lien" => {
                    named(arguments, &["texte"]).or_else(|| named(arguments, &["fr", "trad"]))
                }
                "lang" | "langx" | "native name" => named(arguments, &["text"]),
                _ => None,
            };
            let parts =
                number_of(name).map(|number| shown().map_or_else(|| one(number), |at| vec![at]));
            Words { parts: parts.unwrap_or_default(), ..Words::default() }
        }
    }
}

/// Returns the number of the argument that is the text of a template.
fn number_of(name: &str) -> Option<usize> {
    if name.starts_with("lang-") || name.starts_with("langue-") {
        return Some(1);
    }
    WORDS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// Returns the index of an argument by its number, or of the last one if that is 0.
fn positional(arguments: &[Argument<'_>], number: usize) -> Option<usize> {
    let is_positional =
        |argument: &Argument<'_>| argument.name.is_none_or(|name| name.parse::<usize>().is_ok());
    let mut found = (0..arguments.len()).filter(|at| is_positional(&arguments[*at]));
    if number == 0 { found.next_back() } else { found.nth(number - 1) }
}

fn named(arguments: &[Argument<'_>], names: &[&str]) -> Option<usize> {
    let fits = |argument: &Argument<'_>| argument.name.is_some_and(|name| names.contains(&name));
    arguments.iter().position(|argument| fits(argument) && !argument.value.trim().is_empty())
}

/// Returns the words of a list: all its items that are not empty.
fn all(arguments: &[Argument<'_>]) -> Words {
    let items = arguments.iter().enumerate();
    let items = items.filter(|(_, it)| it.name.is_none() && !it.value.trim().is_empty());
    Words { parts: items.map(|(at, _)| at).collect(), ..Words::default() }
}
