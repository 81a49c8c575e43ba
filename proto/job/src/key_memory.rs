//! The memory for keys, `dedup.memory`: a size, or as much as the nodes have.
//!
//! Only this file knows how the job file spells the two.

use serde::{Deserialize, Serialize};
use thresher_settings::Bytes;

/// How the job file says that the nodes decide.
const AUTO: &str = "auto";

/// Memory for the keys of one rank of a gang unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeyMemory {
    /// A share of the memory of the rank's node.
    Auto,
    /// This size, whatever the node has.
    Fixed(Bytes),
}

impl KeyMemory {
    /// Returns the size in bytes, if the job file has one.
    pub fn fixed(self) -> Option<u64> {
        match self {
            Self::Auto => None,
            Self::Fixed(bytes) => Some(bytes.0),
        }
    }
}

impl TryFrom<String> for KeyMemory {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == AUTO {
            return Ok(Self::Auto);
        }
        let wrong =
            |_| format!("`{text}` is not a valid size; write it like `64GiB`, or `\"{AUTO}\"`");
        text.parse().map(Self::Fixed).map_err(wrong)
    }
}

impl From<KeyMemory> for String {
    fn from(memory: KeyMemory) -> Self {
        match memory {
            KeyMemory::Auto => AUTO.to_owned(),
            KeyMemory::Fixed(bytes) => bytes.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_and_auto_are_read_as_they_are_written() {
        for (text, bytes) in [("auto", None), ("64MiB", Some(64 << 20))] {
            let memory = KeyMemory::try_from(text.to_owned()).unwrap();
            assert_eq!(memory.fixed(), bytes);
            assert_eq!(String::from(memory), text);
        }
        let error = KeyMemory::try_from("much".to_owned()).unwrap_err();
        assert!(error.contains("`much`") && error.contains("auto"), "{error}");
    }
}
