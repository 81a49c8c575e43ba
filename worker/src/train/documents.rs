//! Texts of documents from a file: JSON lines with a field `text`, or one document a line.
//!
//! A line that is no document is skipped and counted; a file that cannot be read is an error.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

/// A longer line is no document.
const MAX_LINE_BYTES: u64 = 64 << 20;

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    text: std::borrow::Cow<'a, str>,
}

/// Gives every text of a file; returns how many lines were no documents.
pub(super) fn read_texts(
    path: &Path,
    take: &mut dyn FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let name = path.to_string_lossy().into_owned();
    let failed = || format!("failed to read `{name}`");
    let file = File::open(path).with_context(failed)?;
    let (plain, reader): (&str, Box<dyn Read>) = if let Some(plain) = name.strip_suffix(".gz") {
        (plain, Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))))
    } else if let Some(plain) = name.strip_suffix(".zst") {
        (plain, Box::new(zstd::stream::Decoder::new(file).with_context(failed)?))
    } else {
        (&name, Box::new(file))
    };
    let bare = plain.ends_with(".txt");
    let mut lines = BufReader::with_capacity(1 << 16, reader);
    let (mut line, mut skipped) = (Vec::new(), 0);
    loop {
        line.clear();
        let got = (&mut lines).take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        let got = got.with_context(failed)? as u64;
        if got == 0 {
            return Ok(skipped);
        }
        if got == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            lines.skip_until(b'\n').with_context(failed)?;
            skipped += 1;
            continue;
        }
        match std::str::from_utf8(line.trim_ascii()) {
            Ok("") => {}
            Ok(text) if bare => take(text)?,
            Ok(row) => match serde_json::from_str::<Row<'_>>(row) {
                Ok(row) => take(&row.text)?,
                Err(_) => skipped += 1,
            },
            Err(_) => skipped += 1,
        }
    }
}
