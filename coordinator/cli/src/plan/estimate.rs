//! Estimates units, bytes, memory, disk and CPU of every stage from a sample. It is pure
//! arithmetic.
//!
//! Everything scales with compressed bytes. The share of distinct lines falls as inputs are added,
//! so keys and their memory are estimated too high rather than too low.

use std::path::PathBuf;

use serde::Serialize;
use thresher_domain::{DOCUMENT_KEY, LINE_KEY};
use thresher_job::{DedupPolicy, JobSpec};
use thresher_proto::pb::Stage;
use thresher_proto::stage_name;
use thresher_worker::inspect::{Sample, SourceSurvey, Survey};
use thresher_worker::node_memory::KEY_SHARE;

use super::attention::attention;
use super::forms::published_bytes;
use super::measured::{coordinator_bytes, overhead_millis, sync_millis, worker_bytes};
use super::near::NearEstimate;
use super::operations::{Files, Load, storm};
use super::stage_plan::{KeyNeed, Keys, StagePlan, plan, scale};

/// Smallest memory for sorting the keys of a unit.
const MIN_SORT_BYTES: u64 = 16 << 20;
/// Largest memory for sorting the keys of all slots.
const MAX_SORT_BYTES: u64 = 1 << 30;
/// Memory of a slot in addition to one record: decompressor, zstd windows, blocks.
const SLOT_BYTES: u64 = 32 << 20;
/// Compressed size of a drop row, which is in the work directory and in the output.
const DROP_ROW_BYTES: u64 = 80;
/// Size of the journal's records of one unit.
const JOURNAL_UNIT_BYTES: u64 = 600;

/// The resources of this machine.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    pub(super) slots: u32,
    pub(super) cores: u32,
    pub(super) memory_bytes: u64,
    pub(super) state: Disk,
    pub(super) work: Disk,
    /// `None` if the output is in a bucket.
    pub(super) output: Option<Disk>,
}

/// A directory and the file system that it is or will be on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Disk {
    pub(super) path: PathBuf,
    #[serde(skip)]
    pub(super) device: u64,
    pub(super) free_bytes: u64,
}

/// The resources that a job needs.
#[derive(Debug, Serialize)]
pub(super) struct Plan {
    pub(super) job_name: String,
    pub(super) sources: Vec<SourceSurvey>,
    /// Compressed size of all inputs.
    pub(super) bytes: u64,
    pub(super) whole: Whole,
    pub(super) stages: Vec<StagePlan>,
    pub(super) keys: Vec<KeyNeed>,
    /// Largest memory of any stage, on one machine with its slots.
    pub(super) memory_bytes: u64,
    /// Memory of a worker here whose records have a usual size.
    pub(super) usual_worker_bytes: u64,
    /// Memory of the coordinator.
    pub(super) coordinator_bytes: u64,
    pub(super) cpu_millis: u64,
    /// Time on the slots of this machine, if nothing waits for disks.
    pub(super) wall_millis: u64,
    pub(super) disks: Vec<DiskNeed>,
    pub(super) machine: Machine,
    pub(super) shortfalls: Vec<Shortfall>,
    /// What a person should look at before the job runs.
    pub(super) attention: Vec<String>,
}

/// The sample, scaled to all inputs.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Whole {
    pub(super) records: u64,
    pub(super) record_bytes: u64,
    pub(super) pages: u64,
    pub(super) lines: u64,
    pub(super) line_keys: u64,
    /// Size of the text that LINES keeps for PREPARE.
    pub(super) kept_text_bytes: u64,
    /// Size of the inputs that both LINES and PREPARE read for the comparison of lines.
    pub(super) read_twice_bytes: u64,
    pub(super) documents: u64,
    pub(super) json_bytes: u64,
    pub(super) shard_bytes: u64,
    pub(super) shards: u64,
    pub(super) lines_cpu_millis: u64,
    pub(super) prepare_cpu_millis: u64,
    pub(super) publish_cpu_millis: u64,
}

/// The space that one file system must have.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct DiskNeed {
    pub(super) paths: Vec<PathBuf>,
    pub(super) needs_bytes: u64,
    pub(super) free_bytes: u64,
}

/// Why the job does not fit.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shortfall {
    pub(super) what: String,
    pub(super) needs_bytes: u64,
    pub(super) has_bytes: u64,
    pub(super) hint: String,
}

