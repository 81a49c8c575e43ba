//! Jobs that wait in a queue and never start: the commands that people may run on them. The batch
//! system is three small scripts; a real one is `tests/cluster`'s.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use thresher_tests::job::JobText;
use thresher_tests::process::{output, thresher};

/// A folder with a job and a Slurm that begins nothing.
struct Queue {
    folder: tempfile::TempDir,
    job: PathBuf,
}

/// How a command ended and what it said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Queue {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let job = JobText::sample_times(1, folder.path()).write(folder.path());
        let queue = Self { folder, job };
        queue.program("sbatch", "ls >>\"$0.ids\"; wc -l <\"$0.ids\" | tr -d ' '");
        queue.program("scancel", "echo \"$@\" >>\"$0.said\"");
        queue.program("squeue", "exit 0");
        queue
    }

    fn program(&self, name: &str, body: &str) {
        let path = self.folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\ncd {} && {body}\n", self.quiet_folder().display()))
            .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// With one file, so that `ls` gives one line.
    fn quiet_folder(&self) -> PathBuf {
        let folder = self.folder.path().join("quiet");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        folder
    }

    fn thresher(&self, verb: &str, arguments: &[&str]) -> Said {
        let mut command: Command = thresher();
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.folder.path().display()));
        let done = output(command.arg(verb).arg(&self.job).args(arguments));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: done.status.code(), out: text(&done.stdout), err: text(&done.stderr) }
    }

    fn submit(&self, arguments: &[&str]) -> Said {
        let place = ["--site", "generic-slurm", "-N", "1", "-t", "1h"];
        self.thresher("submit", &[&place, arguments].concat())
    }

    fn said(&self, program: &str) -> String {
        read(&self.folder.path().join(format!("{program}.said")))
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_job_that_is_cancelled_in_the_queue_is_cancelled_for_good() {
    let queue = Queue::new();
    let said = queue.submit(&["--chain", "2"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "1\n2\n"), "{}", said.err);
    let said = queue.thresher("cancel", &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(queue.said("scancel").contains("1 2"), "{}", queue.said("scancel"));
    let said = queue.thresher("status", &[]);
    assert!(said.out.starts_with("job `test` is cancelled"), "{}", said.out);
    assert_eq!(said.code, Some(4));
    let said = queue.thresher("resume", &[]);
    assert!(said.code == Some(1) && said.err.contains("the job was cancelled\n"), "{}", said.err);
    let said = queue.thresher("run", &["--workers", "1"]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert_eq!(queue.thresher("cancel", &[]).code, Some(0), "it is so already");
}

#[test]
fn draining_a_queued_job_removes_it_from_the_queue() {
    let queue = Queue::new();
    assert_eq!(queue.submit(&["--chain", "2"]).code, Some(0));
    let said = queue.thresher("drain", &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("2 allocations were removed from the queue"), "{}", said.err);
    let said = queue.thresher("drain", &[]);
    assert!(said.code == Some(1) && said.err.contains("nothing to stop"), "{}", said.err);
    let said = queue.thresher("resume", &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "3\n4\n"), "{}", said.err);
}

#[test]
fn a_job_that_the_batch_system_refused_cannot_be_cancelled() {
    let queue = Queue::new();
    queue.program("sbatch", "echo no >&2; exit 1");
    assert_eq!(queue.submit(&[]).code, Some(1));
    let said = queue.thresher("cancel", &[]);
    assert!(said.code == Some(1) && said.err.contains("nothing to stop"), "{}", said.err);
}

#[test]
fn a_chain_whose_script_cannot_start_is_removed_from_the_queue() {
    let queue = Queue::new();
    assert_eq!(queue.submit(&["--chain", "3"]).code, Some(0));
    let state = queue.folder.path().join("corpus.state");
    let begin = |id: &str, more: &[&str]| {
        let mut command: Command = thresher();
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", queue.folder.path().display()));
        command.env("SLURM_JOB_ID", id).env("SLURM_JOB_NODELIST", "n1");
        command.args(["allocation", "begin", "--state"]).arg(&state).args(more);
        String::from_utf8(output(&mut command).stdout).unwrap()
    };
    let why = "`module load nope` failed on n1";
    assert_eq!(begin("1", &["--trouble", why]), "");
    assert_eq!(queue.said("scancel"), "2 3\n", "not itself");
    // An allocation that starts nevertheless does nothing.
    for id in ["1", "2"] {
        assert_eq!(begin(id, &[]).trim_end(), why);
    }
    let said = queue.thresher("status", &[]);
    assert_eq!(said.out.matches(why).count(), 3, "{}{}", said.out, said.err);
    assert_eq!(queue.submit(&[]).out, "4\n", "after a fix, it is submitted again");
    assert!(begin("4", &[]).starts_with("run "));
}

#[test]
fn invalid_requests_are_refused_before_a_script_is_shown() {
    let queue = Queue::new();
    // Arguments of `submit`, and parts of the error.
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--site", "summit", "-p", "killable", "-q", "debug"], &["`-p killable`", "`-q debug`"]),
        (&["--site", "summit", "--set", "launcher=srun"], &["`srun`", "`jsrun` or `mpirun`"]),
        (&["--site", "frontier", "-q", "nonsense"], &["`nonsense`", "`debug`, `normal`"]),
        (&["--site", "generic-slurm", "--set", "system=lsf"], &["`launcher`", "`srun`"]),
        (&["--site", "generic-slurm", "--set", "submit_options=['-N5']"], &["`-N5`", "`-N N`"]),
        (&["--site", "generic-lsf", "--set", "cores_per_node=0"], &["`0`", "`bhosts`"]),
    ];
    for (arguments, parts) in cases {
        let common = ["-A", "X", "-N", "2", "-t", "1h", "--dry-run"];
        let said = queue.thresher("submit", &[&common, arguments].concat());
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{arguments:?}");
        let hinted = said.err.contains("\nhint: ");
        assert!(hinted && parts.iter().all(|part| said.err.contains(part)), "{}", said.err);
    }
    let lsf = ["--site", "summit", "-A", "X", "-N", "922", "-t", "1-0", "-q", "batch", "--dry-run"];
    let said = queue.thresher("submit", &lsf);
    assert!(said.out.contains("\n# bsub -J test -W 24:00 "), "{}{}", said.out, said.err);
}
