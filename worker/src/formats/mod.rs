//! File formats: bytes to records and back. What the records mean is decided elsewhere.

pub mod blocks;
