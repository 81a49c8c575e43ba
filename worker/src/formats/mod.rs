//! Readers of file and record formats: bytes in, records out; they know no recipe and no filter.

pub mod http_response;
