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

/// Language, file prefixes and category prefixes, from MediaWiki's message files.
#[rustfmt::skip]
const KNOWN: [(&str, &[&str], &[&str]); 21] = [
    ("bg", &["файл", "картинка", "медия"], &["категория"]),
    ("ca", &["fitxer", "imatge"], &["categoria"]),
    ("cs", &["soubor", "médium", "média"], &["kategorie"]),
    ("da", &["fil", "billede"], &["kategori"]),
    ("de", &["datei", "bild", "medium"], &["kategorie"]),
    ("en", &[], &[]),
    ("es", &["archivo", "imagen", "medio"], &["categoría"]),
    ("fr", &["fichier", "média"], &["catégorie"]),
    ("hr", &["datoteka", "slika", "mediji"], &["kategorija"]),
    ("hu", &["fájl", "kép", "média"], &["kategória"]),
    ("it", &["immagine"], &["categoria"]),
    ("ja", &["ファイル", "画像", "メディア"], &["カテゴリ"]),
    ("nl", &["bestand", "afbeelding"], &["categorie"]),
    ("pl", &["plik", "grafika"], &["kategoria"]),
    ("pt", &["ficheiro", "imagem", "arquivo", "multimédia"], &["categoria"]),
    ("ro", &["fișier", "imagine", "fişier"], &["categorie"]),
    ("ru", &["файл", "изображение", "медиа"], &["категория", "к"]),
    ("sl", &["slika", "datoteka"], &["kategorija"]),
    ("sr", &["датотека", "слика", "медиј", "datoteka", "slika"], &["категорија", "kategorija"]),
    ("sv", &["fil", "bild"], &["kategori"]),
    ("uk", &["файл", "зображення", "медіа"], &["категорія"]),
];

/// Returns the known prefixes of a language together with those in the dump's siteinfo.
pub fn prefixes_of(language: &str, siteinfo: &BTreeMap<String, String>) -> LinkPrefixes {
    let mut files = vec!["file".to_owned(), "image".to_owned(), "media".to_owned()];
    let mut categories = vec!["category".to_owned()];
    if let Some((_, file, category)) = KNOWN.iter().find(|(known, ..)| *known == language) {
        files.extend(file.iter().map(|name| (*name).to_owned()));
        categories.extend(category.iter().map(|name| (*name).to_owned()));
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
    LinkPrefixes { files, categories }
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
}
