//! The adapter of Flux: turns requests into `# flux:` directives, and the output of `flux batch`,
//! `flux jobs` and the environment into values.
//!
//! It runs nothing, and reads no file, clock or environment by itself. It knows nothing of `flux
//! run`. `flux batch` starts a Flux instance of its own on the nodes, and the script in it:
//! commands in the script reach that instance unless they are directed to the one around it, which
//! knows the allocation. Flux never starts a job again, so a chain is made of dependencies.
//!
//! Ids are in F58 with an ASCII `f`, which Flux accepts like its `ƒ`, so that they can be parts of
//! file names.

mod status;

use thresher_site::batch::{
    AllocationId, AllocationRequest, AllocationState, BatchSystem, CommandLine, Directives,
    ID_PLACEHOLDER, Inside, Listed, ParseError, RequestError, ScriptParts,
};

/// Signal that is sent before the end to the script and to the jobs that it started.
const WARNING_SIGNAL: &str = "SIGUSR1";

/// Variable with the id of the allocation in the script. Newer versions of Flux set it.
const ID_VARIABLE: &str = "FLUX_ENCLOSING_ID";

/// Variables of an allocation around `flux batch`. The address of the instance is not one of them.
const NOT_INHERITED: &[&str] = &[
    "FLUX_JOB_*",
    "FLUX_TASK_*",
    "FLUX_ENCLOSING_ID",
    "FLUX_KVS_NAMESPACE",
    "PMI_*",
    "PMIX_*",
    "SLURM_*",
];

/// The adapter for Flux.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flux;

impl BatchSystem for Flux {
    fn name(&self) -> &'static str {
        "flux"
    }

    fn directives(&self, request: &AllocationRequest) -> Result<Directives, RequestError> {
        request.check()?;
        refuse_what_is_unknown(request)?;
        let seconds = |time: std::time::Duration| {
            format!("{}s", time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)))
        };
        let requires = (!request.features.is_empty()).then(|| request.features.join(","));
        let signal = request.warn_before.map(|lead| format!("{WARNING_SIGNAL}@{}", seconds(lead)));
        Directives::new("# flux:")
            .long("job-name", Some(&request.name))?
            .long("nodes", Some(request.nodes))?
            .line(["--exclusive"])?
            .long("time-limit", Some(seconds(request.walltime)))?
            .long("queue", request.queue.as_ref())?
            .long("bank", request.account.as_ref())?
            .long("requires", requires)?
            .long("signal", signal)?
            .long("output", request.output.as_deref().map(file_pattern))?
            .long("error", request.errors.as_deref().map(file_pattern))?
            .further(&request.extra)
    }

    fn submit(&self, request: &AllocationRequest) -> Result<CommandLine, RequestError> {
        let command = CommandLine { unset: NOT_INHERITED, ..CommandLine::new("flux") }
            .argument("batch")
            // With `afterok`, an allocation would never start after one that its walltime ended.
            .long("dependency", request.after.as_ref().map(|id| format!("afterany:{id}")));
        Ok(command.argument(request.script_argument()?))
    }

    /// No variable has the id in older versions, and none says where the instance around this one
    /// answers. A user cannot requeue, but the script can submit itself again.
    fn script(&self) -> ScriptParts {
        ScriptParts {
            surroundings: "id=${FLUX_ENCLOSING_ID:-}\n\
                if [ \"${1:-}\" != worker ]; then\n    \
                id=$(flux getattr jobid)\n    \
                case $id in ƒ*) id=f${id#ƒ} ;; esac\n    \
                export FLUX_ENCLOSING_ID=$id\n    \
                around=$(flux getattr parent-uri)\nfi\n",
            requeue: "FLUX_URI=$around flux batch \"$script\" >&2",
            asking: "FLUX_URI=$around",
            own_log: Some("allocation-{id}.flux.log"),
        }
    }

    /// Reads the last line that is an id such as `ƒM7Zq9AKHno`: sites print notices around it.
    fn parse_submit(&self, out: &str) -> Result<AllocationId, ParseError> {
        // With an ASCII letter, a word of a notice could be read as an id.
        let is_word = |line: &str| line.bytes().all(|b| b.is_ascii_lowercase());
        let lines = || out.lines().rev().map(str::trim).filter(|line| !is_word(line));
        let certain = lines().filter(|line| line.starts_with('ƒ')).find_map(plain_id);
        let id = certain.or_else(|| lines().find_map(plain_id));
        AllocationId::parse(&id.ok_or_else(|| ParseError::no_id("flux batch", out))?)
    }

    fn status(&self, ids: &[AllocationId]) -> Option<CommandLine> {
        status::jobs(ids)
    }

    fn parse_status(&self, out: &str) -> Result<Vec<(AllocationId, AllocationState)>, ParseError> {
        status::parse_jobs(out)
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

    /// Raises an exception: TERM to the instance, which sends HUP to the script and TERM to its
    /// jobs, and KILL five seconds later.
    fn cancel(&self, ids: &[AllocationId]) -> Option<CommandLine> {
        let command = CommandLine::new("flux").argument("cancel");
        (!ids.is_empty()).then(|| ids.iter().fold(command, |c, id| c.argument(id.as_str())))
    }

    /// The nodes stay unknown, because `flux run` needs no list of them, and so does the end, for
    /// which Flux has no variable.
    fn inside(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Inside>, ParseError> {
        let Some(text) = variable(ID_VARIABLE).filter(|id| !id.is_empty()) else { return Ok(None) };
        let id = plain_id(&text).ok_or_else(|| ParseError::bad("allocation id", &text))?;
        Ok(Some(Inside {
            allocation: AllocationId::parse(&id)?,
            nodes: Vec::new(),
            restarts: None,
            ends_unix_seconds: None,
        }))
    }
}

/// Refuses what Flux has no names for, because a request must never be granted in part. A rerun is
/// only allowed, never demanded, so it is not refused.
fn refuse_what_is_unknown(request: &AllocationRequest) -> Result<(), RequestError> {
    let unsupported = |what, value: &str, hint| RequestError::Unsupported {
        system: "flux",
        what,
        value: value.to_owned(),
        hint,
    };
    match (&request.qos, &request.reservation) {
        (Some(qos), _) => Err(unsupported("quality of service", qos, "choose a queue instead")),
        (None, Some(name)) => Err(unsupported("reservation", name, "choose a queue instead")),
        (None, None) => Ok(()),
    }
}

/// Returns an id in F58 with an ASCII `f`; `None` if the text is not one.
pub(crate) fn plain_id(text: &str) -> Option<String> {
    let digits = text.strip_prefix('ƒ').or_else(|| text.strip_prefix('f'))?;
    // The digits of base 58: no 0, I, O and l. An id has 64 bits.
    let is_digit = |b: u8| b.is_ascii_alphanumeric() && !b"0IOl".contains(&b);
    ((1..=12).contains(&digits.len()) && digits.bytes().all(is_digit)).then(|| format!("f{digits}"))
}

/// Returns a path in which Flux fills in the id. Flux has no way to write a plain `{{`.
fn file_pattern(path: &str) -> String {
    path.replace(ID_PLACEHOLDER, "{{id}}")
}

#[cfg(test)]
mod tests;
