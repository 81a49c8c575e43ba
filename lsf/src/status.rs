//! The state of allocations: the `bjobs` command, its output, and the list of every state that LSF
//! knows.
//!
//! Lines are fields between `|`, with free text last, so that nothing in it can shift a field. With
//! a delimiter, `bjobs` does not cut fields to a column's width.

use std::time::Duration;

use thresher_site::batch::{
    AllocationId, AllocationState, CommandLine, Condition, Ending, Listed, ParseError,
};

const FORMAT: &str = "jobid stat exit_code runtimelimit run_time exit_reason pend_reason \
    delimiter='|'";
const FIELDS: usize = 7;

/// The fields of a search by name.
const FIND_FORMAT: &str = "jobid output_file delimiter='|'";

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
    Held,
    Running(Condition),
    Done,
    Exited,
    Lost,
}

/// Every state, as `bjobs` writes it.
const STATES: &[(&str, Meaning)] = &[
    ("PEND", Meaning::Pending),
    // It is suspended before its start by its owner, an operator, or LSF after failed starts.
    ("PSUSP", Meaning::Held),
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
/// others, and `bjobs` fails if there is one.
pub(crate) fn is_forgotten(line: &str) -> bool {
    let line = line.trim().trim_end_matches('.');
    let of_one = line.starts_with("Job <") && line.ends_with("> is not found");
    of_one || ["No matching job found", "No job found"].contains(&line)
}

/// Returns the command that lists this user's jobs by name, those that ended lately too.
pub(crate) fn find(name: &str) -> CommandLine {
    CommandLine::new("bjobs")
        .argument("-noheader")
        .argument("-a")
        .short("J", Some(name))
        .short("o", Some(FIND_FORMAT))
}

pub(crate) fn parse_find(out: &str) -> Result<Vec<Listed>, ParseError> {
    let lines = out.lines().map(str::trim).filter(|line| !line.is_empty() && !is_forgotten(line));
    lines
        .map(|line| {
            let (id, path) =
                line.split_once('|').ok_or_else(|| ParseError::fields("bjobs", line, 2, 1))?;
            Ok(Listed { id: AllocationId::parse(id.trim())?, path: path.trim().to_owned() })
        })
        .collect()
}

fn parse_line(line: &str) -> Result<(AllocationId, AllocationState), ParseError> {
    let parts: Vec<&str> = line.splitn(FIELDS, '|').map(str::trim).collect();
    let [id, word, exit_code, limit, run_time, exit_reason, pend_reason] = parts[..] else {
        return Err(ParseError::fields("bjobs", line, FIELDS, parts.len()));
    };
    let known = STATES.iter().find(|(name, _)| *name == word);
    let (_, meaning) = known.ok_or_else(|| ParseError::unknown_state("bjobs", word))?;
    let ended = |ending| -> Result<AllocationState, ParseError> {
        let ran = seconds(run_time)?.map(Duration::from_secs);
        Ok(AllocationState::Ended { ending, reason: said(exit_reason), ran })
    };
    let state = match *meaning {
        Meaning::Pending => AllocationState::Pending { reason: said(pend_reason) },
        Meaning::Held => AllocationState::Held { reason: said(pend_reason) },
        Meaning::Running(condition) => AllocationState::Running {
            condition,
            nodes: None,
            time_left: time_left(limit, run_time)?,
        },
        Meaning::Done => ended(Ending::Completed)?,
        Meaning::Exited => ended(parse_ending(exit_code, exit_reason)?)?,
        Meaning::Lost => ended(Ending::Lost)?,
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
    if limit == NOTHING || limit.is_empty() {
        return Ok(None);
    }
    let Some(seconds) = seconds(run_time)? else { return Ok(None) };
    let whole = limit.split_once('.').map_or(limit, |(whole, _)| whole);
    let minutes: u32 = whole.parse().map_err(|_| ParseError::bad("run limit", limit))?;
    Ok(Some(Duration::from_secs((u64::from(minutes) * 60).saturating_sub(seconds))))
}

/// Reads a time such as `16038 second(s)`; `None` if nothing is written.
fn seconds(run_time: &str) -> Result<Option<u64>, ParseError> {
    if run_time == NOTHING || run_time.is_empty() {
        return Ok(None);
    }
    let number = run_time.split(' ').next().unwrap_or_default();
    number.parse().map(Some).map_err(|_| ParseError::bad("run time", run_time))
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
            let ran = Some(Duration::from_secs(60));
            assert_eq!(found, AllocationState::Ended { ending: expected, reason, ran }, "{end}");
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
        for line in ["Job <7> is not found", "Job <7[3]> is not found.", "No matching job found"] {
            assert!(is_forgotten(line), "{line}");
        }
        for line in ["Cannot connect to LSF. Please wait ...", "Failed in an LSF library call"] {
            assert!(!is_forgotten(line), "{line}");
        }
    }

    #[test]
    fn a_job_suspended_before_its_start_is_held_and_one_without_a_run_time_ended() {
        let reason = "The job was suspended by the user while pending;".to_owned();
        let found = state(&format!("7|PSUSP|-|120.0|0 second(s)|-|{reason}"));
        assert_eq!(found, AllocationState::Held { reason });
        let cancelled = state("7|EXIT|130|120.0|-|TERM_OWNER: job killed by owner|-");
        assert!(matches!(cancelled, AllocationState::Ended { ran: None, .. }), "{cancelled:?}");
    }

    #[test]
    fn jobs_are_found_by_name_with_the_path_of_their_output() {
        let asked = find("crawl").arguments;
        assert_eq!(asked, ["-noheader", "-a", "-J", "crawl", "-o", FIND_FORMAT]);
        let found = parse_find("7|/s/logs/allocation-%J.lsf.log\n9|-\n").unwrap();
        assert_eq!((found[0].id.as_str(), found[1].path.as_str()), ("7", "-"));
        assert_eq!(parse_find("Job <crawl> is not found\n"), Ok(vec![]));
        assert!(parse_find("7").is_err());
    }
}
