//! The band keys of the documents of a unit, in the order of the documents: what SIGN computes and
//! COLLECT passes on, so that no signature is computed twice.
//!
//! ```text
//! block, labelled with its first place:  place (u32) · a key (u64) of each band · …
//! ```

use std::io::{self, Write};
use std::path::Path;

use thresher_formats::blocks::{BlockFile, BlockWriter, BlocksError, Compression, Damage, Kind};

/// The kind of block file.
pub(super) const BAND_FILE: Kind = Kind(*b"BAND");
const BLOCK_BYTES: usize = 256 << 10;

/// Writes the band keys of documents, in their order.
pub(super) struct BandWriter<W: Write> {
    blocks: BlockWriter<W>,
    payload: Vec<u8>,
    first: u32,
    count: u32,
    bands: usize,
}

impl<W: Write> BandWriter<W> {
    /// Starts a file of documents with this number of bands.
    pub(super) fn new(out: W, bands: usize) -> io::Result<Self> {
        // Hashes do not compress.
        let blocks = BlockWriter::new(out, BAND_FILE, Compression::None)?;
        Ok(Self { blocks, payload: Vec::new(), first: 0, count: 0, bands })
    }

    /// Adds the keys of the document at a place.
    pub(super) fn push(&mut self, place: u32, keys: &[u64]) -> io::Result<()> {
        debug_assert_eq!(keys.len(), self.bands);
        if self.count == 0 {
            self.first = place;
        }
        self.payload.extend_from_slice(&place.to_le_bytes());
        self.payload.extend(keys.iter().flat_map(|key| key.to_le_bytes()));
        self.count += 1;
        if self.payload.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.count > 0 {
            self.blocks.push(self.first.into(), std::mem::take(&mut self.count), &self.payload)?;
            self.payload.clear();
        }
        Ok(())
    }

    /// Writes what is left, and returns the sink.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        self.blocks.finish(&(self.bands as u32).to_le_bytes())
    }
}

/// Passes the place and the band keys of each document of a file to `each`.
pub(super) fn for_each(
    path: &Path,
    bands: usize,
    mut each: impl FnMut(u32, &[u64]),
) -> Result<(), BlocksError> {
    let file = BlockFile::open(path, BAND_FILE)?;
    if file.metadata() != (bands as u32).to_le_bytes() {
        return Err(file.damaged(0, Damage::Layout("its keys are of another number of bands")));
    }
    let mut keys = Vec::with_capacity(bands);
    let mut blocks = file.blocks(0..file.entries().len())?;
    while let Some(block) = blocks.next_block()? {
        let documents = block.payload.chunks_exact(size_of::<u32>() + bands * size_of::<u64>());
        if !documents.remainder().is_empty() {
            return Err(file.damaged(block.offset, Damage::Layout("a document is cut off")));
        }
        for document in documents {
            let Some((place, rest)) = document.split_first_chunk() else { continue };
            keys.clear();
            let (all, _) = rest.as_chunks();
            keys.extend(all.iter().map(|key| u64::from_le_bytes(*key)));
            each(u32::from_le_bytes(*place), &keys);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_written_and_damage_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.bands");
        let mut writer = BandWriter::new(Vec::new(), 3).unwrap();
        let expected: Vec<(u32, Vec<u64>)> = (0..30_000_u32)
            .map(|at| (at * 2, (0..3).map(|band| u64::from(at) << 40 | band).collect()))
            .collect();
        for (place, keys) in &expected {
            writer.push(*place, keys).unwrap();
        }
        let mut bytes = writer.finish().unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let mut found = Vec::new();
        for_each(&path, 3, |place, keys| found.push((place, keys.to_vec()))).unwrap();
        assert!(found == expected);
        assert!(for_each(&path, 4, |_, _| {}).is_err());
        bytes[100] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = for_each(&path, 3, |_, _| {}).unwrap_err().to_string();
        assert!(error.contains("0.bands"), "{error}");
    }
}
