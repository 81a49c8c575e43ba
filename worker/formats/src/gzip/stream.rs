//! Inflates one member piece by piece: used for members too large for the buffers, and to recover
//! the readable part of a damaged member.
//!
//! `resync` finds the next member. Invariant: after `Step::Done` the window starts after the
//! member's trailer, and the trailer matched.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::header::{HEADER_MAX_BYTES, HeaderScan, TRAILER_BYTES, scan};
use super::window::Window;
use super::{HISTORY_BYTES, LOOKAHEAD_BYTES, REASON_DAMAGED, REASON_TRUNCATED};

pub(super) struct Stream {
    inflate: Decompress,
    crc: crc32fast::Hasher,
    stage: Stage,
}

enum Stage {
    Header,
    Body,
    Trailer,
}

pub(super) enum Step {
    /// The output is full; more follows.
    More,
    /// The member has ended and its trailer matched.
    Done,
    /// The rest of the member cannot be read. `at_end`: its deflate data ended, but the trailer is
    /// wrong.
    Broken { reason: &'static str, detail: String, at_end: bool },
}

impl Stream {
    pub(super) fn new() -> Self {
        let inflate = Decompress::new(false);
        Self { inflate, crc: crc32fast::Hasher::new(), stage: Stage::Header }
    }

    /// Returns the number of bytes inflated so far, and of compressed bytes consumed for them.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.inflate.total_out(), self.inflate.total_in())
    }

    /// Inflates until `output` is full or the member ends, writing from `*filled`, which it
    /// advances.
    ///
    /// After an `Err` of the input, the call may be repeated.
    pub(super) fn step<R: Read>(
        &mut self,
        window: &mut Window<R>,
        output: &mut [u8],
        filled: &mut usize,
    ) -> io::Result<Step> {
        loop {
            match self.stage {
                Stage::Header => {
                    window.fill(HEADER_MAX_BYTES, HISTORY_BYTES)?;
                    match scan(window.unread()) {
                        HeaderScan::Complete(length) => window.consume(length),
                        HeaderScan::Short => return Ok(truncated("the input ends in a header")),
                        HeaderScan::Bad(why) => return Ok(damaged(why.to_owned(), false)),
                    }
                    self.stage = Stage::Body;
                }
                Stage::Body if *filled == output.len() => return Ok(Step::More),
                Stage::Body => {
                    window.fill(1, HISTORY_BYTES)?;
                    if let Some(broken) = self.inflate_some(window, output, filled) {
                        return Ok(broken);
                    }
                }
                Stage::Trailer => {
                    window.fill(TRAILER_BYTES, HISTORY_BYTES)?;
                    return Ok(self.check_trailer(window));
                }
            }
        }
    }

    fn inflate_some<R: Read>(
        &mut self,
        window: &mut Window<R>,
        output: &mut [u8],
        filled: &mut usize,
    ) -> Option<Step> {
        let before = self.totals();
        let target = &mut output[*filled..];
        let input = window.unread();
        let input = &input[..input.len().min(LOOKAHEAD_BYTES)];
        let status = self.inflate.decompress(input, target, FlushDecompress::None);
        let (total_out, total_in) = self.totals();
        let produced = usize::try_from(total_out - before.0).expect("below the output's length");
        let consumed = usize::try_from(total_in - before.1).expect("below the input's length");
        self.crc.update(&output[*filled..*filled + produced]);
        *filled += produced;
        window.consume(consumed);
        match status {
            Err(error) => {
                return Some(damaged(format!("{error} after {total_out} inflated bytes"), false));
            }
            Ok(Status::StreamEnd) => self.stage = Stage::Trailer,
            Ok(Status::Ok | Status::BufError) => {
                let stuck = consumed == 0 && produced == 0;
                if stuck && window.ended() && window.unread().is_empty() {
                    let text = format!("the input ends after {total_out} inflated bytes");
                    return Some(truncated(&text));
                }
                if stuck && !window.unread().is_empty() {
                    return Some(damaged("the inflater makes no progress".to_owned(), false));
                }
            }
        }
        None
    }

    fn check_trailer<R: Read>(&mut self, window: &mut Window<R>) -> Step {
        let Some(trailer) = window.unread().first_chunk::<TRAILER_BYTES>() else {
            return truncated("the input ends in the checksum");
        };
        let [a, b, c, d, e, f, g, h] = *trailer;
        let (crc, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let found = self.crc.clone().finalize();
        window.consume(TRAILER_BYTES);
        if crc != found {
            return damaged(format!("checksum is {found:08x}, the trailer says {crc:08x}"), true);
        }
        // The trailer holds the length modulo 2^32.
        if u64::from(length) != self.inflate.total_out() & u64::from(u32::MAX) {
            let total = self.inflate.total_out();
            return damaged(format!("length is {total}, the trailer says {length}"), true);
        }
        Step::Done
    }
}

fn damaged(detail: String, at_end: bool) -> Step {
    Step::Broken { reason: REASON_DAMAGED, detail, at_end }
}

fn truncated(detail: &str) -> Step {
    Step::Broken { reason: REASON_TRUNCATED, detail: detail.to_owned(), at_end: false }
}
