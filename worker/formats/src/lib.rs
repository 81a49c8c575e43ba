//! File formats: bytes to records and back. No policy lives here: what a record means, and what it
//! is worth, is for recipes and filters to say.

pub mod blocks;
pub mod gzip;
pub mod hashed;
pub mod http_response;
mod inflate;
pub mod json_lines;
pub mod parquet_file;
pub mod piece;
pub mod third_party;
pub mod warc;
