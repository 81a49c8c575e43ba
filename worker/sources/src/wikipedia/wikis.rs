//! Determines of which wiki a dump is: its database, language and address.
//!
//! `<dbname>`, `<base>` and `xml:lang` in the head of the dump say it. A dump without a head, or
//! one that was joined from excerpts under the head of another wiki, has the database in its name:
//! `zh_yuewiki-20230320-pages-articles.xml.bz2`. For the databases of Wikimedia, tables here have
//! the project, and the codes that are not those of their language.
//!
//! **Invariant:** an address is never made up: a dump of a wiki that is not known has none.

use super::namespaces::is_known;

/// Endings of databases, with the domain of their project.
const PROJECTS: [(&str, &str); 8] = [
    ("wiktionary", "wiktionary.org"),
    ("wikibooks", "wikibooks.org"),
    ("wikinews", "wikinews.org"),
    ("wikiquote", "wikiquote.org"),
    ("wikisource", "wikisource.org"),
    ("wikiversity", "wikiversity.org"),
    ("wikivoyage", "wikivoyage.org"),
    ("wiki", "wikipedia.org"),
];

/// Databases that are not one language's part of a project, with their hosts.
const OTHERS: [(&str, &str); 11] = [
    ("betawikiversity", "beta.wikiversity.org"),
    ("commonswiki", "commons.wikimedia.org"),
    ("foundationwiki", "foundation.wikimedia.org"),
    ("incubatorwiki", "incubator.wikimedia.org"),
    ("mediawikiwiki", "www.mediawiki.org"),
    ("metawiki", "meta.wikimedia.org"),
    ("outreachwiki", "outreach.wikimedia.org"),
    ("sourceswiki", "wikisource.org"),
    ("specieswiki", "species.wikimedia.org"),
    ("wikidatawiki", "www.wikidata.org"),
    ("wikifunctionswiki", "www.wikifunctions.org"),
];

/// The language of a wiki with pages in many languages (ISO 639-2).
const MULTIPLE: &str = "mul";

/// Codes of wikis that are not the code of their language, as MediaWiki maps them.
const CODES: [(&str, &str); 12] = [
    ("als", "gsw"),
    ("bat-smg", "sgs"),
    ("be-x-old", "be-tarask"),
    ("bh", "bho"),
    ("cbk-zam", "cbk"),
    ("eml", "egl"),
    ("fiu-vro", "vro"),
    ("roa-rup", "rup"),
    ("simple", "en"),
    ("zh-classical", "lzh"),
    ("zh-min-nan", "nan"),
    ("zh-yue", "yue"),
];

/// The wiki of a dump.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wiki {
    /// The name of the database, such as `zh_yuewiki`; of a file with another name, that name.
    pub(super) database: String,
    /// The code in the name of the database, with hyphens: `zh-yue`.
    pub(super) code: String,
    /// The code of the language: `yue`. Empty if it is not known.
    pub(super) language: String,
    /// The address of a page without its title. Empty if it is not known.
    pub(super) base: String,
}

impl Wiki {
    /// Returns the wiki of a dump by its path, and by the head of its XML.
    pub(super) fn of(path: &str, head: &str) -> Self {
        let file = path.rsplit('/').next().unwrap_or(path);
        let stem = file.split(['-', '.']).next().unwrap_or(file);
        let named = Self::known(stem);
        let head = head.split("<page>").next().unwrap_or(head);
        let declared = element(head, "dbname").unwrap_or_default();
        let base = element(head, "base").and_then(base_of).unwrap_or_default();
        match named {
            // The head is that of another wiki.
            Some(named) if !declared.is_empty() && declared != named.database => named,
            Some(named) if base.is_empty() => named,
            Some(named) => Self { base, ..named },
            None => {
                let found = Self::known(declared).unwrap_or_else(|| Self {
                    database: (if declared.is_empty() { stem } else { declared }).to_owned(),
                    language: language_of(head).unwrap_or_default().to_owned(),
                    ..Self::default()
                });
                let base = if base.is_empty() { found.base } else { base };
                Self { base, ..found }
            }
        }
    }

