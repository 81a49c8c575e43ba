//! Compares the files that are made from the manifest, and the table of documents that they show.

use std::collections::BTreeMap;
use std::io::Read;

use super::Difference;
use super::files::{DocumentKey, Expected, Kind, Seen};
use crate::inspect::InspectError;
use crate::stages::Manifest;
use crate::stages::card::companions;
use crate::stages::schemas::columns::NAME;
use thresher_storage::{Location, ReadOptions, StorageError};

/// A longer file is not one of these.
const MAX_BYTES: u64 = 1 << 30;
/// The first layout of a manifest with these files.
const FIRST_FORMAT: u32 = 2;

/// Returns the paths of the files that are made from a manifest.
pub(super) fn names(manifest: &Manifest) -> Vec<String> {
    if manifest.format < FIRST_FORMAT {
        return Vec::new();
    }
    companions(manifest).into_iter().map(|(name, _)| name).collect()
}

/// Returns the files that are missing, or are not what is made from the manifest.
pub(super) fn altered(
    output: &Location,
    manifest: &Manifest,
) -> Result<Vec<Difference>, InspectError> {
    let mut differences = Vec::new();
    if manifest.format < FIRST_FORMAT {
        return Ok(differences);
    }
    for (path, content) in companions(manifest) {
        let location = output.join(&path);
        let reader = match thresher_storage::open(&location, &ReadOptions::default()) {
            Ok(reader) => reader,
            Err(StorageError::NotFound { .. }) => {
                differences.push(Difference::Missing { path });
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        let read = reader.take(MAX_BYTES).read_to_end(&mut found);
        read.map_err(|error| StorageError::from_io(error, || location.to_string()))?;
        if found != content.as_bytes() {
            differences.push(Difference::Made { path });
        }
    }
    Ok(differences)
}

/// Returns the numbers of the manifest's table that are not those of the shards.
pub(super) fn wrong_counts(
    manifest: &Manifest,
    files: &[Expected<'_>],
    found: &[Seen],
) -> Vec<Difference> {
    let has_columns = manifest.schema == NAME && !manifest.shards.is_empty();
    if manifest.format < FIRST_FORMAT || !has_columns {
        return Vec::new();
    }
    let mut sums: BTreeMap<DocumentKey, [(u64, u64); 3]> = BTreeMap::new();
    for count in &manifest.counts {
        let key = DocumentKey {
            source: count.source.clone(),
            slice: count.slice.clone(),
            split: count.split.clone(),
            language: count.language.clone(),
            licence: count.licence.clone(),
        };
        let sum = sums.entry(key).or_default();
        let expected = [count.documents, count.text_bytes, count.tokens.unwrap_or_default()];
        sum.iter_mut().zip(expected).for_each(|(sum, value)| sum.0 = sum.0.saturating_add(value));
    }
    for (file, seen) in files.iter().zip(found) {
        let Kind::Shard { counts: true, .. } = &file.kind else { continue };
        for (key, (documents, bytes, tokens)) in &seen.documents {
            let sum = sums.entry(key.clone()).or_default();
            let values = [documents, bytes, tokens];
            sum.iter_mut().zip(values).for_each(|(sum, value)| sum.1 += value);
        }
    }
    let mut differences = Vec::new();
    for (DocumentKey { source, slice, split, language, licence }, sums) in sums {
        for ((expected, found), what) in sums.into_iter().zip(["documents", "bytes", "tokens"]) {
            if expected != found {
                let named = |text: &Option<String>| text.clone().unwrap_or("none".to_owned());
                let of = format!(
                    "{what} of source `{source}` ({slice}), split {}, language {}, licence {}",
                    named(&split),
                    named(&language),
                    named(&licence)
                );
                differences.push(Difference::Count { of, expected, found });
            }
        }
    }
    differences
}
