//! The state of allocations: the `qstat` command, its output, the list of every state that PBS
//! knows, and what the exit status of a job means.

use std::time::Duration;

use serde_json::Value;
use thresher_site::batch::{
    AllocationId, AllocationState, CommandLine, Condition, Ending, Listed, ParseError,
};

/// The shell command of a search by name: `qselect` prints ids, and `qstat` shows no jobs by name.
const FIND: &str = "ids=$(qselect -x -u \"$(id -un)\" -N \"$1\") || exit; \
    [ -z \"$ids\" ] || exec qstat -x -f -F json $ids";

/// The meaning of a state letter.
#[derive(Clone, Copy)]
enum Meaning {
    Pending,
    Held,
    Running(Condition),
    Ended,
    /// It was moved to another server.
    Moved,
}

/// Every state, as `job_state` has it.
const STATES: &[(&str, Meaning)] = &[
    ("Q", Meaning::Pending),
    // In transit between queues; waiting for the time that was asked for; an array that began.
    ("T", Meaning::Pending),
    ("W", Meaning::Pending),
    ("B", Meaning::Pending),
    ("H", Meaning::Held),
    (RUNNING, Meaning::Running(Condition::Working)),
    ("S", Meaning::Running(Condition::Suspended)),
    // Suspended because a person uses the machine.
    ("U", Meaning::Running(Condition::Suspended)),
    ("E", Meaning::Running(Condition::Finishing)),
    ("F", Meaning::Ended),
    ("X", Meaning::Ended),
    ("M", Meaning::Moved),
];

const RUNNING: &str = "R";

/// Substates of a running job whose script has not started: it is sent to the hosts, they are
/// prepared, or wait for one another.
const STARTING: [u64; 3] = [41, 71, 72];

/// Substate of a held job that waits for another one.
const WAITS_FOR_ANOTHER: u64 = 22;

/// Substate of a job that `qdel` ended.
const TERMINATED: u64 = 91;

/// Exit statuses below zero, which are PBS's own (`src/include/job.h`): what they mean, and why.
const OWN_STATUSES: &[(i64, Ending, &str)] = &[
    (-1, UNKNOWN_FAILURE, "PBS could not start the job"),
    (-2, UNKNOWN_FAILURE, "PBS could not start the job"),
    (-3, Ending::NodeFailed, "PBS could not start the job, and would try again"),
    (-4, Ending::NodeFailed, "the daemon of a host was restarted"),
    (-5, Ending::NodeFailed, "the daemon of a host was restarted"),
    (-6, Ending::NodeFailed, "the daemon of a host was restarted"),
    (-10, UNKNOWN_FAILURE, "the user or group is not valid on the host"),
    (-11, Ending::Preempted, "PBS requeued the job"),
    (-12, Ending::Preempted, "PBS wrote a checkpoint and ended the job"),
    (-14, Ending::NodeFailed, "a host failed"),
    (-15, Ending::Preempted, "PBS requeued the job"),
    (-16, Ending::NodeFailed, "a hook of the site rejected the job"),
    (-17, UNKNOWN_FAILURE, "a hook of the site rejected the job"),
    (-18, Ending::Preempted, "a hook of the site requeued the job"),
    (-19, Ending::Cancelled, "a hook of the site deleted the job"),
    (-20, Ending::NodeFailed, "the first host failed"),
    (-24, UNKNOWN_FAILURE, "the job used more processors than requested"),
    (-25, UNKNOWN_FAILURE, "the job used more processors than requested"),
    (-26, Ending::OutOfMemory, "the job used more virtual memory than requested"),
    (-27, Ending::OutOfMemory, "the job used more memory than requested"),
    (-28, UNKNOWN_FAILURE, "the job used more CPU time than requested"),
    (-29, Ending::Walltime, ""),
];

const UNKNOWN_FAILURE: Ending = Ending::Failed { code: None, signal: None };

/// A status from here on is a signal that killed the script; a script that ends by itself because
/// of a signal returns [`SHELL_SIGNAL_BASE`] and the signal.
const SIGNAL_BASE: i64 = 256;
const SHELL_SIGNAL_BASE: i64 = 128;

/// Returns the command. `-x` adds ended jobs, which most servers remember for two weeks.
pub(crate) fn qstat(ids: &[AllocationId]) -> Option<CommandLine> {
    let command = ["-x", "-f", "-F", "json"]
        .into_iter()
        .fold(CommandLine::new("qstat"), |line, word| line.argument(word));
    (!ids.is_empty()).then(|| ids.iter().fold(command, |c, id| c.argument(id.as_str())))
}

/// Returns whether a line of errors says that PBS has no record of an id. It prints the others.
pub(crate) fn is_forgotten(line: &str) -> bool {
    line.contains("Unknown Job Id")
}

/// Returns the command that lists this user's jobs by name, ended ones too.
pub(crate) fn find(name: &str) -> CommandLine {
    CommandLine::new("sh").argument("-c").argument(FIND).argument("sh").argument(name)
}

/// Reads a job for the path of its output, `host:/path`.
pub(crate) fn parse_listed(row: &str) -> Result<Listed, ParseError> {
    let job = object(row)?;
    let id = AllocationId::parse(&text(&job, "id"))?;
    Ok(Listed { id, path: text(&job, "Output_Path") })
}

