//! The slice `github`: files of code under permissive licences.
//!
//! | input | a record is |
//! |---|---|
//! | BigQuery's export of `github_repos`, JSON lines, plain or packed | a row |
//! | The Stack, Parquet | a row |
//! | repositories, tar (plain or packed) or zip, such as `.crate` and `.whl` | a file |
//! | with `trees`: any file `<repository>/<path>` | the file |
//!
//! ```text
//! licence → content → hash → header cut → name → lines → characters → letters per token → document
//! ```
//! The order of the rules is RedPajama's, and a file is dropped for the first rule that it breaks.
//! The last rule is applied where tokens are counted (`stages/prepare`). RedPajama compared files
//! between hash and name; `github.compares` selects whether dropped files take part.
//!
//! **Invariant:** thresholds apply to the text without its header; the hash is of the whole text.

mod archive;
mod header;
mod licence;
mod measure;
mod notice;
mod parquet_rows;
mod rows;
mod tree;

use md5::{Digest, Md5};
use serde_json::json;
use thresher_job::{Compares, GithubSpec, HeaderCut, JobSpec, SourceSpec};

use super::{
    Input, Meta, Page, PlannedInput, RecordOutcome, RecordSink, Refusal, Source, forms, json_rows,
};
use thresher_formats::form::Form;
use thresher_formats::gzip::InputDigest;
use thresher_formats::piece::Piece;
use thresher_unit::UnitError;

use measure::Measured;

const PARQUET: &str = ".parquet";

/// The reader of the slice `github`.
pub struct Github;

impl Source for Github {
    fn pieces(
        &self,
        job: &JobSpec,
        input: &PlannedInput<'_>,
        target_bytes: u64,
    ) -> Result<Vec<Piece>, UnitError> {
        match input.bytes {
            Some(_) | None if job.github.trees => Ok(Vec::new()),
            Some(bytes) if input.path.ends_with(PARQUET) => Ok(Piece::even(bytes, target_bytes)),
            Some(_) | None => Ok(json_rows::pieces(input, target_bytes)),
        }
    }

    fn can_cut(&self, form: Form) -> bool {
        forms::can_be_cut(form, &[Form::Json, Form::Parquet])
    }

    fn read(
        &self,
        job: &JobSpec,
        _: &SourceSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError> {
        if job.github.trees {
            return tree::read(job, input, sink);
        }
        match (input.form_of_content()?, input.path()) {
            (Form::Parquet, _) => parquet_rows::read(job, input, sink),
            (Form::Tar | Form::Zip, _) => archive::read(job, input, sink),
            // A damaged file is what its name says.
            (Form::Other | Form::Empty, path) if path.ends_with(PARQUET) => {
                parquet_rows::read(job, input, sink)
            }
            (Form::Other | Form::Empty, path) if archive::is_archive(path) => {
                archive::read(job, input, sink)
            }
            _ => rows::read(job, input, sink),
        }
    }

    fn refuse_by_tokens(&self, job: &JobSpec, text: &str, tokens: Option<u64>) -> Option<Refusal> {
        let reason = few_letters(&job.github, text, tokens)?;
        Some(Refusal { reason, compared: job.github.compares == Compares::All })
    }
}

/// One file of a repository, from any kind of input.
struct CodeFile<'a> {
    /// The path within the repository.
    path: &'a str,
    licence: &'a str,
    content: &'a str,
    /// The other fields that the input has for the file.
    columns: Meta,
}

/// A file to which the rules were applied. It owns the text, to which its outcome refers.
struct Evaluated {
    text: String,
    content_hash: String,
    meta: Meta,
    dropped: Option<&'static str>,
    /// Whether the file takes part in the comparison of files although it is dropped.
    compared: bool,
}

