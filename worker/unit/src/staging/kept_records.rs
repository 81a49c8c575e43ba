//! The records of a unit as LINES has read them, so that PREPARE need not read the inputs again:
//! they are downloaded, inflated and turned into text once.
//!
//! ```text
//! <unit>.records   blocks of records · the inputs as they were read
//! ```
//! The file saves time and nothing else. If it is missing, PREPARE reads the inputs again and gets
//! the same records; if it is damaged, the LINES unit runs again.
//!
//! **Invariant:** the records that are read are those that were written, in the same order.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thresher_proto::pb::Stage;

use super::documents::InputFacts;
use super::records::{ENCODING, RecordBlocks, RecordFile};
use crate::UnitError;
use thresher_formats::blocks::{BlockWriter, Compression, Kind};

/// The name ending of a file of kept records.
const KEPT_RECORDS: Kind = Kind(*b"READ");

/// One record of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRecord<'a> {
    /// The row of its input in the source's input table.
    pub input: u64,
    /// Offset of the record in the input.
    pub offset: u64,
    /// Number of the record in its piece.
    pub record: u64,
    /// Size of the record's body.
    pub bytes: u64,
    /// What the source made of the record.
    #[serde(borrow)]
    pub outcome: KeptOutcome<'a>,
}

/// What a source made of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeptOutcome<'a> {
    /// A text.
    #[serde(borrow)]
    Page(Box<KeptPage<'a>>),
    /// A rule of the slice drops the record.
    Dropped(KeptRefusal<'a>),
    /// The record is damaged or exceeds a limit.
    Quarantined(KeptRefusal<'a>),
}

/// Why a record is not a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRefusal<'a> {
    /// Id of the record.
    pub id: &'a str,
    /// URL; empty if there is none.
    pub url: &'a str,
    /// Name of the rule.
    pub reason: &'a str,
    /// Further details; may be empty.
    pub detail: &'a str,
}

/// A page as its source gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPage<'a> {
    /// Unique within its source.
    pub id: &'a str,
    /// URL; empty if there is none.
    pub url: &'a str,
    /// The date as the input has it.
    pub date: &'a str,
    /// Title; empty if there is none.
    pub title: &'a str,
    /// The text without the title.
    pub text: &'a str,
    /// The crawler's digest of the page; empty if there is none.
    pub payload_digest: &'a str,
    /// The licence that the input states.
    pub licence: Option<&'a str>,
    /// The language that the source states.
    pub language: Option<&'a str>,
    /// The published fields as a JSON object; none for crawled pages.
    pub meta: Option<Cow<'a, str>>,
    /// Reason to drop the page after the comparison of documents.
    pub withdrawn: Option<&'a str>,
    /// Number of files that the document refers to and its input lacks.
    pub missing_files: u64,
    /// Number of files that a limit left out.
    pub omitted_files: u64,
    /// Number of characters that could not be read.
    pub damaged_characters: u64,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    encoding: u32,
    records: u64,
    inputs: Vec<InputFacts>,
}

/// Writes the records of a unit.
pub struct KeptRecordsWriter<W: Write> {
    file: BlockWriter<W>,
    records: RecordBlocks,
}

impl<W: Write> KeptRecordsWriter<W> {
    /// Starts a file.
    pub fn new(sink: W) -> io::Result<Self> {
        let file = BlockWriter::new(sink, KEPT_RECORDS, Compression::Zstd(1))?;
        Ok(Self { file, records: RecordBlocks::default() })
    }

    /// Adds the next record.
    pub fn push(&mut self, record: &KeptRecord<'_>) -> io::Result<()> {
        self.records.push(&mut self.file, record)
    }

    /// Writes the inputs and the index, and returns the sink.
    pub fn finish(mut self, inputs: &[InputFacts]) -> io::Result<W> {
        self.records.flush(&mut self.file)?;
        let (records, inputs) = (self.records.records(), inputs.to_vec());
        let metadata = Metadata { encoding: ENCODING, records, inputs };
        self.file.finish(&serde_json::to_vec(&metadata)?)
    }
}

