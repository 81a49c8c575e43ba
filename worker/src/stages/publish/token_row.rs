//! A document, as token files describe it.

/// A document of a shard, as the token files describe it.
pub(super) struct TokenRow {
    /// Number of tokens with the one that ends the document.
    pub(super) tokens: u32,
    pub(super) id: String,
    pub(super) input: String,
    pub(super) record: u64,
}
