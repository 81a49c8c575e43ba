//! Reads the manifest of a corpus, and selects the shards that a source of the job reads.
//!
//! Only the keys that are needed are looked at, so that manifests of other versions can be read.
//!
//! **Invariant:** a manifest names only files of its own corpus.

use std::collections::BTreeSet;
use std::io::Read;

use serde::Deserialize;
use thresher_job::{SelectSpec, SourceSpec, slices_in_recipe};
use thresher_storage::{ReadOptions, StorageError};
use thresher_unit::UnitError;
use thresher_unit::staging::{InputRow, PublishedShard};

use crate::locate;

/// Size of the largest manifest that is read.
const MANIFEST_MAX_BYTES: u64 = 4 << 30;
/// The split of shards of which the manifest names none.
const WHOLE: &str = "train";
/// The form that is read if a corpus has its documents in several.
const PREFERRED: &str = "jsonl";

/// The manifest of a corpus, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    recipe: String,
    shards: Vec<Shard>,
    /// Older manifests have none.
    #[serde(default)]
    counts: Vec<Count>,
    near_index: Option<Index>,
}

/// The index of near-duplicates.
#[derive(Debug, Deserialize)]
struct Index {
    files: Vec<IndexEntry>,
}

#[derive(Debug, Deserialize)]
struct IndexEntry {
    path: String,
    bytes: u64,
    blake3: String,
    source: String,
}

/// The documents of one kind.
#[derive(Debug, Deserialize)]
struct Count {
    language: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Shard {
    path: String,
    bytes: u64,
    blake3: String,
    #[serde(default)]
    documents: u64,
    source: Option<String>,
    format: Option<String>,
    split: Option<String>,
    language: Option<String>,
}

impl Shard {
    /// Returns the name of the source; older manifests have it only in the names of files, such as
    /// `documents/wiki-00000.jsonl.zst`.
    fn source(&self) -> &str {
        let file = self.path.rsplit('/').next().unwrap_or_default();
        let name = file.split_once('.').map_or(file, |(name, _)| name);
        // The name of a source may have dots, but its number has none.
        let numbered = file.rsplit_once('-').map_or(name, |(source, _)| source);
        self.source.as_deref().filter(|name| !name.is_empty()).unwrap_or(numbered)
    }

    fn format(&self) -> &str {
        let by_name = if self.path.ends_with(".parquet") { "parquet" } else { PREFERRED };
        self.format.as_deref().unwrap_or(by_name)
    }

    fn is_selected(&self, select: &SelectSpec) -> bool {
        let SelectSpec { source, language, split } = select;
        let is_in = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|selected| selected == name)
        };
        // A shard without a language may have documents of several, which are looked at one by one.
        let language_fits = self.language.as_deref().is_none_or(|name| is_in(language, name));
        is_in(source, self.source())
            && language_fits
            && is_in(split, self.split.as_deref().unwrap_or(WHOLE))
    }
}

impl Manifest {
    /// Reads the manifest that a source of the job names.
    pub(super) fn read(source: &SourceSpec) -> Result<Self, UnitError> {
        let location = locate(source, &source.listing)?;
        let hint = format!(
            "hint: `base` of source `{}` is an output of Thresher, which has a manifest when its \
             job is complete",
            source.name
        );
        let opened = match thresher_storage::open(&location, &ReadOptions::default()) {
            Ok(opened) => opened,
            Err(error @ (StorageError::NotFound { .. } | StorageError::Refused { .. })) => {
                return Err(UnitError::JobFile(format!("{error}\n{hint}")));
            }
            Err(error) => return Err(error.into()),
        };
        let mut text = Vec::new();
        let read = opened.take(MANIFEST_MAX_BYTES).read_to_end(&mut text);
        read.map_err(|error| UnitError::input(&location.to_string(), &error))?;
        serde_json::from_slice(&text).map_err(|error| {
            let why = format!("`{location}` is not the manifest of a corpus: {error}");
            UnitError::JobFile(format!("{why}\n{hint}"))
        })
    }

    /// Returns the names of the sources that are selected, in the order of the manifest, with the
    /// number of documents of each.
    pub(super) fn sources(&self, select: &SelectSpec) -> Vec<(String, u64)> {
        let mut sources: Vec<(String, u64)> = Vec::new();
        for shard in self.selected(select) {
            match sources.iter_mut().find(|(name, _)| name == shard.source()) {
                Some((_, documents)) => *documents += shard.documents,
                None => sources.push((shard.source().to_owned(), shard.documents)),
            }
        }
        sources
    }

