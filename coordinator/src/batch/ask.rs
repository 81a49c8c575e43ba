//! Asks a batch system for the states of allocations, and uses as much of its answer as can be
//! read.
//!
//! `bjobs` and its like fail if they have no record of one of the ids, and print the others, so a
//! status of failure alone says nothing. An allocation without a row is forgotten, unless the
//! answer is incomplete: then nothing is known about it, which is not the same.

use std::collections::BTreeMap;
use std::time::Duration;

use thresher_site::batch::{AllocationId, AllocationState, BatchSystem};

use super::command::{CommandError, Output, run_to_its_end};

/// States of allocations, by id.
pub type States = BTreeMap<String, AllocationState>;

/// What a batch system answered.
#[derive(Debug, Default)]
pub struct Answer {
    /// The states that it printed.
    pub states: States,
    /// Why nothing is known about the other allocations; `None` if the batch system has forgotten
    /// them.
    pub error: Option<String>,
}

/// Asks for the states of allocations. Without any, nothing is run.
pub fn ask(system: &dyn BatchSystem, ids: &[AllocationId], limit: Duration) -> Answer {
    let Some(line) = system.status(ids) else { return Answer::default() };
    match run_to_its_end(&line, limit) {
        Ok(output) => read(system, ids, &output, output.failure(&line)),
        Err(error) => Answer { states: States::new(), error: Some(error.to_string()) },
    }
}

fn read(
    system: &dyn BatchSystem,
    ids: &[AllocationId],
    output: &Output,
    failure: Option<CommandError>,
) -> Answer {
    let mut states = States::new();
    let mut unreadable = None;
    // Row by row: one that cannot be read, such as a notice of the site, spoils no other.
    for row in system.rows(&output.out).iter().filter(|row| !system.forgets(row)) {
        match system.parse_status(row) {
            Ok(rows) => states.extend(rows.into_iter().map(|(id, state)| (id.to_string(), state))),
            Err(error) => unreadable = unreadable.or(Some(error.to_string())),
        }
    }
    let missing = ids.iter().any(|id| !states.contains_key(id.as_str()));
    let mut complaints = output.errors.lines().filter(|line| !line.trim().is_empty()).peekable();
    let only_forgotten = match complaints.peek() {
        Some(_) => complaints.all(|line| system.forgets(line)),
        None => output.out.lines().any(|line| system.forgets(line)),
    };
    let failure = failure.filter(|_| !only_forgotten).map(|failure| {
        let failure = failure.to_string();
        match system.advice(&failure) {
            Some(advice) => format!("{failure}\nhint: {advice}"),
            None => failure,
        }
    });
    Answer { states, error: failure.or(unreadable).filter(|_| missing) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::batch_system;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use thresher_site::SiteProfile;
    use thresher_site::batch::CommandLine;

    const LSF: &str = "generic-lsf";
    const SLURM: &str = "generic-slurm";
    const PBS: &str = "generic-pbs";
    const FLUX: &str = "generic-flux";

    /// Returns what is made of the answer of a command for the ids 7 and 8.
    fn answer(site: &str, out: &str, errors: &str, code: u8) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("command");
        fs::write(folder.path().join("out"), out).unwrap();
        fs::write(folder.path().join("errors"), errors).unwrap();
        let text = format!(
            "#!/bin/sh\ncd {}\ncat out\ncat errors >&2\nexit {code}\n",
            folder.path().display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let line = CommandLine::new("sh").argument(path.to_string_lossy());
        let output = run_to_its_end(&line, Duration::from_secs(20)).unwrap();
        let system = batch_system(&SiteProfile::choose(site, "").unwrap());
        let ids = ["7", "8"].map(|id| AllocationId::parse(id).unwrap());
        read(&*system, &ids, &output, output.failure(&line))
    }

    #[test]
    fn good_rows_count_whatever_the_status_of_the_command() {
        let row = "7|RUN|-|120.0|60 second(s)|-|-\n";
        let slurm = "7|RUNNING|2|5:00|1:00|None\n";
        // Site, stdout, stderr, status; ids with a state, part of the error.
        type Case<'a> = (&'a str, &'a str, &'a str, u8, &'a [&'a str], Option<&'a str>);
        let unreachable = "Cannot connect to LSF. Please wait ...\n";
        let invalid = "slurm_load_jobs error: Invalid job id specified\n";
        let pbs = |state: &str| {
            format!(
                "notice\n{{\"Jobs\":{{\"8\":{{\"job_state\":\"?\"}},\"7\":{{\"job_state\":\"{state}\"}}}}}}"
            )
        };
        let flux = "f7|RUN||16|2|60.0|1.0|||[]|\n";
        let cases: [Case<'_>; 14] = [
            (PBS, &pbs("R"), "", 0, &["7"], Some("`?`")),
            (PBS, "", "qstat: Unknown Job Id 7\nqstat: Unknown Job Id 8\n", 153, &[], None),
            (PBS, "", "qstat: cannot connect to server pbs1\n", 255, &[], Some("cannot connect")),
            (FLUX, flux, "flux-jobs: ERROR: JobID f8 unknown\n", 1, &["f7"], None),
            (LSF, row, "Job <8> is not found\n", 255, &["7"], None),
            (LSF, &format!("{row}Job <8> is not found\n"), "", 255, &["7"], None),
            (LSF, "", "Job <7> is not found\nJob <8> is not found\n", 255, &[], None),
            (LSF, row, unreachable, 255, &["7"], Some("Cannot connect")),
            (LSF, "", unreachable, 255, &[], Some("Cannot connect")),
            (LSF, &format!("a notice of the site\n{row}"), "", 0, &["7"], Some("a notice")),
            (LSF, &format!("8|PROV|-|-|-|-|-\n{row}"), "", 0, &["7"], Some("`PROV`")),
            (SLURM, slurm, "", 0, &["7"], None),
            (SLURM, "", invalid, 1, &[], None),
            (SLURM, slurm, "slurm_load_jobs error: timeout\n", 1, &["7"], Some("timeout")),
        ];
        for (site, out, errors, code, known, error) in cases {
            let answer = answer(site, out, errors, code);
            let found: Vec<&str> = answer.states.keys().map(String::as_str).collect();
            assert_eq!(found, known, "{out}{errors}");
            match (&answer.error, error) {
                (Some(found), Some(part)) => assert!(found.contains(part), "{found}"),
                (found, expected) => assert_eq!(found.as_deref(), expected, "{out}{errors}"),
            }
        }
    }

    #[test]
    fn a_notice_does_not_matter_if_every_state_is_known() {
        let rows = "notice\n7|DONE|-|1.0|9 second(s)|-|-\n8|RUN|-|1.0|9 second(s)|-|-\n";
        for (out, errors, code) in [(rows, "", 0), (rows, "LSF is slow today\n", 255)] {
            let answer = answer(LSF, out, errors, code);
            assert_eq!((answer.states.len(), answer.error), (2, None));
        }
    }

    #[test]
    fn nothing_is_run_without_an_id() {
        let system = batch_system(&SiteProfile::choose(LSF, "").unwrap());
        let answer = ask(&*system, &[], Duration::from_secs(1));
        assert_eq!((answer.states.len(), answer.error), (0, None));
    }
}
