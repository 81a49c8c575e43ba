//! The adapter of OpenPBS and PBS Professional: turns requests into `#PBS` directives, and the
//! output of `qsub`, `qstat`, `qselect` and the environment into values.
//!
//! It runs nothing, and reads no file, clock or environment by itself. It knows nothing of
//! launchers (`mpiexec`). PBS sends no signal before the walltime ends, has no variable for the
//! end, and its users cannot requeue: the coordinator drains by its own clock, and a chain is made
//! of dependencies. A job that PBS preempts is suspended, or started again under its id.

mod json;
mod status;

use thresher_site::batch::{
    AllocationId, AllocationRequest, AllocationState, BatchSystem, CommandLine, Directives, Inside,
    Listed, ParseError, RequestError, Rerun, ScriptParts,
};

/// PBS holds a job instead of starting it for the 21st time (`run_count`), and only an operator
/// releases it. So the 20th start leaves the job to another allocation.
const STARTS_MAX: u32 = 19;

/// Variable with the hosts of the allocation, which the script reads from `PBS_NODEFILE`.
const HOSTS_VARIABLE: &str = "THRESHER_HOSTS";

/// Limit of hosts, many times the largest machine that runs PBS.
const HOSTS_MAX: usize = 65_536;

/// Variables that `qsub` must not inherit: the first changes how directives start, the others are
/// those of an allocation around it.
const NOT_INHERITED: &[&str] = &[
    "PBS_DPREFIX",
    "PBS_JOB*",
    "PBS_NODEFILE",
    "PBS_NODENUM",
    "PBS_TASKNUM",
    "PBS_MOMPORT",
    "PBS_ENVIRONMENT",
    "PBS_QUEUE",
    "PBS_ARRAY_*",
    "PBS_O_*",
    "THRESHER_HOSTS",
];

/// The adapter for PBS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pbs;

