//! The log of an allocation, written by its script, launcher and coordinator: its path, and the
//! line that says why the allocation failed.
//!
//! LSF writes a file of its own at the end of a job, with a copy of the batch script in front of
//! what the job printed. So under LSF the script appends its output to the log by itself; LSF's
//! file is read only if there is no log, and without that copy.

use std::io;
use std::path::{Path, PathBuf};

use thresher_channel::log_end::read_log_end;

/// Number of bytes read from the end of the log, which says what ended an allocation.
const MAX_READ_BYTES: u64 = 256 << 10;
const SHOWN_CHARS: usize = 200;

/// The start of the error that our own programs print last.
const OWN_ERROR: &str = "error: ";
/// Part of every line of the script, which reports failures of other programs.
const OF_SCRIPT: &str = " thresher: ";
/// Words in the errors of other programs.
const WORDS: [&str; 16] = [
    "error",
    "unrecognized",
    "unknown option",
    "invalid",
    "not found",
    "no such",
    "not exist",
    "denied",
    "refused",
    "cannot",
    "can't",
    "could not",
    "unable",
    "fail",
    "fatal",
    "panicked",
];

/// The first line of LSF's report on a job, and the last one before what the job printed. The
/// report has a copy of the script.
const REPORT_STARTS: &str = "Sender: LSF System";
const REPORT_ENDS: &str = "The output (if any)";

/// Returns the path of the log.
pub(super) fn log_path(state: &Path, id: &str) -> PathBuf {
    state.join("logs").join(format!("allocation-{id}.log"))
}

/// Returns the path of the file of this name that a batch system writes by itself; that of the
/// folder, with a `/` at its end, if the name is empty.
pub(super) fn own_log_path(state: &Path, name: &str) -> PathBuf {
    state.join("logs").join(name)
}

/// Returns the paths of the files that batch systems write by themselves: LSF, PBS and Flux.
fn own_logs(state: &Path, id: &str) -> [PathBuf; 3] {
    let of_flux = id.replacen('f', "ƒ", 1);
    [
        format!("allocation-{id}.lsf.log"),
        format!("{id}.OU"),
        format!("allocation-{of_flux}.flux.log"),
    ]
    .map(|name| own_log_path(state, &name))
}

/// Returns where to look for the cause of an end, and the cause itself if the log shows it; empty
/// if there is no log.
pub fn cause_in_log(state: &Path, id: &str) -> String {
    let mut first = None;
    for path in std::iter::once(log_path(state, id)).chain(own_logs(state, id)) {
        let text = match read_log_end(&path, MAX_READ_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return format!("failed to read {}: {error}", path.display()),
        };
        match last_error(&without_report(&text)) {
            Some(line) => return format!("`{line}`, from {}", path.display()),
            None => first = first.or_else(|| Some(format!("see {}", path.display()))),
        }
    }
    first.unwrap_or_default()
}

/// Returns what the job printed, without LSF's report. If the text starts in the middle of a
/// report, it is known by its last line.
fn without_report(log: &str) -> String {
    let is_end = |line: &&str| line.trim_start().starts_with(REPORT_ENDS);
    let is_start = |line: &&str| line.trim_start().starts_with(REPORT_STARTS);
    let mut in_report = {
        let first = log.lines().find(|line| is_start(line) || is_end(line));
        first.is_some_and(|line| is_end(&line))
    };
    let mut kept = String::new();
    for line in log.lines() {
        in_report |= is_start(&line);
        if !in_report {
            kept.push_str(line);
            kept.push('\n');
        }
        in_report &= !is_end(&line);
    }
    kept
}

