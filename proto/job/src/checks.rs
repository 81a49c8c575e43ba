//! Checks of single values that more than one part of a job file needs.

use super::JobError;

pub(super) fn require(key: &str, value: &str, hint: &str) -> Result<(), JobError> {
    if value.is_empty() { Err(JobError::invalid(key, "not set", hint)) } else { Ok(()) }
}

pub(super) fn check_name(key: &str, name: &str) -> Result<(), JobError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(fits) || name.len() > 64 {
        let hint = "use 1 to 64 letters, digits, `-`, `_` and `.`, and do not start with `.`";
        return Err(JobError::invalid(key, format!("`{name}`, which is not a valid name"), hint));
    }
    Ok(())
}
