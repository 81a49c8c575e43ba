//! Gang units over real MPI: the bytes are the same as by threads, for any library, number of
//! ranks, or rank that dies. `tests/mpi/run` builds a `thresher-gang` for each library and runs
//! this.
#![expect(clippy::unwrap_used, reason = "in a test, what is not there is a failure of the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use thresher_storage::clock;
use thresher_tests::job::JobText;
use thresher_tests::operations::write_similar_inputs;
use thresher_tests::process::{output, succeed, thresher};

/// Limit of a job's time, which is only exceeded if ranks wait for one that is dead.
const LONG: Duration = Duration::from_secs(120);

/// The folder of a library below `THRESHER_MPI_BUILDS`, and its launcher.
#[derive(Clone, Copy)]
struct Library {
    name: &'static str,
    launcher: &'static str,
}

const MPICH: Library = Library { name: "mpich", launcher: "mpiexec.hydra -n {ranks}" };
const OPEN_MPI: Library = Library { name: "openmpi", launcher: "mpirun.openmpi -n {ranks}" };

impl Library {
    fn program(self, program: &str) -> PathBuf {
        let builds = std::env::var_os("THRESHER_MPI_BUILDS").expect("run tests/mpi/run");
        Path::new(&builds).join(self.name).join(program)
    }

    /// Returns the launcher, ready for the rank's arguments.
    fn launch(self, ranks: u32) -> Command {
        let text = self.launcher.replace("{ranks}", &ranks.to_string());
        let mut words = text.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg(self.program("thresher-gang"));
        command
    }
}

/// A job that ran: its manifest, and the logs of its workers.
struct Ran {
    manifest: String,
    log: String,
    /// The folder of the state, which is dropped last.
    folder: tempfile::TempDir,
}

/// Inputs of several runs. The name of their list is part of the recipe, so it stays the same.
struct Inputs(tempfile::TempDir);

impl Inputs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn run_by_threads(&self) -> Ran {
        let ran = self.run(|_, _| ());
        assert_eq!(count(&ran.log, "gang step started"), 0);
        ran
    }

    /// Runs the sample's job with the arguments that `change` adds; it gets the folder of the job.
    fn run(&self, change: impl FnOnce(&mut Command, &Path)) -> Ran {
        let folder = tempfile::tempdir().unwrap();
        let job = JobText::sample_times(2, self.0.path())
            // Some 60,000 keys of lines in several ranges: each is resolved by a step of its own in
            // which every rank has keys for every other.
            .append("[dedup]\nmemory = \"1MiB\"")
            .write(folder.path());
        run(&job, folder, change)
    }
}

fn run(job: &Path, folder: tempfile::TempDir, change: impl FnOnce(&mut Command, &Path)) -> Ran {
    let state = folder.path().join("state");
    let mut command = thresher();
    command
        .arg("run")
        .arg(job)
        .arg("--state")
        .arg(&state)
        .env("THRESHER_LOG", "info")
        .env("NO_COLOR", "1");
    change(&mut command, folder.path());
    succeed(&mut command);
    let corpus = folder.path().join("corpus");
    succeed(thresher().arg("verify").arg(&corpus));
    let logs = std::fs::read_dir(state.join("logs")).unwrap();
    let log = logs.map(|log| std::fs::read_to_string(log.unwrap().path()).unwrap()).collect();
    Ran { manifest: std::fs::read_to_string(corpus.join("manifest.json")).unwrap(), log, folder }
}

fn by_ranks(program: Library, launcher: Library, ranks: u32) -> impl FnOnce(&mut Command, &Path) {
    move |command, _| {
        command
            .arg("--gang-program")
            .arg(program.program("thresher-gang"))
            .args(["--gang-launcher", launcher.launcher])
            .args(["--gang-ranks", &ranks.to_string()]);
    }
}

/// Returns how often a text occurs in the log.
fn count(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

/// Returns how many steps of a stage started.
fn steps(log: &str, stage: &str) -> usize {
    log.lines().filter(|line| line.contains("gang step started") && line.contains(stage)).count()
}

/// Returns the running ranks of a job, by their command lines.
fn ranks_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    });
    lines.filter(|line| line.contains("thresher-gang") && line.contains(&*folder)).collect()
}

#[test]
fn every_library_delivers_messages_unchanged_in_pieces_of_any_length() {
    for library in [MPICH, OPEN_MPI] {
        for (ranks, piece) in [(1, "7"), (2, "1"), (3, "4096"), (4, "1073741824")] {
            let printed = succeed(library.launch(ranks).args(["check", "--piece", piece]));
            let expected = format!("{ranks} ranks, pieces of {piece}: as sent");
            assert!(printed.contains(&expected), "{}: {printed}", library.name);
        }
    }
}

