//! `explain`: the state of a unit, and why it is in that state.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use thresher_domain::AttemptRef;
use thresher_proto::pb::{ExplainRequest, ExplainResponse, JobState};

use super::connection::{Reached, block_on, reach, refused};
use super::liveness::Coordinator;
use super::place::{StatePlace, resume_command};
use super::{Exit, print};
use thresher_coordinator::clock;
use thresher_coordinator::run::{JournalStatus, explain_from_state};

/// The word for the state of a unit that a worker runs.
const LEASED: &str = "leased";

/// Explain a unit's state
///
/// The name of a unit is as in `status` and in errors: `prepare/17`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher explain prepare/17 job.toml")]
pub(super) struct ExplainArgs {
    /// Stage and number, like `prepare/17`
    #[arg(value_name = "UNIT")]
    unit: String,
    #[command(flatten)]
    place: StatePlace,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    args.unit.parse::<AttemptRef>()?;
    let state = args.place.directory()?;
    let answer = block_on(async {
        match reach(&state).await? {
            Reached::Coordinator(mut client) => {
                let request = ExplainRequest { unit: args.unit.clone() };
                let answer = client.explain(request).await.map_err(|status| refused(&status))?;
                Ok(Some(answer.into_inner()))
            }
            Reached::Nobody(_) => Ok(None),
        }
    })?;
    let answer = match answer {
        Some(answer) => answer,
        None => explain_offline(&state, &args.unit)?,
    };
    match args.json {
        true => print::json(&json(&answer)?)?,
        false => print::result(&text(&answer))?,
    }
    Ok(Exit::Done.into())
}

/// Explains a unit's state from the journal. Nothing runs in a drained job or under a dead
/// coordinator.
fn explain_offline(state: &Path, unit: &str) -> anyhow::Result<ExplainResponse> {
    let (answer, JournalStatus { status, written }) = explain_from_state(state, unit)?;
    let now = clock::now();
    let coordinator = Coordinator::silent(state, &status, written, now);
    let words = if coordinator.is_dead() {
        coordinator.words(now.millis())
    } else if status.state() == JobState::Drained {
        match status.reason.lines().next() {
            Some(reason) => format!("it is blocked, since {reason}"),
            None => "it is drained".to_owned(),
        }
    } else {
        return Ok(answer);
    };
    Ok(interrupted(answer, &words, &resume_command(state)?))
}

fn interrupted(mut answer: ExplainResponse, words: &str, again: &str) -> ExplainResponse {
    if answer.state == LEASED {
        answer.state = "held by a dead worker".to_owned();
    }
    let sentence = format!("nothing runs until {again} resumes the job: {words}");
    answer.because.insert(0, sentence);
    answer
}

fn text(answer: &ExplainResponse) -> String {
    let unit = answer.unit.unwrap_or_default();
    let mut text = format!("{unit}: {}\n", answer.state);
    for sentence in &answer.because {
        text.push_str("  ");
        text.push_str(&sentence.replace('\n', "\n  "));
        text.push('\n');
    }
    text
}

fn json(answer: &ExplainResponse) -> anyhow::Result<String> {
    let unit = answer.unit.unwrap_or_default().to_string();
    let value = serde_json::json!({
        "unit": unit, "state": answer.state, "because": answer.because,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use thresher_proto::pb::{Stage, UnitRef};

    #[test]
    fn a_unit_is_not_leased_under_a_dead_coordinator() {
        let because = || vec!["Worker 1 runs it.".to_owned()];
        for (state, expected) in [("leased", "held by a dead worker"), ("done", "done")] {
            let state = state.to_owned();
            let answer =
                ExplainResponse { state, because: because(), ..ExplainResponse::default() };
            let text = text(&interrupted(answer, "its coordinator is dead", "`x`"));
            assert!(text.contains(&format!(": {expected}\n")), "{text}");
            assert!(
                text.contains("until `x` resumes the job: its coordinator is dead\n"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_answer_reads_as_sentences() {
        let answer = ExplainResponse {
            unit: Some(UnitRef { stage: Stage::Prepare.into(), ordinal: 17, attempt: 0 }),
            state: "waiting".to_owned(),
            because: vec!["No worker is here.".to_owned(), "It failed:\nno space.".to_owned()],
        };
        assert_eq!(
            text(&answer),
            "prepare/17: waiting\n  No worker is here.\n  It failed:\n  no space.\n"
        );
    }
}
