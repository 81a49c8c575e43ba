//! The table `[output]` of the job file: what is published, and in which files.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Bytes, DedupPolicy, DocumentKey, JobError, JobSpec, KeepBy, LeaseOrder, Step};

/// The table `[output]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    pub path: String,
    pub shard_bytes: Bytes,
    pub zstd_level: i32,
    pub schema: Schema,
    /// The forms of the shards.
    pub formats: Vec<Format>,
    /// What the rows of dropped records have.
    pub dropped: DroppedRows,
    /// Whether documents have what the rules of filters measured.
    pub filter_values: bool,
    /// How documents are divided into folders.
    pub folders: Folders,
    pub splits: SplitsSpec,
    pub tokens: TokensOutputSpec,
}

/// The fields of a published document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schema {
    /// The same fields for every slice.
    Uniform,
    /// The fields of RedPajama-Data-1T, which differ by slice.
    #[serde(rename = "redpajama-v1")]
    RedpajamaV1,
}

/// A form of the shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON lines in one zstd frame.
    Jsonl,
    /// Parquet.
    Parquet,
}

/// What the rows of dropped records have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DroppedRows {
    /// Where the record is, and why it was dropped.
    Reasons,
    /// The text of the record too.
    Texts,
}

/// How documents are divided into folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Folders {
    /// All documents of a source are together.
    None,
    /// Each language has its own folder.
    Language,
}

/// The table `[output.splits]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitsSpec {
    pub validation: Validation,
    pub by: SplitBy,
}

/// What decides on which side a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    /// The hash of its text.
    Content,
}

/// The part of each source that is kept for validation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validation {
    /// Nothing is kept, and the output has one side.
    None,
    /// A share of the documents, from 0.0 to 1.0.
    Share(f64),
    /// A number of documents of each source.
    Documents(u64),
}

/// The table `[output.tokens]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensOutputSpec {
    /// The forms of token files; without one, no tokens are written.
    pub formats: Vec<TokenFormat>,
    /// The token that ends a document.
    pub eod: String,
    /// The order of the documents.
    pub order: LeaseOrder,
    /// The largest number of bytes of a token file.
    pub file_bytes: Bytes,
}

/// A form of token files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenFormat {
    /// `.bin` and `.idx`, which Megatron-LM, GPT-NeoX and NeMo read.
    Megatron,
    /// `.npy` without a header and `.csv.gz`, which OLMo-core reads.
    Olmo,
}

impl Format {
    /// Returns the name in the job file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

impl OutputSpec {
    /// Returns the forms of the shards, each once, in a fixed order.
    pub fn shard_formats(&self) -> Vec<Format> {
        let mut formats = self.formats.clone();
        formats.sort();
        formats.dedup();
        formats
    }

    /// Returns whether token files of a form are written.
    pub fn writes_tokens(&self, format: TokenFormat) -> bool {
        self.tokens.formats.contains(&format)
    }
}

impl JobSpec {
    /// Returns whether no text is published by two sources of the job.
    fn has_unique_texts(&self) -> bool {
        let spec = &self.dedup.documents;
        let compared = self.source.iter().all(|source| self.has_step(source, Step::Documents));
        let by_text = spec.policy != DedupPolicy::Off
            && spec.key == DocumentKey::Text
            && spec.keep == KeepBy::Document;
        // One source has one threshold, so equal texts are on one side.
        self.source.len() == 1 || compared && by_text
    }

    /// Returns an error for an output that cannot be written as the job says.
    pub(super) fn check_output(&self) -> Result<(), JobError> {
        let output = &self.output;
        if output.formats.is_empty() && output.tokens.formats.is_empty() {
            let hint = "choose `jsonl`, `parquet` or both; without one, only `output.tokens` is \
                        written";
            return Err(JobError::invalid("output.formats", "empty", hint));
        }
        if output.schema == Schema::RedpajamaV1 && output.formats.contains(&Format::Parquet) {
            let problem = "`parquet`, which has the same columns in every file; the fields of \
                           `redpajama-v1` differ by slice";
            let hint = "set `output.schema = \"uniform\"`, or `output.formats = [\"jsonl\"]`";
            return Err(JobError::invalid("output.formats", problem, hint));
        }
        if output.filter_values && output.schema == Schema::RedpajamaV1 {
            let hint = "set `output.schema = \"uniform\"`";
            let problem = "`true`, but documents of `redpajama-v1` have no such field";
            return Err(JobError::invalid("output.filter_values", problem, hint));
        }
        if !output.tokens.formats.is_empty() && self.tokens.tokenizer.path().is_none() {
            let hint = "name a tokenizer.json in `tokens.tokenizer`, for instance that of \
                        GPT-NeoX-20B";
            let problem = "set, but the job has no tokenizer";
            return Err(JobError::invalid("output.tokens.formats", problem, hint));
        }
        if matches!(output.splits.validation, Validation::Documents(_)) && !self.has_unique_texts()
        {
            let problem = "a number, but equal texts of two sources may both be published, and the \
                           number divides each source by itself";
            let hint = "write a share such as \"1 %\", or give every source the step `documents` \
                        with `dedup.documents.key = \"text\"`";
            return Err(JobError::invalid("output.splits.validation", problem, hint));
        }
        match output.splits.validation {
            Validation::Share(share) if !(0.0..1.0).contains(&share) => {
                let problem = format!("`{} %`", share * 100.0);
                let hint = "write a share of less than 100 %, or a number of documents";
                Err(JobError::invalid("output.splits.validation", problem, hint))
            }
            Validation::None | Validation::Share(_) | Validation::Documents(_) => Ok(()),
        }
    }
}

impl Validation {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text == "none" {
            return Some(Self::None);
        }
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().ok()?;
            return percent.is_finite().then(|| Self::share(percent / 100.0));
        }
        text.parse().ok().map(Self::documents)
    }

    fn share(share: f64) -> Self {
        if share == 0.0 { Self::None } else { Self::Share(share) }
    }

    fn documents(documents: u64) -> Self {
        if documents == 0 { Self::None } else { Self::Documents(documents) }
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            // Twelve digits are more than a share can mean, and hide the error of the division.
            Self::Share(share) => {
                let percent = format!("{:.12}", share * 100.0);
                write!(f, "{} %", percent.trim_end_matches('0').trim_end_matches('.'))
            }
            Self::Documents(documents) => write!(f, "{documents}"),
        }
    }
}

impl Serialize for Validation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Validation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Given;

        impl Visitor<'_> for Given {
            type Value = Validation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share such as \"0.1 %\", a number of documents, or \"none\"")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Validation, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(value), &self);
                u64::try_from(value).map(Validation::documents).map_err(|_| wrong())
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Validation, E> {
                Ok(Validation::documents(value))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Validation, E> {
                let wrong = || E::invalid_value(de::Unexpected::Str(value), &self);
                Validation::read(value).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_any(Given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validation_part_is_a_share_or_a_number_and_is_written_as_it_was_read() {
        for (text, validation, written) in [
            ("0.1 %", Validation::Share(0.001), "0.1 %"),
            ("12%", Validation::Share(0.12), "12 %"),
            ("5000", Validation::Documents(5000), "5000"),
            ("none", Validation::None, "none"),
            ("0", Validation::None, "none"),
            ("0 %", Validation::None, "none"),
        ] {
            assert_eq!(Validation::read(text), Some(validation), "{text}");
            assert_eq!(validation.to_string(), written);
            assert_eq!(Validation::read(written), Some(validation), "{written}");
        }
        for text in ["1/1000", "nan %", "-5", "a share"] {
            assert_eq!(Validation::read(text), None, "{text}");
        }
    }
}
