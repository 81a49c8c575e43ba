//! Finds near-duplicates across all units of a stage: which documents may be alike, which of them
//! are, and who is removed because of whom.
//!
//! ```text
//! gang unit  edges    ── band keys of a key range, Communicator ──→  pairs that share a band
//! gang unit  connect  ── pairs of all ranges, Communicator ──→  the component of each document
//! a group    collect  ── its documents, their components ──→  [`members_file`], by part
//! a part     compare  ── that part of all members files ──→  [`compare`]: decisions by group
//! a group    decide   ── its decisions of all parts ──→  [`decisions`]
//! ```
//! A [`Document`] is known by its place among the staged documents. Each component is named by its
//! smallest document, so the names do not depend on the number of ranks, ranges or rounds, nor on
//! any order. The rules of comparison are those of `thresher-near`; keys, and the exchange of keys
//! between ranks, are those of `thresher-dedup`.
//!
//! Callers pass paths and sinks: this crate names no published file and knows no stage.

mod codec;
pub mod compare;
pub mod connect;
mod decision;
pub mod decisions;
mod document;
pub mod edges;
pub mod index_file;
pub mod labels;
mod member;
pub mod members_file;
mod pairs;
pub mod runs;
mod scratch;
#[cfg(test)]
mod testing;

pub use connect::ConnectError;
pub use decision::{Decision, Outcome, Removal};
pub use document::Document;
pub use edges::EDGE_FILE;
pub use labels::{LABEL_FILE, Label, LabelFile, LabelSummary};
pub use member::{Evidence, Head, Member, TextEvidence};
pub use scratch::ScratchError;
