//! Limits how many bytes of a row group's pages are in memory at once.
//!
//! The library unpacks a page as a whole, and holds one page and one dictionary of each column. So
//! the header of each page is read as the library reads it, before the page is unpacked. What pages
//! mean is the library's business.
//!
//! **Invariant:** the dictionaries and pages of a row group that the library holds together never
//! exceed the limit, by the sizes in their headers; a page that would exceed it is refused.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};
use prost::bytes::Bytes;

/// Size of the part of a header that holds the sizes.
const HEAD_BYTES: u64 = 32;
/// Largest factor by which gzip can expand a byte.
const GZIP_MOST: u64 = 1032;

/// A file whose page headers are checked as the library reads it.
pub(super) struct Bounded<R> {
    pub(super) input: R,
    pub(super) held: Arc<Held>,
}

/// What is in memory of the current row group.
pub(super) struct Held {
    most: u64,
    columns: Mutex<Vec<Column>>,
    refused: Mutex<Option<String>>,
}

struct Column {
    name: String,
    range: Range<u64>,
    gzip: bool,
    dictionary: u64,
    page: u64,
    /// Offset at which the library stopped reading the last header.
    header_end: u64,
}

impl Held {
    pub(super) fn up_to(most: u64) -> Self {
        Self { most, columns: Mutex::default(), refused: Mutex::default() }
    }

    /// Starts a row group, of which nothing is held yet.
    pub(super) fn begin(&self, group: &RowGroupMetaData) -> Result<()> {
        let mut columns = Vec::new();
        for chunk in group.columns() {
            let (begin, length) = chunk.byte_range();
            let name = chunk.column_path().string();
            let gzip = matches!(chunk.compression(), Compression::GZIP(_));
            let range = begin..begin.saturating_add(length);
            columns.push(Column { name, range, gzip, dictionary: 0, page: 0, header_end: 0 });
        }
        columns.sort_by_key(|column| column.range.start);
        if let Some(pair) = columns.windows(2).find(|pair| pair[0].range.end > pair[1].range.start)
        {
            let (one, other) = (&pair[0].name, &pair[1].name);
            let message = format!("the columns `{one}` and `{other}` lie over one another");
            return Err(ParquetError::General(message));
        }
        *self.columns() = columns;
        Ok(())
    }

    /// Returns why a page was refused, and forgets it.
    pub(super) fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn columns(&self) -> MutexGuard<'_, Vec<Column>> {
        self.columns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, why: String) -> ParquetError {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
        ParquetError::General(why)
    }

    /// Returns the column that has a header at this offset. The library also requests the bytes
    /// after a header, which were checked with it.
    fn column_with_header(&self, at: u64) -> Option<usize> {
        let columns = self.columns();
        let number = columns.iter().position(|column| column.range.contains(&at))?;
        (columns[number].header_end != at).then_some(number)
    }

    /// Counts a page by the sizes in its header.
    fn count(&self, number: usize, head: &[u8]) -> Result<()> {
        let head = Head::of(head)
            .ok_or_else(|| ParquetError::General("a page without a header".to_owned()))?;
        let (name, all) = {
            let mut columns = self.columns();
            let Some(column) = columns.get_mut(number) else { return Ok(()) };
            let held = if head.dictionary { &mut column.dictionary } else { &mut column.page };
            *held = head.bytes;
            let name = column.name.clone();
            let all = columns.iter().fold(0_u64, |sum, column| {
                sum.saturating_add(column.dictionary).saturating_add(column.page)
            });
            (name, all)
        };
        if all <= self.most {
            return Ok(());
        }
        Err(self.refuse(format!(
            "column `{name}` has a page of {} bytes, with which pages of {all} bytes would be in \
             memory, and no more than {} may be",
            head.bytes, self.most
        )))
    }

    /// Unpacks gzip to measure its length, because the library unpacks it to its end whatever the
    /// header says.
    fn measure(&self, at: u64, packed: &[u8]) -> Result<()> {
        let name = {
            let columns = self.columns();
            let column = columns.iter().find(|column| column.range.contains(&at));
            column.filter(|column| column.gzip).map(|column| column.name.clone())
        };
        let Some(name) = name else { return Ok(()) };
        if (packed.len() as u64).saturating_mul(GZIP_MOST) <= self.most {
            return Ok(());
        }
        let unpacked = MultiGzDecoder::new(packed).take(self.most + 1);
        // The library reports damage.
        let bytes = io::copy(&mut { unpacked }, &mut io::sink()).unwrap_or(0);
        if bytes <= self.most {
            return Ok(());
        }
        Err(self.refuse(format!(
            "a page of column `{name}` unpacks to more than the {} bytes that may be in memory",
            self.most
        )))
    }
}

