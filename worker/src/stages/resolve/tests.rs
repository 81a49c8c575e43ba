//! Tests that ranks of a step write the same files as the threads of one worker, and that their
//! errors reach the leader. The ranks are threads here too; `tests/mpi` starts real ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thresher_job::JobSpec;
use thresher_proto::Message as _;
use thresher_proto::pb::UnitRef;

use super::super::Stop;
use super::super::rank::RankTask;
use super::super::step::{DONE, REFUSED, StepOrder, decode_failure, encode};
use super::super::verdicts::verdicts_on;
use super::*;
use thresher_dedup::comm::local::run_local;
use thresher_dedup::keys::KeyCollector;

const RANKS: usize = 3;
const BUDGET_BYTES: u64 = 20_000;

/// A job whose units have line keys in its work directory.
fn context(folder: &Path) -> JobContext {
    let text = format!(
        "[job]\nname = \"test\"\nwork_dir = \"{}\"\n[[source]]\nslice = \"commoncrawl\"\n\
         listing = \"none\"\n[language]\nmodel = \"none\"\n[output]\npath = \"corpus\"\n",
        folder.display()
    );
    let job = JobSpec::parse(&text, folder).unwrap();
    let context = JobContext::new(job, RANKS, "threads".to_owned()).unwrap();
    for unit in 0..5_u32 {
        let mut keys = KeyCollector::<u64>::new(unit, 1 << 20, folder);
        for ordinal in 0..400 {
            // Spread over the key space, and many of them in several units.
            let id = u64::from((ordinal * 7 + unit * 3) % 900);
            keys.push(id.wrapping_mul(0x9E37_79B9_7F4A_7C15), ordinal).unwrap();
        }
        let path = context.work.unit_file(Stage::Lines, unit, "keys");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, keys.finish(Vec::new()).unwrap().0).unwrap();
    }
    context
}

/// The task of a range, with memory for all threads or for one rank.
fn task(budget_bytes: u64) -> Task {
    let unit = UnitRef { stage: Stage::ResolveLines.into(), ordinal: 0, attempt: 1 };
    let groups = Some(pb::KeyGroups { ranges: 1, group_units: 1 });
    let range = RangeUnit { range: 0, groups, units: 5, absent: vec![3], budget_bytes };
    Task { unit, payload: range.encode_to_vec(), tag: "step".to_owned(), stop: Stop::default() }
}

/// The task of a step in a folder of its own, read back as a rank does.
fn rank_task(context: &JobContext, step: &Path) -> RankTask {
    let order = StepOrder {
        tag: "step-1".to_owned(),
        ranks: RANKS as u32,
        deadline: Duration::from_secs(60),
    };
    let path = step.join("task");
    std::fs::write(&path, encode(context, &task(BUDGET_BYTES / RANKS as u64), &order)).unwrap();
    RankTask::read(&path).unwrap()
}

fn folder(context: &JobContext) -> PathBuf {
    range_folder(context, Stage::ResolveLines, KeyRange::WHOLE)
}

/// Returns the published files of the range, by name.
fn published(context: &JobContext) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder(context)).unwrap();
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

#[test]
fn ranks_write_the_same_files_as_threads() {
    let [here, there, step] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (by_threads, by_ranks) = (context(here.path()), context(there.path()));
    run_lines(&by_threads, &task(BUDGET_BYTES)).unwrap();
    let rank_task = rank_task(&by_ranks, step.path());
    assert_eq!(rank_task.ranks, RANKS as u32);
    let own = || thresher_storage::clock::process_cpu().as_millis() as u64;
    while own() < 2 {}
    let before = 2 * own();
    run_local(RANKS, |comm| rank_task.run(comm)).unwrap();
    let expected = published(&by_threads);
    assert_eq!(expected.len(), RANKS + 1, "a file for each rank and the record");
    assert_eq!(published(&by_ranks), expected);
    let done: StepDone<ResolveTally> =
        serde_json::from_slice(&std::fs::read(step.path().join(DONE)).unwrap()).unwrap();
    assert_eq!(done.record.ranks, RANKS as u32);
    assert!(done.record.tally.dropped > 0);
    // Each rank gave the CPU time of its process, which is this one.
    assert!(done.cpu_millis > before, "{} ms, {before} ms before", done.cpu_millis);
}

