//! The forms of inputs that each slice reads, and the errors for inputs of other forms.
//!
//! An input is checked when it is first opened. One in a form that its slice does not read is a
//! fault of the job file: all of its records would be lost, and a person can correct it.

use thresher_formats::form::Form;
use thresher_formats::unpack::{Expected, FormError};
use thresher_unit::UnitError;

pub(crate) const COMMONCRAWL: Expected =
    Expected { reader: "commoncrawl", contents: &[Form::Warc] };
pub(crate) const C4: Expected = Expected { reader: "c4", contents: &[Form::Json, Form::Utf16] };
pub(crate) const DOCUMENTS: Expected = Expected {
    reader: "documents",
    contents: &[Form::Json, Form::JsonText, Form::JsonArray, Form::Utf16],
};
pub(crate) const CORPUS: Expected = Expected { reader: "corpus", contents: &[Form::Json] };
pub(crate) const GITHUB_ROWS: Expected =
    Expected { reader: "github", contents: &[Form::Json, Form::Utf16] };
pub(crate) const GITHUB_ARCHIVE: Expected = Expected { reader: "github", contents: &[Form::Tar] };
pub(crate) const BOOK_ROWS: Expected =
    Expected { reader: "books", contents: &[Form::Json, Form::Utf16] };
pub(crate) const BOOK: Expected = Expected {
    reader: "books",
    contents: &[Form::Utf16, Form::Html, Form::WikiXml, Form::PostsXml],
};
pub(crate) const ARXIV: Expected = Expected { reader: "arxiv", contents: &[Form::Tar] };
pub(crate) const WIKIPEDIA: Expected =
    Expected { reader: "wikipedia", contents: &[Form::WikiXml, Form::Utf16] };
pub(crate) const STACKEXCHANGE: Expected =
    Expected { reader: "stackexchange", contents: &[Form::PostsXml, Form::Utf16] };

/// Returns whether an input of this form can be read from its middle, if `own` is the form that the
/// slice cuts. Inputs of other known forms stay whole, and are unpacked or refused when they are
/// read.
pub(crate) fn can_be_cut(form: Form, own: &[Form]) -> bool {
    matches!(form, Form::Other | Form::Empty) || own.contains(&form)
}

/// Returns the error of a unit for an input of another form.
pub(crate) fn refusal(input: &str, error: &FormError) -> UnitError {
    let text = match error {
        FormError::Unexpected { form, packed, expected } => {
            let packed = packed.map_or_else(String::new, |packing| format!(" in {packing}"));
            format!(
                "the input `{input}` is {form}{packed}, which the slice `{}` does not read\nhint: \
                 {}",
                expected.reader,
                remedy(*form)
            )
        }
        FormError::Memory { form, needed_kib, allowed_kib } => {
            let again = if *form == Form::Zstd {
                "`zstd -dc --long=31 FILE | zstd --long=27`"
            } else {
                "`xz -dc FILE | xz -9`"
            };
            format!(
                "unpacking the input `{input}`, which is {form}, takes {} MiB of memory, and {} \
                 MiB are allowed\nhint: pack it again with a smaller window, such as by {again}",
                needed_kib.div_ceil(1024),
                allowed_kib / 1024
            )
        }
    };
    UnitError::JobFile(text)
}

/// Returns what a person can do with an input of a form that its slice does not read.
fn remedy(form: Form) -> &'static str {
    match form {
        Form::Warc => "correct `listing`, or set `slice = \"commoncrawl\"`, which reads it",
        Form::Json => {
            "correct `listing`, or set `slice` to `documents`, `c4`, `books` or `github`, which \
             read JSON lines"
        }
        Form::Tar => "correct `listing`, or set `slice` to `arxiv` or `github`, which read tars",
        Form::Zip => "correct `listing`, or set `slice = \"github\"`, which reads zip archives",
        Form::Parquet => {
            "`slice = \"documents\"` reads Parquet files that are not packed, and `slice = \
             \"github\"` those of The Stack"
        }
        Form::SevenZip => {
            "correct `listing`, or set `slice = \"stackexchange\"`, which reads 7z archives; other \
             slices need it unpacked"
        }
        Form::WikiXml => "correct `listing`, or set `slice = \"wikipedia\"`, which reads it",
        Form::PostsXml => "correct `listing`, or set `slice = \"stackexchange\"`, which reads it",
        Form::Lz4 | Form::Lzip | Form::Lzma | Form::Snappy | Form::Compress => {
            "unpack it, or pack it with gzip, zstd, xz or bzip2, which every slice reads"
        }
        Form::Arc => "convert it, such as by `warcio recompress IN.arc.gz OUT.warc.gz`",
        Form::JsonArray => {
            "write one object on each line, such as by `jq -c '.[]'`, or set `slice = \
             \"documents\"`, which reads it"
        }
        Form::JsonText => {
            "write one object on each line, such as by `jq -c .`, or set `slice = \"documents\"`, \
             which reads it"
        }
        Form::Utf16 | Form::Utf32 => "convert it to UTF-8, such as by `iconv -f UTF-32 -t UTF-8`",
        Form::Empty
        | Form::Gzip
        | Form::Zstd
        | Form::Xz
        | Form::Bzip2
        | Form::Rar
        | Form::Arrow
        | Form::Avro
        | Form::Orc
        | Form::Sqlite
        | Form::Pdf
        | Form::Html
        | Form::Other => {
            "correct `listing`, or read it with a command of yours (`slice = \"external\"`)"
        }
    }
}

#[cfg(test)]
mod tests;