impl<R: Length> Length for Bounded<R> {
    fn len(&self) -> u64 {
        self.input.len()
    }
}

impl<R: ChunkReader> ChunkReader for Bounded<R> {
    type T = HeaderBytes<R::T>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut rest = self.input.get_read(start)?;
        let mut head = Vec::new();
        let column = self.held.column_with_header(start);
        if let Some(number) = column {
            rest.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
            self.held.count(number, &head)?;
        }
        let head = io::Cursor::new(head);
        let held = column.map(|number| (Arc::clone(&self.held), number));
        Ok(HeaderBytes { head, rest, at: start, held })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.input.get_bytes(start, length)?;
        self.held.measure(start, &bytes)?;
        Ok(bytes)
    }
}

/// A header as the library reads it; it records where the library stopped.
pub(super) struct HeaderBytes<T> {
    head: io::Cursor<Vec<u8>>,
    rest: T,
    at: u64,
    held: Option<(Arc<Held>, usize)>,
}

impl<T: Read> Read for HeaderBytes<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.head.read(buffer)? {
            0 => self.rest.read(buffer)?,
            count => count,
        };
        self.at += count as u64;
        Ok(count)
    }
}

impl<T> Drop for HeaderBytes<T> {
    fn drop(&mut self) {
        if let Some((held, number)) = &self.held
            && let Some(column) = held.columns().get_mut(*number)
        {
            column.header_end = self.at;
        }
    }
}

/// The sizes in a page's header, which is a struct of Thrift's compact protocol.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    dictionary: bool,
    /// Size of the page, the larger of packed and unpacked; for a dictionary, at least the memory
    /// that the library allocates for its values.
    bytes: u64,
}

impl Head {
    const DICTIONARY_PAGE: i64 = 2;
    /// A field's distance from the previous one, and its type.
    const NEXT_INTEGER: u8 = 0x15;
    const STRUCT: u8 = 0x0c;

    fn of(mut head: &[u8]) -> Option<Self> {
        let kind = integer(&mut head)?;
        let (unpacked, packed) = (integer(&mut head)?, integer(&mut head)?);
        let dictionary = kind == Self::DICTIONARY_PAGE;
        let mut bytes = u64::try_from(unpacked.max(packed)).ok()?;
        if dictionary {
            // A checksum may come in between.
            let checksum = head.first() == Some(&Self::NEXT_INTEGER);
            if checksum {
                integer(&mut head)?;
            }
            let own = head.split_off_first()?;
            if own & 0x0f != Self::STRUCT {
                return None;
            }
            let values = u64::try_from(integer(&mut head)?).ok()?;
            bytes = bytes.max(values.saturating_mul(size_of::<ByteArray>() as u64));
        }
        Some(Self { dictionary, bytes })
    }
}

/// Reads the next field, which must be an integer.
fn integer(bytes: &mut &[u8]) -> Option<i64> {
    if *bytes.split_off_first()? != Head::NEXT_INTEGER {
        return None;
    }
    let mut value = 0_u64;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_a_header() {
        const VALUE: u64 = size_of::<ByteArray>() as u64;
        let page = [0x15, 0x00, 0x15, 0xd0, 0x0f, 0x15, 0x14, 0x2c];
        assert_eq!(Head::of(&page), Some(Head { dictionary: false, bytes: 1000 }));
        let oversized =
            [0x15, 0x04, 0x15, 0x14, 0x15, 0x14, 0x4c, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(
            Head::of(&oversized),
            Some(Head { dictionary: true, bytes: 0x7fff_ffff * VALUE })
        );
        let checked = [0x15, 0x04, 0x15, 0x14, 0x15, 0x14, 0x15, 0x02, 0x3c, 0x15, 0x02];
        assert_eq!(Head::of(&checked), Some(Head { dictionary: true, bytes: VALUE }));
        assert_eq!(Head::of(&[0xff; 32]), None);
        assert_eq!(Head::of(&page[..4]), None);
        let negative = [0x15, 0x00, 0x15, 0x01, 0x15, 0x01];
        assert_eq!(Head::of(&negative), None);
    }
}
