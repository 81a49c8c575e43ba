//! The state of allocations: the `bjobs` command, its output, and the list of every state that LSF
//! knows.
//!
//! Lines are fields between `|`, with free text last, so that nothing in it can shift a field. With
//! a delimiter, `bjobs` does not cut fields to a column's width.

use std::time::Duration;

use thresher_site::batch::{
    AllocationId, AllocationState, CommandLine, Condition, Ending, ParseError,
};

const FORMAT: &str = "jobid stat exit_code runtimelimit run_time exit_reason pend_reason \
    delimiter='|'";
const FIELDS: usize = 7;

/// What LSF prints for an empty field.
const NOTHING: &str = "-";

/// Codes above this are signals, even if no reason is given.
const SIGNAL_BASE: u16 = 128;

/// LSF sends SIGUSR2 when the walltime ends; nothing of ours sends it.
const SIGUSR2: u8 = 12;

/// The meaning of a state word.
#[derive(Clone, Copy)]
enum Meaning {
    Pending,
    Running(Condition),
    Done,
    Exited,
    Lost,
}

/// Every state, as `bjobs` writes it.
const STATES: &[(&str, Meaning)] = &[
    ("PEND", Meaning::Pending),
    // It is held by its owner, an operator, or LSF after failed starts.
    ("PSUSP", Meaning::Pending),
    ("WAIT", Meaning::Pending),
    ("RUN", Meaning::Running(Condition::Working)),
    ("USUSP", Meaning::Running(Condition::Suspended)),
    ("SSUSP", Meaning::Running(Condition::Suspended)),
    // The host does not answer; it may come back with the job still running.
    ("UNKWN", Meaning::Running(Condition::Unreachable)),
    ("DONE", Meaning::Done),
    ("EXIT", Meaning::Exited),
    // It was killed while its host did not answer.
    ("ZOMBI", Meaning::Lost),
];

/// Reasons that say more about an end than its code. Other reasons keep the code, and their text is
/// shown.
const EXIT_REASONS: &[(&str, Ending)] = &[
    ("TERM_RUNLIMIT", Ending::Walltime),
    ("TERM_PREEMPT", Ending::Preempted),
    ("TERM_REQUEUE_OWNER", Ending::Preempted),
    ("TERM_REQUEUE_ADMIN", Ending::Preempted),
    ("TERM_OWNER", Ending::Cancelled),
    ("TERM_FORCE_OWNER", Ending::Cancelled),
    ("TERM_ADMIN", Ending::Cancelled),
    ("TERM_FORCE_ADMIN", Ending::Cancelled),
    ("TERM_MEMLIMIT", Ending::OutOfMemory),
    ("TERM_DEADLINE", Ending::Deadline),
    ("TERM_ZOMBIE", Ending::Lost),
    ("TERM_CSM_ALLOC", Ending::NodeFailed),
];

/// Returns the command. `-a` adds jobs that ended within the last hour or so.
pub(crate) fn bjobs(ids: &[AllocationId]) -> Option<CommandLine> {
    let command = CommandLine::new("bjobs").argument("-noheader").argument("-a");
    let command = command.short("o", Some(FORMAT));
    (!ids.is_empty()).then(|| ids.iter().fold(command, |c, id| c.argument(id.as_str())))
}

pub(crate) fn parse_bjobs(out: &str) -> Result<Vec<(AllocationId, AllocationState)>, ParseError> {
    let lines = out.lines().map(str::trim).filter(|line| !line.is_empty() && !is_forgotten(line));
    lines.map(parse_line).collect()
}

/// Returns whether a line says that `bjobs` has no record of an id; such lines are mixed with the
/// others.
fn is_forgotten(line: &str) -> bool {
    line.starts_with("Job <") && line.ends_with("> is not found")
}

fn parse_line(line: &str) -> Result<(AllocationId, AllocationState), ParseError> {
    let parts: Vec<&str> = line.splitn(FIELDS, '|').map(str::trim).collect();
    let [id, word, exit_code, limit, run_time, exit_reason, pend_reason] = parts[..] else {
        return Err(ParseError::fields("bjobs", line, FIELDS, parts.len()));
    };
    let known = STATES.iter().find(|(name, _)| *name == word);
    let (_, meaning) = known.ok_or_else(|| ParseError::unknown_state("bjobs", word))?;
    let ended = |ending| AllocationState::Ended { ending, reason: said(exit_reason) };
    let state = match *meaning {
        Meaning::Pending => AllocationState::Pending { reason: said(pend_reason) },
        Meaning::Running(condition) => AllocationState::Running {
            condition,
            nodes: None,
            time_left: time_left(limit, run_time)?,
        },
        Meaning::Done => ended(Ending::Completed),
        Meaning::Exited => ended(parse_ending(exit_code, exit_reason)?),
        Meaning::Lost => ended(Ending::Lost),
    };
    Ok((AllocationId::parse(id)?, state))
}

fn said(reason: &str) -> String {
    if reason == NOTHING { String::new() } else { reason.to_owned() }
}

