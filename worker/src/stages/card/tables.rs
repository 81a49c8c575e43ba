//! The body of the dataset card.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use thresher_job::Slice;

use super::{count, limits};
use crate::stages::manifest::{CountEntry, Manifest};
use crate::stages::schemas::columns::{COLUMNS, ColumnType, NAME};

/// Number of rows of a table of languages or licences.
const MOST_ROWS: usize = 60;

/// Documents of one row of a table.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    documents: u64,
    bytes: u64,
    tokens: Option<u64>,
}

impl Sum {
    fn add(&mut self, count: &CountEntry) {
        self.documents += count.documents;
        self.bytes += count.text_bytes;
        if let Some(tokens) = count.tokens {
            *self.tokens.get_or_insert(0) += tokens;
        }
    }

    fn cells(&self) -> String {
        let tokens = self.tokens.map_or("not counted".to_owned(), count);
        format!("{} | {} | {tokens}", count(self.documents), count(self.bytes))
    }
}

/// Returns the body of the card in Markdown.
pub(super) fn body(manifest: &Manifest) -> String {
    let mut text = format!("# {}\n\n", plain(&manifest.job_name));
    let accounting = &manifest.accounting;
    let _ = writeln!(
        text,
        "{} documents for training language models, made by Thresher {} from {} records. Every \
         number here is in `manifest.json`, and `thresher verify` counts it again.\n",
        count(accounting.published),
        plain(&manifest.thresher),
        count(accounting.records_in)
    );
    load(&mut text, manifest);
    sources(&mut text, manifest);
    grouped(&mut text, manifest, "Languages", |count| count.language.as_deref());
    grouped(&mut text, manifest, "Licences", |count| count.licence.as_deref());
    splits(&mut text, manifest);
    tokens(&mut text, manifest);
    removed(&mut text, manifest);
    columns(&mut text, manifest);
    text.push_str(&limits::section(manifest));
    check(&mut text);
    recipe(&mut text, manifest);
    text
}

fn load(text: &mut String, manifest: &Manifest) {
    if manifest.shards.is_empty() {
        return;
    }
    text.push_str(
        "```python\nfrom datasets import load_dataset\n\ncorpus = load_dataset(\"path/of/this/folder\")\n```\n\n",
    );
}

