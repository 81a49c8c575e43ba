//! Wikipedia's parsers, without the code that opens dumps.

#[path = "../../../worker/sources/src/wikipedia/namespaces.rs"]
pub mod namespaces;
#[path = "../../../worker/sources/src/wikipedia/pages.rs"]
pub mod pages;
#[path = "../../../worker/sources/src/wikipedia/streams.rs"]
pub mod streams;
#[path = "../../../worker/sources/src/wikipedia/wikitext/mod.rs"]
pub mod wikitext;
