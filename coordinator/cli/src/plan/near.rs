//! Estimates the stages of near-duplicates from what the sample keeps of each source.
//!
//! How many documents share a band with another one depends on the whole corpus, which a sample
//! does not show. It is assumed as large as in crawls with several dumps, so that disk and memory
//! are estimated too high rather than too low.

use thresher_domain::{BAND_KEY, MemberGroups};
use thresher_job::{JobSpec, NearPreset, Verify};
use thresher_proto::pb::Stage;
use thresher_worker::inspect::Survey;

use super::stage_plan::{Keys, StagePlan, plan, scale};

/// Assumed share of documents, in thousandths, that have a band in common with another one.
const CANDIDATES_PERMILLE: u64 = 400;
/// CPU time to read one byte of text, and to hash its shingles once.
const READ_NANOS_PER_BYTE: u64 = 8;
/// CPU time to sign one byte of text, for each thousand numbers of a signature.
const SIGN_NANOS_PER_BYTE: u64 = 200;
/// CPU time to read one byte of text again, and to hash it if its document is a candidate.
const COLLECT_NANOS_PER_BYTE: u64 = 16;
/// CPU time to connect one document.
const CONNECT_NANOS: u64 = 3_000;
/// CPU time to compare one document.
const COMPARE_NANOS: u64 = 20_000;
/// Memory to connect one document, and what is read of its pairs at a time.
const CONNECT_BYTES: u64 = 64;
/// Bytes of shingles for each byte of text.
const SHINGLE_BYTES_PER_BYTE: u64 = 2;
/// Assumed bytes of an index for each document of an earlier output.
const EARLIER_BYTES: u64 = 5_000;
/// Bytes of what was decided about a document, with the id of its witness.
const DECISION_BYTES: u64 = 100;

/// What decides the size of the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NearEstimate {
    documents: u64,
    text_bytes: u64,
    bands: u64,
    /// Numbers of a signature.
    minima: u64,
    units: u64,
    /// Whether candidates are compared by what they say.
    verifies: bool,
}

impl NearEstimate {
    /// Adds up the sources that are compared; `None` if there are none.
    pub(super) fn of(job: &JobSpec, survey: &Survey) -> Option<Self> {
        if !job.finds_near_duplicates() {
            return None;
        }
        let (bands, rows) = match job.near.preset {
            NearPreset::Fineweb => (14, 8),
            NearPreset::RedpajamaV2 | NearPreset::Slimpajama => (9, 13),
            NearPreset::Dolma3 => (26, 11),
            NearPreset::Nemotron => (20, 13),
            NearPreset::RedpajamaV1 => (0, 0),
        };
        let bands = job.near.bands.unwrap_or(bands);
        let mut estimate = Self {
            documents: 0,
            text_bytes: 0,
            bands,
            minima: bands * job.near.rows.unwrap_or(rows),
            units: survey.sources.iter().map(|source| source.units).sum(),
            verifies: job.near.verify != Verify::None,
        };
        for (spec, source) in job.source.iter().zip(&survey.sources) {
            if spec.earlier {
                // Its index is read instead of a text, and only its band keys are compared.
                estimate.documents += source.bytes / EARLIER_BYTES;
            } else if job.compares_bands(spec) {
                let whole = |part: u64| scale(part, source.bytes, source.sample.bytes);
                estimate.documents += whole(source.sample.documents);
                estimate.text_bytes += whole(source.sample.json_bytes);
            }
        }
        Some(estimate)
    }

    /// Returns the band keys.
    pub(super) fn keys(&self) -> Keys {
        let keys = self.documents.saturating_mul(self.bands);
        Keys { keys, units: self.units, size: BAND_KEY, duplicates: 0 }
    }

    /// Returns the stages, with this much memory for keys.
    pub(super) fn stages(&self, budget_bytes: u64) -> Vec<StagePlan> {
        let Self { documents, text_bytes, bands, units, .. } = *self;
        let candidates = documents / 1000 * CANDIDATES_PERMILLE + documents % 1000;
        let candidate_bytes = text_bytes / 1000 * CANDIDATES_PERMILLE;
        let by_document = documents * bands * size_of::<u64>() as u64;
        let sign = StagePlan {
            bytes: text_bytes,
            disk_bytes: self.keys().keys * BAND_KEY.file_bytes + by_document,
            cpu_millis: millis(
                text_bytes,
                READ_NANOS_PER_BYTE + self.minima * SIGN_NANOS_PER_BYTE / 1000,
            ),
            ..plan(Stage::Sign, units)
        };
        let around = [Stage::GatherBands, Stage::ResolveBands, Stage::Connect];
        let mut stages = vec![sign];
        stages.extend(self.keys().compare(around, budget_bytes));
        stages.retain(|stage| stage.kind != Stage::Connect);
        let groups = MemberGroups::of(u32::try_from(units).unwrap_or(u32::MAX));
        let members = if self.verifies { candidate_bytes * SHINGLE_BYTES_PER_BYTE } else { 0 };
        let members = members + candidates * (bands * size_of::<u64>() as u64 + DECISION_BYTES);
        let decisions = candidates * DECISION_BYTES;
        stages.push(StagePlan {
            memory_bytes: candidates * CONNECT_BYTES,
            disk_bytes: candidates * 3 * size_of::<u64>() as u64,
            cpu_millis: millis(candidates, CONNECT_NANOS),
            ..plan(Stage::Connect, 1)
        });
        stages.push(StagePlan {
            bytes: text_bytes,
            disk_bytes: members,
            cpu_millis: millis(text_bytes, COLLECT_NANOS_PER_BYTE),
            ..plan(Stage::Collect, groups.groups().into())
        });
        stages.push(StagePlan {
            bytes: members,
            memory_bytes: budget_bytes.min(members),
            disk_bytes: decisions,
            cpu_millis: millis(candidates, COMPARE_NANOS),
            ..plan(Stage::Compare, groups.parts().into())
        });
        stages.push(StagePlan {
            bytes: decisions,
            disk_bytes: decisions,
            ..plan(Stage::Decide, groups.groups().into())
        });
        stages
    }
}

fn millis(number: u64, nanos: u64) -> u64 {
    number.saturating_mul(nanos) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_grow_with_documents_and_text_and_only_keys_need_ranges() {
        let small = NearEstimate {
            documents: 100_000,
            text_bytes: 500_000_000,
            bands: 14,
            minima: 112,
            units: 100,
            verifies: true,
        };
        let stages = small.stages(1 << 30);
        let names: Vec<&str> = stages.iter().map(|stage| stage.stage).collect();
        assert_eq!(names, ["sign", "resolve-bands", "connect", "collect", "compare", "decide"]);
        assert_eq!(stages[3].units, 10, "ten groups of ten units");
        let little = small.stages(16 << 20);
        assert_eq!(little[1].stage, "gather-bands");
        let twice = NearEstimate { documents: 200_000, text_bytes: 1_000_000_000, ..small };
        for (one, two) in stages.iter().zip(twice.stages(1 << 30)) {
            assert_eq!(one.cpu_millis * 2, two.cpu_millis, "{}", one.stage);
            assert_eq!(one.disk_bytes * 2, two.disk_bytes, "{}", one.stage);
        }
        let longer = NearEstimate { minima: 1120, ..small }.stages(1 << 30);
        assert!(longer[0].cpu_millis > stages[0].cpu_millis * 5, "signatures cost by their length");
        let unverified = NearEstimate { verifies: false, ..small };
        assert!(unverified.stages(1 << 30)[3].disk_bytes < stages[3].disk_bytes);
    }
}
