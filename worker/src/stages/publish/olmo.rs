//! The token files of one shard for OLMo-core: `.npy` and `.csv.gz`.
//!
//! In spite of its name, the `.npy` has no header: it is unsigned tokens and nothing else. The
//! `.csv.gz` has a row for each document: first token, end, id, path of the input, number of the
//! record. Source: OLMo-core fa6c501, `data/numpy_dataset.py`.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use thresher_job::TokenFormat;

use super::token_row::TokenRow;
use crate::stages::manifest::TOKEN_FOLDER;
use crate::stages::output_file::{HashedOutput, PublishedFile, fail};
use crate::stages::tokens::TokenFile;
use crate::stages::{JobContext, Task};
use thresher_unit::UnitError;

/// The files of one shard.
pub(super) struct Olmo {
    name: String,
    tokens: HashedOutput,
    documents: GzEncoder<HashedOutput>,
}

impl Olmo {
    /// Creates the files of a shard; returns `None` if the job has none.
    pub(super) fn open(
        context: &JobContext,
        task: &Task,
        (source, side, shard): (&str, Option<&str>, u32),
    ) -> Result<Option<Self>, UnitError> {
        if !context.job.output.writes_tokens(TokenFormat::Olmo) {
            return Ok(None);
        }
        let side = side.map(|side| format!("-{side}")).unwrap_or_default();
        let name = format!("{TOKEN_FOLDER}/olmo/{source}{side}-{shard:05}");
        let tokens = HashedOutput::create(context, &format!("{name}.npy"), &task.tag)?;
        let documents = HashedOutput::create(context, &format!("{name}.csv.gz"), &task.tag)?;
        let documents = GzEncoder::new(documents, Compression::default());
        Ok(Some(Self { name, tokens, documents }))
    }

    /// Returns the error for a file that could not be written.
    pub(super) fn explain(&self, error: &io::Error) -> UnitError {
        fail(&self.name, error)
    }

    /// Writes the rows of the documents, and publishes both files.
    pub(super) fn finish(
        mut self,
        side: Option<&str>,
        documents: &[TokenRow],
        earlier: &[PublishedFile],
    ) -> Result<[TokenFile; 2], UnitError> {
        let mut start = 0_u64;
        for TokenRow { tokens, id, input, record } in documents {
            let end = start + u64::from(*tokens);
            let [id, input] = [id, input].map(|text| quoted(text));
            writeln!(self.documents, "{start},{end},{id},{input},{record}")
                .map_err(|error| fail(&self.name, &error))?;
            start = end;
        }
        let rows = documents.len() as u64;
        let file = self.documents.finish().map_err(|error| fail(&self.name, &error))?;
        let files = [self.tokens.publish(rows, 0, earlier)?, file.publish(rows, 0, earlier)?];
        let split = side.map(str::to_owned);
        Ok(files.map(|file| TokenFile {
            file,
            split: split.clone(),
            documents: rows,
            tokens: start,
        }))
    }
}

impl Write for Olmo {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.tokens.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tokens.flush()
    }
}

/// Returns a field of a CSV file (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_or_quotation_marks_are_quoted() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"x\"\n"), "\"say \"\"x\"\"\n\"");
    }
}
