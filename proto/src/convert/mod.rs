//! Conversion between messages (`pb`) and the types of `thresher-domain`.
//!
//! A message that arrives may be malformed: a unit may be missing, or a number may stand for no
//! stage. Such a message is refused here with a [`MalformedMessage`], so that nothing behind the
//! edge has to consider it. The way back cannot fail.
//!
//! Requests are consumed: their texts, bytes and lists are moved, not copied, since a coordinator
//! converts hundreds of thousands of reports per second.

mod coordination;
mod counter;
mod error;
mod payload;
mod status;
mod unit;
mod work;

pub use error::MalformedMessage;
pub use payload::{SealReport, key_groups, lease_to_wire};
