//! What the fuzz targets read foreign bytes with: the product's crates of formats and models, and by
//! path those of its modules whose crates would bring servers and storage clients with them, all of
//! which would be built once more with libFuzzer's coverage. **Invariant:** nothing here is a copy.

// The journal names its messages by the crate that has them.
extern crate self as thresher_proto;

pub use thresher_formats as formats;
pub use thresher_models::{fasttext, kenlm, sentencepiece, tokens};

pub mod arxiv;
#[path = "../../../coordinator/src/journal/mod.rs"]
pub mod journal;
pub mod stackexchange;
pub mod wikipedia;

/// libFuzzer's hook ends the process before anybody can catch a panic. Without it, what nobody
/// catches is still found.
pub fn let_panics_be_caught() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// The messages, without the clients and servers.
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/thresher.v1.rs"));
}
