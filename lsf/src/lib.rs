//! The adapter of LSF: turns requests into `bsub` command lines, and the output of `bsub`, `bjobs`
//! and the environment into values.
//!
//! It runs nothing, and reads no file, clock or environment by itself. It knows nothing of scripts
//! and launchers (`jsrun`). Two kinds of site are supported, see [`Layout`]: they differ in how
//! nodes are requested, how the script is passed, and where it runs.

mod hosts;
mod status;

use std::num::NonZeroU32;
use std::time::Duration;

use thresher_site::batch::{
    AllocationId, AllocationRequest, AllocationState, BatchSystem, CommandLine, Directives,
    ID_PLACEHOLDER, Inside, Listed, ParseError, RequestError, Rerun, ScriptParts,
};

pub use hosts::{HostSlots, compute_nodes, parse_hostfile, parse_mcpu_hosts};

/// Exit code with which a script is put back into the queue under the same id, if its request
/// allowed that. LSF does not requeue a script that was ended by a signal.
pub const REQUEUE_EXIT_CODE: u8 = 99;

/// Signal that is sent before the end to every process on the first host. Unlike USR1, it does no
/// harm to a process that does not expect it, such as the client of the launcher.
const WARNING_SIGNAL: &str = "URG";

/// The same in bash.
const REQUEUE: &str = "exit 99";

/// Variables that `bsub` must not inherit: with the first two it prints no id, and the others are
/// those of an allocation around it.
const NOT_INHERITED: &[&str] = &[
    "BSUB_QUIET",
    "BSUB_QUIET2",
    "LSB_JOB*",
    "LSB_HOSTS",
    "LSB_MCPU_HOSTS",
    "LSB_DJOB_*",
    "LSB_AFFINITY_*",
    "LSB_BIND_*",
    "LSB_RESTART*",
    "LSB_EFFECTIVE_RSRCREQ",
    "LSB_MAX_NUM_PROCESSORS",
    "LS_JOBPID",
    "JSM_*",
];

/// How a site assigns nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Whole nodes by `-nnodes` (IBM's CSM, as on Summit): `bsub SCRIPT` reads the script's
    /// directives, and the script runs on a launch node, which is not part of the allocation.
    WholeNodes,
    /// Slots by `-n`, the same number on every host: `bsub < SCRIPT` runs the script on the first
    /// host.
    Slots {
        /// Number of slots of a host.
        per_node: NonZeroU32,
    },
}

/// The adapter for LSF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lsf {
    /// How the site assigns nodes.
    pub layout: Layout,
}

