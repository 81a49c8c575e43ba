//! The messages between coordinator, workers and command line.
//!
//! `convert` converts them to the types of `thresher-domain`, which is the only other crate of the
//! project that this one uses, and back. The messages are documented in `proto/thresher/v1`.

pub mod convert;
mod unit;

/// Encodes and decodes messages.
pub use prost::Message;
pub use unit::stage_name;

/// The generated messages, clients and servers of `proto/thresher/v1/*.proto`.
pub mod pb {
    #![expect(
        missing_docs,
        clippy::allow_attributes_without_reason,
        reason = "generated code, documented in the .proto files"
    )]
    tonic::include_proto!("thresher.v1");

    /// The compiled descriptors, for gRPC reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}

/// The version of this build, which registrations, manifests and the journal have.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
