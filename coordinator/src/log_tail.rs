//! The end of a log file, which may be large.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// More than this of a log's end is not read.
const MAX_READ_BYTES: u64 = 256 << 10;

/// Returns the end of the file as text.
pub(crate) fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_READ_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_large_log_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "x".repeat(MAX_READ_BYTES as usize) + "the end").unwrap();
        let text = end_of(&path).unwrap();
        assert_eq!(text.len(), MAX_READ_BYTES as usize);
        assert!(text.ends_with("the end"));
    }
}
