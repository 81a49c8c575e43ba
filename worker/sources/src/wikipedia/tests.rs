//! Tests with whole small dumps, which are built here.

use std::io::Write;
use std::path::PathBuf;

use super::*;

const HEAD: &str = "<mediawiki><siteinfo><namespaces><namespace key=\"6\">Datei</namespace>\
                    <namespace key=\"14\">Rubrik</namespace></namespaces></siteinfo>";

fn page(id: u32, ns: &str, extra: &str, text: &str) -> String {
    format!(
        "<page><title>Seite {id}/ä</title><ns>{ns}</ns><id>{id}</id>{extra}<revision><timestamp>\
         2023-01-01T00:00:00Z</timestamp><text>{text}</text></revision></page>\n"
    )
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn dump() -> Vec<Vec<u8>> {
    vec![
        packed(HEAD),
        packed(&(page(1, "0", "", "Eins [[Rubrik:X]]") + &page(2, "1", "", "talk"))),
        packed(&(page(3, "0", "<redirect title=\"Y\" />", "#R") + &page(4, "0", "", "{{a}}"))),
        packed(
            &(page(5, "0", "", "F&amp;uuml;nf [[Datei:x.jpg]]") + "<page><title>6</titel></page>"),
        ),
        packed("</mediawiki>"),
    ]
}

/// Returns each record as a line with its number, its id, and its text or reason.
fn read(path: &str, bytes: &[u8], job: &JobSpec) -> Vec<String> {
    let input = Input::sample(path, path, bytes, PathBuf::new());
    let mut outcomes = Vec::new();
    let digest = Wikipedia
        .read(job, &job.source[0], &input, &mut |record| {
            let number = record.record;
            outcomes.push(match record.outcome {
                RecordOutcome::Page(page) => {
                    format!("{number} {} {} {}", page.id, page.url, page.text)
                }
                RecordOutcome::Dropped { id, reason, .. } => format!("{number} {id} {reason}"),
                RecordOutcome::Quarantined { reason, .. } => format!("{number} {reason}"),
            });
            Ok(())
        })
        .unwrap();
    assert_eq!(digest.bytes, bytes.len() as u64);
    outcomes
}

fn job(more: &str) -> JobSpec {
    let text = format!(
        "[job]\nname = \"t\"\n[[source]]\nslice = \"wikipedia\"\nlisting = \"x\"\n\
         [language]\nmodel = \"none\"\n[output]\npath = \"o\"\n{more}"
    );
    JobSpec::parse(&text, std::path::Path::new("/")).unwrap()
}

const NAME: &str = "dumps/dewiki-20230320-pages-articles-multistream.xml.bz2";

#[test]
fn every_page_of_a_dump_is_kept_or_dropped_by_name() {
    let url = "https://de.wikipedia.org/wiki/Seite%20";
    let expected = [
        format!("0 dewiki/1 {url}1/%C3%A4 Eins"),
        "1 dewiki/2 wikipedia/namespace".to_owned(),
        "2 dewiki/3 wikipedia/redirect".to_owned(),
        "3 dewiki/4 wikipedia/empty".to_owned(),
        format!("4 dewiki/5 {url}5/%C3%A4 Fünf"),
        "5 page_malformed".to_owned(),
    ];
    assert_eq!(read(NAME, &dump().concat(), &job("")), expected);
    let other = job("[wikipedia]\nlanguages = [\"en\"]\n");
    assert_eq!(read(NAME, &dump().concat(), &other)[0], "0 dewiki/1 wikipedia/language");
}

#[test]
fn a_dump_without_namespaces_of_pages_has_them_in_its_titles() {
    let of = |title: &str| {
        let page = page(1, "0", "", "Text").replace("<ns>0</ns>", "");
        let dump = format!("{HEAD}{}", page.replace("Seite 1/ä", title));
        read(NAME, &packed(&dump), &job(""))[0].clone()
    };
    assert!(of("Berlin").ends_with("Text"));
    assert!(of("2001: Odyssee").ends_with("Text"));
    for title in ["Datei:x.jpg", "Rubrik:Ort", "Talk:Berlin", "Category:Ort"] {
        assert_eq!(of(title), "0 dewiki/1 wikipedia/namespace", "{title}");
    }
}

#[test]
fn a_redirect_without_its_element_is_one_unless_the_published_recipe_is_followed() {
    let redirect = packed(&page(1, "0", "", "#WEITERLEITUNG [[Berlin]]"));
    assert_eq!(read(NAME, &redirect, &job("")), ["0 dewiki/1 wikipedia/redirect"]);
    let published = job("[wikipedia]\ntext = \"redpajama-v1\"\n");
    assert!(read(NAME, &redirect, &published)[0].ends_with("WEITERLEITUNG Berlin"));
    let category = packed(&page(1, "0", "", "Eins [[Kategorie:X]]"));
    assert!(read(NAME, &category, &published)[0].ends_with("Eins X"));
}

#[test]
fn damage_loses_only_its_stream() {
    let parts = dump();
    let mut bytes = parts.concat();
    bytes[parts[0].len() + 40] ^= 1;
    let outcomes = read(NAME, &bytes, &job(""));
    assert_eq!(outcomes[0], "0 bzip2_damaged");
    assert_eq!(outcomes[1], "1 dewiki/3 wikipedia/redirect");
    assert_eq!(outcomes.len(), 5);
    for (from, to) in [(0, b'X'), (5, 0)] {
        let mut bytes = parts.concat();
        bytes[parts[0].len() + from] = to;
        assert_eq!(read(NAME, &bytes, &job("")), outcomes);
    }
    let outcomes = read(NAME, &parts[..3].concat(), &job(""));
    assert_eq!(outcomes[4], "4 bzip2_truncated");
    let cut = parts[..3].concat();
    let outcomes = read(NAME, &cut[..cut.len() - 9], &job(""));
    // The pages were whole before the cut.
    assert_eq!(
        outcomes[2..],
        ["2 dewiki/3 wikipedia/redirect", "3 dewiki/4 wikipedia/empty", "4 bzip2_truncated"]
    );
}

#[test]
fn pages_can_cross_streams_if_the_dump_is_not_multistream() {
    let xml = HEAD.to_owned() + &page(1, "0", "", "Eins");
    let (one, two) = xml.split_at(xml.len() - 30);
    let bytes = [packed(one), packed(two)].concat();
    let name = "dewiki-20230320-pages-articles.xml.bz2";
    assert!(read(name, &bytes, &job(""))[0].ends_with("Eins"));
}

#[test]
fn what_follows_the_end_tag_costs_nothing() {
    let pages = HEAD.to_owned() + &page(1, "0", "", "Eins");
    let joined = "dewiki-20230320-pages-articles.xml.bz2";
    for name in [joined, NAME, "dewiki-20230320-pages-articles.xml"] {
        let outcomes = |text: &str| {
            let bytes = if name.ends_with("xml") { text.into() } else { packed(text) };
            read(name, &bytes, &job(""))
        };
        for after in ["", "\n", "\ntrailing", "<!-- end -->\n", "\0\0\0"] {
            let found = outcomes(&format!("{pages}</mediawiki>{after}"));
            assert_eq!(found.len(), 1, "{name} {after:?}: {found:?}");
        }
        let whole = format!("{pages}</mediawiki>\n");
        for cut in [pages.clone(), format!("{whole}{pages}")] {
            let found = outcomes(&cut);
            let last = found.last().unwrap();
            assert!(last.ends_with("_truncated"), "{name}: {found:?}");
            assert_eq!(outcomes(&format!("{cut}</mediawiki>")).len(), found.len() - 1);
        }
    }
}

#[test]
fn a_bzip2_stream_that_ends_early_is_truncated_and_counted_once() {
    let pages = HEAD.to_owned() + &page(1, "0", "", "Eins") + "</mediawiki>";
    let bytes = packed(&pages);
    for name in [NAME, "dewiki-20230320-pages-articles.xml.bz2"] {
        for cut in [bytes.len() / 2, bytes.len() - 1] {
            let outcomes = read(name, &bytes[..cut], &job(""));
            let reasons: Vec<_> = outcomes.iter().filter(|it| it.contains("bzip2_")).collect();
            assert_eq!(reasons.len(), 1, "{name} {cut}: {outcomes:?}");
            assert!(reasons[0].ends_with("bzip2_truncated"), "{name} {cut}: {outcomes:?}");
        }
        // An excerpt without a root is cut off too.
        let excerpt = packed(&page(1, "0", "", "Eins"));
        let outcomes = read(name, &excerpt[..excerpt.len() - 1], &job(""));
        assert!(outcomes.last().unwrap().ends_with("bzip2_truncated"), "{name}: {outcomes:?}");
    }
}

#[test]
fn a_dump_in_utf_16_is_read_in_bzip2() {
    let xml = format!("\u{feff}{HEAD}{}</mediawiki>", page(1, "0", "", "Eins Ω"));
    let little: Vec<u8> = xml.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = xml.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        let packed = encoder.finish().unwrap();
        for name in [NAME, "dewiki-20230320-pages-articles.xml.bz2"] {
            let outcomes = read(name, &packed, &job(""));
            assert_eq!(outcomes.len(), 1);
            assert!(outcomes[0].ends_with("Eins Ω"), "{outcomes:?}");
        }
    }
}

