//! Reads the texts of documents from a file: JSON lines with a field `text`, or one document per
//! line.
//!
//! A line that is not a document is skipped and reported; a file that cannot be read is an error.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use super::{BadLines, TrainError};

/// A longer line is not a document.
const MAX_LINE_BYTES: u64 = 64 << 20;

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// Passes every text of a file to `sink`.
pub(super) fn read_texts(
    path: &Path,
    sink: &mut dyn FnMut(&str) -> Result<(), TrainError>,
) -> Result<Option<BadLines>, TrainError> {
    let failed = TrainError::read(path);
    let (mut lines, bare) = open(path).map_err(&failed)?;
    let mut line = Vec::new();
    let mut bad: Option<BadLines> = None;
    for number in 1.. {
        line.clear();
        let got = (&mut lines).take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        let got = got.map_err(&failed)? as u64;
        if got == 0 {
            break;
        }
        let wrong = if got == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            lines.skip_until(b'\n').map_err(&failed)?;
            Some(format!("it is longer than {MAX_LINE_BYTES} bytes"))
        } else {
            match text_of(line.trim_ascii(), bare) {
                Ok(Some(text)) => {
                    sink(&text)?;
                    None
                }
                Ok(None) => None,
                Err(why) => Some(why),
            }
        };
        match (wrong, &mut bad) {
            (Some(_), Some(bad)) => bad.count += 1,
            (Some(reason), None) => {
                bad = Some(BadLines { file: path.to_owned(), count: 1, first: number, reason });
            }
            (None, _) => {}
        }
    }
    Ok(bad)
}

/// Opens a file, decompressed; returns also whether each of its lines is a text as it is.
fn open(path: &Path) -> io::Result<(BufReader<Box<dyn Read>>, bool)> {
    let name = path.to_string_lossy();
    let file = File::open(path)?;
    let (plain, reader): (&str, Box<dyn Read>) = if let Some(plain) = name.strip_suffix(".gz") {
        (plain, Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))))
    } else if let Some(plain) = name.strip_suffix(".zst") {
        (plain, Box::new(zstd::stream::Decoder::new(file)?))
    } else {
        (&name, Box::new(file))
    };
    Ok((BufReader::with_capacity(1 << 16, reader), plain.ends_with(".txt")))
}

/// Returns the text of a line, or `None` for an empty line.
fn text_of(line: &[u8], bare: bool) -> Result<Option<Cow<'_, str>>, String> {
    let line = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    if line.is_empty() {
        return Ok(None);
    }
    if bare {
        return Ok(Some(Cow::Borrowed(line)));
    }
    match serde_json::from_str::<Row<'_>>(line) {
        Ok(row) => Ok(Some(row.text)),
        // The error is about this line alone, so the line number in it would mislead.
        Err(error) => Err(error.to_string().replace(" at line 1 column", " at column")),
    }
}
