//! Finds the next member after damage.
//!
//! The magic number alone is not enough: it occurs by chance in compressed data. A position counts
//! as a member if its header is valid and its first bytes inflate. Invariant: the search is linear
//! in the input, and its memory is that of the window.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::LOOKAHEAD_BYTES;
use super::header::{HeaderScan, MAGIC, TRAILER_BYTES, scan};
use super::window::Window;

/// A candidate that inflates this far without an error is accepted as a member.
const PROBE_BYTES: usize = 4 << 10;
/// Bytes that a last member must inflate to if it is cut off.
const PROBE_CUT_BYTES: usize = 64;

/// Moves the window to the next plausible member, or returns `false` at the end of the input.
pub(super) fn find_member<R: Read>(window: &mut Window<R>) -> io::Result<bool> {
    loop {
        window.fill(LOOKAHEAD_BYTES, 0)?;
        match memchr::memmem::find(window.unread(), &MAGIC) {
            Some(at) => {
                window.consume(at);
                window.fill(LOOKAHEAD_BYTES, 0)?;
                if plausible(window.unread()) {
                    return Ok(true);
                }
                window.consume(1);
            }
            None if window.ended() => {
                window.consume(window.unread().len());
                return Ok(false);
            }
            // The magic number may cross the end of the window.
            None => window.consume(window.unread().len().saturating_sub(MAGIC.len() - 1)),
        }
    }
}

/// Returns whether a plausible member starts anywhere in `bytes`.
pub(super) fn contains_member(bytes: &[u8]) -> bool {
    memchr::memmem::find_iter(bytes, &MAGIC).any(|at| plausible(&bytes[at..]))
}

/// Returns whether `bytes` starts like a member: a valid header, then data that inflates.
pub(super) fn plausible(bytes: &[u8]) -> bool {
    let HeaderScan::Complete(header) = scan(bytes) else {
        return false;
    };
    let body = &bytes[header..];
    let mut inflate = Decompress::new(false);
    let mut output = [0; PROBE_BYTES];
    let status = inflate.decompress(body, &mut output, FlushDecompress::None);
    let produced = usize::try_from(inflate.total_out()).expect("below the probe's size");
    let consumed = usize::try_from(inflate.total_in()).expect("below the input's length");
    match status {
        Err(_) => false,
        Ok(Status::StreamEnd) => {
            let trailer = body[consumed..].first_chunk::<TRAILER_BYTES>();
            trailer.is_some_and(|trailer| {
                trailer[..4] == crc32fast::hash(&output[..produced]).to_le_bytes()
            })
        }
        Ok(Status::Ok | Status::BufError) => {
            produced == PROBE_BYTES || (consumed == body.len() && produced >= PROBE_CUT_BYTES)
        }
    }
}