/// Returns how it ended, by a reason such as `TERM_RUNLIMIT: job killed after reaching LSF run time
/// limit`, else by the code.
fn parse_ending(code: &str, reason: &str) -> Result<Ending, ParseError> {
    let name = reason.split([':', ' ']).next().unwrap_or_default();
    if let Some((_, ending)) = EXIT_REASONS.iter().find(|(known, _)| *known == name) {
        return Ok(*ending);
    }
    if code == NOTHING || code.is_empty() {
        return Ok(Ending::Failed { code: None, signal: None });
    }
    let wrong = || ParseError::bad("exit code", code);
    let number: u16 = code.parse().map_err(|_| wrong())?;
    let low = |n: u16| u8::try_from(n).map_err(|_| wrong());
    match number.checked_sub(SIGNAL_BASE) {
        None | Some(0) => Ok(Ending::Failed { code: Some(low(number)?), signal: None }),
        Some(signal) if low(signal)? == SIGUSR2 => Ok(Ending::Walltime),
        Some(signal) if signal < SIGNAL_BASE => {
            Ok(Ending::Failed { code: None, signal: Some(low(signal)?) })
        }
        Some(_) => Err(wrong()),
    }
}

/// Returns the time left, from a limit such as `1440.0` (minutes) and a time such as `16038
/// second(s)`.
fn time_left(limit: &str, run_time: &str) -> Result<Option<Duration>, ParseError> {
    if limit == NOTHING || limit.is_empty() || run_time == NOTHING {
        return Ok(None);
    }
    let whole = limit.split_once('.').map_or(limit, |(whole, _)| whole);
    let minutes: u32 = whole.parse().map_err(|_| ParseError::bad("run limit", limit))?;
    let seconds = run_time.split(' ').next().unwrap_or_default();
    let seconds: u64 = seconds.parse().map_err(|_| ParseError::bad("run time", run_time))?;
    Ok(Some(Duration::from_secs((u64::from(minutes) * 60).saturating_sub(seconds))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(line: &str) -> AllocationState {
        parse_bjobs(line).unwrap().remove(0).1
    }

    #[test]
    fn every_state_of_the_manual_is_known_and_listed_once() {
        let manual = "PEND PSUSP RUN USUSP SSUSP WAIT DONE EXIT UNKWN ZOMBI";
        for word in manual.split_whitespace() {
            assert_eq!(STATES.iter().filter(|(name, _)| *name == word).count(), 1, "{word}");
            let line = format!("7|{word}|-|120.0|60 second(s)|-|-");
            assert_eq!(parse_bjobs(&line).unwrap().len(), 1, "{line}");
        }
        assert_eq!(STATES.len(), manual.split_whitespace().count());
    }

    #[test]
    fn an_unknown_state_is_an_error_that_names_it() {
        let error = parse_bjobs("7|RUN|-|-|-|-|-\n8|PROV|-|-|-|-|-\n").unwrap_err();
        assert_eq!(error, ParseError::unknown_state("bjobs", "PROV"));
    }

    #[test]
    fn an_exit_is_explained_by_its_reason_or_else_by_its_code() {
        let cases = [
            ("140|-", Ending::Walltime),
            ("137|TERM_RUNLIMIT: job killed after reaching LSF run time limit", Ending::Walltime),
            ("130|TERM_OWNER: job killed by owner", Ending::Cancelled),
            ("130|TERM_PREEMPT: job killed after preemption", Ending::Preempted),
            ("130|-", Ending::Failed { code: None, signal: Some(2) }),
            ("3|-", Ending::Failed { code: Some(3), signal: None }),
            ("128|-", Ending::Failed { code: Some(128), signal: None }),
            ("137|TERM_SOMETHING_NEW: ?", Ending::Failed { code: None, signal: Some(9) }),
            ("-|-", Ending::Failed { code: None, signal: None }),
        ];
        for (end, expected) in cases {
            let (code, text) = end.split_once('|').unwrap();
            let reason = said(text);
            let found = state(&format!("7|EXIT|{code}|120.0|60 second(s)|{text}|-"));
            assert_eq!(found, AllocationState::Ended { ending: expected, reason }, "{end}");
        }
    }

    #[test]
    fn a_pending_reason_may_hold_the_delimiter() {
        let reason = "Not enough slots: select[a||b];".to_owned();
        let found = state("7|PEND|-|120.0|0 second(s)|-|Not enough slots: select[a||b];");
        assert_eq!(found, AllocationState::Pending { reason });
    }

    #[test]
    fn a_line_of_another_shape_is_refused() {
        assert!(matches!(parse_bjobs("7|RUN|-"), Err(ParseError::Fields { .. })));
        let lines = ["x y|RUN|-|-|-|-|-", "7|EXIT|many|-|-|-|-", "7|EXIT|256|-|-|-|-"];
        for line in lines.into_iter().chain(["7|RUN|-|soon|1 second(s)|-|-", "7|RUN|-|1.0|x|-|-"]) {
            assert!(matches!(parse_bjobs(line), Err(ParseError::Value { .. })), "{line}");
        }
    }

    #[test]
    fn one_call_covers_all_ids_and_a_forgotten_id_is_left_out() {
        let ids = ["7", "8"].map(|id| AllocationId::parse(id).unwrap());
        let asked = bjobs(&ids).unwrap();
        assert_eq!(asked.arguments[..3], ["-noheader", "-a", "-o"]);
        assert_eq!(asked.arguments[3], FORMAT);
        assert_eq!(asked.arguments[4..], ["7", "8"]);
        assert_eq!(bjobs(&[]), None);
        assert_eq!(parse_bjobs("Job <7> is not found\n"), Ok(vec![]));
    }
}