impl Plan {
    pub(super) fn new(job: &JobSpec, survey: &Survey, machine: &Machine) -> Self {
        let whole = Whole::of(job, survey);
        let (stages, keys) = stages(job, survey, &whole, machine);
        let units: u64 = stages.iter().map(|stage| stage.units).sum();
        let disk_of = |stage: Stage| {
            let of_stage = stages.iter().filter(|plan| plan.stage == stage_name(stage));
            of_stage.map(|plan| plan.disk_bytes).sum::<u64>()
        };
        let output = disk_of(Stage::Publish);
        let work = stages.iter().map(|stage| stage.disk_bytes).sum::<u64>() - output;
        let mut needs = vec![(&machine.work, work)];
        needs.extend(machine.output.as_ref().map(|disk| (disk, output)));
        needs.push((&machine.state, units * JOURNAL_UNIT_BYTES));
        let disks = by_device(&needs);
        let mut shortfalls: Vec<Shortfall> = memory_shortfall(job, survey, &stages, machine);
        shortfalls.extend(disks.iter().filter_map(disk_shortfall));
        let mut attention = attention(job, survey);
        attention.extend(storm(stages.iter().map(|plan| {
            let StagePlan { stage, operations, cpu_millis, .. } = *plan;
            Load { stage, operations, cpu_millis }
        })));
        Self {
            job_name: job.job.name.clone(),
            bytes: survey.sources.iter().map(|source| source.bytes).sum(),
            sources: survey.sources.clone(),
            usual_worker_bytes: usual_worker_bytes(survey, &whole, &stages, machine),
            whole,
            memory_bytes: stages.iter().map(|stage| stage.memory_bytes).max().unwrap_or_default(),
            coordinator_bytes: coordinator_bytes(units),
            wall_millis: stages.iter().map(|stage| stage.wall_millis(machine.slots)).sum(),
            cpu_millis: stages.iter().map(|stage| stage.cpu_millis).sum(),
            stages,
            keys,
            attention,
            disks,
            machine: machine.clone(),
            shortfalls,
        }
    }
}

impl Whole {
    fn of(job: &JobSpec, survey: &Survey) -> Self {
        let mut whole = Self::default();
        for (spec, source) in job.source.iter().zip(&survey.sources) {
            let Sample { bytes, .. } = source.sample;
            let all = |part: u64| scale(part, source.bytes, bytes);
            let sample = &source.sample;
            whole.records += all(sample.records);
            whole.record_bytes += all(sample.record_bytes);
            whole.pages += all(sample.pages);
            whole.lines += all(sample.lines);
            whole.line_keys += all(sample.distinct_lines);
            whole.kept_text_bytes += all(sample.kept_text_bytes);
            if job.dedups_lines(spec) && sample.kept_text_bytes == 0 {
                whole.read_twice_bytes += source.bytes;
            }
            whole.documents += all(sample.documents);
            whole.shard_bytes += all(sample.shard_bytes);
            let json_bytes = all(sample.json_bytes);
            whole.json_bytes += json_bytes;
            // Every source starts its own shard.
            whole.shards += json_bytes.div_ceil(job.output.shard_bytes.0).max(1);
            whole.lines_cpu_millis += all(sample.lines_cpu_micros) / 1000;
            whole.prepare_cpu_millis += all(sample.prepare_cpu_micros) / 1000;
            whole.publish_cpu_millis += all(sample.publish_cpu_micros) / 1000;
        }
        whole
    }
}

