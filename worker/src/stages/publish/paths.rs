//! The paths of shards and drop rows in the output.
//!
//! ```text
//! documents/[<side>/][<language>/]<source>-00000.jsonl.zst
//! parquet/[<side>/][<language>/]<source>-00000.parquet
//! dropped/<source>-00000.jsonl.zst
//! near/<source>-00000.index
//! ```
//! The first thousand shards of a source are directly there; after that each thousand has its own
//! folder, because parallel file systems are slow in large ones. The card names the files of
//! documents, so that a reader that is given the whole output does not take drop rows for data.

use thresher_job::Format;

use crate::stages::manifest::{INDEX_FOLDER, PARQUET_FOLDER, SHARD_FOLDER};

/// Number of shards in one folder.
const SHARDS_PER_FOLDER: u32 = 1_000;

/// Returns the path of the documents of a shard.
pub(super) fn shard_path(
    format: Format,
    source: &str,
    shard: u32,
    side: Option<&str>,
    language: Option<&str>,
) -> String {
    let (folder, ending) = match format {
        Format::Jsonl => (SHARD_FOLDER, "jsonl.zst"),
        Format::Parquet => (PARQUET_FOLDER, "parquet"),
    };
    let mut path = folder.to_owned();
    for part in [side, language].into_iter().flatten() {
        path.push('/');
        path.push_str(part);
    }
    format!("{path}/{}", numbered(source, shard, ending))
}

/// Returns the path of the drop rows of a shard.
pub(super) fn rows_path(folder: &str, source: &str, shard: u32) -> String {
    format!("{folder}/{}", numbered(source, shard, "jsonl.zst"))
}

/// Returns the path of the index of a shard.
pub(super) fn index_path(source: &str, shard: u32) -> String {
    format!("{INDEX_FOLDER}/{}", numbered(source, shard, "index"))
}

fn numbered(source: &str, shard: u32, ending: &str) -> String {
    let name = format!("{source}-{shard:05}.{ending}");
    match shard / SHARDS_PER_FOLDER {
        0 => name,
        thousand => format!("{source}-{thousand:02}xxx/{name}"),
    }
}

/// Returns the folder of a language. A label that cannot be part of a path is in `other`.
pub(super) fn folder_of_language(language: Option<&str>) -> String {
    let is_plain = |label: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=32).contains(&label.len()) && label.bytes().all(plain)
    };
    match language {
        None => "unknown".to_owned(),
        Some(label) => Some(label).filter(is_plain).unwrap_or("other").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_and_language_has_its_folder() {
        let path = |shard, side, language| shard_path(Format::Parquet, "s", shard, side, language);
        assert_eq!(path(7, None, None), "parquet/s-00007.parquet");
        assert_eq!(path(1_007, Some("train"), None), "parquet/train/s-01xxx/s-01007.parquet");
        assert_eq!(path(7, Some("train"), Some("en")), "parquet/train/en/s-00007.parquet");
        let lines = shard_path(Format::Jsonl, "s", 7, None, Some("de"));
        assert_eq!(lines, "documents/de/s-00007.jsonl.zst");
        assert_eq!(index_path("s", 7), "near/s-00007.index");
        assert_eq!(rows_path("dropped", "s", 1_000), "dropped/s-01xxx/s-01000.jsonl.zst");
    }

    #[test]
    fn labels_that_could_leave_the_folder_are_not_used() {
        for (label, folder) in [
            (Some("en"), "en"),
            (Some("zh-Hans"), "zh-Hans"),
            (Some("../../x"), "other"),
            (Some(""), "other"),
            (Some("."), "other"),
            (None, "unknown"),
        ] {
            assert_eq!(folder_of_language(label), folder, "{label:?}");
        }
    }
}