/// Returns the last error of the coordinator, else that of another program, else that of the
/// script.
fn last_error(log: &str) -> Option<String> {
    let of_others = |line: &&str| {
        let line = line.to_lowercase();
        WORDS.iter().any(|word| line.contains(word))
    };
    let (of_script, others): (Vec<&str>, Vec<&str>) =
        log.lines().map(str::trim).partition(|line| line.contains(OF_SCRIPT));
    let own = others.iter().rfind(|line| line.starts_with(OWN_ERROR));
    let found = own.or_else(|| others.iter().rfind(|line| of_others(line)));
    let found = found.or_else(|| of_script.iter().rfind(|line| of_others(line)))?;
    let plain = found.strip_prefix(OWN_ERROR).unwrap_or(found);
    Some(plain.chars().filter(|c| !c.is_control() && *c != '`').take(SHOWN_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAUNCHER: &str = "\
srun: unrecognized option '--nope'
Try \"srun --help\" for more information
2026-11-28T13:00:00Z thresher: srun ended with status 1
srun: unrecognized option '--nope'
Try \"srun --help\" for more information
2026-11-28T13:00:01Z thresher: srun ended with status 1
2026-11-28T13:00:01Z thresher: got launcher: draining
job `cluster` is drained (5.1 s, submitted 2026-11-28 13:00:00 UTC)

`thresher resume` resumes the job
";

    #[test]
    fn the_line_with_the_cause_is_found() {
        let coordinator = "srun: error: n1: task 0: Killed\nerror: there is no interface `nope0`\n\
                           hint: choose one of `lo`\n2026 thresher: the coordinator failed\n";
        let script = "all is well\n2026-11-28T13:00:00Z thresher: failed to load the modules\n";
        for (log, expected) in [
            (LAUNCHER, Some("srun: unrecognized option '--nope'")),
            (coordinator, Some("there is no interface nope0")),
            (script, Some("2026-11-28T13:00:00Z thresher: failed to load the modules")),
            (
                "\u{1b}[31mslurmstepd: Permission denied\r\n",
                Some("[31mslurmstepd: Permission denied"),
            ),
            ("job `a` is drained\n", None),
            ("", None),
        ] {
            assert_eq!(last_error(log).as_deref(), expected, "{log}");
        }
    }

    /// A report as LSF writes it, with a copy of the script.
    const REPORT: &str = "\
------------------------------------------------------------
Sender: LSF System <lsfadmin@c1>
Subject: Job 101: <crawl> in cluster <c> Exited

Your job looked like:

------------------------------------------------------------
# LSBATCH: User input
#!/bin/bash
        say \"the worker on $(uname -n) keeps exiting, last with status $code\"
        trouble=\"$module failed on $(uname -n)\"
------------------------------------------------------------

Exited with exit code 1.

The output (if any) follows:

";

    #[test]
    fn the_copy_of_the_script_in_a_report_of_lsf_is_never_the_cause() {
        let printed = "mpirun was unable to reach n3\n";
        let cut = &REPORT[REPORT.find("# LSBATCH").unwrap()..];
        let streamed = format!("{printed}{REPORT}");
        for (log, expected) in [
            (REPORT.to_owned(), None),
            (cut.to_owned(), None),
            (REPORT[..REPORT.len() / 2].to_owned(), None),
            (format!("{REPORT}{printed}"), Some(printed.trim())),
            (format!("{cut}{printed}"), Some(printed.trim())),
            (streamed.clone(), Some(printed.trim())),
            (format!("{streamed}{REPORT}all is well\n"), Some(printed.trim())),
        ] {
            assert_eq!(last_error(&without_report(&log)).as_deref(), expected, "{log}");
        }
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(state.path().join("logs")).unwrap();
        std::fs::write(
            own_log_path(state.path(), "allocation-7.lsf.log"),
            format!("{REPORT}{printed}"),
        )
        .unwrap();
        assert!(cause_in_log(state.path(), "7").starts_with("`mpirun was unable to reach n3`"));
        std::fs::write(log_path(state.path(), "7"), "error: no keys\n").unwrap();
        assert!(cause_in_log(state.path(), "7").starts_with("`no keys`"), "the log comes first");
    }

    #[test]
    fn a_log_is_named_whether_it_shows_a_cause_or_not() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(cause_in_log(state.path(), "7"), "");
        let path = log_path(state.path(), "7");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, LAUNCHER).unwrap();
        let cause = cause_in_log(state.path(), "7");
        assert_eq!(cause, format!("`srun: unrecognized option '--nope'`, from {}", path.display()));
        std::fs::write(&path, "nothing\n").unwrap();
        assert_eq!(cause_in_log(state.path(), "7"), format!("see {}", path.display()));
        // Only the end of a long log is read.
        std::fs::write(&path, format!("error: old\n{}", "well\n".repeat(60_000))).unwrap();
        assert_eq!(cause_in_log(state.path(), "7"), format!("see {}", path.display()));
    }
}
