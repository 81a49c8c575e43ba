//! The state of allocations: the `squeue` and `sacct` commands, their output, and the list of every
//! state that Slurm knows.
//!
//! Lines are fields between `|`, with free text last, so that nothing in it can shift a field.

use thresher_site::batch::{
    AllocationId, AllocationState, CommandLine, Condition, Ending, Listed, ParseError,
};

use crate::walltime::parse_walltime;

/// The fields are id, state, number of nodes, time left, time used, reason.
const SQUEUE_FORMAT: &str = "%i|%T|%D|%L|%M|%r";
const SQUEUE_FIELDS: usize = 6;

/// The fields are id and path of the script.
const FIND_FORMAT: &str = "%i|%o";
const FIND_FIELDS: usize = 2;

/// What `squeue` says if it has no record of any of the ids.
const FORGOTTEN: &str = "Invalid job id specified";

/// Starts of reasons for which a pending allocation waits until it is released.
const HELD_REASONS: [&str; 2] = ["JobHeld", "job requeued in held state"];

const SACCT_FORMAT: &str = "JobIDRaw,State,NNodes,ExitCode,Timelimit,Elapsed,Reason";
const SACCT_FIELDS: usize = 7;

/// The meaning of a state word.
#[derive(Clone, Copy)]
enum Meaning {
    Pending,
    Held,
    Running(Condition),
    Ended(Ending),
}

/// Every state, and every flag that is shown instead of one, as `squeue --format=%T` and `sacct`
/// write them.
const STATES: &[(&str, Meaning)] = &[
    ("PENDING", Meaning::Pending),
    // It ended, and waits to start again under the same id.
    ("REQUEUED", Meaning::Pending),
    ("REQUEUE_FED", Meaning::Pending),
    ("REQUEUE_HOLD", Meaning::Held),
    ("SPECIAL_EXIT", Meaning::Held),
    ("RESV_DEL_HOLD", Meaning::Held),
    ("CONFIGURING", Meaning::Running(Condition::Starting)),
    ("POWER_UP_NODE", Meaning::Running(Condition::Starting)),
    ("RUNNING", Meaning::Running(Condition::Working)),
    ("RESIZING", Meaning::Running(Condition::Working)),
    ("SIGNALING", Meaning::Running(Condition::Working)),
    ("SUSPENDED", Meaning::Running(Condition::Suspended)),
    ("STOPPED", Meaning::Running(Condition::Suspended)),
    ("COMPLETING", Meaning::Running(Condition::Finishing)),
    ("STAGE_OUT", Meaning::Running(Condition::Finishing)),
    ("COMPLETED", Meaning::Ended(Ending::Completed)),
    ("FAILED", Meaning::Ended(Ending::Failed { code: None, signal: None })),
    ("CANCELLED", Meaning::Ended(Ending::Cancelled)),
    ("TIMEOUT", Meaning::Ended(Ending::Walltime)),
    ("PREEMPTED", Meaning::Ended(Ending::Preempted)),
    ("NODE_FAIL", Meaning::Ended(Ending::NodeFailed)),
    ("BOOT_FAIL", Meaning::Ended(Ending::NodeFailed)),
    ("LAUNCH_FAILED", Meaning::Ended(Ending::NodeFailed)),
    ("RECONFIG_FAIL", Meaning::Ended(Ending::NodeFailed)),
    ("OUT_OF_MEMORY", Meaning::Ended(Ending::OutOfMemory)),
    ("DEADLINE", Meaning::Ended(Ending::Deadline)),
    // Another cluster of the federation has taken it over.
    ("REVOKED", Meaning::Ended(Ending::Lost)),
];

pub(crate) fn squeue(ids: &[AllocationId]) -> Option<CommandLine> {
    let mut list = joined(ids)?;
    if let [only] = ids {
        // With a single id that it has forgotten, squeue fails instead of printing nothing.
        list = format!("{list},{only}");
    }
    let command = CommandLine::new("squeue")
        .argument("--noheader")
        .argument("--states=all")
        .long("format", Some(SQUEUE_FORMAT))
        .long("jobs", Some(list));
    Some(command)
}

pub(crate) fn sacct(ids: &[AllocationId]) -> Option<CommandLine> {
    let command = CommandLine::new("sacct")
        .argument("--allocations")
        .argument("--parsable2")
        .argument("--noheader")
        .long("format", Some(SACCT_FORMAT))
        .long("jobs", Some(joined(ids)?));
    Some(command)
}