fn stages(
    job: &JobSpec,
    survey: &Survey,
    whole: &Whole,
    machine: &Machine,
) -> (Vec<StagePlan>, Vec<KeyNeed>) {
    let slots = u64::from(machine.slots);
    let sources = survey.sources.len() as u64;
    let units: u64 = survey.sources.iter().map(|source| source.units).sum();
    let budget = key_memory(job, machine);
    let mut files = files_of(survey, slots);
    let mut needs = Vec::new();
    let mut stages = vec![plan(Stage::List, sources)];
    stages.extend(lines_stage(job, survey, whole, machine));
    if job.source.iter().any(|source| job.dedups_lines(source)) {
        let duplicates = whole.lines.saturating_sub(whole.line_keys);
        let around = [Stage::GatherLines, Stage::ResolveLines, Stage::CombineLines];
        let keys = Keys { keys: whole.line_keys, units, size: LINE_KEY, duplicates };
        stages.extend(keys.compare(around, budget));
        files.lines = keys.divided(budget);
        needs.push(keys.need(Stage::ResolveLines, budget));
    }
    let rows = whole.records.saturating_sub(whole.documents) * DROP_ROW_BYTES;
    // Staged documents are compressed in blocks, at the fastest level, so they are larger.
    let staged = whole.shard_bytes / 4 * 5;
    let dedups_documents = job.dedup.documents.policy != DedupPolicy::Off;
    let mut prepare = prepare_stage(job, survey, whole, slots);
    prepare.disk_bytes = staged + rows;
    if dedups_documents {
        prepare.disk_bytes += whole.documents * DOCUMENT_KEY.file_bytes;
    }
    stages.push(prepare);
    if dedups_documents {
        let around = [Stage::GatherDocuments, Stage::ResolveDocuments, Stage::CombineDocuments];
        let (keys, size) = (whole.documents, DOCUMENT_KEY);
        let keys = Keys { keys, units, size, duplicates: keys };
        stages.extend(keys.compare(around, budget));
        files.documents = keys.divided(budget);
        needs.push(keys.need(Stage::ResolveDocuments, budget));
    }
    if let Some(near) = NearEstimate::of(job, survey) {
        files.bands = near.keys().divided(budget);
        needs.push(near.keys().need(Stage::ResolveBands, budget));
        stages.extend(near.stages(budget));
    }
    let sizes = (whole.shard_bytes, whole.json_bytes, whole.record_bytes);
    let publish = StagePlan {
        bytes: staged,
        memory_bytes: slots * SLOT_BYTES,
        disk_bytes: published_bytes(&job.output, sizes) + rows,
        cpu_millis: whole.publish_cpu_millis * job.output.shard_formats().len().max(1) as u64,
        ..plan(Stage::Publish, whole.shards)
    };
    stages.extend([plan(Stage::Layout, sources), publish, plan(Stage::Seal, 1)]);
    for plan in &mut stages {
        plan.operations = files.of(plan.kind, plan.units);
        plan.cpu_millis += overhead_millis(plan.operations, plan.units);
        plan.sync_millis = sync_millis(files.syncs(plan.kind, plan.units));
    }
    (stages, needs)
}

/// Returns the stage LINES, if the inputs of any source are read before PREPARE.
fn lines_stage(
    job: &JobSpec,
    survey: &Survey,
    whole: &Whole,
    machine: &Machine,
) -> Option<StagePlan> {
    let sources = job.source.iter().zip(&survey.sources);
    let twice: Vec<_> = sources.filter(|(spec, _)| job.reads_twice(spec)).collect();
    (!twice.is_empty()).then(|| StagePlan {
        bytes: twice.iter().map(|(_, source)| source.bytes).sum(),
        memory_bytes: lines_memory(key_memory(job, machine), job, machine.slots.into()),
        disk_bytes: whole.line_keys * LINE_KEY.file_bytes + whole.kept_text_bytes,
        cpu_millis: whole.lines_cpu_millis,
        ..plan(Stage::Lines, twice.iter().map(|(_, source)| source.units).sum())
    })
}

/// Returns what decides the number of file operations, apart from keys.
fn files_of(survey: &Survey, slots: u64) -> Files {
    let sources = || survey.sources.iter();
    let kept = || sources().filter(|source| source.sample.kept_text_bytes > 0);
    Files {
        units: sources().map(|source| source.units).sum(),
        inputs: sources().map(|source| source.inputs).sum(),
        ranks: slots,
        kept: kept().map(|source| source.units).sum(),
        kept_inputs: kept().map(|source| source.inputs).sum(),
        ..Files::default()
    }
}

/// Returns the stage PREPARE without its disk space. It reads the inputs again, or kept text.
fn prepare_stage(job: &JobSpec, survey: &Survey, whole: &Whole, slots: u64) -> StagePlan {
    let again = survey.sources.iter().filter(|source| source.sample.kept_text_bytes == 0);
    StagePlan {
        bytes: again.map(|source| source.bytes).sum::<u64>() + whole.kept_text_bytes,
        memory_bytes: prepare_memory(job, survey, slots),
        cpu_millis: whole.prepare_cpu_millis,
        ..plan(Stage::Prepare, survey.sources.iter().map(|source| source.units).sum())
    }
}

