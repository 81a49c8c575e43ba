//! Writes a compressed file of lines to the output.
//!
//! **Invariant:** the encoder gets pieces of one size, so the file's bytes are a function of its
//! lines. A file is one zstd frame, because common readers stop after the first.

use std::io::{self, Write};

use crate::stages::JobContext;
use crate::stages::output_file::{HashedOutput, PublishedFile, fail};
use thresher_unit::UnitError;

/// Size of the pieces that the encoder gets.
const PIECE_BYTES: usize = 1 << 20;

/// A file of JSON lines that is being written.
pub(super) struct OutputLines {
    name: String,
    encoder: zstd::stream::Encoder<'static, HashedOutput>,
    /// The next piece for the encoder.
    piece: Vec<u8>,
    /// The line that is being rendered; the memory is reused.
    line: Vec<u8>,
    lines: u64,
    json_bytes: u64,
}

impl OutputLines {
    pub(super) fn new(context: &JobContext, name: &str, tag: &str) -> Result<Self, UnitError> {
        let file = HashedOutput::create(context, name, tag)?;
        let encoder = encoder(file, context.job.output.zstd_level).map_err(|e| fail(name, &e))?;
        let piece = Vec::with_capacity(PIECE_BYTES);
        Ok(Self {
            name: name.to_owned(),
            encoder,
            piece,
            line: Vec::new(),
            lines: 0,
            json_bytes: 0,
        })
    }

    /// Adds the line that `render` writes, and returns its number of bytes.
    pub(super) fn line(
        &mut self,
        render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, UnitError> {
        self.line.clear();
        render(&mut self.line).map_err(|error| fail(&self.name, &error))?;
        self.lines += 1;
        self.json_bytes += self.line.len() as u64;
        let mut rest = self.line.as_slice();
        while !rest.is_empty() {
            let room = PIECE_BYTES - self.piece.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.piece.extend_from_slice(now);
            rest = later;
            if self.piece.len() == PIECE_BYTES {
                self.encoder.write_all(&self.piece).map_err(|error| fail(&self.name, &error))?;
                self.piece.clear();
            }
        }
        Ok(self.line.len() as u64)
    }

    /// Publishes the file.
    pub(super) fn finish(mut self, earlier: &[PublishedFile]) -> Result<PublishedFile, UnitError> {
        self.encoder.write_all(&self.piece).map_err(|error| fail(&self.name, &error))?;
        let file = self.encoder.finish().map_err(|error| fail(&self.name, &error))?;
        file.publish(self.lines, self.json_bytes, earlier)
    }
}

fn encoder(
    file: HashedOutput,
    level: i32,
) -> io::Result<zstd::stream::Encoder<'static, HashedOutput>> {
    let mut encoder = zstd::stream::Encoder::new(file, level)?;
    // A reader notices damage that leaves the compressed stream valid.
    encoder.include_checksum(true)?;
    Ok(encoder)
}
