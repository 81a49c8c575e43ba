//! The work directory of a job that is restarted: each restart uses a folder of its own, so that
//! files of the units that run again cannot be mistaken for those of before.
//!
//! ```text
//! work/prepare …            the first run
//! work/run-2/prepare …      after a restart; what is kept was moved here
//! ```
//! A dump leaves half a million files, and a parallel file system takes a millisecond for each. So
//! many are removed at a time.
//!
//! A worker of before that still runs writes where nobody reads.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use anyhow::Context;
use thresher_domain::Stage;

const RUN: &str = "run-";
/// Number of files that are removed at a time. The threads wait for the file system.
const REMOVING_THREADS: usize = 16;

/// Returns the directory that the job file names, without the folder of a restart.
pub(crate) fn root_of(work_dir: &Path) -> &Path {
    match run_number(work_dir) {
        Some(_) => work_dir.parent().unwrap_or(work_dir),
        None => work_dir,
    }
}

/// Returns the work directory after another restart.
pub(crate) fn next(work_dir: &Path) -> PathBuf {
    let run = run_number(work_dir).unwrap_or(1) + 1;
    root_of(work_dir).join(format!("{RUN}{run}"))
}

fn run_number(work_dir: &Path) -> Option<u32> {
    let name = work_dir.file_name()?.to_str()?;
    name.strip_prefix(RUN)?.parse().ok()
}

/// Moves the folders of the kept stages to the next work directory, and removes the others. It may
/// be repeated if it was interrupted.
pub(crate) fn move_kept(
    old: &Path,
    new: &Path,
    is_kept: impl Fn(Stage) -> bool,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(new)
        .with_context(|| format!("failed to make the work directory `{}`", new.display()))?;
    for stage in Stage::ALL.into_iter().filter(|stage| is_kept(*stage)) {
        let (from, to) = (old.join(stage.name()), new.join(stage.name()));
        match std::fs::rename(&from, &to) {
            // Nothing was written, or it was moved by a restart that was interrupted.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            moved => moved.with_context(|| {
                format!("failed to move `{}` to `{}`", from.display(), to.display())
            })?,
        }
    }
    remove_except(old, new)
}

/// Removes what is in a folder, but not `kept`, which may be in it.
fn remove_except(folder: &Path, kept: &Path) -> anyhow::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("failed to list `{}`", folder.display()))?,
    };
    for entry in entries {
        let path = entry?.path();
        if path == kept {
            continue;
        }
        let removed = if path.is_dir() { remove_tree(&path) } else { std::fs::remove_file(&path) };
        removed.with_context(|| format!("failed to remove `{}`", path.display()))?;
    }
    if !kept.starts_with(folder) {
        // Others may have written into it, and then it stays.
        let _ = std::fs::remove_dir(folder);
    }
    Ok(())
}

/// Removes a folder with everything in it, many files at a time.
fn remove_tree(root: &Path) -> std::io::Result<()> {
    let folders = Mutex::new(Folders { waiting: vec![root.to_owned()], busy: 0 });
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..REMOVING_THREADS {
            scope.spawn(|| remove_files(&folders, &changed));
        }
    });
    // What remains is folders, and files that could not be removed, whose error this returns.
    std::fs::remove_dir_all(root)
}

/// The folders whose files are not removed yet.
struct Folders {
    waiting: Vec<PathBuf>,
    /// Number of folders that threads work on, which may add others.
    busy: usize,
}

/// Removes the files of one folder after another until no thread has any left.
fn remove_files(folders: &Mutex<Folders>, changed: &Condvar) {
    let lock = || folders.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let waits = |folders: &mut Folders| folders.waiting.is_empty() && folders.busy > 0;
        let mut found = changed.wait_while(lock(), waits).unwrap_or_else(PoisonError::into_inner);
        let Some(folder) = found.waiting.pop() else { return };
        found.busy += 1;
        drop(found);
        let inner = remove_files_in(&folder);
        let mut found = lock();
        found.waiting.extend(inner);
        found.busy -= 1;
        changed.notify_all();
    }
}

/// Removes the files of a folder, and returns the folders in it. Errors are left to the caller, who
/// finds what could not be removed.
fn remove_files_in(folder: &Path) -> Vec<PathBuf> {
    let mut inner = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // A link to a folder is a file.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => inner.push(entry.path()),
            Ok(_) | Err(_) => drop(std::fs::remove_file(entry.path())),
        }
    }
    inner
}

/// Removes the whole work directory of a job, with the folders of all restarts.
pub(crate) fn empty(work_dir: &Path) {
    let root = root_of(work_dir);
    match remove_tree(root) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(folder = %root.display(), %error, "failed to empty the work directory");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_restart_has_a_folder_of_its_own() {
        let first = Path::new("/jobs/a");
        let second = next(first);
        assert_eq!(second, Path::new("/jobs/a/run-2"));
        assert_eq!(next(&second), Path::new("/jobs/a/run-3"));
        assert_eq!(root_of(&second), first);
        assert_eq!(root_of(first), first);
    }

    #[test]
    fn a_tree_is_removed_with_links_and_without_what_they_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let (work, other) = (folder.path().join("work"), folder.path().join("other"));
        std::fs::create_dir_all(&other).unwrap();
        std::fs::write(other.join("stays"), "").unwrap();
        for number in 0..40 {
            let inner = work.join(format!("lines/{number}/deep"));
            std::fs::create_dir_all(&inner).unwrap();
            (0..50).for_each(|file| std::fs::write(inner.join(file.to_string()), "").unwrap());
        }
        std::os::unix::fs::symlink(&other, work.join("lines/link")).unwrap();
        empty(&work);
        assert!(!work.try_exists().unwrap() && other.join("stays").try_exists().unwrap());
        let missing = remove_tree(&work).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn kept_stages_are_moved_and_the_others_removed() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        let write = |work: &Path, stage: Stage| {
            std::fs::create_dir_all(work.join(stage.name())).unwrap();
            std::fs::write(work.join(stage.name()).join("file"), stage.name()).unwrap();
        };
        let has =
            |work: &Path, stage: Stage| work.join(stage.name()).join("file").try_exists().unwrap();
        for stage in [Stage::List, Stage::Prepare, Stage::Publish] {
            write(&work, stage);
        }
        let second = next(&work);
        for _ in 0..2 {
            move_kept(&work, &second, |stage| stage < Stage::Publish).unwrap();
            assert!(has(&second, Stage::List) && has(&second, Stage::Prepare));
            assert!(!has(&second, Stage::Publish) && !has(&work, Stage::Publish));
        }
        let third = next(&second);
        move_kept(&second, &third, |stage| stage < Stage::Prepare).unwrap();
        assert!(
            has(&third, Stage::List)
                && !has(&third, Stage::Prepare)
                && !second.try_exists().unwrap()
        );
        empty(&third);
        assert!(!work.try_exists().unwrap());
    }
}