impl BatchSystem for Pbs {
    fn name(&self) -> &'static str {
        "pbs"
    }

    fn directives(&self, request: &AllocationRequest) -> Result<Directives, RequestError> {
        request.check()?;
        refuse_what_is_unknown(request)?;
        let chunk = std::iter::once(request.nodes.to_string()).chain(request.features.clone());
        let chunk: Vec<String> = chunk.collect();
        let mut lines = Directives::new("#PBS")
            .short("N", Some(&request.name))?
            .short("A", request.account.as_ref())?
            .short("q", request.queue.as_ref())?
            .short("l", Some(format!("select={}", chunk.join(":"))))?;
        // Without it, PBS may put several chunks on one host.
        if !request.extra.iter().any(|word| word.contains("place=")) {
            lines = lines.short("l", Some("place=scatter"))?;
        }
        lines
            .short("l", Some(format!("walltime={}", status::print_walltime(request.walltime))))?
            .short("o", request.output.as_ref())?
            .short("e", request.errors.as_ref())?
            .short("j", request.errors.is_none().then_some("oe"))?
            .line(match request.rerun {
                Rerun::Allowed => ["-r", "y"],
                Rerun::Forbidden => ["-r", "n"],
            })?
            .further(&request.extra)
    }

    fn submit(&self, request: &AllocationRequest) -> Result<CommandLine, RequestError> {
        let command = CommandLine { unset: NOT_INHERITED, ..CommandLine::new("qsub") }
            // With `afterok`, an allocation would never start after one that its walltime ended.
            .short("W", request.after.as_ref().map(|id| format!("depend=afterany:{id}")));
        Ok(command.argument(request.script_argument()?))
    }

    /// The hosts are in a file, each as often as it has chunks, and the script runs on the first of
    /// them. A user cannot requeue, but the script can submit itself again.
    fn script(&self) -> ScriptParts {
        ScriptParts {
            surroundings: "id=${PBS_JOBID:-}\n\
                if [ -r \"${PBS_NODEFILE:-}\" ]; then\n    \
                THRESHER_HOSTS=$(awk '!seen[$0]++' \"$PBS_NODEFILE\" | tr '\\n' ' ')\n    \
                export THRESHER_HOSTS\nfi\n",
            requeue: "qsub \"$script\" >&2",
            asking: "",
            // A folder: PBS names the file, `ID.OU`.
            own_log: Some(""),
        }
    }

    /// Reads the last line that is an id such as `4711.server`: sites print notices around it.
    fn parse_submit(&self, out: &str) -> Result<AllocationId, ParseError> {
        let id = out.lines().rev().map(str::trim).find(|line| is_id(line));
        AllocationId::parse(id.ok_or_else(|| ParseError::no_id("qsub", out))?)
    }

    fn status(&self, ids: &[AllocationId]) -> Option<CommandLine> {
        status::qstat(ids)
    }

    fn rows(&self, out: &str) -> Vec<String> {
        json::jobs(out)
    }

    fn parse_status(&self, out: &str) -> Result<Vec<(AllocationId, AllocationState)>, ParseError> {
        self.rows(out).iter().map(|row| status::parse_job(row)).collect()
    }

    fn forgets(&self, line: &str) -> bool {
        status::is_forgotten(line)
    }

    fn find(&self, name: &str) -> CommandLine {
        status::find(name)
    }

    fn parse_find(&self, out: &str) -> Result<Vec<Listed>, ParseError> {
        self.rows(out).iter().map(|row| status::parse_listed(row)).collect()
    }

    /// Sends TERM, and KILL after the time that the queue or the server sets (10 s by default).
    fn cancel(&self, ids: &[AllocationId]) -> Option<CommandLine> {
        let command = CommandLine::new("qdel");
        (!ids.is_empty()).then(|| ids.iter().fold(command, |c, id| c.argument(id.as_str())))
    }

    fn starts_max(&self) -> Option<u32> {
        Some(STARTS_MAX)
    }

    /// Restarts and the end stay unknown: PBS has no variables for them.
    fn inside(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Inside>, ParseError> {
        let Some(id) = variable("PBS_JOBID").filter(|id| !id.is_empty()) else { return Ok(None) };
        let hosts = variable(HOSTS_VARIABLE).unwrap_or_default();
        Ok(Some(Inside {
            allocation: AllocationId::parse(&id)?,
            nodes: parse_hosts(&hosts)?,
            restarts: None,
            ends_unix_seconds: None,
        }))
    }
}

/// Refuses what PBS has no names for, because a request must never be granted in part.
fn refuse_what_is_unknown(request: &AllocationRequest) -> Result<(), RequestError> {
    let unsupported = |what, value: &str, hint| RequestError::Unsupported {
        system: "pbs",
        what,
        value: value.to_owned(),
        hint,
    };
    match (&request.qos, &request.reservation) {
        (Some(qos), _) => Err(unsupported("quality of service", qos, "choose a queue instead")),
        (None, Some(reservation)) => {
            Err(unsupported("option for a reservation", reservation, "name its queue instead"))
        }
        (None, None) => Ok(()),
    }
}

/// Returns whether a line is nothing but the id of a job: digits, and the name of the server.
fn is_id(line: &str) -> bool {
    let Some((number, server)) = line.split_once('.') else { return false };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && !server.is_empty()
        && server.bytes().all(is_name)
}

/// Reads names between blanks, each once, in PBS's order; an empty text is an empty list.
fn parse_hosts(text: &str) -> Result<Vec<String>, ParseError> {
    let mut seen = std::collections::BTreeSet::new();
    let mut hosts = Vec::new();
    for name in text.split_ascii_whitespace() {
        let fine = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if !fine {
            return Err(ParseError::bad("list of hosts", text));
        }
        if hosts.len() == HOSTS_MAX {
            return Err(ParseError::too_many("hosts", HOSTS_MAX, text));
        }
        if seen.insert(name) {
            hosts.push(name.to_owned());
        }
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests;