    /// Returns the wiki of a database of Wikimedia.
    fn known(database: &str) -> Option<Self> {
        let of = |code: &str, language: &str, host: &str| Self {
            database: database.to_owned(),
            code: code.to_owned(),
            language: language.to_owned(),
            base: format!("https://{host}/wiki/"),
        };
        if let Some((_, host)) = OTHERS.iter().find(|(known, _)| *known == database) {
            return Some(of(MULTIPLE, MULTIPLE, host));
        }
        let (code, domain) = PROJECTS
            .iter()
            .find_map(|(ending, domain)| Some((database.strip_suffix(ending)?, domain)))?;
        let code = code.replace('_', "-");
        let language =
            CODES.iter().find(|(known, _)| *known == code).map(|(_, language)| *language);
        let is_short = matches!(code.len(), 2 | 3) && code.bytes().all(|b| b.is_ascii_lowercase());
        if language.is_none() && !is_short && !is_known(&code) {
            return None;
        }
        // The address of this wiki has the newer code.
        let host = if code == "be-x-old" { "be-tarask" } else { &code };
        Some(of(&code, language.unwrap_or(&code), &format!("{host}.{domain}")))
    }
}

/// Returns the address of pages by that of the main page: `https://de.wikipedia.org/wiki/` for
/// `http://de.wikipedia.org/wiki/Wikipedia:Hauptseite`.
fn base_of(main_page: &str) -> Option<String> {
    let (_, address) = main_page.split_once("//")?;
    let end = ["/wiki/", "title="].iter().find_map(|part| Some(address.find(part)? + part.len()));
    let end = end.or_else(|| Some(address.rfind('/')? + 1))?;
    let is_address = address.starts_with(|c: char| c.is_alphanumeric())
        && !address[..end].contains(|c: char| c.is_whitespace() || c == '<');
    is_address.then(|| format!("https://{}", &address[..end]))
}

/// Returns the content of the first element with a name.
fn element<'x>(head: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = head.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once('<')?;
    Some(content.trim())
}

/// Returns the language of the root element.
fn language_of(head: &str) -> Option<&str> {
    let (_, root) = head.split_once("<mediawiki")?;
    let (_, rest) = root.split('>').next()?.split_once("xml:lang=\"")?;
    rest.split('"').next()
}

