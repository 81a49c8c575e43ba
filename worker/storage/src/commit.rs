//! Publishes a file: whole, durable and once, or not at all.
//!
//! Bytes are written under a private name beside the final one. `commit` makes them durable, then
//! links them to the final name (`naming`), which fails if that name is taken: the existing file is
//! then compared by hash, never trusted and never overwritten. Invariant: the final name exists
//! only with all the bytes, and they survive a crash. Private names end in `.part`, so that the
//! owner of the directory can clean up after a killed process.
//!
//! A file needs two syncs: of its bytes, before it is named, and of the folder, before its unit is
//! reported. Files that a unit publishes in one folder share the second one ([`NewNames`]).

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::naming::{Calls, PrivateNameAfter, SYSTEM};
use super::{StorageError, takes_nothing};

/// Result of `commit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The file was published by this commit.
    Published { blake3: blake3::Hash, bytes: u64 },
    /// An equal file existed under the name; the new one is removed.
    AlreadyThere { blake3: blake3::Hash, bytes: u64 },
}

/// Why a file is not published.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error(
        "`{}` exists with other content: it has blake3 {theirs}, this attempt made {ours}\n\
         hint: two attempts of one unit differ; keep both files and report it", path.display()
    )]
    /// Another file with other content has the name.
    Different { path: PathBuf, ours: blake3::Hash, theirs: blake3::Hash },
    #[error(
        "no space left for `{}`\nhint: free space or raise the quota, then run again",
        path.display()
    )]
    NoSpace { path: PathBuf, source: io::Error },
    #[error(
        "the device failed while writing `{}`: {source}\nhint: see the system's log",
        path.display()
    )]
    Device { path: PathBuf, source: io::Error },
    #[error("failed to publish `{}`: {source}", path.display())]
    Unsupported { path: PathBuf, source: io::Error },
    #[error("failed to write `{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("failed to publish: {0}")]
    Remote(#[from] StorageError),
}

