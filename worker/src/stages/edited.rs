//! Refuses to run a command of the user that was edited since the job started, because the output
//! would be a mixture of both versions.
//!
//! The coordinator hashed the files of each command when it started. A file is hashed again here
//! only if its size or its times changed.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use thresher_job::CommandSpec;
use thresher_storage::commit::hash_file;
use thresher_unit::UnitError;

/// The hashes of the files of commands, as this worker found them last.
#[derive(Debug, Default)]
pub(crate) struct CommandFiles {
    known: Mutex<BTreeMap<PathBuf, (Version, String)>>,
}

/// Changes with every edit of a file, as far as its file system shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    fn of(file: &Metadata) -> Self {
        Self {
            inode: file.ino(),
            bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

impl CommandFiles {
    /// Returns an error if a file of the command is not as it was when the job started.
    pub(crate) fn check(&self, command: &CommandSpec) -> Result<(), UnitError> {
        for (argument, expected) in &command.files {
            let path = Path::new(&command.folder).join(argument);
            let found = self.hash(&path).map_err(|error| {
                UnitError::Node(format!(
                    "failed to read `{}`, a file of the command `{}`: {error}\nhint: it must exist \
                     on every node that runs workers",
                    path.display(),
                    command.name
                ))
            })?;
            if found != *expected {
                return Err(UnitError::JobFile(format!(
                    "`{}`, a file of the command `{}`, was edited after the job started\nhint: run \
                     the same command again, which starts with the edited file or says what that \
                     costs",
                    path.display(),
                    command.name
                )));
            }
        }
        Ok(())
    }

    fn hash(&self, path: &Path) -> std::io::Result<String> {
        let version = Version::of(&std::fs::metadata(path)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, hash)) = known.get(path)
            && *of == version
        {
            return Ok(hash.clone());
        }
        let hash = hash_file(path)?.to_hex().to_string();
        known.insert(path.to_owned(), (version, hash.clone()));
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thresher_job::JobSpec;

    #[test]
    fn an_edited_file_of_a_command_is_the_job_files_fault_and_a_missing_one_the_nodes() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("mine.py");
        std::fs::write(&script, "print(1)").unwrap();
        let text = "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"x\"\n[[command]]\n\
                    name = \"mine\"\nrun = [\"python3\", \"mine.py\"]\n[language]\n\
                    model = \"none\"\n[output]\npath = \"out\"\n";
        let mut job = JobSpec::parse(text, folder.path()).unwrap();
        let hash = hash_file(&script).unwrap().to_hex().to_string();
        job.command[0].files = BTreeMap::from([("mine.py".to_owned(), hash)]);
        let files = CommandFiles::default();
        let check = || files.check(&job.command[0]);
        assert!(check().is_ok() && check().is_ok());
        std::fs::write(&script, "print(22)").unwrap();
        let edited = check().unwrap_err();
        assert!(matches!(&edited, UnitError::JobFile(text) if text.contains("edited")), "{edited}");
        std::fs::remove_file(&script).unwrap();
        assert!(matches!(check(), Err(UnitError::Node(_))));
    }
}
