//! Families of hash functions: how a shingle becomes a number, and how that number becomes one
//! number for each minimum of the signature.
//!
//! A family has two parts. The item hash is computed once per shingle (`items`). The permutations
//! map it to as many values as the signature has minima (`permutations`); their parameters come
//! from numpy's generator for all published families (`random_state`).

mod items;
mod murmur;
mod permutations;
mod random_state;
mod sha1_batch;

pub use items::ItemHash;
pub(crate) use items::{Items, ShingleHasher};
pub use permutations::Permutations;
