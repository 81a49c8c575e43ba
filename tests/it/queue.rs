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

    fn state(&self) -> PathBuf {
        self.folder.path().join("corpus.state")
    }

    /// Calls the verb of a batch script in the allocation, and returns what it prints.
    fn in_allocation(&self, id: &str, arguments: &[&str]) -> String {
        let mut command: Command = thresher();
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.folder.path().display()));
        command.env("SLURM_JOB_ID", id).env("SLURM_JOB_NODELIST", "n1");
        command.arg("allocation").arg(arguments[0]).arg("--state").arg(self.state());
        String::from_utf8(output(command.args(&arguments[1..])).stdout).unwrap()
    }

    fn said(&self, program: &str) -> String {
        read(&self.folder.path().join(format!("{program}.said")))
    }
}

impl Said {
    /// Returns the row of `status` about an allocation, with single spaces.
    fn row(&self, id: &str) -> String {
        let line = self.out.lines().find(|line| line.split(' ').next() == Some(id));
        line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
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
    let begin = |id: &str, more: &[&str]| queue.in_allocation(id, &[&["begin"], more].concat());
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
    let parts = ["\n#BSUB -W 24:00\n", "\n#BSUB -nnodes 922\n", "\n# bsub /"];
    let fine = parts.iter().all(|part| said.out.contains(part));
    assert!(fine && said.out.starts_with("#!/bin/bash\n#BSUB "), "{}{}", said.out, said.err);
    // Only the first command of a chain is without a dependency.
    let flux = ["--site", "generic-flux", "-N", "2", "-t", "1h", "--chain", "2", "--dry-run"];
    let said = queue.thresher("submit", &flux);
    let parts =
        ["\n# flux: --nodes=2\n", "\n# flux batch /", "\n# flux batch --dependency=afterany:"];
    assert!(parts.iter().all(|part| said.out.contains(part)), "{}{}", said.out, said.err);
}

const SILENT: &str = "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1";

#[test]
fn a_job_whose_allocation_may_still_run_is_resumed_only_by_force() {
    let queue = Queue::new();
    assert_eq!(queue.submit(&[]).code, Some(0));
    queue.program("squeue", SILENT);
    let said = queue.thresher("resume", &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "it was submitted");
    assert!(said.err.contains("allocation `1` of this job was submitted"), "{}", said.err);
    assert!(queue.in_allocation("1", &["begin"]).starts_with("run "));
    let said = queue.thresher("resume", &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "it began");
    let parts = ["allocation `1` of this job started", "may run until", "Unable to contact"];
    let hinted = said.err.contains("\nhint: ") && said.err.contains("`--force`");
    assert!(hinted && parts.iter().all(|part| said.err.contains(part)), "{}", said.err);
    let said = queue.submit(&[]);
    assert!(said.code == Some(1) && said.err.contains("`--force`"), "{}", said.err);
    let said = queue.thresher("resume", &["--force"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "2\n"), "{}", said.err);
    // Of the first, the batch system says that it forgot it, and the second waits.
    queue.program("squeue", "echo '2|PENDING|1|1:00:00|0:00|Priority'");
    let said = queue.thresher("resume", &["--force"]);
    assert!(said.code == Some(1) && said.err.contains("`2` of this job is queued"), "{}", said.err);
    // Should the first come back, it leaves the job to the second.
    assert!(queue.in_allocation("1", &["begin"]).contains("submitted again"));
    assert_eq!(queue.said("scancel"), "", "and the second stays in the queue");
}

#[test]
fn an_allocation_that_was_requeued_after_its_end_is_seen_drained_and_cancelled() {
    let queue = Queue::new();
    assert_eq!(queue.submit(&[]).code, Some(0));
    assert!(queue.in_allocation("1", &["begin"]).starts_with("run "));
    queue.in_allocation("1", &["end", "--status", "5", "--asked", "TERM"]);
    let said = queue.thresher("status", &[]);
    assert!(said.row("1").starts_with("1 ended 1 1 "), "{}", said.out);
    queue.program("squeue", "echo '1|PENDING|1|1:00:00|0:00|BeginTime'");
    let said = queue.thresher("status", &[]);
    assert!(said.row("1").starts_with("1 queued 1 1 "), "{}", said.out);
    assert!(said.out.contains("runs again after 1 runs, 0 units done; BeginTime"), "{}", said.out);
    let said = queue.thresher("resume", &[]);
    assert!(said.code == Some(1) && said.err.contains("`1` of this job is queued"), "{}", said.err);
    let said = queue.thresher("drain", &[]);
    assert!(said.err.contains("1 allocations were removed from the queue"), "{}", said.err);
    assert_eq!(queue.said("scancel"), "1\n");
    assert_eq!(queue.thresher("cancel", &[]).code, Some(0));
    assert_eq!(queue.said("scancel"), "1\n1\n");
    assert_eq!(queue.in_allocation("1", &["begin"]).trim_end(), "the job is over");
}

#[test]
fn a_submission_without_an_id_is_found_by_name_or_reported_as_unknown() {
    let queue = Queue::new();
    let listed = |queue: &Queue| {
        let ours = queue.state().join("allocations/000001-script.sh");
        format!("echo '8|/else/script.sh'; echo '9|{}'", ours.display())
    };
    // A wrapper hides the id; of two jobs with that name, one is ours.
    queue.program("sbatch", "echo 'Thank you for your order.'");
    queue.program("squeue", &listed(&queue));
    let said = queue.submit(&[]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "9\n"), "{}", said.err);
    assert!(said.err.contains("found by name"), "{}", said.err);

