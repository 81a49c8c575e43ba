//! A model that a job file names, or its decision to run without one.
//!
//! The job file spells the decision `"none"`, and an empty text means that the decision is open.
//! Only this file knows the two spellings; everything else asks for the path.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// How the job file says that a model is not wanted.
const NONE: &str = "none";

/// What a job file says about one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ModelChoice {
    /// The job file names no model and does not decide to run without one. Some jobs must decide.
    NotSet,
    /// The job runs without this model.
    Without,
    /// The path of a file or, for models of several languages, of a folder.
    At(String),
}

impl ModelChoice {
    /// Returns the path of the model, or `None` if the job runs without it.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::At(path) => Some(Path::new(path)),
            Self::NotSet | Self::Without => None,
        }
    }

    /// Returns whether the job file leaves the decision open.
    pub fn is_open(&self) -> bool {
        *self == Self::NotSet
    }

    /// Replaces the path, if there is one.
    pub(super) fn change_path(&mut self, change: impl FnOnce(&str) -> String) {
        if let Self::At(path) = self {
            *path = change(path);
        }
    }
}

impl From<String> for ModelChoice {
    fn from(text: String) -> Self {
        match text.as_str() {
            "" => Self::NotSet,
            NONE => Self::Without,
            _ => Self::At(text),
        }
    }
}

impl From<ModelChoice> for String {
    fn from(choice: ModelChoice) -> Self {
        match choice {
            ModelChoice::NotSet => Self::new(),
            ModelChoice::Without => NONE.to_owned(),
            ModelChoice::At(path) => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_read_and_written_back() {
        for (text, choice, path) in [
            ("", ModelChoice::NotSet, None),
            ("none", ModelChoice::Without, None),
            ("lid.bin", ModelChoice::At("lid.bin".to_owned()), Some(Path::new("lid.bin"))),
        ] {
            let read = ModelChoice::from(text.to_owned());
            assert_eq!(read, choice);
            assert_eq!(read.path(), path);
            assert_eq!(String::from(read), text);
        }
    }
}
