//! Wikipedia's parsers, without what opens dumps.

#[path = "../../../worker/src/sources/wikipedia/namespaces.rs"]
pub mod namespaces;
#[path = "../../../worker/src/sources/wikipedia/pages.rs"]
pub mod pages;
#[path = "../../../worker/src/sources/wikipedia/streams.rs"]
pub mod streams;
#[path = "../../../worker/src/sources/wikipedia/wikitext/mod.rs"]
pub mod wikitext;