#[test]
fn a_job_has_the_same_bytes_by_threads_and_by_ranks_of_either_library() {
    let inputs = Inputs::new();
    let threads = inputs.run_by_threads();
    for library in [MPICH, OPEN_MPI] {
        for ranks in 1..=4 {
            let ran = inputs.run(by_ranks(library, library, ranks));
            assert!(ran.manifest == threads.manifest, "{} with {ranks} ranks", library.name);
            // All ranges of both stages were resolved by ranks, and none by threads. Each rank has
            // the memory of one, so more ranks need fewer ranges.
            let ranges = 4_usize.div_ceil(ranks as usize);
            assert!(steps(&ran.log, "resolve-lines") >= ranges, "{}", ran.log);
            assert!(steps(&ran.log, "resolve-documents") >= 1, "{}", ran.log);
            assert_eq!(count(&ran.log, "gang step failed"), 0, "{}", ran.log);
        }
    }
}

#[test]
fn near_duplicates_are_the_same_by_threads_and_by_ranks_of_either_library() {
    let inputs = tempfile::tempdir().unwrap();
    write_similar_inputs(inputs.path(), 120).unwrap();
    // Many bands make keys for several ranges.
    let job = JobText::similar_pages(inputs.path(), "\"documents\", \"near\"")
        .append("[near]\npreset = \"fineweb\"\nbands = 300\n[dedup]\nmemory = \"1MiB\"\n");
    let near = |change: &dyn Fn(&mut Command, &Path)| {
        let folder = tempfile::tempdir().unwrap();
        let job = job.write(folder.path());
        run(&job, folder, change)
    };
    let threads = near(&|_, _| ());
    assert_eq!(count(&threads.log, "gang step started"), 0);
    let report = std::fs::read(threads.folder.path().join("corpus/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let stages = report["stages"].as_array().unwrap();
    let ranges = stages.iter().find(|stage| stage["stage"] == "resolve-bands").unwrap();
    assert!(ranges["units"].as_u64().unwrap() > 1, "{ranges}");
    for library in [MPICH, OPEN_MPI] {
        for ranks in 1..=3 {
            let ran = near(&|command, folder| by_ranks(library, library, ranks)(command, folder));
            assert!(ran.manifest == threads.manifest, "{} with {ranks} ranks", library.name);
            for stage in ["resolve-bands", "connect"] {
                assert!(steps(&ran.log, stage) >= 1, "{stage}: {}", ran.log);
            }
            assert_eq!(count(&ran.log, "gang step failed"), 0, "{}", ran.log);
        }
    }
}

#[test]
fn a_rank_killed_in_the_middle_of_a_unit_causes_another_launch_and_changes_no_byte() {
    let inputs = Inputs::new();
    let threads = inputs.run_by_threads();
    for (library, rank) in [(MPICH, 1), (OPEN_MPI, 0), (OPEN_MPI, 2)] {
        let started = clock::now();
        let ran = inputs.run(|command, folder| {
            let token = folder.join("kill-once");
            std::fs::write(&token, "").unwrap();
            command.env("THRESHER_GANG_FAULT", format!("{rank}:{}", token.display()));
            by_ranks(library, library, 3)(command, folder);
        });
        // No rank waited for the deadline of the step, which is minutes away.
        assert!(clock::now().duration_since(started) < LONG, "{}", ran.log);
        let killed = !ran.folder.path().join("kill-once").try_exists().unwrap();
        assert!(killed, "{}: the fault was not reached\n{}", library.name, ran.log);
        assert_eq!(count(&ran.log, "gang step failed"), 1, "{}", ran.log);
        assert!(count(&ran.log, "gang step started") >= 3, "{}", ran.log);
        assert_eq!(ranks_of(ran.folder.path()), Vec::<String>::new());
        assert!(ran.manifest == threads.manifest, "{} rank {rank}", library.name);
    }
}

#[test]
fn a_launcher_of_another_library_is_refused_with_its_name_and_threads_take_over() {
    let inputs = Inputs::new();
    let threads = inputs.run_by_threads();
    for (program, launcher) in [(MPICH, OPEN_MPI), (OPEN_MPI, MPICH)] {
        let ran = inputs.run(by_ranks(program, launcher, 2));
        assert!(ran.manifest == threads.manifest);
        assert_eq!(count(&ran.log, "gang step started"), 1, "{}", ran.log);
        let refused = "MPI's world has `1` rank(s), the launcher was asked to start `2`";
        assert!(ran.log.contains(refused), "{}", ran.log);
    }
}

#[test]
fn a_failing_launcher_is_retried_with_fewer_ranks_and_then_not_used() {
    let inputs = Inputs::new();
    let threads = inputs.run_by_threads();
    let ran = inputs.run(|command, _| {
        command.args(["--gang-launcher", "false {ranks}", "--gang-ranks", "4"]);
    });
    assert!(ran.manifest == threads.manifest);
    let tried: Vec<_> = ran.log.lines().filter(|line| line.contains("step started")).collect();
    let of = |ranks: &str| tried.iter().filter(|line| line.contains(ranks)).count();
    assert_eq!((tried.len(), of("ranks=4"), of("ranks=2")), (4, 2, 2), "{}", ran.log);
}

#[test]
fn a_missing_task_is_reported_by_name() {
    let refused = output(MPICH.launch(1).args(["run", "--task", "no-such-task"]));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && errors.contains("`no-such-task`"), "{errors}");
}
