//! Near-duplicates: which documents of a corpus say nearly the same, as pure functions.
//!
//! ```text
//! text ──rules──▶ text ──words──▶ words ──shingles──▶ n-grams
//!                                                        │ family: one hash per n-gram
//!                                                        ▼
//!            keys ◀──bands── signature ◀──signature── items
//!             │
//!             │ equal keys (the caller's exchange)
//!             ▼
//!       band groups ──similarity──▶ verified pairs
//!             │                        │
//!             ├──▶ witness: a document is removed if it is similar to a kept earlier one
//!             ├──▶ stars: clusters of verified pairs; the smallest position of each is kept
//!             └──▶ components: connected groups; the smallest position of each is kept
//! ```
//!
//! `preset` names the published sets of parameters. A document is known by its position in the
//! published order, and every decision depends on positions alone, combined by their minimum: the
//! result is the same for any schedule.
//!
//! `tests/peers/near_*.py` compare words, signatures and clusters with the published programs.
//!
//! **Invariant:** this crate reads and writes nothing, names no files and knows no stage. It needs
//! no other crate of ours.

pub mod bands;
pub mod components;
pub mod containment;
mod family;
mod first_members;
pub mod preset;
mod rules;
pub mod shingles;
pub mod signature;
pub mod similarity;
pub mod stars;
mod vector;
pub mod witness;
mod words;

pub use bands::Bands;
pub use family::{ItemHash, Permutations};
pub use preset::Preset;
pub use rules::TextRule;
pub use shingles::{Shingles, ShortDocuments};
pub use signature::{SignatureRule, Signer, WordSplitter};
pub use similarity::{Similarity, Threshold};
pub use words::Words;
