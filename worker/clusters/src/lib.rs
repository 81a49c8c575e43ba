//! Finds near-duplicates across all units of a stage: which documents may be alike, which of them
//! are, and who is removed because of whom.
//!
//! ```text
//! gang unit  edges    ── band keys of a key range, Communicator ──→  pairs that share a band
//! gang unit  connect  ── pairs of all ranges, Communicator ──→  the component of each document
//! ```
//! A [`Document`] is known by its place among the staged documents. Each component is named by its
//! smallest document, so the names do not depend on the number of ranks, ranges or rounds, nor on
//! any order. The rules of comparison are those of `thresher-near`; keys, and the exchange of keys
//! between ranks, are those of `thresher-dedup`.
//!
//! Callers pass paths and sinks: this crate names no published file and knows no stage.

pub mod connect;
mod document;
pub mod edges;
pub mod labels;
mod pairs;
#[cfg(test)]
mod testing;

pub use connect::ConnectError;
pub use document::Document;
pub use edges::EDGE_FILE;
pub use labels::{LABEL_FILE, Label, LabelFile, LabelSummary};
