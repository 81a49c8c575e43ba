//! The state of allocations: the `flux jobs` command, its output, and the list of every state and
//! result that Flux knows.
//!
//! Lines are fields between `|`, with free text last, so that nothing in it can shift a field.

use std::time::Duration;

use thresher_site::batch::{
    AllocationId, AllocationState, CommandLine, Condition, Ending, Listed, ParseError,
};

use crate::plain_id;

const FORMAT: &str = "{id.f58}|{state}|{result}|{urgency}|{nnodes}|{t_remaining}|{runtime}|\
    {returncode}|{exception.type}|{dependencies}|{exception.note}";
const FIELDS: usize = 11;

/// The shell command of a search by name. The path is in the job's specification, which is JSON of
/// one line or several.
const FIND: &str = "flux jobs -a -n --color=never -o '{id.f58} {name}' | \
    while read -r id name; do [ \"$name\" != \"$1\" ] || \
    printf '%s|%s\\n' \"$id\" \"$(flux job info \"$id\" jobspec | tr '\\n' ' ')\"; done";

/// The meaning of a state word.
#[derive(Clone, Copy)]
enum Meaning {
    Pending,
    Running(Condition),
    Ended,
}

/// Every state, as `{state}` has it.
const STATES: &[(&str, Meaning)] = &[
    ("NEW", Meaning::Pending),
    ("DEPEND", Meaning::Pending),
    ("PRIORITY", Meaning::Pending),
    ("SCHED", Meaning::Pending),
    ("RUN", Meaning::Running(Condition::Working)),
    ("CLEANUP", Meaning::Running(Condition::Finishing)),
    ("INACTIVE", Meaning::Ended),
];

/// Types of exceptions that say more about a failed job than its code.
const EXCEPTIONS: &[(&str, Ending)] = &[
    ("timeout", Ending::Walltime),
    ("cancel", Ending::Cancelled),
    ("preempt", Ending::Preempted),
    ("node-failure", Ending::NodeFailed),
    ("lost-shell", Ending::NodeFailed),
    ("exec", Ending::NodeFailed),
];

/// The urgency of a job that is held.
const HELD: &str = "0";

/// A code above this is a signal that ended the script, as the shell of a job writes it.
const SIGNAL_BASE: i32 = 128;

pub(crate) fn jobs(ids: &[AllocationId]) -> Option<CommandLine> {
    let command = ["jobs", "-n", "--color=never", "-o", FORMAT]
        .into_iter()
        .fold(CommandLine::new("flux"), |line, word| line.argument(word));
    (!ids.is_empty()).then(|| ids.iter().fold(command, |c, id| c.argument(id.as_str())))
}

pub(crate) fn parse_jobs(out: &str) -> Result<Vec<(AllocationId, AllocationState)>, ParseError> {
    let lines = out.lines().filter(|line| !line.trim().is_empty() && !is_forgotten(line));
    lines.map(parse_line).collect()
}

/// Returns whether a line of errors says that Flux has no record of an id. It prints the others.
pub(crate) fn is_forgotten(line: &str) -> bool {
    line.contains("JobID") && line.trim_end().ends_with("unknown")
}

/// Returns the command that lists this user's jobs by name, ended ones too.
pub(crate) fn find(name: &str) -> CommandLine {
    CommandLine::new("sh").argument("-c").argument(FIND).argument("sh").argument(name)
}

pub(crate) fn parse_find(out: &str) -> Result<Vec<Listed>, ParseError> {
    let lines = out.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (id, path) =
                line.split_once('|').ok_or_else(|| ParseError::fields("flux jobs", line, 2, 1))?;
            Ok(Listed { id: parse_id(id)?, path: path.trim().to_owned() })
        })
        .collect()
}

fn parse_id(text: &str) -> Result<AllocationId, ParseError> {
    let id = plain_id(text.trim()).ok_or_else(|| ParseError::bad("allocation id", text))?;
    AllocationId::parse(&id)
}

fn parse_line(line: &str) -> Result<(AllocationId, AllocationState), ParseError> {
    let parts: Vec<&str> = line.splitn(FIELDS, '|').map(str::trim).collect();
    let [id, word, result, urgency, nodes, left, ran, code, exception, waits, note] = parts[..]
    else {
        return Err(ParseError::fields("flux jobs", line, FIELDS, parts.len()));
    };
    let known = STATES.iter().find(|(name, _)| *name == word);
    let (_, meaning) = known.ok_or_else(|| ParseError::unknown_state("flux jobs", word))?;
    let state = match *meaning {
        Meaning::Pending if urgency == HELD => AllocationState::Held { reason: String::new() },
        Meaning::Pending => AllocationState::Pending { reason: said(waits) },
        Meaning::Running(condition) => AllocationState::Running {
            condition,
            nodes: nodes.parse().ok(),
            time_left: seconds(left)?,
        },
        Meaning::Ended => AllocationState::Ended {
            ending: parse_ending(result, code, exception)?,
            reason: said(note),
            ran: seconds(ran)?,
        },
    };
    Ok((parse_id(id)?, state))
}

/// Returns how it ended, by the result, the type of its exception, and the code.
fn parse_ending(result: &str, code: &str, exception: &str) -> Result<Ending, ParseError> {
    let known = EXCEPTIONS.iter().find(|(name, _)| *name == exception);
    match result {
        "COMPLETED" => Ok(Ending::Completed),
        "TIMEOUT" => Ok(Ending::Walltime),
        "CANCELED" => Ok(Ending::Cancelled),
        "FAILED" => match known {
            Some((_, ending)) => Ok(*ending),
            None => of_code(code),
        },
        other => Err(ParseError::unknown_state("flux jobs", other)),
    }
}

