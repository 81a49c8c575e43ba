//! File formats: from bytes to records and back. This crate holds no policy: recipes and filters
//! decide what a record means and whether it is kept.

pub mod blocks;
pub mod form;
pub mod gzip;
pub mod hashed;
pub mod http_response;
mod inflate;
pub mod json_lines;
pub mod json_values;
pub mod parquet_file;
pub mod piece;
pub mod stop;
pub mod third_party;
pub mod unpack;
pub mod utf8;
pub mod warc;
