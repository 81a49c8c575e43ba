//! Reads settings from TOML in layers: defaults, a preset, the user's file.
//!
//! The defaults are the list of known keys. An unknown key, or a value of another type than the
//! default, is refused with the line, the whole key and a hint. The job file and the profiles of
//! sites are both read with this crate, which knows neither.

mod error;
pub mod keys;
mod lines;
mod measures;
pub mod typed;

pub use error::JobError;
pub use lines::Written;
pub use measures::{Bytes, Span};
