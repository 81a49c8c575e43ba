//! The job file's types. Only the filters' thresholds live here on this branch.
pub mod filters;
