//! What the fuzz targets read foreign bytes with: the product's own modules, taken by path.
//!
//! Their crates would bring servers, storage clients and models with them, all of which would be
//! built once more with libFuzzer's coverage. **Invariant:** nothing here is a copy.

// The journal names its messages by the crate that has them.
extern crate self as thresher_proto;

#[path = "../../../worker/src/formats/mod.rs"]
pub mod formats;
#[path = "../../../coordinator/src/journal/mod.rs"]
pub mod journal;

/// The messages, without the clients and servers.
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/thresher.v1.rs"));
}