/// A file that is written under a name private to the attempt. It is removed if it is dropped
/// without `commit`.
pub struct AttemptFile {
    final_path: PathBuf,
    private: PrivateName,
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl AttemptFile {
    /// Creates the file. `attempt_tag` distinguishes this attempt from all others, including ended
    /// ones; it becomes part of a file name. A file left behind by an attempt of the same tag is
    /// overwritten.
    pub fn create(final_path: &Path, attempt_tag: &str) -> Result<Self, CommitError> {
        let fail = |source| classify(final_path, source);
        let Some(name) = final_path.file_name() else {
            return Err(fail(io::Error::new(ErrorKind::InvalidInput, "it does not name a file")));
        };
        if attempt_tag.is_empty() || attempt_tag.contains(['/', '\0']) {
            let text = format!("attempt tag `{attempt_tag}` cannot be part of a file name");
            return Err(fail(io::Error::new(ErrorKind::InvalidInput, text)));
        }
        let mut private_name = std::ffi::OsString::from(".");
        private_name.push(name);
        private_name.push(format!(".{attempt_tag}.part"));
        let path = final_path.with_file_name(private_name);
        let private = PrivateName { path, is_gone: false };
        let mut options = OpenOptions::new();
        // The file is also readable, so that a leftover can be inspected.
        let file = options.read(true).write(true).create(true).truncate(true);
        let file = file.open(&private.path).map_err(fail)?;
        let hasher = blake3::Hasher::new();
        Ok(Self { final_path: final_path.to_owned(), private, file, hasher, bytes: 0 })
    }

    /// Returns the number of bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the hash of what was written so far.
    pub fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    /// Classifies an error of writing to this file.
    pub fn explain(&self, error: io::Error) -> CommitError {
        classify(&self.final_path, error)
    }

    /// Makes the file durable and gives it its final name, unless an equal file has it.
    pub fn commit(self) -> Result<Committed, CommitError> {
        self.commit_by(&SYSTEM)
    }

    fn commit_by(self, calls: &Calls) -> Result<Committed, CommitError> {
        let mut names = NewNames::default();
        let committed = self.commit_as::<CommitError>(calls, &mut names, |_| Ok(false))?;
        names.sync()?;
        Ok(committed)
    }

    /// Does the same as `commit`, but leaves the sync of the folder to `names`, and replaces an
    /// existing file if `is_damaged` says that of it.
    pub fn commit_among<E: From<CommitError>>(
        self,
        names: &mut NewNames,
        is_damaged: impl FnOnce(&Path) -> Result<bool, E>,
    ) -> Result<Committed, E> {
        self.commit_as(&SYSTEM, names, is_damaged)
    }

    fn commit_as<E: From<CommitError>>(
        mut self,
        calls: &Calls,
        names: &mut NewNames,
        is_damaged: impl FnOnce(&Path) -> Result<bool, E>,
    ) -> Result<Committed, E> {
        let path = self.final_path.clone();
        let fail = |source| classify(&path, source);
        self.file.sync_all().map_err(fail)?;
        let (ours, bytes) = (self.hasher.finalize(), self.bytes);
        match calls.name(&self.private.path, &path) {
            Ok(private) => {
                if private == PrivateNameAfter::Kept {
                    self.private.remove().map_err(fail)?;
                }
                self.private.is_gone = true;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if is_damaged(&path)? {
                    return Ok(self.replace(names)?);
                }
                let theirs = hash_file(&path).map_err(fail)?;
                if ours != theirs {
                    return Err(CommitError::Different { path, ours, theirs }.into());
                }
                // The attempt that published it may have died before it was durable.
                File::open(&path).and_then(|existing| existing.sync_all()).map_err(fail)?;
                names.add(&path);
                return Ok(Committed::AlreadyThere { blake3: ours, bytes });
            }
            Err(error) => return Err(fail(error).into()),
        }
        names.add(&path);
        Ok(Committed::Published { blake3: ours, bytes })
    }

    /// Does the same as `commit`, but replaces the existing file, which is known to be damaged.
    pub fn commit_replacing(self) -> Result<Committed, CommitError> {
        let mut names = NewNames::default();
        let committed = self.replace_among(&mut names)?;
        names.sync()?;
        Ok(committed)
    }

    /// Does the same as `commit_replacing`, but leaves the sync of the folder to `names`.
    pub fn replace_among(self, names: &mut NewNames) -> Result<Committed, CommitError> {
        self.file.sync_all().map_err(|source| classify(&self.final_path, source))?;
        self.replace(names)
    }

    /// Takes the name of another file. The bytes are durable.
    fn replace(mut self, names: &mut NewNames) -> Result<Committed, CommitError> {
        let renamed = std::fs::rename(&self.private.path, &self.final_path);
        renamed.map_err(|source| classify(&self.final_path, source))?;
        self.private.is_gone = true;
        names.add(&self.final_path);
        Ok(Committed::Published { blake3: self.hasher.finalize(), bytes: self.bytes })
    }

    /// Gives the file its final name without making it durable, and replaces an existing one.
    /// After a crash of the node the file may be missing or cut, so its reader must notice that
    /// and do without it.
    pub fn commit_unsynced(self) -> Result<(), CommitError> {
        // Its name is not synced either.
        self.replace(&mut NewNames::default()).map(drop)
    }
}

impl AttemptFile {
    /// Adds the file's name to an error that writers in between only pass on. Other errors stay
    /// unchanged, because they are recognised by the system's error number.
    fn named(&self, error: io::Error) -> io::Error {
        if !takes_nothing(&error) {
            return error;
        }
        io::Error::new(error.kind(), format!("`{}`: {error}", self.private.path.display()))
    }
}

impl Write for AttemptFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.file.write(buffer).map_err(|error| self.named(error))?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Returns the BLAKE3 hash of a file's content.
pub fn hash_file(path: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize())
}

/// The folders in which a unit named files. They are synced once, before the unit is reported.
#[derive(Debug, Default)]
#[must_use = "names survive a crash only if their folders are synced"]
pub struct NewNames {
    folders: BTreeSet<PathBuf>,
}

impl NewNames {
    fn add(&mut self, path: &Path) {
        self.folders.insert(folder_of(path).to_owned());
    }

    /// Makes all the names survive a crash.
    pub fn sync(self) -> Result<(), CommitError> {
        for folder in &self.folders {
            File::open(folder)
                .and_then(|open| open.sync_all())
                .map_err(|source| classify(folder, source))?;
        }
        Ok(())
    }
}

/// A private file, which is removed when this is dropped, however that happens.
struct PrivateName {
    path: PathBuf,
    /// Whether no file has the name any more.
    is_gone: bool,
}

impl PrivateName {
    fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

impl Drop for PrivateName {
    fn drop(&mut self) {
        if !self.is_gone {
            // A leftover is harmless and recognised by its name.
            let _ = self.remove();
        }
    }
}

/// Gives a file that several processes wrote its final name, as `AttemptFile::commit` does: cut to
/// `bytes`, durable, and never in place of another file.
pub fn link_growing(growing: &Path, bytes: u64, end: &Path) -> Result<(), CommitError> {
    let fail = |source| classify(end, source);
    let file = OpenOptions::new().write(true).open(growing).map_err(fail)?;
    file.set_len(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
    if SYSTEM.name(growing, end).map_err(fail)? == PrivateNameAfter::Kept {
        std::fs::remove_file(growing).map_err(fail)?;
    }
    let mut names = NewNames::default();
    names.add(end);
    names.sync()
}

/// Creates a folder and its missing parents; each of their names survives a crash.
pub fn make_folder(folder: &Path) -> Result<(), CommitError> {
    let fail = |source| classify(folder, source);
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above)?;
    }
    match std::fs::create_dir(folder) {
        // Another worker may have created it just now.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made.map_err(fail)?,
    }
    sync_directory(folder).map_err(fail)
}