#[test]
fn files_that_are_not_dumps_are_quarantined() {
    assert_eq!(read(NAME, b"<error>not found</error>", &job("")), ["0 no_page"]);
    let input = Input::sample(NAME, NAME, b"<html>not found</html>", PathBuf::new());
    let job_of_page = job("");
    let refused = Wikipedia.read(&job_of_page, &job_of_page.source[0], &input, &mut |_| Ok(()));
    assert!(refused.unwrap_err().to_string().contains("is HTML, which"));
    assert_eq!(read(NAME, b"", &job("")), ["0 no_page"]);
}

#[test]
fn pages_have_the_address_and_language_of_their_wiki() {
    let base = "<siteinfo><dbname>pl_fans</dbname><base>https://example.org/wiki/Main</base>";
    let fans = format!("<mediawiki xml:lang=\"pl\">{base}</siteinfo>");
    let all = job("[wikipedia]\nlanguages = []\n");
    for (name, head, id, url) in [
        ("enwikibooks-20240301-pages-articles.xml.bz2", "", "enwikibooks/1", "en.wikibooks.org"),
        ("zh_yuewiki-20240301-pages-articles.xml.bz2", "", "zh_yuewiki/1", "zh-yue.wikipedia.org"),
        ("commonswiki-latest.xml.bz2", HEAD, "commonswiki/1", "commons.wikimedia.org"),
        ("dump.xml.bz2", &fans, "pl_fans/1", "example.org"),
    ] {
        let bytes = packed(&(head.to_owned() + &page(1, "0", "", "Text")));
        let expected = format!("0 {id} https://{url}/wiki/Seite%201/%C3%A4 Text");
        assert_eq!(read(name, &bytes, &all)[0], expected);
    }
    let bytes = packed(&page(1, "0", "", "Text"));
    assert_eq!(read("pages.xml.bz2", &bytes, &all)[0], "0 pages/1  Text");
}

