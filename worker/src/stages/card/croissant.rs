//! `croissant.json`: the dataset in the vocabulary of MLCommons, Croissant 1.1.
//!
//! Every shard is a file with its SHA-256, from the manifest. Files of one form are a set beside
//! this file, and the set of Parquet files, or otherwise of JSON lines, has the columns. The
//! library
//! `mlcroissant` cannot decompress zstd, so it reads the records of Parquet only.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use thresher_job::Format;

use super::yaml;
use crate::stages::manifest::{Manifest, ShardEntry};
use crate::stages::schemas::columns::{COLUMNS, ColumnType, NAME};

/// Returns the text of the file.
pub(super) fn of(manifest: &Manifest) -> String {
    let mut text = serde_json::to_string_pretty(&document(manifest)).unwrap_or_default();
    text.push('\n');
    text
}

fn document(manifest: &Manifest) -> Value {
    let formats = manifest.formats();
    let mut distribution = Vec::new();
    for format in &formats {
        distribution.push(file_set(manifest, *format));
    }
    distribution.extend(manifest.shards.iter().map(file_object));
    let mut document = json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": name(&manifest.job_name),
        "description": format!(
            "{} documents for training language models, made by Thresher {} from {} records.",
            manifest.accounting.published, manifest.thresher, manifest.accounting.records_in
        ),
        "version": "1.0.0",
        "distribution": distribution,
    });
    let uses_columns = manifest.schema == NAME;
    if let (Some(format), true) = (formats.last(), uses_columns) {
        document["recordSet"] = json!([record_set(*format)]);
    }
    let licences: BTreeSet<&str> =
        manifest.counts.iter().filter_map(|count| count.licence.as_deref()).collect();
    // Otherwise it would say of documents without a licence that they have one.
    if !licences.is_empty() && manifest.counts.iter().all(|count| count.licence.is_some()) {
        let address = |name: &&str| json!(format!("https://spdx.org/licenses/{name}.html"));
        // An expression of several has no address of its own.
        let named = licences.iter().map(|name| match name.contains(' ') {
            true => json!(name),
            false => address(name),
        });
        document["license"] = Value::Array(named.collect());
    }
    document
}

fn set_id(format: Format) -> String {
    format!("{}-files", format.name())
}

fn encoding(format: Format) -> Value {
    match format {
        Format::Jsonl => json!(["application/jsonlines", "application/zstd"]),
        Format::Parquet => json!("application/x-parquet"),
    }
}

fn file_set(manifest: &Manifest, format: Format) -> Value {
    let mut patterns: Vec<String> = Vec::new();
    for shard in manifest.shards.iter().filter(|shard| shard.format == format) {
        let pattern = yaml::pattern(shard);
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    json!({
        "@type": "cr:FileSet",
        "@id": set_id(format),
        "name": set_id(format),
        "encodingFormat": encoding(format),
        "includes": patterns,
    })
}

fn file_object(shard: &ShardEntry) -> Value {
    json!({
        "@type": "cr:FileObject",
        "@id": shard.path,
        "name": shard.path,
        "contentUrl": shard.path,
        "contentSize": format!("{} B", shard.bytes),
        "encodingFormat": encoding(shard.format),
        "sha256": shard.sha256,
    })
}

fn record_set(format: Format) -> Value {
    let field = |column: &crate::stages::schemas::columns::Column| {
        json!({
            "@type": "cr:Field",
            "@id": format!("documents/{}", column.name),
            "name": format!("documents/{}", column.name),
            "description": column.meaning,
            "dataType": match column.of {
                ColumnType::Text | ColumnType::LongText => "sc:Text",
                ColumnType::Whole => "sc:Integer",
                ColumnType::Real32 | ColumnType::Real64 => "sc:Float",
            },
            "source": {
                "fileSet": { "@id": set_id(format) },
                "extract": { "column": column.name },
            },
        })
    };
    json!({
        "@type": "cr:RecordSet",
        "@id": "documents",
        "name": "documents",
        "key": { "@id": "documents/id" },
        "field": COLUMNS.iter().map(field).collect::<Vec<_>>(),
    })
}

/// Returns a name without characters that Croissant forbids.
fn name(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect()
}

/// Returns the context that version 1.1 prescribes.
fn context() -> Value {
    let mut context = Map::new();
    for (key, value) in [
        ("@language", "en"),
        ("@vocab", "https://schema.org/"),
        ("citeAs", "cr:citeAs"),
        ("column", "cr:column"),
        ("conformsTo", "dct:conformsTo"),
        ("containedIn", "cr:containedIn"),
        ("cr", "http://mlcommons.org/croissant/"),
        ("rai", "http://mlcommons.org/croissant/RAI/"),
        ("dct", "http://purl.org/dc/terms/"),
        ("equivalentProperty", "cr:equivalentProperty"),
        ("extract", "cr:extract"),
        ("field", "cr:field"),
        ("fileProperty", "cr:fileProperty"),
        ("fileObject", "cr:fileObject"),
        ("fileSet", "cr:fileSet"),
        ("format", "cr:format"),
        ("includes", "cr:includes"),
        ("isLiveDataset", "cr:isLiveDataset"),
        ("jsonPath", "cr:jsonPath"),
        ("key", "cr:key"),
        ("md5", "cr:md5"),
        ("parentField", "cr:parentField"),
        ("path", "cr:path"),
        ("recordSet", "cr:recordSet"),
        ("references", "cr:references"),
        ("regex", "cr:regex"),
        ("repeated", "cr:repeated"),
        ("replace", "cr:replace"),
        ("samplingRate", "cr:samplingRate"),
        ("sc", "https://schema.org/"),
        ("separator", "cr:separator"),
        ("source", "cr:source"),
        ("subField", "cr:subField"),
        ("transform", "cr:transform"),
    ] {
        context.insert(key.to_owned(), Value::from(value));
    }
    context.insert("data".to_owned(), json!({ "@id": "cr:data", "@type": "@json" }));
    context.insert("dataType".to_owned(), json!({ "@id": "cr:dataType", "@type": "@vocab" }));
    context.insert("examples".to_owned(), json!({ "@id": "cr:examples", "@type": "@json" }));
    Value::Object(context)
}
