//! Reads the texts of documents from a file: JSON lines with a field `text`, or one document per
//! line.
//!
//! A line that is not a document is skipped and reported; a file that cannot be read is an error.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// A longer line is not a document.
const MAX_LINE_BYTES: u64 = 64 << 20;

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// The lines of a file that are not documents.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLines {
    /// Number of such lines.
    pub count: u64,
    /// Line number of the first one, from 1, and what is wrong with it.
    pub first: (u64, String),
}

/// Calls `take` with every text of a file.
pub(super) fn read_texts(
    path: &Path,
    take: &mut dyn FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Option<BadLines>> {
    let failed = || format!("failed to read `{}`", path.display());
    let (mut lines, bare) = open(path).with_context(failed)?;
    let mut line = Vec::new();
    let mut bad: Option<BadLines> = None;
    for number in 1.. {
        line.clear();
        let got = (&mut lines).take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        let got = got.with_context(failed)? as u64;
        if got == 0 {
            break;
        }
        let wrong = if got == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            lines.skip_until(b'\n').with_context(failed)?;
            Some(format!("it is longer than {MAX_LINE_BYTES} bytes"))
        } else {
            match text_of(line.trim_ascii(), bare) {
                Ok(Some(text)) => {
                    take(&text)?;
                    None
                }
                Ok(None) => None,
                Err(why) => Some(why),
            }
        };
        match (wrong, &mut bad) {
            (Some(_), Some(bad)) => bad.count += 1,
            (Some(why), None) => bad = Some(BadLines { count: 1, first: (number, why) }),
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
