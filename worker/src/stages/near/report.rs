//! What the report says of near-duplicates: how many were removed because of which sources and
//! dumps, how large clusters are, and what was not compared.
//!
//! Workers have these figures, so SEAL adds them to the report of the coordinator.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::json;
use thresher_clusters::compare::{CompareTally, LargeCluster};
use thresher_clusters::connect::ConnectTally;
use thresher_clusters::edges::{EdgeTally, LargeGroup};
use thresher_domain::escape::code;
use thresher_job::{JobSpec, NearAction, Verify};
use thresher_proto::convert::key_groups;
use thresher_proto::pb::SealUnit;

use super::super::JobContext;
use super::bands::{LARGE_GROUP, resolved};
use super::{compare, connect};
use thresher_unit::UnitError;

/// Rows of a table of the page; `report.json` has all.
const ROWS_SHOWN: usize = 20;
/// Groups above the limit that are listed.
const GROUPS_LISTED: usize = 100;

/// Returns the text of `report.json` and `REPORT.md` with what is known of near-duplicates.
pub(in crate::stages) fn added(
    context: &JobContext,
    unit: &SealUnit,
) -> Result<(String, String), UnitError> {
    let (json, page) = (unit.report_json.clone(), unit.report_markdown.clone());
    let groups = key_groups(unit.band_groups);
    if groups.ranges == 0 {
        return Ok((json, page));
    }
    let edges = resolved(context, groups)?.into_iter().map(|(tally, _)| tally);
    let near = Near {
        bands: Bands::of(edges),
        connected: connect::tally(context)?,
        compared: compare::tally(context, unit.units)?,
    };
    let Some(body) = json.trim_end().strip_suffix("\n}") else { return Ok((json, page)) };
    let figures = serde_json::to_string_pretty(&near.figures(&context.job))
        .map_err(|error| UnitError::Defect(error.to_string()))?;
    let figures = figures.replace('\n', "\n  ");
    let json = format!("{body},\n  \"near_duplicates\": {figures}\n}}\n");
    Ok((json, format!("{page}\n{}", near.page(&context.job))))
}

/// Everything that was counted.
struct Near {
    bands: Bands,
    connected: ConnectTally,
    compared: CompareTally,
}

/// What was counted of band groups, over all key ranges.
#[derive(Debug, Default, Serialize)]
struct Bands {
    keys: u64,
    groups: u64,
    largest_group: u64,
    large_groups: u64,
    #[serde(skip)]
    listed: Vec<LargeGroup>,
}

impl Bands {
    fn of(tallies: impl Iterator<Item = EdgeTally>) -> Self {
        let mut sum = Self::default();
        for tally in tallies {
            sum.keys += tally.keys;
            sum.groups += tally.groups;
            sum.largest_group = sum.largest_group.max(tally.largest_group);
            sum.large_groups += tally.large_groups;
            sum.listed.extend(tally.listed);
        }
        sum.listed.sort_by_key(|group| (std::cmp::Reverse(group.size), group.key));
        sum.listed.truncate(GROUPS_LISTED);
        sum
    }
}

impl Near {
    fn figures(&self, job: &JobSpec) -> serde_json::Value {
        let CompareTally { comparisons, dissimilar, not_compared, clusters, removed, .. } =
            self.compared;
        let sizes: BTreeMap<String, u64> =
            self.compared.cluster_sizes.iter().map(|(at, n)| (size_range(*at), *n)).collect();
        let cluster = |cluster: &LargeCluster| {
            let LargeCluster { size, id, removed_ids, .. } = cluster;
            json!({ "size": size, "id": id, "removed": removed_ids })
        };
        let group = |group: &LargeGroup| json!({ "key": format!("{:016x}", group.key), "documents": group.size });
        json!({
            "action": job.near.action,
            "bands": self.bands,
            "groups_above_limit": self.bands.listed.iter().map(group).collect::<Vec<_>>(),
            "candidates": self.connected.documents,
            "components": self.connected.components,
            "largest_component": self.connected.largest_component,
            "pairs_compared": comparisons,
            "pairs_dissimilar": dissimilar,
            "documents_not_compared_with_all": not_compared,
            "clusters": clusters,
            "removed": removed,
            "removed_by_source": self.by_source(job),
            "removed_by_dump": self.compared.removed_by_dump,
            "cluster_sizes": sizes,
            "largest_clusters": self.compared.largest_clusters.iter().map(cluster).collect::<Vec<_>>(),
        })
    }

    /// Returns how many documents of each source were removed because of which source.
    fn by_source(&self, job: &JobSpec) -> BTreeMap<String, BTreeMap<String, u64>> {
        let name = |number: &u32| {
            let source = job.source.get(*number as usize);
            source.map_or_else(|| number.to_string(), |source| source.name.clone())
        };
        let of = |counts: &BTreeMap<u32, u64>| {
            counts.iter().map(|(witness, count)| (name(witness), *count)).collect()
        };
        let removed = &self.compared.removed_by_source;
        removed.iter().map(|(source, counts)| (name(source), of(counts))).collect()
    }

    fn page(&self, job: &JobSpec) -> String {
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_page(&mut page, job);
        page
    }

