//! The end of a log, which says why a process ended.
//!
//! Logs of allocations, workers and ranks grow for as long as a job runs, so only their end is
//! read.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Returns the last `limit_bytes` of a file as text; bytes that are not valid UTF-8 are replaced.
pub fn read_log_end(path: &Path, limit_bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit_bytes)))?;
    let mut bytes = Vec::new();
    // The file may grow meanwhile.
    file.take(limit_bytes).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_log_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.log");
        assert_eq!(read_log_end(&path, 4).unwrap_err().kind(), io::ErrorKind::NotFound);
        for (content, expected) in [(&b""[..], ""), (b"abc", "abc"), (b"abcdef", "cdef")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read_log_end(&path, 4).unwrap(), expected);
        }
        // The limit may cut a character in two.
        std::fs::write(&path, "äöü").unwrap();
        assert_eq!(read_log_end(&path, 3).unwrap(), "\u{fffd}ü");
    }
}
