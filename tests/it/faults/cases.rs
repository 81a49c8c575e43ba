//! Whole jobs over small inputs of which the wrong text was once published: every text, as it was
//! meant.
//!
//! The inputs are in the folder `cases`. Those of crawls that only show one rule have no filters.

use std::path::Path;

use super::slices::job_of;
use super::{Outcome, complete};

/// A job, and the texts that it publishes.
struct Case {
    slice: &'static str,
    /// The path of the input in its source.
    path: &'static str,
    input: &'static [u8],
    preset: &'static str,
    tables: &'static str,
    /// The texts, in their order. One that ends with `…` is the start of a longer text.
    texts: &'static [&'static str],
    dropped: u64,
}

const V1: &str = "redpajama-v1";
/// What a job with the published recipe must set, and steps without models.
const V1_TABLES: &str = "[perplexity]\nmodels = \"none\"\n[classifier]\nmodel = \"none\"\n\
                         [steps]\ncommoncrawl = [\"lines\"]\n";
const ALL_LENGTHS: &str = "[perplexity]\nmodels = \"none\"\n[classifier]\nmodel = \"none\"\n\
                           [steps]\ncommoncrawl = [\"lines\"]\n[commoncrawl]\nmin_chars = 0\n";
const WITHOUT_FILTERS: &str = "[steps]\ncommoncrawl = []\n[commoncrawl]\nmin_chars = 0\n";

const CASES: [Case; 7] = [
    // A line that repeats only inside one page keeps its first copy.
    Case {
        slice: "commoncrawl",
        path: "repeat.warc.wet",
        input: include_bytes!("cases/repeat.warc.wet"),
        preset: V1,
        tables: ALL_LENGTHS,
        texts: &[
            "Menu of this page only\nFirst unique sentence of the page.\n\
             Second unique sentence of the page.",
            "Quite another line.\nAnd one more.",
        ],
        dropped: 0,
    },
    // A lone CR ends a line, NEL does not, and blank lines at the end count for the 300 characters.
    Case {
        slice: "commoncrawl",
        path: "edges.warc.wet",
        input: include_bytes!("cases/edges.warc.wet"),
        preset: V1,
        tables: V1_TABLES,
        texts: &[
            "bbbb…",
            "dddd…",
            "ffff…",
            "first part g\nsecond part g gggg…",
            "first part h\u{85}second part h hhhh…",
            "jjjj…",
            "kkkk…",
            "mmmm…",
        ],
        dropped: 3,
    },
    // The parser's messages about misplaced elements stay out of the log.
    Case {
        slice: "commoncrawl",
        path: "noisy.warc.gz",
        input: include_bytes!("cases/noisy.warc.gz"),
        preset: "thresher",
        tables: WITHOUT_FILTERS,
        texts: &["A paragraph of words, long enough for the page to be kept…"; 3],
        dropped: 0,
    },
    // Text of tables, and beside their cells.
    Case {
        slice: "commoncrawl",
        path: "table.warc",
        input: include_bytes!("cases/table.warc"),
        preset: "thresher",
        tables: WITHOUT_FILTERS,
        texts: &["ALPHA words\nCELL words", "BETA words\nCELL words", "EPSILON words\nCELL words"],
        dropped: 0,
    },
    // White space between tags, as BeautifulSoup reads it, and as a person does.
    Case {
        slice: "stackexchange",
        path: "min.stackexchange.com/Posts.xml",
        input: include_bytes!("cases/Posts.xml"),
        preset: V1,
        tables: V1_TABLES,
        texts: &["Q: T a\n\nb\n\n"],
        dropped: 0,
    },
    Case {
        slice: "stackexchange",
        path: "min.stackexchange.com/Posts.xml",
        input: include_bytes!("cases/Posts.xml"),
        preset: "thresher",
        tables: "",
        texts: &["Q: T a\n\nb"],
        dropped: 0,
    },
    // Ticks of elisions.
    Case {
        slice: "wikipedia",
        path: "frwiki-20230320-pages-articles.xml.bz2",
        input: include_bytes!("cases/frwiki.xml.bz2"),
        preset: V1,
        tables: V1_TABLES,
        texts: &[
            "Dans lIliade et l'''Odyssée, Homère. Le journal lHumanité''.",
            "Dal 1936 l'Olympiastadion (stadio).",
            "'s x",
            "a<ref>x</ref>b",
            "[] and …",
        ],
        dropped: 0,
    },
];

/// Returns the published texts, in the order of the shards and their rows.
fn texts(outcome: &Outcome) -> Vec<String> {
    let folder = std::fs::read_dir(outcome.output.join("documents")).unwrap();
    let mut shards: Vec<_> = folder.map(|file| file.unwrap().path()).collect();
    shards.sort();
    let rows = shards.iter().flat_map(|shard| {
        let rows = zstd::decode_all(std::fs::File::open(shard).unwrap()).unwrap();
        String::from_utf8(rows).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let text = |row: String| {
        let row: serde_json::Value = serde_json::from_str(&row).unwrap();
        row["text"].as_str().unwrap().to_owned()
    };
    rows.map(text).collect()
}

/// Returns the size of all logs below a state directory.
fn log_bytes(state: &Path) -> u64 {
    let logs = std::fs::read_dir(state.join("logs")).unwrap();
    logs.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn small_inputs_of_every_kind_have_the_text_that_was_meant() {
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let files = [(case.path, case.input)];
        let preset = format!("\"t\"\npreset = \"{}\"", case.preset);
        let job = job_of(folder.path(), case.slice, &files, case.tables).set("name", &preset);
        let outcome = complete(folder.path(), &job);
        let name = (case.path, case.preset);
        let found = texts(&outcome);
        assert_eq!(found.len(), case.texts.len(), "{name:?}: {found:?}");
        for (text, expected) in found.iter().zip(case.texts) {
            match expected.strip_suffix('…') {
                Some(start) => assert!(text.starts_with(start), "{name:?}: {text}"),
                None => assert_eq!(text, expected, "{name:?}"),
            }
        }
        let accounting = &outcome.manifest["accounting"];
        let read = accounting["records_in"].as_u64().unwrap();
        assert_eq!(read, outcome.published() + case.dropped, "{name:?}: {accounting}");
        assert!(log_bytes(&folder.path().join("state")) < 4096, "{name:?}");
    }
}
