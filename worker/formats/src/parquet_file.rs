//! A reader of Parquet files, row group by row group.
//!
//! The library reads undamaged files well, and panics on many damaged ones; here such a panic is
//! damage like any other. It unpacks a page as a whole, whatever its size, so `held` checks page
//! sizes first. It gives up at a text that is not UTF-8, so `texts` reads texts as bytes. It checks
//! the checksums of pages that have one. The slice knows the columns and what rows mean.
//!
//! **Invariant:** whatever the bytes, reading ends with rows or with a description of what is
//! wrong.

mod held;
mod texts;

use std::sync::Arc;

use parquet::basic::{LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::reader::TreeBuilder;
use parquet::record::{Field, Row};
use parquet::schema::types::TypePtr;

use crate::third_party;
use held::{Bounded, Held};
use texts::TextsAsBytes;

pub use texts::text_of;

/// Total size that the rows of a group may reach, whatever the group takes in the file.
const FREE_BYTES: u64 = 1 << 30;
/// Factor between a group's size in the file and the largest total size of its rows. Compression
/// alone reaches about a thousand; a dictionary, which stores a value once, has no bound.
const EXPANSION: u64 = 1024;

/// A file whose metadata has been read.
pub struct ParquetFile<R: ChunkReader> {
    reader: SerializedFileReader<Bounded<R>>,
    held: Arc<Held>,
    length: u64,
}

/// Why a row group, or the rest of one, is not read.
#[derive(Debug)]
pub enum Unread {
    /// The file is damaged, as described.
    Damaged(String),
    /// The rows read so far are intact, but the group needs more memory or time than it may use.
    TooLarge(String),
}

impl<R: ChunkReader + 'static> ParquetFile<R> {
    /// Reads the metadata at the end of the file; an error describes what is wrong with it. Pages
    /// that take more than `page_bytes` together are not unpacked.
    pub fn open(reader: R, page_bytes: u64) -> Result<Self, String> {
        let (length, held) = (reader.len(), Arc::new(Held::up_to(page_bytes)));
        let bounded = Bounded { input: reader, held: Arc::clone(&held) };
        let reader = caught(|| SerializedFileReader::new(bounded))?;
        Ok(Self { reader, held, length })
    }

    /// Returns the number of row groups.
    pub fn groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    /// Returns the names of the columns, in the order of a row's values.
    pub fn columns(&self) -> Vec<String> {
        let schema = self.reader.metadata().file_metadata().schema();
        schema.get_fields().iter().map(|field| field.name().to_owned()).collect()
    }

    /// Returns the names of the columns that are times in nanoseconds, whose values are numbers.
    pub fn nanosecond_columns(&self) -> Vec<String> {
        let schema = self.reader.metadata().file_metadata().schema();
        let is_time = |field: &&TypePtr| {
            let of = field.get_basic_info().logical_type_ref();
            matches!(of, Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS)
        };
        let times = schema.get_fields().iter().filter(is_time);
        times.map(|field| field.name().to_owned()).collect()
    }

    /// Returns the offset in the file of the first column of a group.
    pub fn begin(&self, group: usize) -> Result<u64, String> {
        caught(|| {
            let group = self.reader.metadata().row_group(group);
            Ok(group.columns().first().map_or(0, |column| column.byte_range().0))
        })
    }

    /// Returns the number of bytes that a group takes in the file.
    pub fn group_bytes(&self, group: usize) -> Result<u64, String> {
        caught(|| Ok(stored_bytes(self.reader.metadata().row_group(group))))
    }

    /// Returns the number of rows that a group has according to the directory of the file.
    pub fn group_rows(&self, group: usize) -> u64 {
        let rows = caught(|| Ok(self.reader.metadata().row_group(group).num_rows()));
        rows.map_or(0, |rows| u64::try_from(rows).unwrap_or(0))
    }

    /// Passes each row of a group, with its size, to `each`, up to the first error in the group.
    /// The outer error is the one that `each` returned.
    pub fn rows<E>(
        &self,
        group: usize,
        mut each: impl FnMut(&Row, u64) -> Result<(), E>,
    ) -> Result<Result<(), Unread>, E> {
        let opened = caught(|| {
            let group = self.reader.get_row_group(group)?;
            self.held.begin(group.metadata())?;
            let (most, all) = (self.most_bytes(group.metadata()), group.metadata().num_rows());
            let schema = self.reader.metadata().file_metadata().schema_descr_ptr();
            let group = TextsAsBytes::of(group)?;
            // A batch holds the pages of its rows, which may be one page for each row.
            let rows = TreeBuilder::new().with_batch_size(1).as_iter(schema, &group)?;
            Ok((rows, most, all))
        });
        let (mut rows, most, all) = match opened {
            Ok(opened) => opened,
            Err(damage) => return Ok(Err(self.unread(damage))),
        };
        let (mut count, mut given) = (0_u64, 0_u64);
        loop {
            match caught(|| rows.next().transpose()) {
                Ok(Some(row)) => {
                    let bytes = row.get_column_iter().map(|(_, field)| bytes_of(field)).sum();
                    given += bytes;
                    if given > most {
                        let detail = format!("its first rows come to {given} bytes already");
                        return Ok(Err(Unread::TooLarge(after(count, all, &detail))));
                    }
                    each(&row, bytes)?;
                    count += 1;
                }
                Ok(None) => return Ok(Ok(())),
                Err(damage) => {
                    return Ok(Err(match self.unread(damage) {
                        Unread::TooLarge(why) => Unread::TooLarge(after(count, all, &why)),
                        damaged @ Unread::Damaged(_) => damaged,
                    }));
                }
            }
        }
    }

    /// Returns the largest total size of the rows of a group.
    fn most_bytes(&self, group: &RowGroupMetaData) -> u64 {
        let stored = stored_bytes(group);
        FREE_BYTES.max(stored.min(self.length).saturating_mul(EXPANSION))
    }

    fn unread(&self, damage: String) -> Unread {
        match self.held.refused() {
            Some(why) => Unread::TooLarge(why),
            None => Unread::Damaged(damage),
        }
    }
}

/// Returns the number of bytes of all columns of a group.
fn stored_bytes(group: &RowGroupMetaData) -> u64 {
    let lengths = group.columns().iter().map(|column| column.byte_range().1);
    lengths.fold(0, u64::saturating_add)
}

fn after(count: u64, all: i64, why: &str) -> String {
    format!("after {count} of {all} rows: {why}")
}

/// Returns the size of the texts of a value, plus a constant for each other value.
fn bytes_of(field: &Field) -> u64 {
    if let Some(text) = text_of(field) {
        return text.len() as u64;
    }
    match field {
        Field::Str(text) => text.len() as u64,
        Field::Bytes(bytes) => bytes.len() as u64,
        Field::Group(row) => row.get_column_iter().map(|(_, field)| bytes_of(field)).sum(),
        Field::ListInternal(list) => list.elements().iter().map(bytes_of).sum(),
        Field::MapInternal(map) => {
            map.entries().iter().map(|(key, value)| bytes_of(key) + bytes_of(value)).sum()
        }
        Field::Null
        | Field::Bool(_)
        | Field::Byte(_)
        | Field::Short(_)
        | Field::Int(_)
        | Field::Long(_)
        | Field::UByte(_)
        | Field::UShort(_)
        | Field::UInt(_)
        | Field::ULong(_)
        | Field::Float16(_)
        | Field::Float(_)
        | Field::Double(_)
        | Field::Decimal(_)
        | Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => 8,
    }
}

fn caught<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match third_party::caught(work) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(message) => Err(format!("the reader gave up: {message}")),
    }
}
