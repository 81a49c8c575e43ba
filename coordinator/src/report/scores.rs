//! The part of the report about models: pages by perplexity bucket, and tokens by slice and
//! language beside the figures of RedPajama and LLaMA.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use thresher_domain::Bucket;
use thresher_domain::escape::code;
use thresher_job::Slice;

use crate::amounts::{count, share};
use crate::figures::{Counted, Measures, by_size};

/// Number of languages with their own row.
const LANGUAGES_SHOWN: usize = 30;

/// Results of the models; empty if the job used none.
#[derive(Debug, Serialize)]
pub(super) struct Scores {
    /// Number of scored pages, by language and bucket, including those that were then dropped.
    buckets: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Number of tokens of the published documents.
    tokens_total: u64,
    tokens_by_slice: BTreeMap<String, u64>,
    tokens_by_language: BTreeMap<String, u64>,
}

impl Scores {
    /// Returns the scores of the documents that were prepared, and the tokens of those that were
    /// published.
    pub(super) fn of(prepared: &Counted, published: &Counted) -> Self {
        let named = |(bucket, pages): (&Bucket, &u64)| (bucket.name(), *pages);
        let buckets = prepared.buckets.iter();
        let tokens_by_slice = tokens(&published.slices);
        Self {
            buckets: buckets
                .map(|(language, pages)| (language.clone(), pages.iter().map(named).collect()))
                .collect(),
            tokens_total: tokens_by_slice.values().sum(),
            tokens_by_slice,
            tokens_by_language: tokens(&published.languages),
        }
    }

    pub(super) fn write(&self, page: &mut String) -> std::fmt::Result {
        self.write_buckets(page)?;
        self.write_tokens(page)
    }

    fn write_buckets(&self, page: &mut String) -> std::fmt::Result {
        if self.buckets.is_empty() {
            return Ok(());
        }
        writeln!(page, "## Perplexity\n\n| language | scored | head | middle | tail | all |")?;
        writeln!(page, "|---|---:|---:|---:|---:|---:|")?;
        let mut rows: Vec<_> = self.buckets.iter().collect();
        rows.sort_by_key(|(_, buckets)| std::cmp::Reverse(buckets.values().sum::<u64>()));
        for (language, buckets) in rows.into_iter().take(LANGUAGES_SHOWN) {
            write!(page, "| {} | {} |", code(language), count(buckets.values().sum()))?;
            for bucket in Bucket::ALL {
                write!(
                    page,
                    " {} |",
                    count(buckets.get(bucket.name()).copied().unwrap_or_default())
                )?;
            }
            writeln!(page)?;
        }
        writeln!(page)
    }

    fn write_tokens(&self, page: &mut String) -> std::fmt::Result {
        if self.tokens_by_slice.is_empty() {
            return Ok(());
        }
        let total = self.tokens_total;
        writeln!(page, "## Tokens\n\n| slice | tokens | share | RedPajama-1T | LLaMA |")?;
        writeln!(page, "|---|---:|---:|---:|---:|")?;
        for slice in Slice::ALL {
            let ours = self.tokens_by_slice.get(slice.name()).copied().unwrap_or_default();
            let (name, ours, part) = (slice.name(), count(ours), share(ours, total));
            match slice.published_tokens() {
                Some(known) => {
                    let (redpajama, llama) = (known.redpajama, known.llama);
                    writeln!(
                        page,
                        "| {} | {ours} | {part} | {redpajama} B | {llama} B |",
                        code(name)
                    )?;
                }
                None => writeln!(page, "| {} | {ours} | {part} | | |", code(name))?,
            }
        }
        writeln!(page, "| **total** | **{}** | | 1.2 T | 1.25 T |", count(total))?;
        writeln!(page, "\n| language | tokens | share |\n|---|---:|---:|")?;
        let rows = by_size(&self.tokens_by_language);
        for (language, tokens) in rows.into_iter().take(LANGUAGES_SHOWN) {
            writeln!(
                page,
                "| {} | {} | {} |",
                code(language),
                count(tokens),
                share(tokens, total)
            )?;
        }
        writeln!(page)
    }
}

/// Returns the tokens of the groups whose tokens were counted.
fn tokens(groups: &BTreeMap<String, Measures>) -> BTreeMap<String, u64> {
    let counted = groups.iter().filter_map(|(name, measures)| Some((name, measures.tokens?)));
    counted.map(|(name, tokens)| (name.clone(), tokens)).collect()
}
