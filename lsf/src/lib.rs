//! LSF: requests become `bsub` command lines; what `bsub`, `bjobs` and the environment say becomes
//! values.
//!
//! It runs nothing, and reads no file, clock or environment by itself. Scripts and launchers
//! (`jsrun`) are not its affair. Two kinds of site are known, see [`Layout`]: they differ in how
//! nodes are asked for, how the script is handed over, and where it runs.

mod hosts;
mod status;

use std::num::NonZeroU32;
use std::time::Duration;

use thresher_site::batch::{
    AllocationId, AllocationRequest, AllocationState, BatchSystem, CommandLine, ID_PLACEHOLDER,
    Inside, ParseError, RequestError, Rerun,
};

pub use hosts::{HostSlots, compute_nodes, parse_hostfile, parse_mcpu_hosts};

/// A script that ends with this code is put back into the queue under the same id, when its request
/// allowed that. LSF does not requeue what a signal ended.
pub const REQUEUE_EXIT_CODE: u8 = 99;

/// Sent before the end to every process on the first host. Unlike USR1 it does no harm to one that
/// does not expect it, such as the client of the launcher.
const WARNING_SIGNAL: &str = "URG";

/// How a site gives out nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Whole nodes by `-nnodes` (IBM's CSM, as on Summit): `bsub SCRIPT` reads the script's
    /// directives, and the script runs on a launch node, which is no part of the allocation.
    WholeNodes,
    /// Slots by `-n`, so many on every host: `bsub < SCRIPT`, which runs on the first host.
    Slots {
        /// All that a host has.
        per_node: NonZeroU32,
    },
}

/// The adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lsf {
    /// Of the site.
    pub layout: Layout,
}

impl BatchSystem for Lsf {
    fn name(&self) -> &'static str {
        "lsf"
    }

    fn submit(&self, request: &AllocationRequest) -> Result<CommandLine, RequestError> {
        request.check()?;
        refuse_what_is_unknown(request)?;
        let minutes = whole_minutes(request.walltime);
        let command = CommandLine::new("bsub")
            .short("J", Some(&request.name))
            // LSF refuses seconds.
            .short("W", Some(format!("{}:{:02}", minutes / 60, minutes % 60)))
            .short("P", request.account.as_ref())
            .short("q", request.queue.as_ref())
            .short("U", request.reservation.as_ref())
            .short("o", request.output.as_deref().map(file_pattern))
            .short("e", request.errors.as_deref().map(file_pattern))
            // `done` would never start behind an allocation that its walltime ended.
            .short("w", request.after.as_ref().map(|id| format!("ended({id})")));
        let mut command = self.nodes(warning(command, request, minutes)?, request)?;
        command = match request.rerun {
            Rerun::Allowed => command.argument("-r").short("Q", Some(REQUEUE_EXIT_CODE)),
            Rerun::Forbidden => command.argument("-rn"),
        };
        command.arguments.extend_from_slice(&request.extra);
        match self.layout {
            Layout::WholeNodes => Ok(command.argument(request.script_argument()?)),
            Layout::Slots { .. } => {
                Ok(CommandLine { stdin: Some(request.script_argument()?.into()), ..command })
            }
        }
    }

    /// The last `Job <4711> is submitted to queue <batch>.`: sites print notices before it.
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

    /// INT, ten seconds later TERM, ten seconds later KILL.
    fn cancel(&self, ids: &[AllocationId]) -> Option<CommandLine> {
        let command = CommandLine::new("bkill");
        (!ids.is_empty()).then(|| ids.iter().fold(command, |c, id| c.argument(id.as_str())))
    }

    /// LSF tells neither restarts (`LSB_RESTART` is set after some of them only) nor the end.
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
        command: CommandLine,
        request: &AllocationRequest,
    ) -> Result<CommandLine, RequestError> {
        match self.layout {
            Layout::WholeNodes => {
                // LSF takes the option once: all flags in one argument.
                let flags = (!request.features.is_empty()).then(|| request.features.join(" "));
                Ok(command.short("nnodes", Some(request.nodes)).short("alloc_flags", flags))
            }
            Layout::Slots { per_node } => {
                let slots = request.nodes.checked_mul(per_node).ok_or(RequestError::Value {
                    what: "number of nodes",
                    value: request.nodes.to_string(),
                    hint: "LSF counts slots in 32 bits",
                })?;
                let spread = format!("span[ptile={per_node}]");
                Ok(command.short("n", Some(slots)).short("R", Some(spread)))
            }
        }
    }
}

/// LSF has names for neither, and a request must never be granted in part.
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

/// Whole minutes, both options or none.
fn warning(
    command: CommandLine,
    request: &AllocationRequest,
    walltime_minutes: u64,
) -> Result<CommandLine, RequestError> {
    let Some(lead) = request.warn_before else { return Ok(command) };
    let minutes = whole_minutes(lead);
    if minutes >= walltime_minutes {
        return Err(RequestError::Value {
            what: "warning time",
            value: format!("{}s", lead.as_secs()),
            hint: "LSF warns whole minutes before the end: ask for a longer walltime",
        });
    }
    Ok(command.short("wt", Some(minutes)).short("wa", Some(WARNING_SIGNAL)))
}

/// Rounded up, so that nobody gets less than was asked for.
fn whole_minutes(time: Duration) -> u64 {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    seconds.div_ceil(60)
}

/// A path in which LSF fills in the id. It knows no way to write a plain `%J`.
fn file_pattern(path: &str) -> String {
    path.replace(ID_PLACEHOLDER, "%J")
}

#[cfg(test)]
mod tests;