    /// Returns the shards that a source of the job reads, in the order of the manifest.
    pub(super) fn inputs(&self, source: &SourceSpec) -> Result<Vec<InputRow>, UnitError> {
        if self.shards.is_empty() {
            return Err(UnitError::JobFile(format!(
                "the corpus `{}` has no shards of documents\nhint: a corpus of token files alone \
                 cannot be read; name the corpus of which they were made",
                source.base
            )));
        }
        self.refuse_unknown_names(source)?;
        let slices = slices_in_recipe(&self.recipe);
        let mut rows = Vec::new();
        for shard in self.selected(&source.select) {
            refuse_other_places(source, &shard.path)?;
            let published = PublishedShard {
                blake3: shard.blake3.clone(),
                source: shard.source().to_owned(),
                slice: slices.get(shard.source()).cloned().unwrap_or_default(),
            };
            let (bytes, published) = (Some(shard.bytes), Some(published));
            rows.push(InputRow { bytes, published, ..InputRow::named(shard.path.clone()) });
        }
        if rows.is_empty() {
            let all = self.sources(&SelectSpec::default());
            let names: Vec<String> = all.iter().map(|(name, _)| format!("`{name}`")).collect();
            return Err(UnitError::JobFile(format!(
                "source `{}` selects no shard of the corpus `{}`\nhint: check `select`; the \
                 sources of the corpus are {}",
                source.name,
                source.base,
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            )));
        }
        Ok(rows)
    }

    /// Returns the files of the index of near-duplicates, in the order of the manifest.
    pub(super) fn index(&self, source: &SourceSpec) -> Result<Vec<InputRow>, UnitError> {
        let Some(index) = &self.near_index else {
            return Err(UnitError::JobFile(format!(
                "the output `{}` has no index of its documents\nhint: make it again with \
                 `near.index = true`",
                source.base
            )));
        };
        let rows = index.files.iter().map(|file| {
            refuse_other_places(source, &file.path)?;
            let published = PublishedShard {
                blake3: file.blake3.clone(),
                source: file.source.clone(),
                slice: String::new(),
            };
            let (bytes, published) = (Some(file.bytes), Some(published));
            Ok(InputRow { bytes, published, ..InputRow::named(file.path.clone()) })
        });
        rows.collect()
    }

    /// Returns an error for a selected source, language or split that the corpus does not have.
    fn refuse_unknown_names(&self, source: &SourceSpec) -> Result<(), UnitError> {
        let known = |names: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            let names: BTreeSet<&str> = names.collect();
            names.into_iter().map(str::to_owned).collect()
        };
        let splits = self.shards.iter().map(|shard| shard.split.as_deref().unwrap_or(WHOLE));
        let languages = self.counts.iter().filter_map(|count| count.language.as_deref());
        let SelectSpec { source: of_source, split: of_split, language: of_language } =
            &source.select;
        for (key, selected, known) in [
            ("source", of_source, known(&mut self.shards.iter().map(Shard::source))),
            ("split", of_split, known(&mut { splits })),
            ("language", of_language, known(&mut { languages })),
        ] {
            if key == "language" && self.counts.is_empty() {
                continue;
            }
            if let Some(name) = selected.iter().find(|name| !known.contains(name)) {
                return Err(UnitError::JobFile(format!(
                    "`select.{key}` of source `{}` names `{name}`, which the corpus `{}` does not \
                     have\nhint: it has `{}`",
                    source.name,
                    source.base,
                    known.join("`, `")
                )));
            }
        }
        Ok(())
    }

    /// Returns the selected shards; if documents are published in several forms, those of one form.
    fn selected(&self, select: &SelectSpec) -> impl Iterator<Item = &Shard> {
        let fits = |shard: &&Shard| shard.is_selected(select);
        let preferred = self.shards.iter().filter(fits).any(|shard| shard.format() == PREFERRED);
        let fits = self.shards.iter().filter(fits);
        fits.filter(move |shard| !preferred || shard.format() == PREFERRED)
    }
}

fn refuse_other_places(source: &SourceSpec, path: &str) -> Result<(), UnitError> {
    if !leaves_corpus(path) {
        return Ok(());
    }
    Err(UnitError::JobFile(format!(
        "the manifest of the corpus `{}` names `{path}`, which is not below it\nhint: it was altered; \
         copy the corpus from its origin again",
        source.base
    )))
}

