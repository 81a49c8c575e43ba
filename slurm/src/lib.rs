//! The adapter of Slurm: turns requests into `sbatch` command lines, and the output of `sbatch`,
//! `squeue`, `sacct` and the environment into values.
//!
//! It runs nothing, and reads no file, clock or environment by itself. It knows nothing of scripts
//! and launchers (`srun`). Every answer is requested in a fixed format, because the default tables
//! are cut to column widths and the JSON changes its form between versions.

mod hostlist;
mod status;
mod walltime;

use thresher_site::batch::{
    AllocationId, AllocationRequest, AllocationState, BatchSystem, CommandLine, Directives,
    ID_PLACEHOLDER, Inside, Listed, ParseError, RequestError, Rerun, ScriptParts,
};

pub use hostlist::expand_hostlist;
pub use walltime::{parse_walltime, print_walltime};

/// Signal that is sent to the script, and only to it, before the end. The coordinator informs the
/// processes that the script started, because it knows what they do.
const WARNING_SIGNAL: &str = "USR1";

/// Slurm stores the lead time in 16 bits.
const WARNING_SECONDS_MAX: u64 = 65_535;

/// Variables that `sbatch` must not inherit: those of an allocation around it would reach the new
/// one, where `srun` obeys them (`SLURM_CPU_BIND`, `SLURM_MEM_PER_CPU`), and those that override a
/// directive.
const NOT_INHERITED: &[&str] = &[
    "SLURM_*",
    "SBATCH_JOB_NAME",
    "SBATCH_TIMELIMIT",
    "SBATCH_SIGNAL",
    "SBATCH_OUTPUT",
    "SBATCH_ERROR",
    "SBATCH_OPEN_MODE",
    "SBATCH_REQUEUE",
    "SBATCH_NO_REQUEUE",
    "SBATCH_ARRAY_INX",
    "SBATCH_WAIT",
];

/// Variables with which `sbatch` finds its cluster.
const KEPT: &[&str] = &["SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT"];

/// The adapter for Slurm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slurm {
    /// The command that provides states.
    pub records: Records,
}

/// The command that is asked for the state of allocations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Records {
    /// `squeue`, which every cluster has, but which forgets allocations some minutes after their
    /// end.
    #[default]
    Queue,
    /// `sacct`, which remembers everything and knows exit codes, if the site runs the database.
    Accounting,
}