#[test]
fn an_attempt_with_other_memory_replaces_what_an_earlier_one_left() {
    let here = tempfile::tempdir().unwrap();
    let context = context(here.path());
    let first = run_lines(&context, &task(4096)).unwrap();
    let small = published(&context);
    // The first attempt died before it published its record.
    std::fs::remove_file(folder(&context).join(RECORD)).unwrap();
    let second = run_lines(&context, &task(1 << 30)).unwrap();
    assert_eq!(first.done, second.done);
    assert_ne!(published(&context), small, "the memory is to change the blocks");
}

#[test]
fn verdict_files_stay_open_for_further_units_until_reading_them_fails() {
    let here = tempfile::tempdir().unwrap();
    let context = context(here.path());
    run_lines(&context, &task(BUDGET_BYTES)).unwrap();
    let groups = KeyGroups { ranges: 1, group_units: 1 };
    let dropped = |unit| verdicts_on::<u64>(&context, LINES, groups, unit).map(|set| set.count());
    let expected: Vec<u64> = (0..3).map(|unit| dropped(unit).unwrap()).collect();
    assert!(expected[1] > 0);

    // Nothing is opened by name again.
    let (folder, away) = (folder(&context), here.path().join("away"));
    std::fs::rename(&folder, &away).unwrap();
    assert_eq!((0..3).map(|unit| dropped(unit).unwrap()).collect::<Vec<_>>(), expected);

    // The open files are damaged, and the range was resolved again.
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(&away).unwrap() {
        let old = entry.unwrap().path();
        std::fs::copy(&old, folder.join(old.file_name().unwrap())).unwrap();
        let damaged = vec![0; std::fs::metadata(&old).unwrap().len() as usize];
        std::fs::write(&old, damaged).unwrap();
    }
    assert_eq!((0..3).map(|unit| dropped(unit).unwrap()).collect::<Vec<_>>(), expected);

    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::remove_dir_all(&away).unwrap();
    assert_eq!(dropped(0).unwrap(), expected[0], "files that are open can be read");
    context.verdict_files.forget();
    let missing = dropped(0).unwrap_err();
    assert!(
        matches!(&missing, UnitError::Damaged { producer, .. }
            if producer.stage() == Stage::ResolveLines),
        "{missing}"
    );
}

#[test]
fn a_damaged_key_file_is_reported_to_the_leader_with_its_unit() {
    let [here, step] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let context = context(here.path());
    std::fs::write(context.work.unit_file(Stage::Lines, 4, "keys"), b"no keys").unwrap();
    let rank_task = rank_task(&context, step.path());
    run_local(RANKS, |comm| rank_task.run(comm)).unwrap_err();
    assert!(std::fs::read(step.path().join(DONE)).is_err());
    // Unit 4 belongs to rank 1; the other ranks only got its error.
    let failed = std::fs::read(step.path().join("rank-00001.failed")).unwrap();
    let error = decode_failure(&failed).unwrap();
    assert!(
        matches!(&error, UnitError::Damaged { producer, .. }
            if producer.stage() == Stage::Lines && producer.ordinal == 4),
        "{error}"
    );
    assert!(std::fs::read(step.path().join("rank-00000.failed")).is_err());
}

#[test]
fn a_world_of_another_size_is_refused_before_any_file_is_touched() {
    let [here, step] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let rank_task = rank_task(&context(here.path()), step.path());
    rank_task.check_world(RANKS, "MPICH", "srun 0/3").unwrap();
    assert!(std::fs::read(step.path().join(REFUSED)).is_err());
    let refused = rank_task.check_world(1, "MPICH", "srun 0/3").unwrap_err().to_string();
    for word in ["`1` rank", "`3`", "`MPICH`", "`srun 0/3`"] {
        assert!(refused.contains(word), "{refused}");
    }
    let written = std::fs::read_to_string(step.path().join(REFUSED)).unwrap();
    assert_eq!(written, refused);
}

#[test]
fn a_task_of_another_version_or_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task");
    std::fs::write(&path, [0xFF; 40]).unwrap();
    assert!(matches!(RankTask::read(&path), Err(UnitError::Defect(_))));
    let other = pb::GangTask { version: "0.0.0".to_owned(), ..pb::GangTask::default() };
    std::fs::write(&path, other.encode_to_vec()).unwrap();
    let Err(error) = RankTask::read(&path) else { panic!("it was read") };
    assert!(error.to_string().contains("`0.0.0`"), "{error}");
}