/// An open file of kept records.
pub struct KeptRecords {
    records: RecordFile,
    metadata: Metadata,
}

impl KeptRecords {
    /// Opens the file that LINES unit `unit` wrote. Returns `None` if it does not exist.
    pub fn open(path: &Path, unit: u32) -> Result<Option<Self>, UnitError> {
        let exists = path.try_exists().map_err(|error| {
            UnitError::Node(format!("failed to look for `{}`: {error}", path.display()))
        })?;
        if !exists {
            return Ok(None);
        }
        let records = RecordFile::open(path, KEPT_RECORDS, (Stage::Lines, unit))?;
        let metadata: Metadata = serde_json::from_slice(records.file.metadata())
            .map_err(|_| records.damaged(0, "the metadata is not known"))?;
        if metadata.encoding != ENCODING {
            return Err(records.damaged(0, "the encoding is that of another version"));
        }
        Ok(Some(Self { records, metadata }))
    }

    /// Returns the inputs as they were read.
    pub fn inputs(&self) -> &[InputFacts] {
        &self.metadata.inputs
    }

    /// Passes on all records in order. Returns the inputs as they were read.
    pub fn for_each(
        self,
        mut each: impl FnMut(&KeptRecord<'_>) -> Result<(), UnitError>,
    ) -> Result<Vec<InputFacts>, UnitError> {
        let blocks = 0..self.records.file.entries().len();
        let mut records = 0;
        self.records.for_each(blocks, 0..u32::MAX, |_, record| {
            records += 1;
            each(&record.decode()?)
        })?;
        if records != self.metadata.records {
            return Err(self.records.damaged(0, "records are missing"));
        }
        Ok(self.metadata.inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Vec<InputFacts> {
        let (path, blake3) = ("a.warc.gz".to_owned(), "00".to_owned());
        vec![InputFacts { path, piece: None, bytes: 7, blake3 }]
    }

    fn record<'a>(record: u64, text: &'a str) -> KeptRecord<'a> {
        let refusal = KeptRefusal { id: "i", url: "u", reason: "r", detail: "d" };
        let outcome = match record % 3 {
            0 => {
                let page = KeptPage {
                    id: "i",
                    title: "t",
                    date: "d",
                    text,
                    licence: Some("l"),
                    meta: Some(Cow::Borrowed("{}")),
                    missing_files: 2,
                    omitted_files: 1,
                    damaged_characters: 4,
                    ..KeptPage::default()
                };
                KeptOutcome::Page(Box::new(page))
            }
            1 => KeptOutcome::Dropped(refusal),
            _ => KeptOutcome::Quarantined(refusal),
        };
        KeptRecord { input: 3, offset: record * 10, record, bytes: 5, outcome }
    }

    #[test]
    fn records_are_read_as_they_were_written_and_damage_names_the_unit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.records");
        assert!(KeptRecords::open(&path, 7).unwrap().is_none());
        let text = "a text\n".repeat(20_000);
        let mut writer = KeptRecordsWriter::new(Vec::new()).unwrap();
        (0..40).for_each(|number| writer.push(&record(number, &text)).unwrap());
        let sound = writer.finish(&facts()).unwrap();
        std::fs::write(&path, &sound).unwrap();
        let mut next = 0;
        let read = KeptRecords::open(&path, 7).unwrap().unwrap().for_each(|kept| {
            assert_eq!(*kept, record(next, &text));
            next += 1;
            Ok(())
        });
        assert_eq!((read.unwrap(), next), (facts(), 40));
        for at in [0, 40, sound.len() / 2, sound.len() - 1] {
            let mut bad = sound.clone();
            bad[at] ^= 1;
            for bytes in [&bad[..], &sound[..at]] {
                std::fs::write(&path, bytes).unwrap();
                let read =
                    KeptRecords::open(&path, 7).and_then(|file| file.unwrap().for_each(|_| Ok(())));
                let Err(UnitError::Damaged { producer, .. }) = read else { panic!("{at}") };
                assert_eq!((producer.stage(), producer.ordinal), (Stage::Lines, 7));
            }
        }
    }
}
