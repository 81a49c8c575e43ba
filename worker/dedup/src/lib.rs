//! Finds exact duplicates across all units of a stage by the hashes of their content.
//!
//! ```text
//! a unit     KeyCollector   ── push(key, ordinal) … finish ──→  key file: keys, local repeats
//! a group    gather         ── key files of its units ──→  one file, ordered by key range
//! gang unit  resolve        ── keys, one KeyRange, Communicator ──→  verdict file per rank
//! a group    combine        ── verdict files of all ranges ──→  one verdict file
//! a unit     VerdictSet     ── one VerdictFile + its own key file ──→  is_dropped(ordinal)
//! ```
//! A [`Position`] is the total order that decides: the unit's canonical number, then the ordinal of
//! the line or document in it. For each key, the smallest position is kept, and whether there is
//! another one. Merging these is associative, commutative and idempotent, so the drops do not
//! depend on the number of ranks, ranges or rounds, nor on any order. This crate hashes nothing,
//! names no files and knows no stage.

pub mod budget;
pub mod combine;
pub mod comm;
pub mod exchange;
pub mod gather;
mod group_file;
mod key;
mod key_file;
pub mod keys;
mod ordinals;
mod position;
mod sort;
#[cfg(test)]
mod testing;
mod verdict_file;
pub mod verdicts;

pub use combine::CombineError;
pub use exchange::ResolveError;
pub use gather::GatherError;
pub use group_file::GROUP_KEY_FILE;
pub use key::HashKey;
pub use key_file::{KEY_FILE, KeyEntry, KeyFile, KeyFileSummary};
pub use keys::KeysError;
pub use ordinals::{MAX_ORDINAL, OrdinalSet};
pub use position::{KeyRange, Policy, Position, Span};
pub use verdict_file::{VERDICT_FILE, VerdictFile};
pub use verdicts::VerdictsError;