fn joined(ids: &[AllocationId]) -> Option<String> {
    let texts: Vec<&str> = ids.iter().map(AllocationId::as_str).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

pub(crate) fn parse_squeue(out: &str) -> Result<Vec<(AllocationId, AllocationState)>, ParseError> {
    let mut states = Vec::new();
    for line in out.lines().filter(|line| !line.trim().is_empty()) {
        let [id, word, nodes, left, used, reason] = fields::<SQUEUE_FIELDS>("squeue", line)?;
        let state = match meaning("squeue", word)? {
            Meaning::Running(condition) => AllocationState::Running {
                condition,
                nodes: Some(parse_count(nodes)?),
                time_left: parse_walltime(left)?,
            },
            Meaning::Pending => waiting(reason),
            Meaning::Held => AllocationState::Held { reason: said(reason) },
            Meaning::Ended(ending) => {
                AllocationState::Ended { ending, reason: said(reason), ran: parse_walltime(used)? }
            }
        };
        states.push((AllocationId::parse(id)?, state));
    }
    Ok(states)
}

pub(crate) fn parse_sacct(out: &str) -> Result<Vec<(AllocationId, AllocationState)>, ParseError> {
    let mut states = Vec::new();
    for line in out.lines().filter(|line| !line.trim().is_empty()) {
        let [id, word, nodes, exit, limit, elapsed, reason] =
            fields::<SACCT_FIELDS>("sacct", line)?;
        let (word, by) = word.split_once(" by ").map_or((word, None), |(w, by)| (w, Some(by)));
        let ran = parse_walltime(elapsed)?;
        let state = match meaning("sacct", word)? {
            Meaning::Running(condition) => AllocationState::Running {
                condition,
                nodes: Some(parse_count(nodes)?),
                time_left: match (parse_walltime(limit)?, ran) {
                    (Some(limit), Some(ran)) => Some(limit.saturating_sub(ran)),
                    (None, _) | (_, None) => None,
                },
            },
            Meaning::Pending => waiting(reason),
            Meaning::Held => AllocationState::Held { reason: said(reason) },
            Meaning::Ended(Ending::Failed { .. }) => {
                AllocationState::Ended { ending: parse_exit(exit)?, reason: said(reason), ran }
            }
            Meaning::Ended(ending) => {
                let reason = by.map_or_else(|| said(reason), |by| format!("by user {by}"));
                AllocationState::Ended { ending, reason, ran }
            }
        };
        states.push((AllocationId::parse(id)?, state));
    }
    Ok(states)
}

/// Returns whether a line says that `squeue` has no record of the ids.
pub(crate) fn forgets(line: &str) -> bool {
    line.contains(FORGOTTEN)
}

/// Returns the command that lists this user's allocations by name, the ended ones too.
pub(crate) fn find(name: &str) -> CommandLine {
    CommandLine::new("squeue")
        .argument("--noheader")
        .argument("--states=all")
        .argument("--me")
        .long("format", Some(FIND_FORMAT))
        .long("name", Some(name))
}

pub(crate) fn parse_find(out: &str) -> Result<Vec<Listed>, ParseError> {
    let lines = out.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let [id, path] = fields::<FIND_FIELDS>("squeue", line)?;
            Ok(Listed { id: AllocationId::parse(id)?, path: path.to_owned() })
        })
        .collect()
}

/// Returns the state of an allocation that waits, which is held for some reasons.
fn waiting(reason: &str) -> AllocationState {
    let reason = said(reason);
    match HELD_REASONS.iter().any(|held| reason.starts_with(held)) {
        true => AllocationState::Held { reason },
        false => AllocationState::Pending { reason },
    }
}

fn meaning(command: &'static str, word: &str) -> Result<Meaning, ParseError> {
    let known = STATES.iter().find(|(name, _)| *name == word);
    known.map(|(_, meaning)| *meaning).ok_or_else(|| ParseError::unknown_state(command, word))
}

/// Splits a line into fields; the last one has the rest of the line.
fn fields<'a, const N: usize>(
    command: &'static str,
    line: &'a str,
) -> Result<[&'a str; N], ParseError> {
    let parts: Vec<&str> = line.splitn(N, '|').map(str::trim).collect();
    let found = parts.len();
    parts.try_into().map_err(|_| ParseError::fields(command, line, N, found))
}

/// Returns the reason; Slurm writes `None` for an empty one.
fn said(reason: &str) -> String {
    if reason == "None" { String::new() } else { reason.to_owned() }
}

/// Reads a number of nodes: Slurm 22.05 prints 9408 and 1024 like that, not as `1K`.
fn parse_count(text: &str) -> Result<u32, ParseError> {
    text.parse().map_err(|_| ParseError::bad("number of nodes", text))
}

