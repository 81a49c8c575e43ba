//! What the readers of slices and the stages share: how a unit fails, what it counts, the documents
//! that it publishes, and the files that it leaves for later stages.

mod error;
pub mod staging;
mod tally;

pub use error::UnitError;
pub use tally::{Tally, wire_counters};