    fn write_page(&self, page: &mut String, job: &JobSpec) -> std::fmt::Result {
        let CompareTally { comparisons, dissimilar, not_compared, clusters, removed, .. } =
            self.compared;
        let verb = match job.near.action {
            NearAction::Drop => "were removed",
            NearAction::Annotate => "would be removed; they are published with their cluster",
        };
        writeln!(page, "## Near-duplicates\n")?;
        writeln!(
            page,
            "{} documents share a band with another one. {removed} of them {verb}, because of \
             {clusters} documents that are kept.\n",
            self.connected.documents
        )?;
        if job.near.verify == Verify::None {
            writeln!(page, "Documents with a band in common were not compared any further.\n")?;
        } else {
            writeln!(
                page,
                "{comparisons} pairs were compared, and {dissimilar} of them are not similar \
                 enough.\n"
            )?;
        }
        if not_compared > 0 {
            writeln!(
                page,
                "{not_compared} documents were not compared with all earlier ones of their band \
                 groups, which have more kept documents than `near.first_kept`.\n"
            )?;
        }
        if self.bands.large_groups > 0 {
            writeln!(
                page,
                "{} band groups have more than {LARGE_GROUP} documents, the largest {}: text that \
                 many pages have in common.\n",
                self.bands.large_groups, self.bands.largest_group
            )?;
        }
        let done = match job.near.action {
            NearAction::Drop => "removed",
            NearAction::Annotate => "marked",
        };
        table(page, ("source", "because of", done), &self.by_source(job))?;
        table(page, ("dump", "because of", done), &self.compared.removed_by_dump)?;
        self.write_clusters(page)
    }

    fn write_clusters(&self, page: &mut String) -> std::fmt::Result {
        if self.compared.cluster_sizes.is_empty() {
            return Ok(());
        }
        writeln!(page, "| documents in a cluster | clusters |\n|---|---:|")?;
        for (exponent, count) in &self.compared.cluster_sizes {
            writeln!(page, "| {} | {count} |", size_range(*exponent))?;
        }
        writeln!(
            page,
            "\nThe largest clusters:\n\n| documents | first | some of the others |\n|---:|---|---|"
        )?;
        for cluster in self.compared.largest_clusters.iter().take(ROWS_SHOWN) {
            let removed: Vec<String> = cluster.removed_ids.iter().map(|id| code(id)).collect();
            writeln!(
                page,
                "| {} | {} | {} |",
                cluster.size,
                code(&cluster.id),
                removed.join(", ")
            )?;
        }
        writeln!(page)
    }
}

/// Writes how many documents were removed of which group because of which, the most first.
fn table(
    page: &mut String,
    (of, because, done): (&str, &str, &str),
    counts: &BTreeMap<String, BTreeMap<String, u64>>,
) -> std::fmt::Result {
    let all = counts.iter().flat_map(|(removed, by)| {
        by.iter().map(move |(witness, count)| (*count, removed.as_str(), witness.as_str()))
    });
    let mut rows: Vec<(u64, &str, &str)> = all.collect();
    // Without dumps, everything is in one row without names.
    if rows.iter().all(|(_, removed, witness)| removed.is_empty() && witness.is_empty()) {
        return Ok(());
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)).then(a.2.cmp(b.2)));
    writeln!(page, "| {of} | {because} | {done} |\n|---|---|---:|")?;
    for (count, removed, witness) in rows.iter().take(ROWS_SHOWN) {
        writeln!(page, "| {} | {} | {count} |", code(removed), code(witness))?;
    }
    if let Some(more) = rows.len().checked_sub(ROWS_SHOWN).filter(|more| *more > 0) {
        writeln!(page, "\n{more} more rows are in `report.json`.")?;
    }
    writeln!(page)
}

/// Returns the sizes from a power of two to below the next.
fn size_range(exponent: u32) -> String {
    let least = 1_u64.checked_shl(exponent).unwrap_or(u64::MAX);
    format!("{least}-{}", least.saturating_mul(2) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_table_are_the_most_first_and_only_without_names_it_is_left_out() {
        let mut page = String::new();
        let counts = BTreeMap::from([
            ("a".to_owned(), BTreeMap::from([("a".to_owned(), 3), ("b".to_owned(), 9)])),
            ("b".to_owned(), BTreeMap::from([("b|".to_owned(), 5)])),
        ]);
        table(&mut page, ("source", "because of", "removed"), &counts).unwrap();
        let rows: Vec<&str> = page.lines().skip(2).take(3).collect();
        assert!(
            rows[0].starts_with("| `a` | `b` | 9") && rows[2].starts_with("| `a` | `a` | 3"),
            "{page}"
        );
        assert!(!rows[1].contains("b| |"), "names are no markup: {page}");
        let unnamed = BTreeMap::from([(String::new(), BTreeMap::from([(String::new(), 3)]))]);
        let mut page = String::new();
        table(&mut page, ("dump", "because of", "removed"), &unnamed).unwrap();
        assert_eq!(page, "");
        assert_eq!((size_range(1), size_range(5)), ("2-3".to_owned(), "32-63".to_owned()));
    }
}