/// Reads an exit code: `3:0` is code 3, `0:9` signal 9.
fn parse_exit(text: &str) -> Result<Ending, ParseError> {
    let wrong = || ParseError::bad("exit code", text);
    let (code, signal) = text.split_once(':').ok_or_else(wrong)?;
    let code: u8 = code.parse().map_err(|_| wrong())?;
    let signal: u8 = signal.parse().map_err(|_| wrong())?;
    Ok(match signal {
        0 => Ending::Failed { code: Some(code), signal: None },
        _ => Ending::Failed { code: None, signal: Some(signal) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_the_manual_is_known_and_listed_once() {
        let manual = "PENDING RUNNING SUSPENDED COMPLETED CANCELLED FAILED TIMEOUT NODE_FAIL \
            PREEMPTED BOOT_FAIL DEADLINE OUT_OF_MEMORY COMPLETING CONFIGURING REQUEUED \
            REQUEUE_FED REQUEUE_HOLD SPECIAL_EXIT RESIZING SIGNALING STAGE_OUT STOPPED \
            LAUNCH_FAILED RECONFIG_FAIL REVOKED RESV_DEL_HOLD POWER_UP_NODE";
        for word in manual.split_whitespace() {
            assert_eq!(STATES.iter().filter(|(name, _)| *name == word).count(), 1, "{word}");
            for line in [format!("7|{word}|2|5:00|1:00|None"), format!("7|{word}|2|5:00|0:00|a|b")]
            {
                assert_eq!(parse_squeue(&line).unwrap().len(), 1, "{line}");
            }
        }
        assert_eq!(STATES.len(), manual.split_whitespace().count());
    }

    #[test]
    fn an_unknown_state_is_an_error_that_names_it() {
        let error =
            parse_squeue("7|RUNNING|1|5:00|1:00|None\n8|BAKING|1|5:00|1:00|None\n").unwrap_err();
        assert_eq!(error, ParseError::unknown_state("squeue", "BAKING"));
        // A name that was cut to a column's width is not valid.
        let error = parse_sacct("7|CANCELLED+|1|0:0|1:00|1:00|None").unwrap_err();
        assert_eq!(error, ParseError::unknown_state("sacct", "CANCELLED+"));
    }

    #[test]
    fn a_line_of_another_shape_is_refused() {
        for out in ["7|RUNNING|1|5:00|1:00", "slurm_load_jobs error: Invalid job id specified"] {
            assert!(matches!(parse_squeue(out), Err(ParseError::Fields { .. })), "{out}");
        }
        for out in [
            "7|RUNNING|x|5:00|1:00|None",
            "7|RUNNING|1|soon|1:00|None",
            "7|FAILED|1|5:00|soon|None",
            "-f|RUNNING|1|5:00|1:00|None",
        ] {
            assert!(matches!(parse_squeue(out), Err(ParseError::Value { .. })), "{out}");
        }
        for out in ["7|FAILED|1|3|1:00|1:00|None", "7|FAILED|1|300:0|1:00|1:00|None"] {
            assert!(matches!(parse_sacct(out), Err(ParseError::Value { .. })), "{out}");
        }
    }

    #[test]
    fn one_call_covers_all_ids_and_no_ids_need_no_call() {
        let ids: Vec<_> =
            ["7", "8"].into_iter().map(|id| AllocationId::parse(id).unwrap()).collect();
        let asked = squeue(&ids).unwrap().to_string();
        assert_eq!(asked, "squeue --noheader --states=all '--format=%i|%T|%D|%L|%M|%r' --jobs=7,8");
        assert!(sacct(&ids).unwrap().to_string().ends_with("Elapsed,Reason --jobs=7,8"));
        assert_eq!((squeue(&[]), sacct(&[])), (None, None));
    }

    #[test]
    fn a_single_forgotten_id_does_not_make_squeue_fail() {
        let asked = squeue(&[AllocationId::parse("7").unwrap()]).unwrap().to_string();
        assert!(asked.ends_with("--jobs=7,7"), "{asked}");
        assert_eq!(parse_squeue(""), Ok(vec![]));
        assert!(forgets("slurm_load_jobs error: Invalid job id specified"));
        for line in ["slurm_load_jobs error: Unable to contact slurm controller", ""] {
            assert!(!forgets(line), "{line}");
        }
    }

    #[test]
    fn a_held_allocation_is_distinguished_from_one_that_waits_for_nodes() {
        let held = ["JobHeldUser", "JobHeldAdmin", "job requeued in held state"];
        for reason in held.map(str::to_owned) {
            let line = format!("7|PENDING|1|5:00|0:00|{reason}");
            assert_eq!(parse_squeue(&line).unwrap()[0].1, AllocationState::Held { reason });
        }
        for (word, reason) in [("PENDING", "Dependency"), ("REQUEUED", "BeginTime")] {
            let line = format!("7|{word}|1|5:00|0:00|{reason}");
            let expected = AllocationState::Pending { reason: reason.to_owned() };
            assert_eq!(parse_squeue(&line).unwrap()[0].1, expected);
        }
    }

    #[test]
    fn allocations_are_found_by_name_with_the_path_of_their_script() {
        let asked = find("crawl").to_string();
        assert_eq!(asked, "squeue --noheader --states=all --me '--format=%i|%o' --name=crawl");
        let found = parse_find("7|/s/allocations/1-script.sh\n9|/a b|c\n\n").unwrap();
        let paths: Vec<&str> = found.iter().map(|listed| listed.path.as_str()).collect();
        assert_eq!(paths, ["/s/allocations/1-script.sh", "/a b|c"]);
        assert_eq!(found[1].id.as_str(), "9");
        assert!(parse_find("7").is_err());
    }
}