#[test]
fn wikis_are_kept_by_their_code_or_their_language() {
    let bytes = packed(&page(1, "0", "", "Text"));
    for (name, list, rules, kept) in [
        ("simplewiki-20240301.xml.bz2", "en", "readable", true),
        ("simplewiki-20240301.xml.bz2", "simple", "readable", true),
        ("simplewiki-20240301.xml.bz2", "en", "redpajama-v1", false),
        ("zh_yuewiki-20240301.xml.bz2", "yue", "readable", true),
        ("zh_yuewiki-20240301.xml.bz2", "zh", "readable", false),
        ("commonswiki-20240301.xml.bz2", "en", "readable", false),
        ("pages.xml.bz2", "en", "readable", false),
    ] {
        let job = job(&format!("[wikipedia]\nlanguages = [\"{list}\"]\ntext = \"{rules}\"\n"));
        let found = read(name, &bytes, &job);
        assert_eq!(!found[0].ends_with("wikipedia/language"), kept, "{name} {list} {rules}");
    }
}

#[test]
fn pages_that_are_not_wikitext_are_dropped() {
    for (model, reason) in [("wikitext", ""), ("wikibase-item", "wikipedia/not_wikitext")] {
        let page = page(1, "0", "", "{\"labels\":{}}");
        let page = page.replace("<text>", &format!("<model>{model}</model><text>"));
        assert!(read(NAME, &packed(&page), &job(""))[0].ends_with(reason), "{model}");
    }
}

