//! The report's part about models: pages by bucket of perplexity, tokens by slice and language,
//! beside what RedPajama and LLaMA published.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use thresher_job::Slice;
use thresher_proto::pb::{self, Stage};

use crate::amounts::{count, share};
use crate::figures;

/// Languages with their own row.
const LANGUAGES_SHOWN: usize = 30;

/// What models said of the documents; empty where the job did without.
#[derive(Debug, Default, Serialize)]
pub(super) struct Scores {
    /// Pages that were scored, by language and bucket, before any was dropped for it.
    buckets: BTreeMap<String, BTreeMap<String, u64>>,
    /// Of the published documents.
    tokens_total: u64,
    tokens_by_slice: BTreeMap<String, u64>,
    tokens_by_language: BTreeMap<String, u64>,
}

impl Scores {
    /// From counts like `bucket/de/head` and `slice/commoncrawl/tokens`.
    pub(super) fn of(status: &pb::StatusResponse) -> Self {
        let mut scores = Self::default();
        for (name, value) in figures::counts(status, Stage::Prepare) {
            let Some(rest) = name.strip_prefix("bucket/") else { continue };
            if let Some((language, bucket)) = rest.rsplit_once('/') {
                let buckets = scores.buckets.entry(language.to_owned()).or_default();
                *buckets.entry(bucket.to_owned()).or_default() += value;
            }
        }
        for (name, value) in figures::counts(status, Stage::Publish) {
            let Some(name) = name.strip_suffix("/tokens") else { continue };
            if let Some(slice) = name.strip_prefix("slice/") {
                scores.tokens_by_slice.insert(slice.to_owned(), value);
                scores.tokens_total += value;
            } else if let Some(language) = name.strip_prefix("language/") {
                scores.tokens_by_language.insert(language.to_owned(), value);
            }
        }
        scores
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
            write!(page, "| `{language}` | {} |", count(buckets.values().sum()))?;
            for bucket in ["head", "middle", "tail", "all"] {
                write!(page, " {} |", count(buckets.get(bucket).copied().unwrap_or_default()))?;
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
                    writeln!(page, "| `{name}` | {ours} | {part} | {redpajama} B | {llama} B |")?;
                }
                None => writeln!(page, "| `{name}` | {ours} | {part} | | |")?,
            }
        }
        writeln!(page, "| **total** | **{}** | | 1.2 T | 1.25 T |", count(total))?;
        writeln!(page, "\n| language | tokens | share |\n|---|---:|---:|")?;
        let rows = figures::by_size(&self.tokens_by_language);
        for (language, tokens) in rows.into_iter().take(LANGUAGES_SHOWN) {
            writeln!(page, "| `{language}` | {} | {} |", count(tokens), share(tokens, total))?;
        }
        writeln!(page)
    }
}
