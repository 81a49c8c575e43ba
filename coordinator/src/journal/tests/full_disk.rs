//! A test on a file system that is really full. Mounting a small one requires root; otherwise the
//! test prints that it was skipped.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;

const DISK_BYTES: usize = 1 << 20;

/// A small file system, mounted until this is dropped.
struct SmallDisk {
    place: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts one, or returns why that is not possible.
    fn mount() -> Result<Self, String> {
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        let size = format!("size={DISK_BYTES}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place.path());
        let output = mount.output().map_err(|error| format!("`mount`: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Ok(Self { place })
    }

    fn path(&self) -> &Path {
        self.place.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.place.path()).status();
    }
}

fn open_on_disk(directory: &Path) -> (Journal, Vec<u64>) {
    let (mut journal, replay) = Journal::open(directory).unwrap();
    let before = numbers(replay);
    journal.append(&opening(&journal)).unwrap();
    journal.commit().unwrap();
    (journal, before)
}

/// Returns a record that cannot be packed much.
fn long_record(number: u64) -> JournalRecord {
    let mut noise = [0; 10_000];
    let seed = blake3::hash(&number.to_le_bytes());
    blake3::Hasher::new_keyed(seed.as_bytes()).finalize_xof().fill(&mut noise);
    let reason = noise.iter().map(|byte| char::from(b' ' + byte % 90)).collect();
    let lost = pb::WorkerLost { worker_id: 1, reason };
    JournalRecord { now_millis: number, event: Some(Event::Lost(lost)) }
}

#[test]
fn a_full_file_system_stops_the_journal_which_resumes_when_there_is_space_again() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(reason) => {
            return eprintln!("skipped: no small file system could be mounted: {reason}");
        }
    };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; DISK_BYTES / 2]).unwrap();
    let directory = disk.path().join("journal");
    let (mut journal, _) = open_on_disk(&directory);
    let mut durable = Vec::new();
    let failed = (1..1000).find_map(|number| {
        journal.append(&long_record(number)).unwrap();
        let committed = journal.commit();
        durable.extend(committed.is_ok().then_some(number));
        committed.err()
    });
    let text = failed.expect("1 MB is full before 10 MB are written").to_string();
    assert!(text.contains("could not write `"), "{text}");
    assert!(text.contains("journal/00000001.journal"), "{text}");
    assert!(text.contains("hint: free some space"), "{text}");
    assert!(durable.len() > 20, "{durable:?}");
    drop(journal);

    fs::remove_file(&ballast).unwrap();
    let (mut journal, before) = open_on_disk(&directory);
    assert_eq!(before, durable, "all acknowledged records, and no others");
    journal.append(&long_record(5000)).unwrap();
    journal.commit().unwrap();
    assert_eq!(numbers(replay(&directory).unwrap()).last(), Some(&5000));
}