/// Returns the pieces of the dump in a folder, and the ids or reasons of all their records.
fn read_in_pieces(folder: &std::path::Path, target: u64) -> (Vec<Piece>, Vec<String>) {
    let mut job = job("");
    job.source[0].base = folder.display().to_string();
    let name = NAME.trim_start_matches("dumps/");
    let bytes = std::fs::read(folder.join(name)).unwrap();
    let planned =
        PlannedInput { source: &job.source[0], path: name, bytes: Some(bytes.len() as u64) };
    let pieces = Wikipedia.pieces(&job, &planned, target).unwrap();
    let mut outcomes = Vec::new();
    for piece in &pieces {
        let row = InputRow { piece: Some(*piece), ..InputRow::named(name.to_owned()) };
        let location = thresher_storage::Location::from(folder.join(name).as_path());
        let input = Input::stored(location, &row, PathBuf::new()).unwrap();
        let digest = Wikipedia.read(&job, &job.source[0], &input, &mut |record| {
            outcomes.push(match record.outcome {
                RecordOutcome::Page(page) => page.id.to_owned(),
                RecordOutcome::Dropped { id, .. } => id.to_owned(),
                RecordOutcome::Quarantined { reason, .. } => reason.to_owned(),
            });
            Ok(())
        });
        assert_eq!(digest.unwrap().bytes, piece.length);
    }
    (pieces, outcomes)
}

#[test]
fn pieces_by_the_index_and_without_it_give_the_same_pages() {
    let folder = tempfile::tempdir().unwrap();
    let parts = dump();
    let name = NAME.trim_start_matches("dumps/");
    std::fs::write(folder.path().join(name), parts.concat()).unwrap();
    let all = ["dewiki/1", "dewiki/2", "dewiki/3", "dewiki/4", "dewiki/5", "page_malformed"];
    let (even, outcomes) = read_in_pieces(folder.path(), 150);
    assert_eq!(outcomes, all);
    let mut at = 0;
    let mut index = String::new();
    for (number, part) in parts.iter().enumerate() {
        if (1..4).contains(&number) {
            index.push_str(&format!("{at}:{number}:Seite: {number}\n"));
        }
        at += part.len();
    }
    let index_path = folder.path().join(index::path_of(name).unwrap());
    std::fs::write(&index_path, packed(&index)).unwrap();
    let (by_index, outcomes) = read_in_pieces(folder.path(), 150);
    assert_eq!(outcomes, all);
    assert_ne!(by_index, even);
    let starts: Vec<usize> = (1..4).map(|number| parts[..number].concat().len()).collect();
    for piece in &by_index[1..] {
        assert!(starts.contains(&(piece.offset as usize)), "{piece:?}");
    }
    // A file that is not an index is ignored.
    std::fs::write(&index_path, b"nonsense").unwrap();
    assert_eq!(read_in_pieces(folder.path(), 150), (even, outcomes));
    let rows = [name, index_path.file_name().unwrap().to_str().unwrap()];
    let rows = rows.map(|path| InputRow::named(path.to_owned())).to_vec();
    assert_eq!(Wikipedia.select(&job(""), rows).unwrap().inputs.len(), 1);
}
