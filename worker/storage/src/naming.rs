//! Gives a finished file its final name, and never takes the name from another file.
//!
//! A hard link does this on nearly every file system. File systems without hard links (BeeGFS
//! across folders, exFAT, LTFS, some FUSE ones) can often rename without replacing instead.
//! Invariant: of several attempts that want one name, exactly one gets it; the others get
//! `AlreadyExists`.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Whether the private name still exists after the file got its final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrivateNameAfter {
    /// The file has both names.
    Kept,
    /// The file has only its final name.
    Gone,
}

/// A call that gives the file at the first path the second one as its name.
type Call = fn(&Path, &Path) -> io::Result<()>;

/// The calls of the system that give a file a name.
pub(super) struct Calls {
    pub(super) link: Call,
    pub(super) rename: Call,
}

/// The calls of this system.
pub(super) const SYSTEM: Calls =
    Calls { link: |from, to| std::fs::hard_link(from, to), rename: rename_without_replacing };

impl Calls {
    /// Gives the file at `private` the name `end`; fails with `AlreadyExists` if a file has it.
    pub(super) fn name(&self, private: &Path, end: &Path) -> io::Result<PrivateNameAfter> {
        let linked = match (self.link)(private, end) {
            Ok(()) => return Ok(PrivateNameAfter::Kept),
            Err(error) if lacks_hard_links(&error) => error,
            Err(error) => return Err(error),
        };
        match (self.rename)(private, end) {
            Ok(()) => Ok(PrivateNameAfter::Gone),
            Err(error) if lacks_the_flag(&error) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "this file system has no hard links ({linked}), and cannot rename a file \
                     without replacing another ({error})\nhint: choose a folder on another file \
                     system"
                ),
            )),
            Err(error) => Err(error),
        }
    }
}

fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// Returns whether a link failed because the file system has none here, or no more for this file.
fn lacks_hard_links(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK, Errno::XDEV])
}

/// Returns whether a rename failed because the file system or the kernel does not know the flag.
fn lacks_the_flag(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM])
}

fn is_one_of(error: &io::Error, numbers: &[Errno]) -> bool {
    numbers.iter().any(|number| error.raw_os_error() == Some(number.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(number: Errno) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(number.raw_os_error()))
    }

    #[test]
    fn a_file_is_renamed_if_it_cannot_be_linked_and_never_replaces_another() {
        let links: [Call; 4] = [
            |_, _| failing(Errno::PERM),
            |_, _| failing(Errno::OPNOTSUPP),
            |_, _| failing(Errno::MLINK),
            |_, _| failing(Errno::NOSYS),
        ];
        for link in links {
            let dir = tempfile::tempdir().unwrap();
            let (private, end) = (dir.path().join(".a.part"), dir.path().join("a"));
            std::fs::write(&private, "ours").unwrap();
            let calls = Calls { link, ..SYSTEM };
            assert_eq!(calls.name(&private, &end).unwrap(), PrivateNameAfter::Gone);
            assert!(!private.try_exists().unwrap());
            std::fs::write(&private, "late").unwrap();
            let error = calls.name(&private, &end).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read(&end).unwrap(), b"ours");
        }
    }

    #[test]
    fn a_file_system_that_can_do_neither_is_named_with_a_hint() {
        let calls =
            Calls { link: |_, _| failing(Errno::PERM), rename: |_, _| failing(Errno::INVAL) };
        let error = calls.name(Path::new("a"), Path::new("b")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains("no hard links") && text.contains("\nhint: "), "{text}");
    }

    #[test]
    fn other_errors_of_a_link_are_not_hidden_by_a_rename() {
        let calls = Calls { link: |_, _| failing(Errno::NOSPC), ..SYSTEM };
        let error = calls.name(Path::new("a"), Path::new("b")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