impl BatchSystem for Lsf {
    fn name(&self) -> &'static str {
        "lsf"
    }

    fn directives(&self, request: &AllocationRequest) -> Result<Directives, RequestError> {
        request.check()?;
        refuse_what_is_unknown(request)?;
        let minutes = whole_minutes(request.walltime);
        let lines = Directives::new("#BSUB")
            .short("J", Some(&request.name))?
            // LSF does not accept seconds.
            .short("W", Some(format!("{}:{:02}", minutes / 60, minutes % 60)))?
            .short("P", request.account.as_ref())?
            .short("q", request.queue.as_ref())?
            .short("U", request.reservation.as_ref())?
            .short("o", request.output.as_deref().map(file_pattern))?
            .short("e", request.errors.as_deref().map(file_pattern))?;
        let lines = self.nodes(warning(lines, request, minutes)?, request)?;
        let lines = match request.rerun {
            Rerun::Allowed => lines.line(["-r"])?.short("Q", Some(REQUEUE_EXIT_CODE))?,
            Rerun::Forbidden => lines.line(["-rn"])?,
        };
        lines.further(&request.extra)
    }

    fn submit(&self, request: &AllocationRequest) -> Result<CommandLine, RequestError> {
        let command = CommandLine { unset: NOT_INHERITED, ..CommandLine::new("bsub") }
            // With `done`, an allocation would never start after one that its walltime ended.
            .short("w", request.after.as_ref().map(|id| format!("ended({id})")));
        match self.layout {
            Layout::WholeNodes => Ok(command.argument(request.script_argument()?)),
            Layout::Slots { .. } => {
                Ok(CommandLine { stdin: Some(request.script_argument()?.into()), ..command })
            }
        }
    }

    fn script(&self) -> ScriptParts {
        ScriptParts {
            surroundings: "id=${LSB_JOBID:-}\n",
            requeue: REQUEUE,
            asking: "",
            own_log: Some("allocation-{id}.lsf.log"),
        }
    }

    /// Reads the last `Job <4711> is submitted to queue <batch>.`: sites print notices before it.
    fn parse_submit(&self, out: &str) -> Result<AllocationId, ParseError> {
        let id = out.lines().rev().find_map(|line| {
            let (id, rest) = line.trim().strip_prefix("Job <")?.split_once('>')?;
            let fine = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
            (fine && rest.starts_with(" is submitted to ")).then_some(id)
        });
        AllocationId::parse(id.ok_or_else(|| ParseError::no_id("bsub", out))?)
    }

    fn status(&self, ids: &[AllocationId]) -> Option<CommandLine> {
        status::bjobs(ids)
    }

    fn parse_status(&self, out: &str) -> Result<Vec<(AllocationId, AllocationState)>, ParseError> {
        status::parse_bjobs(out)
    }

    fn forgets(&self, line: &str) -> bool {
        status::is_forgotten(line)
    }

    fn find(&self, name: &str) -> CommandLine {
        status::find(name)
    }

    fn parse_find(&self, out: &str) -> Result<Vec<Listed>, ParseError> {
        status::parse_find(out)
    }

    /// Sends INT, ten seconds later TERM, ten seconds later KILL.
    fn cancel(&self, ids: &[AllocationId]) -> Option<CommandLine> {
        let command = CommandLine::new("bkill");
        (!ids.is_empty()).then(|| ids.iter().fold(command, |c, id| c.argument(id.as_str())))
    }

    /// Restarts and the end stay unknown: LSF sets `LSB_RESTART` only after some restarts, and has
    /// no variable for the end.
    fn inside(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Inside>, ParseError> {
        let Some(id) = variable("LSB_JOBID") else { return Ok(None) };
        let hosts = parse_mcpu_hosts(&variable("LSB_MCPU_HOSTS").unwrap_or_default())?;
        Ok(Some(Inside {
            allocation: AllocationId::parse(&id)?,
            nodes: compute_nodes(self.layout, hosts),
            restarts: None,
            ends_unix_seconds: None,
        }))
    }
}

impl Lsf {
    fn nodes(
        &self,
        lines: Directives,
        request: &AllocationRequest,
    ) -> Result<Directives, RequestError> {
        match self.layout {
            Layout::WholeNodes => {
                // LSF accepts the option once: all flags are in one argument.
                let flags = (!request.features.is_empty()).then(|| request.features.join(" "));
                lines.short("nnodes", Some(request.nodes))?.short("alloc_flags", flags)
            }
            Layout::Slots { per_node } => {
                let slots = request.nodes.checked_mul(per_node).ok_or(RequestError::Value {
                    what: "number of nodes",
                    value: request.nodes.to_string(),
                    hint: "LSF counts slots in 32 bits",
                })?;
                let spread = format!("span[ptile={per_node}]");
                lines.short("n", Some(slots))?.short("R", Some(spread))
            }
        }
    }
}

/// Refuses what LSF has no names for, because a request must never be granted in part.
fn refuse_what_is_unknown(request: &AllocationRequest) -> Result<(), RequestError> {
    match &request.qos {
        Some(qos) => Err(RequestError::Unsupported {
            system: "lsf",
            what: "quality of service",
            value: qos.clone(),
            hint: "choose a queue instead",
        }),
        None => Ok(()),
    }
}

/// Adds the warning in whole minutes: both options or none. An allocation of one minute has no
/// room for it if less than a minute was requested; its coordinator knows the end.
fn warning(
    lines: Directives,
    request: &AllocationRequest,
    walltime_minutes: u64,
) -> Result<Directives, RequestError> {
    let Some(lead) = request.warn_before else { return Ok(lines) };
    let minutes = whole_minutes(lead);
    if walltime_minutes == 1 && lead < request.walltime {
        return Ok(lines);
    }
    if minutes >= walltime_minutes {
        return Err(RequestError::Value {
            what: "warning time",
            value: format!("{}s", lead.as_secs()),
            hint: "LSF warns whole minutes before the end: request a longer walltime",
        });
    }
    lines.short("wt", Some(minutes))?.short("wa", Some(WARNING_SIGNAL))
}

/// Rounds up to whole minutes, so that an allocation never gets less time than requested.
fn whole_minutes(time: Duration) -> u64 {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    seconds.div_ceil(60)
}

/// Returns a path in which LSF fills in the id. LSF has no way to write a plain `%J`.
fn file_pattern(path: &str) -> String {
    path.replace(ID_PLACEHOLDER, "%J")
}

#[cfg(test)]
mod tests;