/// Returns the date in the name of a dump: `20230320` for
/// `dewiki-20230320-pages-articles-multistream.xml.bz2`, or an empty text.
pub(super) fn date_of(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    let date = file.split(['-', '.']).nth(1).unwrap_or_default();
    let dated = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    if dated { date } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_dump_shows_its_wiki() {
        for (database, language, base) in [
            ("dewiki", "de", "de.wikipedia.org"),
            ("enwikibooks", "en", "en.wikibooks.org"),
            ("frwiktionary", "fr", "fr.wiktionary.org"),
            ("itwikisource", "it", "it.wikisource.org"),
            ("zh_yuewiki", "yue", "zh-yue.wikipedia.org"),
            ("zh_min_nanwikisource", "nan", "zh-min-nan.wikisource.org"),
            ("zh_min_nanwiki", "nan", "zh-min-nan.wikipedia.org"),
            ("zh_classicalwiki", "lzh", "zh-classical.wikipedia.org"),
            ("simplewiki", "en", "simple.wikipedia.org"),
            ("simplewiktionary", "en", "simple.wiktionary.org"),
            ("be_x_oldwiki", "be-tarask", "be-tarask.wikipedia.org"),
            ("alswiki", "gsw", "als.wikipedia.org"),
            ("roa_rupwiki", "rup", "roa-rup.wikipedia.org"),
            ("nds_nlwiki", "nds-nl", "nds-nl.wikipedia.org"),
            ("cbk_zamwiki", "cbk", "cbk-zam.wikipedia.org"),
            ("fiu_vrowiki", "vro", "fiu-vro.wikipedia.org"),
            ("map_bmswiki", "map-bms", "map-bms.wikipedia.org"),
            ("bat_smgwiki", "sgs", "bat-smg.wikipedia.org"),
            ("commonswiki", "mul", "commons.wikimedia.org"),
            ("wikidatawiki", "mul", "www.wikidata.org"),
            ("specieswiki", "mul", "species.wikimedia.org"),
            ("mediawikiwiki", "mul", "www.mediawiki.org"),
            ("sourceswiki", "mul", "wikisource.org"),
            ("betawikiversity", "mul", "beta.wikiversity.org"),
            ("arcwiki", "arc", "arc.wikipedia.org"),
        ] {
            for rest in ["-20240301-pages-articles-multistream.xml.bz2", "-latest.xml", ".xml.bz2"]
            {
                let found = Wiki::of(&format!("dumps/{database}{rest}"), "");
                assert_eq!(found.database, database);
                assert_eq!(found.language, language, "{database}");
                assert_eq!(found.base, format!("https://{base}/wiki/"));
            }
        }
        for name in ["pages-articles.xml.bz2", "companywiki-20240301.xml", "dump.xml", "wiki.xml"] {
            let found = Wiki::of(name, "<mediawiki>");
            assert_eq!((found.language.as_str(), found.base.as_str()), ("", ""), "{name}");
        }
    }

    #[test]
    fn the_head_of_a_dump_shows_its_wiki_if_the_name_does_not_contradict() {
        let head = |lang: &str, database: &str, base: &str| {
            format!(
                "<mediawiki xmlns=\"x\" version=\"0.11\" xml:lang=\"{lang}\">\n <siteinfo>\n  \
                 <sitename>W</sitename>\n  <dbname>{database}</dbname>\n  <base>{base}</base>\n"
            )
        };
        let yue = head("yue", "zh_yuewiki", "https://zh-yue.wikipedia.org/wiki/%E9%A0%AD%E7%89%88");
        let old = head("als", "alswiki", "http://als.wikipedia.org/wiki/Hauptseite");
        let fan = head("pl", "plstarwars", "https://starwars.fandom.com/pl/wiki/Strona_g%C5%82");
        let own = head("en", "my_wiki", "http://example.org/w/index.php?title=Main_Page");
        let plain = head("en", "my_wiki", "http://localhost/Main_Page");
        for (name, head, language, base) in [
            ("dump.xml.bz2", &yue, "yue", "https://zh-yue.wikipedia.org/wiki/"),
            ("zh_yuewiki-20240301.xml", &yue, "yue", "https://zh-yue.wikipedia.org/wiki/"),
            ("enwiki-20240301.xml", &yue, "en", "https://en.wikipedia.org/wiki/"),
            ("pages-articles.xml", &old, "gsw", "https://als.wikipedia.org/wiki/"),
            ("pages.xml", &fan, "pl", "https://starwars.fandom.com/pl/wiki/"),
            ("pages.xml", &own, "en", "https://example.org/w/index.php?title="),
            ("pages.xml", &plain, "en", "https://localhost/"),
        ] {
            let found = Wiki::of(name, head);
            assert_eq!((found.language.as_str(), found.base.as_str()), (language, base), "{name}");
        }
        let text = "<mediawiki><page><text><dbname>frwiki</dbname></text></page>";
        assert_eq!(Wiki::of("pages.xml", text).language, "");
        for base in ["", "x", "http://", "https:///wiki/", "//a b/wiki/x", "javascript:alert()//"] {
            assert_eq!(base_of(base), None, "{base}");
        }
    }

    #[test]
    fn the_date_comes_from_the_name() {
        for (name, date) in [
            ("a/dewiki-20230320-pages-articles-multistream.xml.bz2", "20230320"),
            ("enwikibooks-20230320-pages-articles1.xml-p1p9.bz2", "20230320"),
            ("enwiki-latest-pages-articles.xml.bz2", ""),
            ("enwiki.xml", ""),
        ] {
            assert_eq!(date_of(name), date);
        }
    }
}
