//! Reads rows of BigQuery's `github_repos` as JSON lines: contents that are joined with files,
//! licences and languages.

use serde_json::Value;
use thresher_job::JobSpec;

use super::{CodeFile, Evaluated};
use crate::{Input, Meta, RecordOutcome, RecordSink, forms, json_rows};
use thresher_formats::gzip::InputDigest;
use thresher_unit::UnitError;

/// Reads a file of rows, and returns the digest of the input.
pub(super) fn read(
    job: &JobSpec,
    input: &Input<'_>,
    sink: &mut RecordSink<'_>,
) -> Result<InputDigest, UnitError> {
    json_rows::read(job, (input, &forms::GITHUB_ROWS), sink, |place, mut row: Meta, sink| {
        let content = row.shift_remove("content");
        let text =
            |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (repository, path, licence) = (text("repo_name"), text("path"), text("license"));
        let id = Some(text("id")).filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("{repository}/{path}"));
        let branch = text("ref");
        let branch = branch.strip_prefix("refs/heads/").unwrap_or(&branch).to_owned();
        let url = format!("https://github.com/{repository}/blob/{branch}/{path}");
        if path.is_empty() {
            let (reason, detail) = ("invalid_json", "the row has no `path`");
            return sink(place.read_record(RecordOutcome::Quarantined {
                id: &id,
                url: "",
                reason,
                detail,
            }));
        }
        let Some(Value::String(content)) = content else {
            let reason = "github/no_content";
            return sink(place.read_record(RecordOutcome::Dropped {
                id: &id,
                url: &url,
                reason,
                detail: "",
            }));
        };
        let file = CodeFile { path: &path, licence: &licence, content: &content, columns: row };
        let evaluated = Evaluated::of(&job.github, file);
        sink(place.read_record(evaluated.outcome((&id, &url), &path, &licence)))
    })
}
