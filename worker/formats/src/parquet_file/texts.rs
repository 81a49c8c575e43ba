//! Reads columns of text as bytes, because the library gives up a whole row group at the first
//! text that is not valid UTF-8.
//!
//! It returns bytes for columns of other types only. So it sees each column of text as decimals of
//! a precision and a scale that no decimal can have: their values keep all bytes of the text, at
//! any depth of lists and groups, and differ from bytes that are not text.
//!
//! **Invariant:** whether a text is valid UTF-8 does not change what is read of other values.

use std::sync::Arc;

use parquet::basic::{ConvertedType, Type as Physical};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::PageReader;
use parquet::data_type::Decimal;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::RowGroupReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, Type};

/// The precision and the scale of values that are texts.
const TEXT: i32 = i32::MAX;

/// Returns the bytes of a value in a column that the file declares as text. They are not
/// necessarily valid UTF-8.
pub fn text_of(field: &Field) -> Option<&[u8]> {
    let Field::Decimal(Decimal::Bytes { value, precision: TEXT, scale: TEXT }) = field else {
        return None;
    };
    Some(value.data())
}

/// A row group whose columns of text the library reads as bytes.
pub(super) struct TextsAsBytes<'g> {
    group: Box<dyn RowGroupReader + 'g>,
    /// What rows are assembled from: the number of rows, and the path and type of each column.
    metadata: RowGroupMetaData,
}

impl<'g> TextsAsBytes<'g> {
    pub(super) fn of(group: Box<dyn RowGroupReader + 'g>) -> Result<Self> {
        let of = group.metadata();
        let column = |chunk: &ColumnChunkMetaData| {
            ColumnChunkMetaData::builder(as_bytes(chunk.column_descr_ptr())?).build()
        };
        let columns = of.columns().iter().map(column).collect::<Result<_>>()?;
        let metadata = RowGroupMetaData::builder(of.schema_descr_ptr())
            .set_num_rows(of.num_rows())
            .set_column_metadata(columns)
            .build()?;
        Ok(Self { group, metadata })
    }
}

/// Returns the column as bytes if it is one of text, and else the column itself.
fn as_bytes(column: ColumnDescPtr) -> Result<ColumnDescPtr> {
    let is_text = matches!(
        column.converted_type(),
        ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON
    );
    if !is_text || column.physical_type() != Physical::BYTE_ARRAY {
        return Ok(column);
    }
    let bytes = Type::primitive_type_builder(column.name(), Physical::BYTE_ARRAY)
        .with_converted_type(ConvertedType::DECIMAL)
        .with_precision(TEXT)
        .with_scale(TEXT)
        .build()?;
    let (defined, repeated) = (column.max_def_level(), column.max_rep_level());
    let path = column.path().clone();
    Ok(Arc::new(ColumnDescriptor::new(Arc::new(bytes), defined, repeated, path)))
}

impl RowGroupReader for TextsAsBytes<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        &self.metadata
    }

    fn num_columns(&self) -> usize {
        self.group.num_columns()
    }

    fn get_column_page_reader(&self, column: usize) -> Result<Box<dyn PageReader>> {
        self.group.get_column_page_reader(column)
    }

    fn get_column_bloom_filter(&self, column: usize) -> Option<&Sbbf> {
        self.group.get_column_bloom_filter(column)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}