/// Returns whether a path may lead to a file that is not below its corpus.
fn leaves_corpus(path: &str) -> bool {
    let climbs = path.split(['/', '\\']).any(|part| {
        let part = part.to_ascii_lowercase().replace("%2e", ".");
        part == ".."
    });
    climbs || path.starts_with('/') || path.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(shards: &str) -> Manifest {
        serde_json::from_str(&format!("{{\"format\": 1, \"shards\": [{shards}]}}")).unwrap()
    }

    fn shard(path: &str, more: &str) -> String {
        format!("{{\"path\": \"{path}\", \"bytes\": 5, \"blake3\": \"0\", \"documents\": 3{more}}}")
    }

    fn select(source: &[&str], language: &[&str], split: &[&str]) -> SelectSpec {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        SelectSpec { source: owned(source), language: owned(language), split: owned(split) }
    }

    #[test]
    fn shards_are_selected_by_source_language_and_split() {
        let all = [
            shard("documents/wiki-00000.jsonl.zst", ""),
            shard("documents/wiki-01xxx/wiki-01000.jsonl.zst", ""),
            shard("documents/en.v2-00000.jsonl.zst", ", \"language\": \"en\""),
            shard("documents/x-00000.jsonl.zst", ", \"source\": \"cc\", \"split\": \"validation\""),
            shard("parquet/wiki-00000.parquet", ", \"source\": \"wiki\""),
        ];
        let all = manifest(&all.join(","));
        for (select, expected) in [
            (select(&[], &[], &[]), vec![("wiki", 6), ("en.v2", 3), ("cc", 3)]),
            (select(&["cc", "en.v2"], &[], &[]), vec![("en.v2", 3), ("cc", 3)]),
            (select(&[], &["de"], &["train"]), vec![("wiki", 6)]),
            (select(&[], &[], &["validation"]), vec![("cc", 3)]),
            (select(&["nothing"], &[], &[]), vec![]),
        ] {
            let found = all.sources(&select);
            let found: Vec<(&str, u64)> = found.iter().map(|(n, d)| (n.as_str(), *d)).collect();
            assert_eq!(found, expected, "{select:?}");
        }
        let parquet = manifest(&shard("parquet/wiki-00000.parquet", ""));
        assert_eq!(parquet.sources(&select(&[], &[], &[])), [("wiki".to_owned(), 3)]);
    }

    #[test]
    fn a_name_that_the_corpus_does_not_have_is_refused() {
        let text = "[job]\nname = \"j\"\n[[source]]\nslice = \"corpus\"\nname = \"s\"\nbase = \"/c\"\n\
                    listing = \"manifest.json\"\n[output]\npath = \"/o\"\n";
        let job = thresher_job::JobSpec::parse(text, std::path::Path::new("/")).unwrap();
        let mut source = job.source[0].clone();
        let counted = format!(
            "{{\"shards\": [{}], \"counts\": [{{\"language\": \"en\"}}, {{\"language\": null}}]}}",
            shard("documents/wiki-00000.jsonl.zst", "")
        );
        let counted: Manifest = serde_json::from_str(&counted).unwrap();
        let old = manifest(&shard("documents/wiki-00000.jsonl.zst", ""));
        for (selected, refused) in [
            (select(&["wiki"], &["en"], &["train"]), None),
            (select(&[], &["eng"], &[]), Some("`select.language` of source `s` names `eng`")),
            (select(&["wikis"], &[], &[]), Some("names `wikis`")),
            (select(&[], &[], &["test"]), Some("names `test`")),
        ] {
            source.select = selected;
            let found = counted.inputs(&source).map(|rows| rows.len());
            match (found, refused) {
                (Ok(found), None) => assert_eq!(found, 1),
                (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
                (found, refused) => panic!("{refused:?}: {found:?}"),
            }
        }
        // Older manifests do not say which languages they have.
        source.select = select(&[], &["eng"], &[]);
        assert_eq!(old.inputs(&source).unwrap().len(), 1);
    }

    #[test]
    fn a_manifest_that_names_other_places_is_refused() {
        for path in ["/etc/passwd", "../secret", "a/%2E%2e/b", "https://host/a", "file:a"] {
            assert!(leaves_corpus(path), "{path}");
        }
        assert!(!leaves_corpus("documents/a..b-00000.jsonl.zst"));
    }
}
