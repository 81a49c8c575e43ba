//! How a job has ended, and whether its output is there: status 0 must mean that it can be used.

use thresher_job::JobSpec;
use thresher_proto::pb;

use crate::restart::JobTools;

/// The end of a job, and whether its output is whole.
pub(super) struct JobEnd {
    pub(super) status: pb::StatusResponse,
    pub(super) is_whole: bool,
}

impl JobEnd {
    /// The end of a job whose output is not looked at.
    pub(super) fn unseen(status: pb::StatusResponse) -> Self {
        Self { status, is_whole: true }
    }

    /// Looks at the output of a job that has completed: it may have been removed between the last
    /// unit and now, also by somebody who believed that the job was dead.
    pub(super) fn look(
        mut status: pb::StatusResponse,
        job: Option<&JobSpec>,
        tools: JobTools,
    ) -> Self {
        let complete = job.filter(|_| status.state().is_complete());
        let loss = complete.map_or(Ok(None), tools.output_loss).unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known whether the output is whole");
            None
        });
        let is_whole = loss.is_none();
        status.output_lost = !is_whole;
        status.attention.extend(
            loss.map(|loss| format!("{loss}\nhint: run the same command again to rebuild it")),
        );
        Self { status, is_whole }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_job_whose_output_is_gone_at_its_end_is_no_success() {
        let text = "[job]\nname = \"a\"\n[[source]]\nslice = \"c4\"\nlisting = \"x\"\n\
                    [language]\nmodel = \"none\"\n[output]\npath = \"/out\"\n";
        let job = JobSpec::parse(text, Path::new("/jobs")).unwrap();
        let tools = JobTools {
            check: |_, _| Ok(()),
            output_loss: |_| Ok(Some("`/out` has no manifest".to_owned())),
            remove_output: |_, _| Ok(()),
            repaired_inputs: |_, _, _| Ok(None),
            note: |_| {},
        };
        let status = |state: pb::JobState| pb::StatusResponse {
            state: state.into(),
            ..pb::StatusResponse::default()
        };
        let end = JobEnd::look(status(pb::JobState::Complete), Some(&job), tools);
        assert!(!end.is_whole);
        let attention = end.status.attention;
        assert!(attention[0].contains("no manifest\nhint: run the same command"), "{attention:?}");
        let end = JobEnd::look(status(pb::JobState::Drained), Some(&job), tools);
        assert!(end.is_whole && end.status.attention.is_empty());
    }
}
