//! `explain`: the state of a unit, and why it is in that state.

use std::process::ExitCode;

use clap::Args;
use thresher_domain::AttemptRef;
use thresher_proto::pb::{ExplainRequest, ExplainResponse};

use super::connection::{Reached, block_on, reach, refused};
use super::place::StatePlace;
use super::{Exit, print};
use thresher_coordinator::run::explain_from_state;

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
        None => explain_from_state(&state, &args.unit)?,
    };
    print::result(&if args.json { json(&answer)? } else { text(&answer) })?;
    Ok(Exit::Done.into())
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