    let queue = Queue::new();
    queue.program("sbatch", "echo 'error: the controller is busy' >&2; exit 1");
    queue.program("squeue", &listed(&queue));
    assert_eq!(queue.submit(&[]).out, "9\n", "it failed after all, but was submitted");

    let queue = Queue::new();
    queue.program("sbatch", "echo 'error: invalid account' >&2; exit 1");
    let said = queue.submit(&[]);
    assert!(said.code == Some(1) && said.err.contains("nothing was submitted"), "{}", said.err);
    queue.program("squeue", SILENT);
    let said = queue.submit(&["--force"]);
    let unknown = "it is not known whether an allocation was submitted";
    assert!(said.code == Some(1) && said.err.contains(unknown), "{}", said.err);
    assert!(
        said.err.contains("hint: `squeue ") && !said.err.contains("nothing was"),
        "{}",
        said.err
    );
}

#[test]
fn states_that_are_not_running_are_shown_as_such() {
    let queue = Queue::new();
    assert_eq!(queue.submit(&["--chain", "2"]).code, Some(0));
    assert!(queue.in_allocation("1", &["begin"]).starts_with("run "));
    queue.program(
        "squeue",
        "echo '1|SUSPENDED|1|30:00|30:00|None'; \
                             echo '2|PENDING|1|1:00:00|0:00|JobHeldUser'",
    );
    let said = queue.thresher("status", &[]);
    assert!(said.row("1").starts_with("1 suspended 1 1 "), "{}", said.out);
    assert!(said.row("2").starts_with("2 held 1 0 "), "{}", said.out);
    assert!(!said.out.contains("walltime left"), "{}", said.out);
}

#[test]
fn accounting_that_is_switched_off_is_shown_with_the_key_of_the_site() {
    let queue = Queue::new();
    let said = queue.submit(&["--set", "records=accounting"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    queue.program("sacct", "echo; echo 'Slurm accounting storage is disabled' >&2; exit 1");
    let said = queue.thresher("status", &[]);
    let parts = ["Slurm accounting storage is disabled", "`records` of the site is `accounting`"];
    assert!(parts.iter().all(|part| said.out.contains(part)), "{}{}", said.out, said.err);
}

#[test]
fn variables_of_an_outer_allocation_do_not_reach_the_submitting_command() {
    let queue = Queue::new();
    queue.program("sbatch", "env >>\"$0.said\"; echo 1");
    let mut command: Command = thresher();
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", queue.folder.path().display()));
    for name in ["SLURM_MEM_PER_CPU", "SLURM_CPU_BIND", "SLURM_TRES_PER_TASK", "SBATCH_TIMELIMIT"] {
        command.env(name, "7");
    }
    command.env("SLURM_CONF", "/etc/conf").env("SBATCH_ACCOUNT", "mine");
    command.args(["submit", "--site", "generic-slurm", "-N", "1", "-t", "1h"]).arg(&queue.job);
    assert!(output(&mut command).status.success());
    let seen = queue.said("sbatch");
    for (name, expected) in [
        ("SLURM_MEM_PER_CPU=", false),
        ("SLURM_CPU_BIND=", false),
        ("SLURM_TRES_PER_TASK=", false),
        ("SBATCH_TIMELIMIT=", false),
        ("SLURM_CONF=/etc/conf", true),
        ("SBATCH_ACCOUNT=mine", true),
    ] {
        assert_eq!(seen.contains(name), expected, "{name}: {seen}");
    }
}