fn sources(text: &mut String, manifest: &Manifest) {
    let mut rows: Vec<(&str, &str, Sum)> = Vec::new();
    let mut all = Sum::default();
    for count in &manifest.counts {
        match rows.iter_mut().find(|(source, ..)| *source == count.source) {
            Some((.., sum)) => sum.add(count),
            None => {
                let mut sum = Sum::default();
                sum.add(count);
                rows.push((&count.source, &count.slice, sum));
            }
        }
        all.add(count);
    }
    text.push_str("## Sources\n\n| source | slice | documents | bytes of text | tokens |");
    text.push_str(" RedPajama-Data-1T | LLaMA |\n|---|---|--:|--:|--:|--:|--:|\n");
    for (source, slice, sum) in rows {
        let published = Slice::ALL.iter().find(|it| it.name() == slice);
        let published = published.and_then(|it| it.published_tokens());
        let billions = |tokens: Option<u32>| tokens.map_or(String::new(), |b| format!("{b} B"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            plain(source),
            plain(slice),
            sum.cells(),
            billions(published.map(|it| it.redpajama)),
            billions(published.map(|it| it.llama))
        );
    }
    let _ = writeln!(text, "| all | | {} | | |\n", all.cells());
    text.push_str(
        "The last two columns are the tokens of the whole slice in these corpora, for comparison.\n\n",
    );
}

fn grouped(
    text: &mut String,
    manifest: &Manifest,
    title: &str,
    key: impl Fn(&CountEntry) -> Option<&str>,
) {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for count in &manifest.counts {
        sums.entry(key(count).unwrap_or("unknown")).or_default().add(count);
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by(|a, b| b.1.documents.cmp(&a.1.documents).then(a.0.cmp(b.0)));
    let _ =
        writeln!(text, "## {title}\n\n| | documents | bytes of text | tokens |\n|---|--:|--:|--:|");
    for (name, sum) in rows.iter().take(MOST_ROWS) {
        let _ = writeln!(text, "| {} | {} |", plain(name), sum.cells());
    }
    if rows.len() > MOST_ROWS {
        let mut rest = Sum::default();
        for (_, sum) in &rows[MOST_ROWS..] {
            rest.documents += sum.documents;
            rest.bytes += sum.bytes;
            rest.tokens =
                rest.tokens.or(sum.tokens.map(|_| 0)).map(|t| t + sum.tokens.unwrap_or(0));
        }
        let _ = writeln!(text, "| {} others | {} |", rows.len() - MOST_ROWS, rest.cells());
    }
    text.push('\n');
}

fn splits(text: &mut String, manifest: &Manifest) {
    let Some(splits) = &manifest.splits else { return };
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for count in &manifest.counts {
        sums.entry(count.split.as_deref().unwrap_or("train")).or_default().add(count);
    }
    let _ = writeln!(
        text,
        "## Splits\n\nFor validation: {}, chosen by a hash of the text, so equal texts are on the same \
         side.\n\n| | documents | bytes of text | tokens |\n|---|--:|--:|--:|",
        match splits.validation.as_str() {
            share if share.ends_with('%') => format!("{share} of the documents"),
            number => format!("{number} documents of each source, but at most half of them"),
        }
    );
    for (name, sum) in sums {
        let _ = writeln!(text, "| {name} | {} |", sum.cells());
    }
    text.push('\n');
}

fn tokens(text: &mut String, manifest: &Manifest) {
    if manifest.tokens.is_empty() {
        return;
    }
    text.push_str("## Token files\n\n| file | documents | tokens |\n|---|--:|--:|\n");
    for file in &manifest.tokens {
        let (documents, tokens) = (count(file.documents), count(file.tokens));
        let _ = writeln!(text, "| `{}` | {documents} | {tokens} |", file.path);
    }
    text.push_str("\nThe tokens count one that ends each document.\n\n");
}

fn removed(text: &mut String, manifest: &Manifest) {
    let accounting = &manifest.accounting;
    text.push_str("## What was removed\n\n| outcome | reason | records |\n|---|---|--:|\n");
    for (outcome, reasons) in
        [("dropped", &accounting.dropped), ("quarantined", &accounting.quarantined)]
    {
        let mut reasons: Vec<_> = reasons.iter().collect();
        reasons.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (reason, records) in reasons {
            let _ = writeln!(text, "| {outcome} | {} | {} |", plain(reason), count(*records));
        }
    }
    let _ = writeln!(
        text,
        "\n{} records = {} published + {} dropped + {} quarantined. Each of the others has a row in \
         `dropped/`. Quarantined records were damaged or exceeded a limit.\n",
        count(accounting.records_in),
        count(accounting.published),
        count(accounting.dropped.values().sum()),
        count(accounting.quarantined.values().sum())
    );
}

fn columns(text: &mut String, manifest: &Manifest) {
    if manifest.schema != NAME {
        let _ = writeln!(text, "## Columns\n\nThe schema is `{}`.\n", plain(&manifest.schema));
        return;
    }
    let _ = writeln!(
        text,
        "## Columns\n\nThe schema is `{NAME}`: every file has all columns; what is not known is null.\n\n\
         | column | type | meaning |\n|---|---|---|"
    );
    for column in COLUMNS {
        let of = match column.of {
            ColumnType::Text | ColumnType::LongText => "string",
            ColumnType::Whole => "whole number",
            ColumnType::Real32 | ColumnType::Real64 => "number",
        };
        let _ = writeln!(text, "| `{}` | {of} | {} |", column.name, column.meaning);
    }
    text.push('\n');
}

fn check(text: &mut String) {
    text.push_str(
        "## Check\n\n```console\nthresher verify .   # hashes and counts everything again\n\
         b3sum --check B3SUMS\n```\n\n",
    );
}

fn recipe(text: &mut String, manifest: &Manifest) {
    text.push_str("## Recipe\n\nThe job file with every default. Keys that change no byte, such as places and limits, have a fixed \
         value:\n\n");
    let longest = manifest.recipe.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(text, "{fence}toml\n{}\n{fence}", manifest.recipe.trim_end());
    if !manifest.recipe_files.is_empty() {
        text.push_str("\n| file of | BLAKE3 |\n|---|---|\n");
        for (key, hash) in &manifest.recipe_files {
            let _ = writeln!(text, "| `{}` | `{hash}` |", plain(key));
        }
    }
}

/// Returns a name that breaks no table.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '|' | '<' | '>' | '`') { '_' } else { c })
        .collect()
}