/// Returns the memory for keys of a gang unit on one node such as this machine.
fn key_memory(job: &JobSpec, machine: &Machine) -> u64 {
    job.dedup.memory.fixed().unwrap_or(machine.memory_bytes / KEY_SHARE)
}

/// Returns the memory of stage `lines`: a slot may hold one record, and sorts its keys in its share
/// of the budget.
fn lines_memory(key_memory: u64, job: &JobSpec, slots: u64) -> u64 {
    let sort = (key_memory.min(MAX_SORT_BYTES) / slots.max(1)).max(MIN_SORT_BYTES);
    slots * (job.commoncrawl.max_record_bytes.0 + SLOT_BYTES + sort)
}

/// Returns the memory of stage `prepare`: all slots share one language model, and a slot holds a
/// record and its text.
fn prepare_memory(job: &JobSpec, survey: &Survey, slots: u64) -> u64 {
    let slot = job.commoncrawl.max_record_bytes.0 * 2 + SLOT_BYTES + MIN_SORT_BYTES;
    survey.model_bytes + slots * slot
}

/// Returns the memory of a worker whose records have a usual size.
fn usual_worker_bytes(
    survey: &Survey,
    whole: &Whole,
    stages: &[StagePlan],
    machine: &Machine,
) -> u64 {
    let units: u64 = survey.sources.iter().map(|source| source.units).sum();
    let keys = stages.iter().filter(|plan| plan.is_gang()).map(|plan| plan.memory_bytes).max();
    let lines = whole.lines / units.max(1);
    survey.model_bytes + worker_bytes(machine.slots.into(), lines, keys.unwrap_or_default())
}

fn memory_shortfall(
    job: &JobSpec,
    survey: &Survey,
    stages: &[StagePlan],
    machine: &Machine,
) -> Vec<Shortfall> {
    let has_bytes = machine.memory_bytes;
    let worst = stages.iter().max_by_key(|stage| stage.memory_bytes);
    let Some(worst) = worst.filter(|stage| stage.memory_bytes > has_bytes) else {
        return Vec::new();
    };
    let lines = |slots: u64| lines_memory(key_memory(job, machine), job, slots);
    let fits = |slots: u64| lines(slots).max(prepare_memory(job, survey, slots)) <= has_bytes;
    let gang = [Stage::ResolveLines, Stage::ResolveDocuments, Stage::ResolveBands, Stage::Connect];
    let gang = gang.map(stage_name);
    let slots = (1..u64::from(machine.slots)).rev().find(|slots| fits(*slots));
    let hint = match slots {
        _ if gang.contains(&worst.stage) => {
            format!("set `dedup.memory` to {}MiB or less", (has_bytes / 4 * 3) >> 20)
        }
        Some(slots) => format!("use `--slots {slots}`"),
        None => "lower `dedup.memory` and `commoncrawl.max_record_bytes`".to_owned(),
    };
    vec![Shortfall {
        what: format!("memory of stage `{}` on {} slots", worst.stage, machine.slots),
        needs_bytes: worst.memory_bytes,
        has_bytes,
        hint,
    }]
}

fn disk_shortfall(disk: &DiskNeed) -> Option<Shortfall> {
    let paths: Vec<String> =
        disk.paths.iter().map(|path| format!("`{}`", path.display())).collect();
    (disk.needs_bytes > disk.free_bytes).then(|| Shortfall {
        what: format!("free space for {}", paths.join(", ")),
        needs_bytes: disk.needs_bytes,
        has_bytes: disk.free_bytes,
        hint: "free some space, or put `job.work_dir` and `output.path` on other file \
               systems"
            .to_owned(),
    })
}

/// Adds up the needs of directories on the same file system, because they share its space.
fn by_device(needs: &[(&Disk, u64)]) -> Vec<DiskNeed> {
    let mut found: Vec<(u64, DiskNeed)> = Vec::new();
    for (disk, needs_bytes) in needs {
        match found.iter_mut().find(|(device, _)| *device == disk.device) {
            Some((_, need)) => {
                need.paths.push(disk.path.clone());
                need.needs_bytes += needs_bytes;
            }
            None => {
                let need = DiskNeed {
                    paths: vec![disk.path.clone()],
                    needs_bytes: *needs_bytes,
                    free_bytes: disk.free_bytes,
                };
                found.push((disk.device, need));
            }
        }
    }
    found.into_iter().map(|(_, need)| need).collect()
}

#[cfg(test)]
pub(super) mod tests;
