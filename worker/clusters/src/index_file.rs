//! The index of published documents: what a later job needs of each of them to compare its own
//! documents with it, so that no text is read again.
//!
//! ```text
//! block, labelled with its first place:
//!   id · source · dump · input · offset (u64) · hash of the text · band keys · evidence · …
//! ```
//! The caller's metadata says how keys and evidence were made; this file does not know.
//!
//! **Invariant:** equal documents in equal order give equal bytes.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;

use thresher_formats::blocks::{
    BlockCursor, BlockFile, BlockWriter, BlocksError, Compression, Damage, Kind,
};

use crate::codec::{Fields, put_text, put_u64s};
use crate::member::Evidence;

/// The kind of block file that an index is.
pub const INDEX_FILE: Kind = Kind(*b"NIDX");
const BLOCK_BYTES: usize = 1 << 20;

/// A document of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// Its published identifier.
    pub id: String,
    /// Name of its source.
    pub source: String,
    /// The dump that it is from; empty if its source has none.
    pub dump: String,
    /// Path of its input, as listed.
    pub input: String,
    /// Offset of its record in the input, in bytes.
    pub offset: u64,
    /// blake3 of its text.
    pub content_hash: [u8; 32],
    /// Its band keys, by band.
    pub keys: Vec<u64>,
    /// What it is compared by.
    pub evidence: Evidence,
}

impl Indexed {
    fn put(&self, bytes: &mut Vec<u8>) {
        put_text(bytes, &self.id);
        put_text(bytes, &self.source);
        put_text(bytes, &self.dump);
        put_text(bytes, &self.input);
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(&self.content_hash);
        put_u64s(bytes, &self.keys);
        self.evidence.put(bytes);
    }

    fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            id: fields.text()?,
            source: fields.text()?,
            dump: fields.text()?,
            input: fields.text()?,
            offset: fields.u64()?,
            content_hash: fields.array()?,
            keys: fields.u64s()?,
            evidence: Evidence::take(fields)?,
        })
    }
}

/// Writes an index.
pub struct IndexWriter<W: Write> {
    blocks: BlockWriter<W>,
    payload: Vec<u8>,
    count: u32,
    documents: u64,
}

impl<W: Write> IndexWriter<W> {
    /// Starts an index.
    pub fn new(out: W) -> io::Result<Self> {
        let blocks = BlockWriter::new(out, INDEX_FILE, Compression::Zstd(1))?;
        Ok(Self { blocks, payload: Vec::new(), count: 0, documents: 0 })
    }

    /// Adds the next document.
    pub fn push(&mut self, document: &Indexed) -> io::Result<()> {
        document.put(&mut self.payload);
        self.count += 1;
        if self.payload.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.count > 0 {
            self.blocks.push(self.documents.into(), self.count, &self.payload)?;
            self.documents += u64::from(std::mem::take(&mut self.count));
            self.payload.clear();
        }
        Ok(())
    }

    /// Writes what is left with the caller's metadata, and returns the sink and the number of
    /// documents.
    pub fn finish(mut self, metadata: &[u8]) -> io::Result<(W, u64)> {
        self.flush()?;
        Ok((self.blocks.finish(metadata)?, self.documents))
    }
}

/// An open index.
#[derive(Debug)]
pub struct IndexFile(BlockFile);

impl IndexFile {
    /// Opens an index on disk.
    pub fn open(path: &Path) -> Result<Self, BlocksError> {
        BlockFile::open(path, INDEX_FILE).map(Self)
    }

    /// Returns the metadata that the writer was given.
    pub fn metadata(&self) -> &[u8] {
        self.0.metadata()
    }

    /// Starts to read the documents in their order.
    pub fn documents(&self) -> Result<IndexReader<'_>, BlocksError> {
        let blocks = self.0.blocks(0..self.0.entries().len())?;
        Ok(IndexReader { file: &self.0, blocks, read: VecDeque::new() })
    }
}

/// Reads the documents of an index.
pub struct IndexReader<'a> {
    file: &'a BlockFile,
    blocks: BlockCursor<'a>,
    /// The documents of the block that was read last.
    read: VecDeque<Indexed>,
}

impl IndexReader<'_> {
    /// Returns the next document, or none after the last.
    pub fn next_document(&mut self) -> Result<Option<Indexed>, BlocksError> {
        if self.read.is_empty() {
            let Some(block) = self.blocks.next_block()? else { return Ok(None) };
            let mut fields = Fields(block.payload);
            let all = (0..block.count).map(|_| Indexed::take(&mut fields));
            let all: Option<VecDeque<Indexed>> = all.collect();
            let all = all.filter(|_| fields.end().is_some());
            self.read = all.ok_or_else(|| {
                self.file.damaged(block.offset, Damage::Layout("a document is cut off"))
            })?;
        }
        Ok(self.read.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(number: u64) -> Indexed {
        Indexed {
            id: format!("id-{number}"),
            source: "s".to_owned(),
            dump: if number.is_multiple_of(2) { String::new() } else { "CC-MAIN-1".to_owned() },
            input: "a/b.gz".to_owned(),
            offset: number << 33,
            content_hash: [number as u8; 32],
            keys: vec![number, u64::MAX - number],
            evidence: match number % 2 {
                0 => Evidence::Shingles((0..number % 900).collect()),
                _ => Evidence::None,
            },
        }
    }

    #[test]
    fn documents_are_read_as_they_were_written_and_damage_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.index");
        let written = || {
            let mut writer = IndexWriter::new(Vec::new()).unwrap();
            (0..3_000).for_each(|number| writer.push(&document(number)).unwrap());
            writer.finish(b"how").unwrap()
        };
        let (mut bytes, documents) = written();
        assert_eq!((documents, &bytes), (3_000, &written().0));
        std::fs::write(&path, &bytes).unwrap();
        let file = IndexFile::open(&path).unwrap();
        assert_eq!(file.metadata(), b"how");
        let mut reader = file.documents().unwrap();
        for number in 0..3_000 {
            assert_eq!(reader.next_document().unwrap(), Some(document(number)));
        }
        assert_eq!(reader.next_document().unwrap(), None);
        bytes[5_000] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let file = IndexFile::open(&path).unwrap();
        let mut reader = file.documents().unwrap();
        let error = loop {
            match reader.next_document() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the damage was not found"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("0.index"), "{error}");
    }
}
