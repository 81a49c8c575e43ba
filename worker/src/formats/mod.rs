//! File formats: bytes to records and back. No policy lives here: what a record is worth is for the
//! filters to say.

pub mod gzip;
mod inflate;
pub mod warc;
//! File formats: bytes to records and back. What the records mean is decided elsewhere.

pub mod blocks;
//! Readers of file and record formats: bytes in, records out; they know no recipe and no filter.

pub mod http_response;
