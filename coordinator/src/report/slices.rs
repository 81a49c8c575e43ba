//! The report's table of slices, with the figures of the published corpora beside them.
//!
//! **Invariant:** the documents of the slices add up to those that were published.

use std::fmt::Write;

use serde::Serialize;
use thresher_domain::escape::code;
use thresher_job::Slice;

use crate::amounts::{bytes, count};
use crate::figures::Counted;

/// What was published of one slice.
#[derive(Debug, Serialize)]
pub(super) struct SliceReport {
    slice: &'static str,
    documents: u64,
    json_bytes: u64,
    /// Tokens of the slice in RedPajama-Data-1T and in LLaMA, in billions.
    redpajama_billion_tokens: Option<u32>,
    llama_billion_tokens: Option<u32>,
}

/// Returns the slices of the published documents, in the order of RedPajama's table.
pub(super) fn slices(published: &Counted) -> Vec<SliceReport> {
    let row = |slice: Slice| {
        let measures = published.slices.get(slice.name())?;
        let documents = measures.documents?;
        let published = slice.published_tokens();
        Some(SliceReport {
            slice: slice.name(),
            documents,
            json_bytes: measures.json_bytes.unwrap_or_default(),
            redpajama_billion_tokens: published.map(|tokens| tokens.redpajama),
            llama_billion_tokens: published.map(|tokens| tokens.llama),
        })
    };
    Slice::ALL.into_iter().filter_map(row).collect()
}

pub(super) fn write(page: &mut String, slices: &[SliceReport]) -> std::fmt::Result {
    if slices.is_empty() {
        return Ok(());
    }
    writeln!(
        page,
        "## Slices\n\n| slice | documents | JSON | RedPajama-1T | LLaMA |\n\
         |---|---:|---:|---:|---:|"
    )?;
    let billions =
        |tokens: Option<u32>| tokens.map_or_else(|| "-".to_owned(), |tokens| format!("{tokens} B"));
    for row in slices {
        writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            code(row.slice),
            count(row.documents),
            bytes(row.json_bytes),
            billions(row.redpajama_billion_tokens),
            billions(row.llama_billion_tokens)
        )?;
    }
    writeln!(page, "\nThe last two columns are the published corpora, in tokens.\n")
}
