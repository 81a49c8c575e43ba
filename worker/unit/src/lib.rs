//! Types that the readers of slices and the stages share: the errors of a unit, its counts, its
//! documents, and the files that it writes for later stages.

mod error;
pub mod staging;
mod tally;

pub use error::UnitError;
pub use tally::{Tally, wire_counters};
