//! Determines the link prefixes of files and categories in the wiki of a language.
//!
//! The dump's `<siteinfo>` contains the names of the namespaces. It lacks older names that links
//! still use, so these are in a table here.

use std::collections::BTreeMap;

use super::wikitext::LinkPrefixes;

/// Keys of namespaces in `<siteinfo>`.
const MEDIA: &str = "-2";
const FILE: &str = "6";
const CATEGORY: &str = "14";
/// The key of the namespace of articles.
pub const ARTICLES: &str = "0";

/// A language in each line, with the prefixes of files and those of categories, in lower case: the
/// aliases of MediaWiki as of December 2021, which the published recipe used.
const KNOWN: &str = include_str!("namespaces.txt");

/// Languages whose wikis convert between scripts or variants, as MediaWiki does.
const VARIANTS: [&str; 15] = [
    "ban", "crh", "gan", "iu", "kk", "ku", "mni", "sh", "shi", "sr", "tg", "tly", "uz", "wuu", "zh",
];

/// Returns the known prefixes of files and of categories of a language.
fn known(language: &str) -> Option<(&'static str, &'static str)> {
    KNOWN.lines().find_map(|line| {
        let (_, names) = line.split_once('\t').filter(|(known, _)| *known == language)?;
        names.split_once('\t')
    })
}

/// Returns whether there is a wiki with this code, such as `zh-min-nan`.
pub fn is_known(code: &str) -> bool {
    known(code).is_some()
}

/// Returns the known prefixes of the wiki with this code, and those in the dump's siteinfo.
pub fn prefixes_of(code: &str, siteinfo: &BTreeMap<String, String>) -> LinkPrefixes {
    let mut files = vec!["file".to_owned(), "image".to_owned(), "media".to_owned()];
    let mut categories = vec!["category".to_owned()];
    if let Some((file, category)) = known(code) {
        let names = |list: &str| list.split('|').map(str::to_owned).collect::<Vec<_>>();
        files.extend(names(file).into_iter().filter(|name| !name.is_empty()));
        categories.extend(names(category).into_iter().filter(|name| !name.is_empty()));
    }
    for key in [MEDIA, FILE, CATEGORY] {
        let list = if key == CATEGORY { &mut categories } else { &mut files };
        if let Some(name) = siteinfo.get(key).map(|name| name.to_lowercase())
            && !name.is_empty()
            && !list.contains(&name)
        {
            list.push(name);
        }
    }
    let has_variants = VARIANTS.contains(&code);
    let languages = KNOWN.lines().filter_map(|line| line.split('\t').next());
    let languages = languages.map(str::to_owned).collect();
    LinkPrefixes { files, categories, languages, has_variants }
}

/// Names that every wiki knows in addition to its own, with their keys.
const CANONICAL: [(&str, &str); 19] = [
    ("media", "-2"),
    ("special", "-1"),
    ("talk", "1"),
    ("user", "2"),
    ("user talk", "3"),
    ("project", "4"),
    ("wikipedia", "4"),
    ("project talk", "5"),
    ("wikipedia talk", "5"),
    ("file", "6"),
    ("image", "6"),
    ("file talk", "7"),
    ("mediawiki", "8"),
    ("mediawiki talk", "9"),
    ("template", "10"),
    ("template talk", "11"),
    ("help", "12"),
    ("category", "14"),
    ("category talk", "15"),
];

/// Returns the key of the namespace of a page by the prefix of its title, as a dump without `<ns>`
/// needs it. A prefix that is not a namespace is a part of the title.
pub fn namespace_of<'s>(title: &str, siteinfo: &'s BTreeMap<String, String>) -> &'s str {
    let Some((prefix, _)) = title.split_once(':') else { return ARTICLES };
    let prefix = prefix.replace('_', " ").trim().to_lowercase();
    let own = siteinfo.iter().find(|(_, name)| !name.is_empty() && name.to_lowercase() == prefix);
    let known = || CANONICAL.iter().find(|(name, _)| *name == prefix).map(|(_, key)| *key);
    own.map(|(key, _)| key.as_str()).or_else(known).unwrap_or(ARTICLES)
}

/// Returns the names of the namespaces in a dump's head, by key. Without a siteinfo the result is
/// empty.
pub fn siteinfo(head: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Some((_, list)) = head.split_once("<namespaces>") else { return found };
    let list = list.split("</namespaces>").next().unwrap_or_default();
    for element in list.split("<namespace ").skip(1) {
        let key = element.split_once("key=\"").and_then(|(_, rest)| rest.split_once('"'));
        let name = element.split_once('>').and_then(|(_, rest)| rest.split_once('<'));
        if let (Some((key, _)), Some((name, _))) = (key, name) {
            found.insert(key.to_owned(), name.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siteinfo_adds_its_own_names_to_the_known_ones() {
        let head = "<namespaces>\n<namespace key=\"-2\" case=\"x\">Medium</namespace>\n\
                    <namespace key=\"0\" case=\"x\" />\n<namespace key=\"6\">Datei</namespace>\n\
                    <namespace key=\"14\">Rubrik</namespace></namespaces>";
        let names = siteinfo(head);
        assert_eq!(names.get("6").map(String::as_str), Some("Datei"));
        let prefixes = prefixes_of("de", &names);
        assert_eq!(prefixes.categories, ["category", "kategorie", "rubrik"]);
        assert_eq!(prefixes.files, ["file", "image", "media", "datei", "bild", "medium"]);
        assert_eq!(prefixes_of("xx", &siteinfo("")).files, ["file", "image", "media"]);
    }

    #[test]
    fn a_title_shows_its_namespace_by_its_prefix() {
        let head = "<namespaces><namespace key=\"-2\">Medium</namespace><namespace key=\"0\" />\
                    <namespace key=\"3\">Benutzer Diskussion</namespace>\
                    <namespace key=\"14\">Kategorie</namespace></namespaces>";
        let names = siteinfo(head);
        for (title, key) in [
            ("Berlin", "0"),
            ("Kategorie:Ort", "14"),
            ("kategorie : Ort", "14"),
            ("Benutzer_Diskussion:X", "3"),
            ("Category:Place", "14"),
            ("Template talk:X", "11"),
            ("2001: A Space Odyssey", "0"),
            (":Berlin", "0"),
            ("Kategorie", "0"),
        ] {
            assert_eq!(namespace_of(title, &names), key, "{title}");
        }
        assert_eq!(namespace_of("Kategorie:Ort", &BTreeMap::new()), "0");
        assert_eq!(namespace_of("Talk:Ort", &BTreeMap::new()), "1");
    }

    #[test]
    fn aliases_of_other_languages_are_known() {
        for (language, file, category) in [
            ("fi", "kuva", "luokka"),
            ("ko", "그림", "분류"),
            ("zh-min-nan", "tóng-àn", "lūi-pia̍t"),
            ("ar", "صورة", "تصنيف"),
            ("simple", "image", "category"),
        ] {
            let prefixes = prefixes_of(language, &siteinfo(""));
            assert!(prefixes.files.iter().any(|name| name == file), "{language} {prefixes:?}");
            assert!(prefixes.categories.iter().any(|name| name == category), "{language}");
        }
        assert!(KNOWN.lines().all(|line| line.split('\t').count() == 3));
    }
}
