//! The columns of the schema `uniform`, which JSON lines, Parquet, the card and Croissant share.
//!
//! **Invariant:** every file of an output has all columns, in this order and with these types,
//! whatever its slice: a value that is not known is null. Another column, order or type needs
//! another [`NAME`].

/// Name and version of the schema in the manifest.
pub(crate) const NAME: &str = "uniform/3";

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    /// A short string.
    Text,
    /// A string that may be long: all of them in one group of rows may exceed 2 GiB.
    LongText,
    /// A whole number, stored with 64 bits and a sign.
    Whole,
    /// A number with 32 bits.
    Real32,
    /// A number with 64 bits.
    Real64,
}

/// The value of a column in one document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'v> {
    Text(Option<&'v str>),
    Whole(Option<u64>),
    Real32(Option<f32>),
    Real64(Option<f64>),
}

/// A column with its type and its meaning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) of: ColumnType,
    /// What the column means, for the card.
    pub(crate) meaning: &'static str,
}

const fn text(name: &'static str, meaning: &'static str) -> Column {
    Column { name, of: ColumnType::Text, meaning }
}

const fn whole(name: &'static str, meaning: &'static str) -> Column {
    Column { name, of: ColumnType::Whole, meaning }
}

const fn long(name: &'static str, meaning: &'static str) -> Column {
    Column { name, of: ColumnType::LongText, meaning }
}

const fn real64(name: &'static str, meaning: &'static str) -> Column {
    Column { name, of: ColumnType::Real64, meaning }
}

/// Number of columns.
pub(crate) const COUNT: usize = 32;

/// All columns, in the order of the files.
pub(crate) const COLUMNS: [Column; COUNT] = [
    text("id", "identifies the document in its source, as the input says"),
    long("text", "the text"),
    text("source", "name of the source in the job file"),
    text("slice", "kind of the source"),
    text("url", "address of the document"),
    text("date", "ISO 8601, as exact as the input says; times are UTC"),
    text("date_stated", "the date in the input's words, if `date` does not have them"),
    text("dump", "name of the crawl"),
    text("licence", "SPDX expression of the licence, if it is known"),
    text("licence_stated", "the licence in the input's words, if `licence` does not have them"),
    text("title", "the title, which is not part of `text`"),
    text("language", "code of the language, identified or as the input states it"),
    Column {
        name: "language_score",
        of: ColumnType::Real32,
        meaning: "probability of the language, if it was identified",
    },
    real64("perplexity", "perplexity under CCNet's language model"),
    text("bucket", "CCNet's bucket of the perplexity"),
    real64("reference_score", "probability of the classifier's label"),
    whole("tokens", "number of tokens of `text`, without special ones"),
    text("input", "path of the input, as listed"),
    whole("offset", "where the record starts in the input, in bytes"),
    whole("record", "number of the record in its input, or in its part of a long one"),
    whole("chars", "Unicode characters of `text`"),
    whole("bytes", "bytes of `text` in UTF-8"),
    whole("lines", "lines of `text`"),
    whole("original_chars", "characters before duplicate lines were removed"),
    whole("original_lines", "lines before duplicate lines were removed"),
    text("content_hash", "BLAKE3 of `text`"),
    text("recipe", "preset and version of Thresher"),
    text(
        "filter_values",
        "what the rules of filters measured, as a JSON object, if the job asks for it",
    ),
    text("cluster", "name of the group of this document and its near-duplicates"),
    whole("cluster_size", "number of documents in the cluster, with the kept one"),
    whole("near_duplicates", "number of documents that are removed because of this one"),
    long("meta", "further fields of the input, as a JSON object"),
];