impl BatchSystem for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
    }

    fn directives(&self, request: &AllocationRequest) -> Result<Directives, RequestError> {
        request.check()?;
        let constraint = (!request.features.is_empty()).then(|| request.features.join("&"));
        Directives::new("#SBATCH")
            .long("job-name", Some(&request.name))?
            .long("nodes", Some(request.nodes))?
            .long("time", Some(print_walltime(request.walltime)))?
            .long("partition", request.queue.as_ref())?
            .long("account", request.account.as_ref())?
            .long("qos", request.qos.as_ref())?
            .long("reservation", request.reservation.as_ref())?
            .long("constraint", constraint)?
            .long("signal", warning(request)?)?
            .long("output", request.output.as_deref().map(file_pattern))?
            .long("error", request.errors.as_deref().map(file_pattern))?
            // Without this, the second run of a requeued script overwrites the output of the first.
            .long("open-mode", Some("append"))?
            .line([match request.rerun {
                Rerun::Allowed => "--requeue",
                Rerun::Forbidden => "--no-requeue",
            }])?
            .further(&request.extra)
    }

    fn submit(&self, request: &AllocationRequest) -> Result<CommandLine, RequestError> {
        let command =
            CommandLine { unset: NOT_INHERITED, keep: KEPT, ..CommandLine::new("sbatch") };
        let command = command
            .argument("--parsable")
            // With `afterok`, an allocation would never start after one that its walltime ended.
            .long("dependency", request.after.as_ref().map(|id| format!("afterany:{id}")));
        Ok(command.argument(request.script_argument()?))
    }

    fn script(&self) -> ScriptParts {
        ScriptParts {
            surroundings: "id=${SLURM_JOB_ID:-}\n",
            requeue: "scontrol requeue \"$SLURM_JOB_ID\"",
            asking: "",
            own_log: None,
        }
    }

    /// `--parsable` prints `4711`, or `4711;cluster` in a federation, where ids are unique too. A
    /// site's wrapper may print notices before and after it, or the sentence of `sbatch`.
    fn parse_submit(&self, out: &str) -> Result<AllocationId, ParseError> {
        let id = out.lines().rev().find_map(submitted_id);
        AllocationId::parse(id.ok_or_else(|| ParseError::no_id("sbatch", out))?)
    }

    fn status(&self, ids: &[AllocationId]) -> Option<CommandLine> {
        match self.records {
            Records::Queue => status::squeue(ids),
            Records::Accounting => status::sacct(ids),
        }
    }

    fn parse_status(&self, out: &str) -> Result<Vec<(AllocationId, AllocationState)>, ParseError> {
        match self.records {
            Records::Queue => status::parse_squeue(out),
            Records::Accounting => status::parse_sacct(out),
        }
    }

    fn forgets(&self, line: &str) -> bool {
        status::forgets(line)
    }

    fn advice(&self, failure: &str) -> Option<&'static str> {
        // `sacct` fails like this if the site runs no database, or if it does not answer.
        let database = ["accounting storage is disabled", "slurm_persist_conn", "slurmdbd"];
        let about = database.iter().any(|part| failure.contains(part));
        (self.records == Records::Accounting && about).then_some(
            "`records` of the site is `accounting`, which needs Slurm's database; with `queue`, \
             `squeue` is asked",
        )
    }

    fn find(&self, name: &str) -> CommandLine {
        status::find(name)
    }

    fn parse_find(&self, out: &str) -> Result<Vec<Listed>, ParseError> {
        status::parse_find(out)
    }

    fn cancel(&self, ids: &[AllocationId]) -> Option<CommandLine> {
        let command = CommandLine::new("scancel");
        (!ids.is_empty()).then(|| ids.iter().fold(command, |c, id| c.argument(id.as_str())))
    }

    fn inside(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Inside>, ParseError> {
        let Some(id) = variable("SLURM_JOB_ID") else { return Ok(None) };
        // Some versions and prologues set variables to nothing, which means the same as not at all.
        let number = |name, what| match variable(name).filter(|text| !text.trim().is_empty()) {
            None => Ok(None),
            Some(text) => match text.trim().parse::<u64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(ParseError::bad(what, &text)),
            },
        };
        // The count is not set, rather than 0, in the first run.
        let restarts = number("SLURM_RESTART_COUNT", "count of restarts")?.unwrap_or(0);
        Ok(Some(Inside {
            allocation: AllocationId::parse(&id)?,
            nodes: expand_hostlist(&variable("SLURM_JOB_NODELIST").unwrap_or_default())?,
            restarts: Some(u32::try_from(restarts).unwrap_or(u32::MAX)),
            // This is the end planned at the start, without later changes. Slurm 22.05 does not set
            // it.
            ends_unix_seconds: number("SLURM_JOB_END_TIME", "end time in unix seconds")?,
        }))
    }
}

/// Returns the id from a line of `sbatch`, if the line is about a submission.
fn submitted_id(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = line.strip_prefix("Submitted batch job ").unwrap_or(line);
    let id = line.split([';', ' ']).next()?;
    let rest = &line[id.len()..];
    let fine = rest.is_empty() || rest.starts_with(';') || rest.starts_with(" on cluster ");
    (fine && !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).then_some(id)
}

/// Returns the warning. With `B:`, only the script gets the signal, up to a minute early.
fn warning(request: &AllocationRequest) -> Result<Option<String>, RequestError> {
    let Some(lead) = request.warn_before else { return Ok(None) };
    let seconds = walltime::whole_seconds(lead);
    if seconds > WARNING_SECONDS_MAX {
        return Err(RequestError::Value {
            what: "warning time",
            value: format!("{seconds}s"),
            hint: "Slurm warns at most 65535 s before the end",
        });
    }
    Ok(Some(format!("B:{WARNING_SIGNAL}@{seconds}")))
}

/// Returns a path in which Slurm fills in the id and interprets no other `%`.
fn file_pattern(path: &str) -> String {
    path.replace('%', "%%").replace(ID_PLACEHOLDER, "%j")
}

#[cfg(test)]
mod tests;