/// Reads the state of one job.
pub(crate) fn parse_job(row: &str) -> Result<(AllocationId, AllocationState), ParseError> {
    let job = object(row)?;
    let id = AllocationId::parse(&text(&job, "id"))?;
    let word = text(&job, "job_state");
    let known = STATES.iter().find(|(name, _)| *name == word);
    let (_, meaning) = known.ok_or_else(|| ParseError::unknown_state("qstat", &word))?;
    let (substate, reason) = (number(&job["substate"]), text(&job, "comment"));
    let used = walltime(&job["resources_used"]["walltime"])?;
    let state = match *meaning {
        Meaning::Pending => AllocationState::Pending { reason },
        // A job that waits for another one is held by the system, not by a person.
        Meaning::Held if substate == Some(WAITS_FOR_ANOTHER) || !job["depend"].is_null() => {
            AllocationState::Pending { reason }
        }
        Meaning::Held => AllocationState::Held { reason },
        Meaning::Running(condition) => AllocationState::Running {
            condition: if word == RUNNING && substate.is_some_and(|s| STARTING.contains(&s)) {
                Condition::Starting
            } else {
                condition
            },
            nodes: number(&job["Resource_List"]["nodect"]).and_then(|n| u32::try_from(n).ok()),
            // PBS counts no time while a job is suspended.
            time_left: walltime(&job["Resource_List"]["walltime"])?
                .map(|limit| limit.saturating_sub(used.unwrap_or_default())),
        },
        Meaning::Ended => ended(&job, substate, reason, used)?,
        Meaning::Moved => AllocationState::Ended {
            ending: Ending::Lost,
            reason: "it was moved to another server".to_owned(),
            ran: used,
        },
    };
    Ok((id, state))
}

/// Returns how a job ended: by its exit status, unless it was deleted.
fn ended(
    job: &Value,
    substate: Option<u64>,
    comment: String,
    ran: Option<Duration>,
) -> Result<AllocationState, ParseError> {
    let written = &job["Exit_status"];
    let status = signed(written);
    if status.is_none() && !written.is_null() {
        return Err(ParseError::bad("exit status", &written.to_string()));
    }
    let own = status.and_then(|status| OWN_STATUSES.iter().find(|(own, _, _)| *own == status));
    let (ending, why) = match (own, status) {
        (Some((_, ending, why)), _) => (*ending, *why),
        (None, _) if comment.contains("exceeded resource walltime") => (Ending::Walltime, ""),
        (None, _) if comment.to_ascii_lowercase().contains("preempt") => (Ending::Preempted, ""),
        (None, _) if substate == Some(TERMINATED) => (Ending::Cancelled, ""),
        (None, None) => (Ending::Lost, ""),
        (None, Some(0)) => (Ending::Completed, ""),
        (None, Some(status)) => (by_script(status)?, ""),
    };
    let both = [why.to_owned(), comment];
    let reason: Vec<String> = both.into_iter().filter(|text| !text.is_empty()).collect();
    Ok(AllocationState::Ended { ending, reason: reason.join("; "), ran })
}

fn by_script(status: i64) -> Result<Ending, ParseError> {
    let byte = |n: i64| u8::try_from(n).ok();
    let ending = match status {
        SIGNAL_BASE.. => byte(status - SIGNAL_BASE)
            .map(|signal| Ending::Failed { code: None, signal: Some(signal) }),
        n if n > SHELL_SIGNAL_BASE => byte(n - SHELL_SIGNAL_BASE)
            .map(|signal| Ending::Failed { code: None, signal: Some(signal) }),
        0.. => byte(status).map(|code| Ending::Failed { code: Some(code), signal: None }),
        // A status of PBS that is newer than this list.
        _ => Some(UNKNOWN_FAILURE),
    };
    ending.ok_or_else(|| ParseError::bad("exit status", &status.to_string()))
}

fn object(row: &str) -> Result<Value, ParseError> {
    let value: Option<Value> = serde_json::from_str(row).ok();
    value.filter(Value::is_object).ok_or_else(|| ParseError::fields("qstat", row, 1, 0))
}

/// Returns a field as text, whether it was printed as a text or a number; empty if it is missing.
fn text(job: &Value, field: &str) -> String {
    let value = &job[field];
    match value.as_str() {
        Some(text) => text.trim().to_owned(),
        None if value.is_null() => String::new(),
        None => value.to_string(),
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn signed(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Reads a time such as `06:00:00`, of any number of hours, or of seconds; `None` if there is none.
fn walltime(value: &Value) -> Result<Option<Duration>, ParseError> {
    if value.is_null() {
        return Ok(None);
    }
    let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let wrong = || ParseError::bad("walltime", &written);
    let mut seconds: u64 = 0;
    for part in written.trim().splitn(4, ':') {
        // Seven digits, so that no sum overflows.
        let fine = (1..=7).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let number: u64 = part.parse().ok().filter(|_| fine).ok_or_else(wrong)?;
        seconds = seconds * 60 + number;
    }
    Ok(Some(Duration::from_secs(seconds)))
}

/// Writes `HH:MM:SS`; part of a second counts as a whole one.
pub(crate) fn print_walltime(time: Duration) -> String {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
