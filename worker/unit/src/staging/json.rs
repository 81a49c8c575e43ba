//! Small files of JSON that one unit leaves for others, with a checksum.
//!
//! The last line of a file is the BLAKE3 hash of the text before it. A flipped bit could otherwise
//! give valid JSON with other values. Invariant: what is read is what was written; a file that is
//! missing, cut or altered is an error that names the unit which has to run again.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thresher_proto::pb::UnitRef;

use super::{create, hash_of, write_all};
use crate::UnitError;
use thresher_storage::commit::NewNames;

/// Length of the last line: a line end, the hash in hexadecimal digits, a line end.
const LAST_LINE_BYTES: usize = 66;

/// Publishes a file, and returns its hash. An existing file is compared, or replaced if it is
/// damaged.
pub fn leave<T: Serialize>(
    path: &Path,
    attempt_tag: &str,
    content: &T,
) -> Result<blake3::Hash, UnitError> {
    let mut file = create(path, attempt_tag)?;
    write_all(&mut file, &with_checksum(content)?)?;
    let mut names = NewNames::default();
    let is_damaged =
        |path: &Path| Ok(std::fs::read(path).is_ok_and(|bytes| checked(&bytes).is_none()));
    let committed = file.commit_among::<UnitError>(&mut names, is_damaged)?;
    names.sync()?;
    Ok(hash_of(committed))
}

/// Does the same, but replaces an existing file, and leaves the sync of the folder to `names`.
pub fn leave_replacing_among<T: Serialize>(
    path: &Path,
    attempt_tag: &str,
    content: &T,
    names: &mut NewNames,
) -> Result<(), UnitError> {
    let mut file = create(path, attempt_tag)?;
    write_all(&mut file, &with_checksum(content)?)?;
    file.replace_among(names)?;
    Ok(())
}

/// Reads a file that `producer` left.
pub fn recall<T: DeserializeOwned>(path: &Path, producer: UnitRef) -> Result<T, UnitError> {
    let damaged = |what: &str| {
        let error = format!("`{}` {what}", path.display());
        UnitError::Damaged { producer: UnitRef { attempt: 0, ..producer }, error }
    };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged("is missing"));
        }
        Err(error) => {
            return Err(UnitError::Node(format!("failed to read `{}`: {error}", path.display())));
        }
    };
    let text = checked(&bytes).ok_or_else(|| damaged("is damaged: its checksum is wrong"))?;
    serde_json::from_slice(text).map_err(|error| damaged(&format!("is not valid: {error}")))
}

/// Returns the bytes of a file with this content.
pub fn with_checksum<T: Serialize>(content: &T) -> Result<Vec<u8>, UnitError> {
    let mut text = serde_json::to_vec(content)
        .map_err(|error| UnitError::Defect(format!("failed to write JSON: {error}")))?;
    let hash = blake3::hash(&text).to_hex();
    text.push(b'\n');
    text.extend_from_slice(hash.as_bytes());
    text.push(b'\n');
    Ok(text)
}

/// Returns the text of a file if its checksum is correct.
pub fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (text, last) = bytes.split_at_checked(bytes.len().checked_sub(LAST_LINE_BYTES)?)?;
    let hash = last.strip_prefix(b"\n")?.strip_suffix(b"\n")?;
    (blake3::hash(text).to_hex().as_bytes() == hash).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use thresher_proto::pb::Stage;

    fn producer() -> UnitRef {
        UnitRef { stage: Stage::Lines.into(), ordinal: 7, attempt: 2 }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_damage_of_the_producer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.inputs");
        let content = vec![("a".to_owned(), 1_u64), ("b".to_owned(), 2)];
        let hash = leave(&path, "a1", &content).unwrap();
        assert_eq!(recall::<Vec<(String, u64)>>(&path, producer()).unwrap(), content);
        let sound = std::fs::read(&path).unwrap();
        let is_damage = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = recall::<Vec<(String, u64)>>(&path, producer()).unwrap_err();
            let UnitError::Damaged { producer, .. } = error else { panic!("{error}") };
            assert_eq!((producer.stage(), producer.ordinal), (Stage::Lines, 7));
        };
        for at in 0..sound.len() {
            let mut bad = sound.clone();
            bad[at] ^= 1;
            is_damage(&bad);
            is_damage(&sound[..at]);
        }
        is_damage(&[&sound[..], b"x"].concat());
        // The unit that runs again replaces it.
        assert_eq!(leave(&path, "a2", &content).unwrap(), hash);
        assert_eq!(std::fs::read(&path).unwrap(), sound);
        std::fs::remove_file(&path).unwrap();
        let error = recall::<Vec<(String, u64)>>(&path, producer()).unwrap_err();
        assert!(error.to_string().contains("is missing"), "{error}");
    }

    #[test]
    fn two_attempts_that_leave_other_contents_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.facts");
        leave(&path, "a1", &1).unwrap();
        assert!(matches!(leave(&path, "a2", &2), Err(UnitError::Defect(_))));
    }
}
