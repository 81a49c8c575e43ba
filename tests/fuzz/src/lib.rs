//! The code that the fuzz targets test: the product's crates of formats and models, and by path
//! those modules whose crates depend on servers and storage clients, all of which would be built
//! once more with libFuzzer's coverage. **Invariant:** nothing here is a copy.

// The journal refers to its messages by the name of their crate.
extern crate self as thresher_proto;
// Papers are decoded by the module of charsets of that crate.
extern crate self as thresher_text;

pub use thresher_formats as formats;
pub use thresher_models::{fasttext, kenlm, sentencepiece, tokens};

pub mod arxiv;
#[path = "../../../worker/text/src/charset.rs"]
pub mod charset;
#[path = "../../../worker/sources/src/entities.rs"]
mod entities;
#[path = "../../../worker/sources/src/html4.rs"]
mod html4;
#[path = "../../../coordinator/src/journal/mod.rs"]
pub mod journal;
#[path = "../../../worker/sources/src/members/mod.rs"]
mod members;
#[path = "../../../worker/sources/src/json_rows/repair.rs"]
mod repair;
#[path = "../../../worker/sources/src/root_end.rs"]
mod root_end;
pub mod stackexchange;
#[path = "../../../worker/text/src/undeclared.rs"]
pub mod undeclared;
pub mod wikipedia;

/// Returns a line as JSON, as far as it can be rewritten.
pub fn repaired(line: &[u8]) -> Option<String> {
    formats::utf8::read(line).ok().map(|it| repair::repaired(&it.text))
}

/// Removes libFuzzer's hook, which ends the process before a panic can be caught. Panics that
/// nobody catches are still found.
pub fn let_panics_be_caught() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// The messages, without the clients and servers.
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/thresher.v1.rs"));
}

/// Returns the item that a reader found, or none if the form of the input was refused, as a zstd
/// frame is that wants more memory than is allowed.
///
/// # Panics
/// On any other error: bytes in memory give none.
pub fn unless_refused<T>(found: std::io::Result<Option<T>>) -> Option<T> {
    match found {
        Ok(item) => item,
        Err(error) => {
            assert!(formats::unpack::FormError::of(&error).is_some(), "{error}");
            None
        }
    }
}
