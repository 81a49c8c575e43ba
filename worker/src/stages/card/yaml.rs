//! The header of the dataset card, which the `datasets` library and the Hugging Face Hub read.
//!
//! It names the files of each source and the type of each column, so that `load_dataset` needs no
//! options: types are not inferred from rows, and drop rows and token files are not taken for data.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use thresher_job::Format;

use crate::stages::manifest::{Manifest, ShardEntry};
use crate::stages::schemas::columns::{COLUMNS, ColumnType, NAME};

/// Upper limits of the sizes that the Hub knows.
const SIZES: [(u64, &str); 10] = [
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
    (100_000_000_000, "10B<n<100B"),
    (1_000_000_000_000, "100B<n<1T"),
];

/// A set of documents that can be loaded by name.
struct Config<'m> {
    name: String,
    is_default: bool,
    shards: Vec<&'m ShardEntry>,
}

/// Returns the header, between two lines of `---`.
pub(super) fn header(manifest: &Manifest) -> String {
    let mut yaml = format!("---\npretty_name: {}\n", quoted(&manifest.job_name));
    let distinct = |of: fn(&crate::stages::manifest::CountEntry) -> Option<&str>| {
        manifest.counts.iter().filter_map(of).collect::<BTreeSet<_>>()
    };
    let languages: Vec<_> = distinct(|count| count.language.as_deref())
        .into_iter()
        .filter(|label| (2..=3).contains(&label.len()))
        .collect();
    list(&mut yaml, "language", &languages);
    let licences = distinct(|count| count.licence.as_deref());
    let all_known = manifest.counts.iter().all(|count| count.licence.is_some());
    match licences.first() {
        Some(only) if all_known && licences.len() == 1 && !only.contains(' ') => {
            let _ = writeln!(yaml, "license: {}", quoted(&only.to_ascii_lowercase()));
        }
        _ => yaml.push_str("license: other\nlicense_name: by-document\n"),
    }
    let documents = manifest.accounting.published;
    let size = SIZES.iter().find(|(limit, _)| documents < *limit).map_or("n>1T", |(_, name)| name);
    list(&mut yaml, "size_categories", &[size]);
    list(&mut yaml, "task_categories", &["text-generation"]);
    list(&mut yaml, "tags", &["thresher"]);
    // The Parquet files are loaded, if there are any.
    let configs = manifest.formats().last().map(|format| configs(manifest, *format));
    let configs = configs.unwrap_or_default();
    if !configs.is_empty() {
        yaml.push_str("configs:\n");
        configs.iter().for_each(|config| config.write_files(&mut yaml));
    }
    if manifest.schema == NAME && !configs.is_empty() {
        yaml.push_str("dataset_info:\n");
        configs.iter().for_each(|config| config.write_info(&mut yaml));
    }
    yaml + "---\n\n"
}

/// Returns a set of all documents in a form, and one of each source.
fn configs(manifest: &Manifest, format: Format) -> Vec<Config<'_>> {
    let shards: Vec<_> = manifest.shards.iter().filter(|shard| shard.format == format).collect();
    if shards.is_empty() {
        return Vec::new();
    }
    let mut sources: Vec<&str> = Vec::new();
    for shard in &shards {
        if !sources.contains(&shard.source.as_str()) {
            sources.push(&shard.source);
        }
    }
    // Fields of another schema may differ by source, so these are not loaded together.
    let together = manifest.schema == NAME;
    let mut configs = Vec::new();
    if together {
        let mut name = "all".to_owned();
        while sources.contains(&name.as_str()) {
            name.push_str("_sources");
        }
        configs.push(Config { name, is_default: true, shards: shards.clone() });
    }
    for source in &sources {
        let shards = shards.iter().filter(|shard| shard.source == *source).copied().collect();
        // Otherwise the library would load one source as if it were all.
        let is_default = !together && sources.len() == 1;
        let mut name = (*source).to_owned();
        // The library takes this name for the set that is loaded without a name.
        while name == "default" || name != *source && sources.contains(&name.as_str()) {
            name.push_str("_source");
        }
        configs.push(Config { name, is_default, shards });
    }
    configs
}

