//! Normal forms of text. What is done with them (hashing, dedup, filters) is decided elsewhere.

pub mod ccnet_document;
pub mod ccnet_line;
pub mod lines;
pub mod page_url;
pub mod python;
pub mod simhash;
