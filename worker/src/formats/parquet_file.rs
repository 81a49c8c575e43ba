//! Parquet files, row group by row group.
//!
//! The library reads what is whole well, and panics over much that is damaged; here a panic of its
//! is damage like any other. Columns and what rows mean are the slice's business.
//!
//! **Invariant:** whatever the bytes, reading ends with rows or with a word on the damage.

use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::Row;

use crate::foreign;

/// A file whose directory was read.
pub struct ParquetFile<R: ChunkReader> {
    reader: SerializedFileReader<R>,
}

impl<R: ChunkReader + 'static> ParquetFile<R> {
    /// Reads the directory at the file's end; an error says what is wrong with it.
    pub fn open(reader: R) -> Result<Self, String> {
        caught(|| SerializedFileReader::new(reader)).map(|reader| Self { reader })
    }

    /// How many row groups there are.
    pub fn groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    /// The names of the columns, as rows have them.
    pub fn columns(&self) -> Vec<String> {
        let schema = self.reader.metadata().file_metadata().schema();
        schema.get_fields().iter().map(|field| field.name().to_owned()).collect()
    }

    /// Where the first column of a group begins.
    pub fn begin(&self, group: usize) -> Result<u64, String> {
        caught(|| {
            let group = self.reader.metadata().row_group(group);
            Ok(group.columns().first().map_or(0, |column| column.byte_range().0))
        })
    }

    /// Gives the rows of a group up to its damage, if it has any; the outer error is the taker's.
    pub fn rows<E>(
        &self,
        group: usize,
        mut each: impl FnMut(&Row) -> Result<(), E>,
    ) -> Result<Result<(), String>, E> {
        let group = match caught(|| self.reader.get_row_group(group)) {
            Ok(group) => group,
            Err(damage) => return Ok(Err(damage)),
        };
        let mut rows = match caught(|| group.get_row_iter(None)) {
            Ok(rows) => rows,
            Err(damage) => return Ok(Err(damage)),
        };
        loop {
            match caught(|| rows.next().transpose()) {
                Ok(Some(row)) => each(&row)?,
                Ok(None) => return Ok(Ok(())),
                Err(damage) => return Ok(Err(damage)),
            }
        }
    }
}

fn caught<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match foreign::caught(work) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(message) => Err(format!("the reader gave up: {message}")),
    }
}