/// Makes a new name in the directory of `path` survive a crash.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

fn classify(path: &Path, source: io::Error) -> CommitError {
    let path = path.to_owned();
    let io_failed = source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return CommitError::NoSpace { path, source };
    }
    if io_failed {
        return CommitError::Device { path, source };
    }
    if source.kind() == ErrorKind::Unsupported && source.raw_os_error().is_none() {
        return CommitError::Unsupported { path, source };
    }
    CommitError::Io { path, source }
}

/// Returns whether a path is one that only an unfinished attempt has.
pub fn is_private(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with('.') && name.ends_with(".part")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn attempt(path: &Path, tag: &str, content: &[u8]) -> AttemptFile {
        let mut file = AttemptFile::create(path, tag).unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn a_file_is_invisible_until_it_is_committed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shard");
        let file = attempt(&path, "w1-a1", b"content");
        assert_eq!(names(dir.path()), [".shard.w1-a1.part"]);
        let committed = file.commit().unwrap();
        assert_eq!(committed, Committed::Published { blake3: blake3::hash(b"content"), bytes: 7 });
        assert_eq!(names(dir.path()), ["shard"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
    }

    #[test]
    fn a_file_that_is_dropped_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(attempt(&dir.path().join("shard"), "a1", b"half"));
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn an_equal_existing_file_is_fine_and_a_different_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shard");
        let late = attempt(&path, "a1", b"content");
        let other = attempt(&path, "a2", b"other");
        attempt(&path, "a3", b"content").commit().unwrap();
        assert!(matches!(late.commit(), Ok(Committed::AlreadyThere { bytes: 7, .. })));
        let error = other.commit().unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CommitError::Different { .. }));
        assert!(text.contains(&blake3::hash(b"content").to_string()), "{text}");
        assert!(text.contains(&blake3::hash(b"other").to_string()), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        assert_eq!(names(dir.path()), ["shard"]);
    }

    #[test]
    fn a_file_is_published_once_on_a_file_system_without_hard_links() {
        let no_links = Calls {
            link: |_, _| Err(io::Error::from_raw_os_error(rustix::io::Errno::PERM.raw_os_error())),
            ..SYSTEM
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shard");
        let (late, other) = (attempt(&path, "a1", b"content"), attempt(&path, "a2", b"other"));
        let first = attempt(&path, "a3", b"content").commit_by(&no_links).unwrap();
        assert!(matches!(first, Committed::Published { bytes: 7, .. }));
        assert!(matches!(late.commit_by(&no_links), Ok(Committed::AlreadyThere { .. })));
        let error = other.commit_by(&no_links).unwrap_err();
        assert!(matches!(error, CommitError::Different { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        assert_eq!(names(dir.path()), ["shard"]);
    }

    #[test]
    fn a_damaged_file_is_replaced_on_demand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shard");
        std::fs::write(&path, b"damaged").unwrap();
        attempt(&path, "a1", b"sound").commit_replacing().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"sound");
        assert_eq!(names(dir.path()), ["shard"]);
    }

    #[test]
    fn an_unsynced_file_is_invisible_until_it_is_committed_and_replaces_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records");
        std::fs::write(&path, b"of an earlier attempt").unwrap();
        let file = attempt(&path, "a1", b"whole");
        assert_eq!(std::fs::read(&path).unwrap(), b"of an earlier attempt");
        file.commit_unsynced().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(dir.path()), ["records"]);
    }

    #[test]
    fn a_full_disk_is_reported_with_the_path_and_a_hint() {
        let full = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let error = classify(Path::new("/out/shard"), full);
        assert!(matches!(error, CommitError::NoSpace { .. }));
        let text = error.to_string();
        assert!(text.contains("`/out/shard`") && text.contains("hint:"), "{text}");
        let device = io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error());
        assert!(matches!(classify(Path::new("x"), device), CommitError::Device { .. }));
    }

    #[test]
    fn a_tag_that_would_leave_the_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(AttemptFile::create(&dir.path().join("shard"), "../x").is_err());
        assert!(AttemptFile::create(Path::new("/"), "a1").is_err());
    }
}