impl Config<'_> {
    /// Returns the names of its sides in their order, `train` if there is no split.
    fn sides(&self) -> Vec<&str> {
        let names: BTreeSet<_> = self.shards.iter().map(|shard| side(shard)).collect();
        names.into_iter().collect()
    }

    fn of_side(&self, name: &str) -> impl Iterator<Item = &ShardEntry> {
        self.shards.iter().copied().filter(move |shard| side(shard) == name)
    }

    fn write_files(&self, yaml: &mut String) {
        let _ = writeln!(yaml, "- config_name: {}", quoted(&self.name));
        if self.is_default {
            yaml.push_str("  default: true\n");
        }
        yaml.push_str("  data_files:\n");
        for name in self.sides() {
            let _ = writeln!(yaml, "  - split: {name}\n    path:");
            let patterns: BTreeSet<_> = self.of_side(name).map(pattern).collect();
            for pattern in patterns {
                let _ = writeln!(yaml, "    - {}", quoted(&pattern));
            }
        }
    }

    fn write_info(&self, yaml: &mut String) {
        let _ = writeln!(yaml, "- config_name: {}\n  features:", quoted(&self.name));
        for column in COLUMNS {
            let _ = writeln!(yaml, "  - name: {}\n    dtype: {}", column.name, dtype(column.of));
        }
        yaml.push_str("  splits:\n");
        for name in self.sides() {
            let bytes: u64 = self.of_side(name).map(size_of).sum();
            let documents: u64 = self.of_side(name).map(|shard| shard.documents).sum();
            let _ = writeln!(
                yaml,
                "  - name: {name}\n    num_bytes: {bytes}\n    num_examples: {documents}"
            );
        }
        let stored: u64 = self.shards.iter().map(|shard| shard.bytes).sum();
        let bytes: u64 = self.shards.iter().map(|shard| size_of(shard)).sum();
        let _ = writeln!(yaml, "  download_size: {stored}\n  dataset_size: {bytes}");
    }
}

/// Returns the size of the documents of a shard: of their JSON lines, if it has these.
fn size_of(shard: &ShardEntry) -> u64 {
    if shard.json_bytes > 0 { shard.json_bytes } else { shard.bytes }
}

/// Returns the name of the side of a shard.
pub(super) fn side(shard: &ShardEntry) -> &str {
    shard.split.as_deref().unwrap_or("train")
}

/// Returns a pattern of the paths of a shard and of all others in its folder. The digits keep the
/// shards of `wiki` apart from those of `wiki-de`.
pub(super) fn pattern(shard: &ShardEntry) -> String {
    let ending = match shard.format {
        Format::Jsonl => ".jsonl.zst",
        Format::Parquet => ".parquet",
    };
    let folder = shard.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let stem = shard.path.strip_suffix(ending).unwrap_or(&shard.path);
    let digits = stem.bytes().rev().take_while(u8::is_ascii_digit).count();
    format!("{folder}/{}-{}{ending}", shard.source, "[0-9]".repeat(digits))
}

/// Returns the name of a type in the `datasets` library.
fn dtype(of: ColumnType) -> &'static str {
    match of {
        ColumnType::Text => "string",
        ColumnType::LongText => "large_string",
        ColumnType::Whole => "int64",
        ColumnType::Real32 => "float32",
        ColumnType::Real64 => "float64",
    }
}

fn list(yaml: &mut String, key: &str, values: &[&str]) {
    if values.is_empty() {
        return;
    }
    let _ = writeln!(yaml, "{key}:");
    for value in values {
        let _ = writeln!(yaml, "- {}", quoted(value));
    }
}

/// Returns a string in quotation marks: the strings of JSON are strings of YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
