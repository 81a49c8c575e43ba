//! Counts the tokens of a text under a language model's tokenizer.
//!
//! The tokenizer is any `tokenizer.json` that the `tokenizers` crate reads; special tokens are not
//! added, so that counts of documents add up.
//!
//! **Invariant:** a count is a function of file and text.

mod vocabulary;

use std::path::Path;

use thresher_formats::third_party;
use tokenizers::pipeline::{EncodeOptions, Override, PipelineToken, PipelineTokenizer};

pub use vocabulary::{TokenWidth, Vocabulary};

/// Limit of a tokenizer file; the largest real ones have some 30 MB.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Counts tokens; all threads share it.
pub trait TokenCounter: Send + Sync {
    /// Returns the number of tokens of `text`.
    fn count(&self, text: &str) -> Result<u64, TokenError>;
}

/// Why tokens cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(
        "failed to load the tokenizer `{name}`: {error}\n\
         hint: `tokens.tokenizer` names a tokenizer.json, for instance that of GPT-NeoX-20B or \
         Pythia \
         (https://huggingface.co/EleutherAI/pythia-6.9b-deduped/resolve/main/tokenizer.json); \
         `\"none\"` counts no tokens, and does not filter code by them"
    )]
    Load { name: String, error: String },
    #[error("failed to count the tokens of a text of {bytes} bytes: {error}")]
    Count { bytes: usize, error: String },
    #[error(
        "the tokenizer `{name}` has no token `{token}`\n\
         hint: `output.tokens.eod` names the token that ends a document; its special tokens are \
         `{known}`"
    )]
    Unknown { name: String, token: String, known: String },
}

/// A tokenizer read from a `tokenizer.json` of any version.
pub struct TokenizerFile {
    name: String,
    tokenizer: PipelineTokenizer,
    options: EncodeOptions,
}

impl TokenizerFile {
    /// Reads a `tokenizer.json`.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let name = path.display().to_string();
        let failed = |error: &dyn std::fmt::Display| TokenError::Load {
            name: name.clone(),
            error: error.to_string(),
        };
        let size = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
        if size > MAX_FILE_BYTES {
            return Err(failed(&format!("it has `{size}` bytes, more than any real one")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        Self::from_json(&text, &name)
    }

    /// Reads the text of a `tokenizer.json`; `name` is for messages.
    pub fn from_json(text: &str, name: &str) -> Result<Self, TokenError> {
        let failed = |error: &dyn std::fmt::Display| TokenError::Load {
            name: name.to_owned(),
            error: error.to_string(),
        };
        let read = third_party::caught(|| {
            // Files of older releases are converted to the format that the reader knows.
            let canonical =
                tokenizers::canonicalize_str(text).map_err(|error| error.to_string())?;
            tokenizers::from_json(&canonical).map_err(|error| error.to_string())
        });
        let read = read.unwrap_or_else(|message| Err(format!("the reader gave up: {message}")));
        let tokenizer = read.map_err(|error| failed(&error))?;
        let options = EncodeOptions {
            truncation: Override::Off,
            padding: Override::Off,
            ..EncodeOptions::no_specials()
        };
        Ok(Self { name: name.to_owned(), tokenizer, options })
    }

    /// Returns the name of the file, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The tokens of a text; the memory is reused for the next one.
#[derive(Default)]
pub struct Tokens(Vec<PipelineToken>);

impl TokenizerFile {
    /// Returns the tokens of `text`, without special ones. `tokens` is only memory.
    pub fn encode<'t>(&self, text: &str, tokens: &'t mut Tokens) -> Result<&'t [u32], TokenError> {
        let failed = |error| TokenError::Count { bytes: text.len(), error };
        tokens.0.clear();
        third_party::caught(|| self.tokenizer.encode_into(text, &self.options, &mut tokens.0))
            .map_err(failed)?
            .map_err(|error| failed(error.to_string()))?;
        Ok(PipelineToken::cast_slice(&tokens.0))
    }
}

impl TokenCounter for TokenizerFile {
    fn count(&self, text: &str) -> Result<u64, TokenError> {
        let mut tokens = Tokens(Vec::with_capacity(text.len() / 3));
        Ok(self.encode(text, &mut tokens)?.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn neox() -> TokenizerFile {
        let file = include_bytes!("../../../testdata/tokens/gpt-neox-20b.json.gz");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&file[..]).read_to_string(&mut text).unwrap();
        TokenizerFile::from_json(&text, "gpt-neox-20b.json").unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn counts_are_those_of_the_tokenizers_library_for_every_reference_text() {
        let tokenizer = neox();
        let rows = include_str!("../../../testdata/tokens/counts.jsonl");
        for row in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            let text = row["text"].as_str().unwrap();
            assert_eq!(tokenizer.count(text).unwrap(), row["tokens"].as_u64().unwrap(), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_tokenizer_is_refused_with_its_name() {
        let error = TokenizerFile::from_json("{\"model\": 7}", "t.json").err().unwrap().to_string();
        assert!(error.contains("`t.json`") && error.contains("hint: "), "{error}");
        // Two pieces have one number, on which the library panics.
        let text = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "dropout": null, "unk_token": null,
                      "continuing_subword_prefix": null, "end_of_word_suffix": null,
                      "fuse_unk": false, "vocab": {"a": 2, "b": 1, "a": 2}, "merges": ["a b"]}}"#;
        let refused = TokenizerFile::from_json(text, "p.json").err();
        assert!(refused.is_some_and(|error| error.to_string().contains("gave up")));
        let error = TokenizerFile::load(Path::new("/nowhere/t.json")).err().unwrap().to_string();
        assert!(error.contains("`/nowhere/t.json`"), "{error}");
    }
}
