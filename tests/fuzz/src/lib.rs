//! What the fuzz targets read foreign bytes with: the product's own modules, taken by path.
//!
//! Their crates would bring servers, storage clients and models with them, all of which would be
//! built once more with libFuzzer's coverage. **Invariant:** nothing here is a copy.

// The journal names its messages by the crate that has them.
extern crate self as thresher_proto;

pub mod arxiv;
#[path = "../../../worker/src/fasttext/mod.rs"]
pub mod fasttext;
#[path = "../../../worker/src/foreign.rs"]
pub mod foreign;
#[path = "../../../worker/src/formats/mod.rs"]
pub mod formats;
#[path = "../../../coordinator/src/journal/mod.rs"]
pub mod journal;
#[path = "../../../worker/src/kenlm/mod.rs"]
pub mod kenlm;
#[path = "../../../worker/src/sentencepiece/mod.rs"]
pub mod sentencepiece;
#[path = "../../../worker/src/tokens/mod.rs"]
pub mod tokens;

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
