//! Damaged and wrong files are reported by their names.

use std::fs;

use rand::{SeedableRng, rngs::SmallRng};

use super::world::{Run, World, write_members};
use super::*;
use crate::decisions::{DecideError, DecisionFile, Group, decide};
use crate::scratch::ScratchError;

fn task<'a>(members: &'a [RunFile], settings: Settings, folder: &'a Path) -> CompareTask<'a> {
    CompareTask {
        members,
        parts: 1,
        part: 0,
        group_units: 1,
        settings,
        kept_from_source: u32::MAX,
        scratch_folder: folder,
        open_files: 1,
    }
}

fn settings(verify: Verify) -> Settings {
    Settings { verify, survivors: Survivors::Witness, first_kept: 64, memory_bytes: 1 << 20 }
}

fn chain_files(verify: Verify, folder: &Path) -> Vec<RunFile> {
    let mut random = SmallRng::seed_from_u64(1);
    let run = Run { parts: 1, group_units: 1, ..Run::random(&mut random) };
    write_members(&World::chain(50).members(verify, &mut random), &run, folder)
}

#[test]
fn a_damaged_members_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let verify = Verify::Jaccard(Threshold::from_millionths(700_000));
    let files = chain_files(verify, folder.path());
    let good = fs::read(&files[1].path).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&files[1].path, bad).unwrap();
        let error = compare(&task(&files, settings(verify), folder.path()), Vec::new());
        let error = error.unwrap_err();
        assert!(matches!(&error, CompareError::Members(RunsError { number: 1, .. })), "{error}");
        assert!(error.to_string().contains("1.members"), "byte {at}: {error}");
    }
}

#[test]
fn members_without_the_evidence_that_is_compared_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = chain_files(Verify::Containment, folder.path());
    let verify = Verify::Jaccard(Threshold::from_millionths(700_000));
    let error = compare(&task(&files, settings(verify), folder.path()), Vec::new()).unwrap_err();
    assert!(error.to_string().contains("0.members"), "{error}");
    let other_parts = CompareTask { parts: 2, ..task(&files, settings(verify), folder.path()) };
    let error = compare(&other_parts, Vec::new()).unwrap_err();
    assert!(error.to_string().contains("other parts"), "{error}");
}

#[test]
fn a_scratch_folder_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let verify = Verify::Jaccard(Threshold::from_millionths(700_000));
    let files = chain_files(verify, folder.path());
    let settings = Settings { memory_bytes: 0, ..settings(verify) };
    let missing = folder.path().join("missing");
    let error = compare(&task(&files, settings, &missing), Vec::new()).unwrap_err();
    assert!(matches!(&error, CompareError::Scratch(ScratchError::Io { .. })), "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn damaged_and_repeated_decisions_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let files = chain_files(Verify::None, folder.path());
    let task = task(&files, settings(Verify::None), folder.path());
    let (bytes, _) = compare(&task, Vec::new()).unwrap();
    let path = folder.path().join("part.decisions");
    fs::write(&path, &bytes).unwrap();
    let part = RunFile { number: 5, path };
    let group = Group { group: 1, group_units: 1 };
    let (decided, _) = decide(std::slice::from_ref(&part), group, 1, Vec::new()).unwrap();

    let twice = [part.clone(), part.clone()];
    let error = decide(&twice, group, 1, Vec::new()).unwrap_err();
    assert!(matches!(error, DecideError::Repeated { .. }), "{error}");
    let other = Group { group: 1, group_units: 2 };
    let error = decide(std::slice::from_ref(&part), other, 1, Vec::new()).unwrap_err();
    assert!(matches!(&error, DecideError::Part(RunsError { number: 5, .. })), "{error}");
    fs::write(&part.path, &bytes[..bytes.len() - 1]).unwrap();
    let error = decide(&[part], group, 1, Vec::new()).unwrap_err();
    assert!(error.to_string().contains("part.decisions"), "{error}");

    let path = folder.path().join("group.decisions");
    fs::write(&path, &decided).unwrap();
    let file = DecisionFile::open(&path).unwrap();
    assert!(!file.of_unit(1).unwrap().is_empty());
    assert!(file.of_unit(0).unwrap_err().to_string().contains("group.decisions"));
    for at in 0..decided.len() {
        let mut bad = decided.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        let read = DecisionFile::open(&path).and_then(|file| file.of_unit(1));
        let error = read.unwrap_err().to_string();
        assert!(error.contains("group.decisions"), "byte {at}: {error}");
    }
}