fn of_code(code: &str) -> Result<Ending, ParseError> {
    if code.is_empty() || code == "-" {
        return Ok(Ending::Failed { code: None, signal: None });
    }
    let wrong = || ParseError::bad("exit code", code);
    let number: i32 = code.parse().map_err(|_| wrong())?;
    let byte = |n: i32| u8::try_from(n).map_err(|_| wrong());
    Ok(match number {
        // The code of a job that never started.
        -128 => Ending::Failed { code: None, signal: None },
        ..0 => Ending::Failed { code: None, signal: Some(byte(-number)?) },
        n if n > SIGNAL_BASE => Ending::Failed { code: None, signal: Some(byte(n - SIGNAL_BASE)?) },
        n => Ending::Failed { code: Some(byte(n)?), signal: None },
    })
}

/// Returns a text; empty for what Flux prints if there is none.
fn said(text: &str) -> String {
    if ["-", "[]"].contains(&text) { String::new() } else { text.to_owned() }
}

/// Reads a time such as `7199.52`; `None` if nothing is written, or 0, which means unknown.
fn seconds(text: &str) -> Result<Option<Duration>, ParseError> {
    if text.is_empty() || text == "-" {
        return Ok(None);
    }
    let time: f64 = text.parse().map_err(|_| ParseError::bad("length of time", text))?;
    let time = Duration::try_from_secs_f64(time.max(0.0))
        .map_err(|_| ParseError::bad("length of time", text))?;
    Ok(Some(Duration::from_secs(time.as_secs())).filter(|_| !time.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(line: &str) -> AllocationState {
        parse_jobs(line).unwrap().remove(0).1
    }

    #[test]
    fn every_state_of_the_manual_is_known_and_listed_once() {
        let manual = "NEW DEPEND PRIORITY SCHED RUN CLEANUP INACTIVE";
        for word in manual.split_whitespace() {
            assert_eq!(STATES.iter().filter(|(name, _)| *name == word).count(), 1, "{word}");
            let line = format!("fA1|{word}|COMPLETED|16|2|60.5|1.0|0||[]|");
            assert_eq!(parse_jobs(&line).unwrap().len(), 1, "{line}");
        }
        assert_eq!(STATES.len(), manual.split_whitespace().count());
        let error = parse_jobs("fA1|BAKING||16||0.0|0.0|||[]|").unwrap_err();
        assert_eq!(error, ParseError::unknown_state("flux jobs", "BAKING"));
    }

    #[test]
    fn an_end_is_explained_by_result_exception_and_code() {
        let failed = |code, signal| Ending::Failed { code, signal };
        for (line, expected) in [
            ("COMPLETED|16|2|0.0|9.9|0||[]|", Ending::Completed),
            ("TIMEOUT|16|2|0.0|9.9|143|timeout|[]|resource allocation expired", Ending::Walltime),
            ("CANCELED|16|2|0.0|9.9|-128|cancel|[]|", Ending::Cancelled),
            ("FAILED|16|2|0.0|9.9|1||[]|", failed(Some(1), None)),
            ("FAILED|16|2|0.0|9.9|137||[]|", failed(None, Some(9))),
            ("FAILED|16|2|0.0|9.9|-9||[]|", failed(None, Some(9))),
            ("FAILED|16|2|0.0|9.9|-128|dependency|[]|x", failed(None, None)),
            ("FAILED|16|2|0.0|9.9|137|node-failure|[]|lost n1", Ending::NodeFailed),
        ] {
            let AllocationState::Ended { ending, ran, .. } = state(&format!("ƒA1|INACTIVE|{line}"))
            else {
                panic!("{line}")
            };
            assert_eq!((ending, ran), (expected, Some(Duration::from_secs(9))), "{line}");
        }
        assert!(parse_jobs("fA1|INACTIVE|MELTED|16||0.0|0.0|0||[]|").is_err());
    }

    #[test]
    fn waiting_held_and_running_jobs_are_distinguished() {
        let waits = state("fA1|DEPEND||16||0.0|0.0|||['after-finish=fA0']|");
        let reason = "['after-finish=fA0']".to_owned();
        assert_eq!(waits, AllocationState::Pending { reason });
        assert!(matches!(state("fA1|SCHED||0||0.0|0.0|||[]|"), AllocationState::Held { .. }));
        let running = state("fA1|RUN||16|2|7199.52|0.48|||[]|");
        let time_left = Some(Duration::from_secs(7199));
        let condition = Condition::Working;
        assert_eq!(running, AllocationState::Running { condition, nodes: Some(2), time_left });
    }

    #[test]
    fn a_forgotten_id_is_left_out_and_a_note_may_hold_the_delimiter() {
        assert_eq!(parse_jobs("flux-jobs: ERROR: JobID fA1 unknown\n"), Ok(vec![]));
        assert!(!is_forgotten("flux-jobs: ERROR: unable to connect to Flux"));
        let ended = state("fA1|INACTIVE|FAILED|16|2|0.0|1.0|1|x|[]|a|b");
        assert!(matches!(ended, AllocationState::Ended { reason, .. } if reason == "a|b"));
        assert!(matches!(parse_jobs("fA1|RUN"), Err(ParseError::Fields { .. })));
    }
}
