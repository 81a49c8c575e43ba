//! Why a job file is refused, with messages for the person who wrote it.

use std::path::PathBuf;

/// What is wrong with a job file.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The file could not be read.
    #[error("failed to read the job file `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// The file is not valid TOML.
    #[error("the job file is not valid TOML\n{0}")]
    Syntax(String),
    /// The file has an unknown key.
    #[error(
        "unknown key `{key}`{}{}",
        line.map(|line| format!(" on line {line}")).unwrap_or_default(),
        nearest_or_known(nearest.as_deref(), table.as_deref())
    )]
    UnknownKey {
        /// The key with its tables.
        key: String,
        /// The line on which it seems to be.
        line: Option<usize>,
        /// The known key that is most similar to it.
        nearest: Option<String>,
        /// The table that it is in.
        table: Option<String>,
    },
    /// A value has the wrong type.
    #[error(
        "`{key}`{} {problem}{}",
        line.map(|line| format!(" on line {line}")).unwrap_or_default(),
        hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default()
    )]
    Value {
        /// The key with its tables; entries of lists are counted from 0.
        key: String,
        /// The line that it is on, if the file has it.
        line: Option<usize>,
        /// What it is, and what it must be.
        problem: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A value is not allowed.
    #[error("`{key}` is {problem}\nhint: {hint}")]
    Invalid {
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: String,
    },
}

impl JobError {
    /// Returns the error for a file that is not valid TOML.
    pub fn syntax(error: &toml::de::Error) -> Self {
        Self::Syntax(error.to_string())
    }

    /// Returns the error for a value that is not allowed.
    pub fn invalid(key: &str, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { key: key.to_owned(), problem: problem.into(), hint: hint.into() }
    }

    /// Returns the error for a value that is not among the `known` ones.
    pub fn choice<const N: usize>(key: &str, found: &str, known: [&str; N]) -> Self {
        let known = known.map(|name| format!("`{name}`")).join(", ");
        Self::invalid(key, format!("`{found}`, which is unknown"), format!("choose one of {known}"))
    }
}

fn nearest_or_known(nearest: Option<&str>, table: Option<&str>) -> String {
    match (nearest, table) {
        (Some(nearest), _) => format!("\nhint: did you mean `{nearest}`?"),
        (None, Some(table)) => {
            format!("\nhint: `thresher default-job` shows the keys of `{table}`")
        }
        (None, None) => "\nhint: `thresher default-job` shows every key".to_owned(),
    }
}