impl Evaluated {
    /// Cuts the header of a file, measures it, and applies the rules.
    fn of(spec: &GithubSpec, file: CodeFile<'_>) -> Self {
        let content_hash = md5_hex(file.content);
        let text = match spec.header {
            HeaderCut::V1 => header::cut_as_published(file.content).into_owned(),
            HeaderCut::Licence => header::cut(file.path, file.content),
            HeaderCut::Keep => file.content.to_owned(),
        };
        let measured = Measured::of(&text);
        let pointer = spec.drop_lfs_pointers && is_lfs_pointer(file.content);
        let refused = reason_by_licence_or_name(spec, file.licence, file.path)
            .or_else(|| pointer.then_some("github/lfs_pointer"));
        let compared = refused.is_none() && spec.compares == Compares::All;
        let dropped = refused.or_else(|| rule_broken(spec, file.path, &measured));
        let mut meta = Meta::new();
        meta.insert("content_hash".into(), json!(content_hash));
        meta.insert("timestamp".into(), json!(""));
        meta.insert("source".into(), json!("github"));
        meta.insert("line_count".into(), json!(measured.lines));
        meta.insert("max_line_length".into(), json!(measured.max_line_chars));
        meta.insert("avg_line_length".into(), json!(measured.mean_line_chars()));
        meta.insert("alnum_prop".into(), json!(measured.alphanumeric_share()));
        meta.extend(file.columns);
        Self { text, content_hash, meta, dropped, compared }
    }

    /// Returns the outcome of the file's record.
    fn outcome<'a>(
        &'a self,
        (id, url): (&'a str, &'a str),
        path: &'a str,
        licence: &'a str,
    ) -> RecordOutcome<'a> {
        if let Some(reason) = self.dropped.filter(|_| !self.compared) {
            return RecordOutcome::Dropped { id, url, reason, detail: "" };
        }
        RecordOutcome::Page(Page {
            id,
            url,
            title: path,
            text: &self.text,
            payload_digest: &self.content_hash,
            licence: Some(licence),
            meta: Some(&self.meta),
            withdrawn: self.dropped,
            ..Page::default()
        })
    }
}

/// Returns the reason to drop a file by its licence or name, before its content is compared.
fn reason_by_licence_or_name(spec: &GithubSpec, licence: &str, path: &str) -> Option<&'static str> {
    let licence = licence.to_ascii_lowercase();
    if !spec.licences.iter().any(|known| licence.starts_with(known)) {
        return Some("github/licence");
    }
    (path.ends_with(".crt") || path == "LICENSE").then_some("github/no_code")
}

/// Returns whether a file only says where Git LFS keeps its content.
fn is_lfs_pointer(content: &str) -> bool {
    // The specification allows at most this many bytes.
    content.len() < 1024
        && content.starts_with("version https://git-lfs.github.com/spec/")
        && content.contains("\noid ")
}

/// Returns the reason of the first rule that the file breaks.
fn rule_broken(spec: &GithubSpec, path: &str, measured: &Measured) -> Option<&'static str> {
    let rules = [
        (measured.chars == 0, "github/empty"),
        (!spec.endings.iter().any(|ending| path.ends_with(ending)), "github/ending"),
        (measured.max_line_chars > spec.max_line_chars, "github/long_line"),
        (measured.mean_line_chars() > spec.max_mean_line_chars, "github/long_mean_line"),
        (measured.alphanumeric_share() < spec.min_alphanumeric, "github/few_alphanumeric"),
    ];
    rules.into_iter().find(|(broken, _)| *broken).map(|(_, reason)| reason)
}

/// Applies the rule that needs a tokenizer. Returns `None` if the file passes, or if the job has no
/// tokenizer or no such rule.
fn few_letters(spec: &GithubSpec, text: &str, tokens: Option<u64>) -> Option<&'static str> {
    let tokens = tokens.filter(|_| spec.min_letters_per_token > 0.0)?;
    let letters = measure::letters(text);
    let few = (letters as f64) < spec.min_letters_per_token * tokens as f64;
    few.then_some("github/few_letters_per_token")
}

fn md5_hex(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
