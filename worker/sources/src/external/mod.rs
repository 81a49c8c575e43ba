//! The slice `external`: documents that a user's command writes, one JSON object on each line.
//!
//! ```text
//! bytes of the input ─▶ stdin of the command; its stdout ─▶ {"text": …} or {"drop": …} a line
//! ```
//! | key | meaning |
//! |---|---|
//! | `text` | the document; required unless the record is dropped or quarantined |
//! | `url`, `title`, `date`, `licence`, `language` | fields of the document; none by default |
//! | `id` | the id of the document; by default the input with the record's number |
//! | `key` | the key by which documents are compared if the job compares `payload` |
//! | `meta` | an object that is published with it |
//! | `drop` | the record is dropped for this reason, `external/<reason>` |
//! | `quarantine` | the record is damaged: `external/<reason>` |
//!
//! The command must read its input to the end and exit with status 0. Otherwise the unit fails, and
//! none of the input is published.

use serde::Deserialize;
use thresher_job::{JobSpec, SourceSpec};

use super::commoncrawl::dump_in;
use super::{Input, Meta, Page, ReadRecord, RecordOutcome, RecordSink, Source};
use crate::command::{Feed, Program, Reasons, command_line};
use thresher_formats::gzip::InputDigest;
use thresher_unit::UnitError;

/// The reader of the slice `external`.
pub struct External;

/// One line of a command's output.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    id: String,
    url: String,
    title: String,
    date: String,
    licence: Option<String>,
    language: Option<String>,
    key: String,
    text: Option<String>,
    meta: Option<Meta>,
    drop: Option<String>,
    quarantine: Option<String>,
}

impl Source for External {
    fn dump_of<'p>(&self, path: &'p str) -> &'p str {
        dump_in(path)
    }

    fn read(
        &self,
        job: &JobSpec,
        source: &SourceSpec,
        input: &Input<'_>,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputDigest, UnitError> {
        let command = job.command(&source.reader).ok_or_else(|| {
            UnitError::JobFile(format!("source `{}` has no `reader`", source.name))
        })?;
        let line = command_line(job, command, Some(input.path()), input.stop());
        let mut program = Program::start(&line, Feed::Bytes(input.open_owned()?))?;
        let mut record = 0;
        let mut reasons = Reasons::default();
        while let Some(line) = program.line()? {
            let given: Given = match serde_json::from_slice(&line) {
                Ok(given) => given,
                Err(error) => return Err(program.invalid_answer(&line, &error.to_string()).into()),
            };
            if given.text.is_some() == (given.drop.is_some() || given.quarantine.is_some()) {
                let why = "it must have either `text`, or `drop` or `quarantine` with a reason";
                return Err(program.invalid_answer(&line, why).into());
            }
            if let Some(reason) = given.drop.as_ref().or(given.quarantine.as_ref()) {
                reasons.check(reason).map_err(|why| program.invalid_answer(&line, &why))?;
            }
            let bytes = line.len() as u64;
            emit(input, &given, record, bytes, sink)?;
            record += 1;
        }
        program.end()?;
        input.digest()
    }
}

fn emit(
    input: &Input<'_>,
    given: &Given,
    record: u64,
    bytes: u64,
    sink: &mut RecordSink<'_>,
) -> Result<(), UnitError> {
    let own = format!("{}#{record}", input.path());
    let id = if given.id.is_empty() { &own } else { &given.id };
    let url = &given.url;
    let named = |reason: &str| format!("external/{reason}");
    let reason = given.drop.as_deref().or(given.quarantine.as_deref()).map(named);
    let outcome = match (&given.text, &reason) {
        (Some(text), _) if !text.is_empty() => RecordOutcome::Page(Page {
            id,
            url,
            date: &given.date,
            title: &given.title,
            text,
            payload_digest: &given.key,
            licence: given.licence.as_deref(),
            language: given.language.as_deref(),
            meta: given.meta.as_ref(),
            withdrawn: None,
            missing_files: 0,
            omitted_files: 0,
            damaged_characters: 0,
            published: None,
        }),
        (_, None) => RecordOutcome::Dropped { id, url, reason: "external/empty", detail: "" },
        (_, Some(reason)) if given.drop.is_some() => {
            RecordOutcome::Dropped { id, url, reason, detail: "" }
        }
        (_, Some(reason)) => RecordOutcome::Quarantined { id, url, reason, detail: "" },
    };
    sink(ReadRecord { offset: 0, record, bytes, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Seen, job, read_with};
    use std::path::PathBuf;

    fn with(script: &str) -> JobSpec {
        let mut job = job("c4", "thresher", "[[command]]\nname = \"mine\"\nrun = [\"sh\"]\n");
        job.command[0].run = ["sh", "-c", script].map(str::to_owned).to_vec();
        job.source[0].reader = "mine".to_owned();
        job
    }

    #[test]
    fn documents_and_dropped_records_come_out_in_order() {
        let script = r#"cat >/dev/null
            printf '%s\n' '{"text": "a", "id": "1", "meta": {"k": 1}}' '{"drop": "old"}' \
                '{"quarantine": "odd"}' '{"text": ""}' "{\"text\": \"$THRESHER_INPUT\"}""#;
        let seen = read_with(&External, &with(script), "in.x", b"whatever");
        let outcomes: Vec<String> = seen.iter().map(Seen::outcome).collect();
        assert_eq!(outcomes, ["a", "external/old", "external/odd", "external/empty", "in.x"]);
        let Seen::Page { id, meta, .. } = &seen[0] else { panic!("{seen:?}") };
        assert_eq!((id.as_str(), &meta["k"]), ("1", &serde_json::json!(1)));
    }

    #[test]
    fn a_large_input_is_written_while_answers_are_read() {
        let script = r#"tr '\0' '\n' | sed 's/.*/{"text": "line"}/'"#;
        let seen = read_with(&External, &with(script), "zeros", &vec![0; 200_000]);
        assert_eq!(seen.len(), 200_000);
    }

    #[test]
    fn a_command_that_fails_fails_the_unit() {
        for (script, expected) in [
            ("cat >/dev/null; echo '{\"text\": \"a\"}'; echo no >&2; exit 9", "status: 9"),
            ("cat >/dev/null; echo '{}'", "it must have either `text`, or"),
            ("cat >/dev/null; echo 'text'", "is not valid"),
            (r#"cat >/dev/null; echo '{"drop": "so old"}'"#, "a reason has 1 to 64"),
            (r#"cat >/dev/null; echo '{"quarantine": ""}'"#, "a reason has 1 to 64"),
            ("cat >/dev/null; printf '{\"text\": \"a\"}'", "incomplete"),
        ] {
            let job = with(script);
            let input = Input::sample("x", "x", b"abc", PathBuf::new());
            let error = External.read(&job, &job.source[0], &input, &mut |_| Ok(())).unwrap_err();
            assert!(error.to_string().contains(expected), "{script}: {error}");
        }
    }
}
