//! Tests of the script: what is rendered, and what bash does with it.

use std::time::Duration;

use super::super::systems::batch_system;
use super::*;
use thresher_site::Wish;
use thresher_site::batch::{AllocationRequest, Rerun};

fn site(name: &str, job: &str) -> SiteProfile {
    let mut site = SiteProfile::choose(name, job).unwrap();
    let walltime = Duration::from_secs(7200);
    site.choose_queue(Wish { nodes: 3, walltime, allocations: 1 });
    site
}

/// Returns the directives of a request for three nodes.
fn directives(site: &SiteProfile) -> Directives {
    let request = AllocationRequest {
        name: "crawl".to_owned(),
        nodes: std::num::NonZeroU32::new(3).unwrap(),
        walltime: Duration::from_secs(7200),
        queue: Some(site.queue.clone()).filter(|queue| !queue.is_empty()),
        account: None,
        qos: None,
        reservation: None,
        features: site.features.clone(),
        warn_before: Some(site.warn_before.0),
        output: None,
        errors: None,
        after: None,
        rerun: Rerun::Allowed,
        extra: site.submit_options.clone(),
        script: PathBuf::from("/s/script.sh"),
    };
    batch_system(site).directives(&request).unwrap()
}

fn script(name: &str, job: &str) -> Result<String, ScriptError> {
    let site = site(name, job);
    render(&ScriptValues {
        job_name: "crawl",
        site: &site,
        nodes: 92,
        state: Path::new("/proj/it's here/crawl.state"),
        script: Path::new("/proj/it's here/crawl.state/allocations/000001-script.sh"),
        job: Path::new("/proj/it's here/crawl.state/allocations/000001-job.toml"),
        thresher: Path::new("/proj/bin/thresher"),
        directives: &directives(&site),
        parts: batch_system(&site).script(),
    })
}

/// Compares with `testdata/SITE.sh`, or writes that file if THRESHER_BLESS is set.
fn golden(site: &str) {
    let head = script(site, "").unwrap();
    let head = head.strip_suffix(BODY).unwrap();
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/batch/testdata").join(format!("{site}.sh"));
    if std::env::var_os("THRESHER_BLESS").is_some() {
        std::fs::write(&path, head).unwrap();
    }
    assert_eq!(head, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
}

#[test]
fn every_site_has_its_reviewed_script() {
    for site in [
        "frontier",
        "perlmutter",
        "summit",
        "aurora",
        "polaris",
        "el-capitan",
        "lumi",
        "alps-eiger",
        "jupiter",
        "generic-slurm",
        "generic-lsf",
        "generic-pbs",
        "generic-flux",
    ] {
        golden(site);
    }
}

#[test]
fn bash_accepts_every_script() {
    let job = "[site]\nenvironment = [\"A=x'; exit 1; '\"]\nmodules = [\"rust/1 $(id)\"]";
    for site in ["frontier", "generic-lsf", "aurora", "el-capitan"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script.sh");
        let text = script(site, job).unwrap();
        std::fs::write(&path, &text).unwrap();
        let checked = std::process::Command::new("bash").arg("-n").arg(&path).output().unwrap();
        assert!(checked.status.success(), "{checked:?}");
        // The part before the functions is run unchanged.
        let head = text.strip_suffix(BODY).unwrap();
        let words = "\"${modules[0]}\" \"$A\" \"$state\" \"${launch[0]}\"";
        let run = format!("{head}\nenvironment\nprintf '%s\\n' {words}");
        let out = std::process::Command::new("bash").arg("-c").arg(run).output().unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[..3], ["rust/1 $(id)", "x'; exit 1; '", "/proj/it's here/crawl.state"]);
    }
}

/// Runs a script with two modules, with `module` as given and a `thresher` that prints its
/// arguments and what it sees; returns status, stdout and stderr.
fn run_with_module(module: &str, role: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let program = "#!/bin/sh\nprintf '<%s>' \"$@\" >\"$0.asked\"\n\
                   echo \"sees $SEEN $SET\" >>\"$0.asked\"\n";
    std::fs::write(path("thresher"), program).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path("thresher"), executable).unwrap();
    let job = "[site]\nmodules = ['zlib/1', 'rust/1']\nenvironment = ['SET=by the site']";
    let site = site("generic-slurm", job);
    let text = render(&ScriptValues {
        job_name: "crawl",
        site: &site,
        nodes: 2,
        state: Path::new("/s"),
        script: Path::new("/s/script.sh"),
        job: Path::new("/s/job.toml"),
        thresher: &path("thresher"),
        directives: &directives(&site),
        parts: batch_system(&site).script(),
    });
    std::fs::write(path("script.sh"), text.unwrap()).unwrap();
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", "eval \"$1\"; export -f module; exec bash \"$2\" $3", "bash", module]);
    bash.arg(path("script.sh")).arg(role).env_remove("MODULES_CMD").env_remove("LMOD_CMD");
    let out = bash.output().unwrap();
    let asked = std::fs::read_to_string(path("thresher.asked")).unwrap_or_default();
    (out.status.code(), asked, String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn a_module_that_does_not_load_ends_the_chain() {
    let old = "ModuleCmd_Load.c(213):ERROR:105: Unable to locate a modulefile for 'rust/1'";
    // What `module` does, and part of the message.
    let failing = [
        ("module() { [ \"$2\" != rust/1 ]; }".to_owned(), "(status 1)"),
        // Old versions print the error and exit with 0.
        (format!("module() {{ [ $2 = zlib/1 ] || echo \"{old}\" >&2; }}"), old),
        ("module() { [ $2 = zlib/1 ] || { echo gone >&2; return 3; }; }".to_owned(), "gone"),
    ];
    for (module, message) in &failing {
        let (code, asked, log) = run_with_module(module, "");
        let begins = "<allocation><begin><--state></s><--trouble><`module load rust/1` failed";
        assert!(asked.starts_with(begins) && asked.contains(message), "{module}: {asked}{log}");
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("thresher: `module load rust/1` failed on"), "{log}");
        let (code, asked, log) = run_with_module(module, "worker");
        assert_eq!((code, asked.as_str()), (Some(1), ""), "{log}");
    }
    // No `module` at all.
    let (code, asked, log) = run_with_module("module() { :; }; unset -f module", "");
    assert!(code == Some(1) && asked.contains("`module load zlib/1` failed"), "{asked}{log}");
}

#[test]
fn modules_that_load_are_there_below_what_the_site_sets() {
    let fine = [
        "module() { export SEEN=$2 SET=$2; }",
        "module() { export SEEN=$2; : $never_set; echo 'a warning' >&2; }",
        // Here the status can be relied on.
        "export MODULES_CMD=x; module() { export SEEN=$2; echo 'ERROR: of another' >&2; }",
    ];
    for module in fine {
        let (code, asked, log) = run_with_module(module, "");
        let expected = "<allocation><begin><--state></s>sees rust/1 by the site\n";
        assert_eq!((code, asked.as_str()), (Some(0), expected), "{module}: {log}");
    }
}

#[test]
fn ranks_are_started_by_the_launcher_of_the_site() {
    let job = "[site]\ngang_launcher = 'srun -n {ranks}'\ngang_ranks = 64";
    let text = script("generic-slurm", job).unwrap();
    let options = "worker_options=(--gang-launcher 'srun -n {ranks}' \
                   --gang-program /proj/bin/thresher-gang --gang-ranks 64)\n";
    assert!(text.contains(options), "{text}");
    let refused = script("generic-slurm", "[site]\ngang_launcher = 'srun -n 4'");
    assert_eq!(refused, Err(ScriptError::GangLauncher("srun -n 4".to_owned())));
}

#[test]
fn values_that_would_be_read_as_shell_are_refused() {
    for folder in ["relative", "/tmp/$(id)", "/tmp/a b", "/tmp/\"x"] {
        let refused = script("frontier", &format!("[site]\nlocal_dir = '{folder}'"));
        assert_eq!(refused, Err(ScriptError::LocalDir(folder.to_owned())));
    }
    for pair in ["no", "1A=b", "A B=c", "=x"] {
        let refused = script("frontier", &format!("[site]\nenvironment = ['{pair}']"));
        assert_eq!(refused, Err(ScriptError::Variable(pair.to_owned())));
    }
}

/// Programs that stand for those that a script calls, below a folder of their own.
struct Programs(tempfile::TempDir);

impl Programs {
    fn new(programs: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, body) in programs {
            let path = folder.path(name);
            let text = format!("#!/bin/bash\ncd {}\n{body}\n", folder.0.path().display());
            std::fs::write(&path, text).unwrap();
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, executable).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Runs the script of a site to its end, and returns its log.
    fn run(&self, name: &str) -> String {
        std::fs::create_dir_all(self.path("logs")).unwrap();
        let site = site(name, "");
        let text = render(&ScriptValues {
            job_name: "crawl",
            site: &site,
            nodes: 3,
            state: self.0.path(),
            script: &self.path("script.sh"),
            job: &self.path("job.toml"),
            thresher: &self.path("thresher"),
            directives: &directives(&site),
            parts: batch_system(&site).script(),
        });
        std::fs::write(self.path("script.sh"), text.unwrap()).unwrap();
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap());
        let mut bash = std::process::Command::new("bash");
        bash.arg(self.path("script.sh")).env("PATH", path).env("LSB_JOBID", "7");
        let done = bash.output().unwrap();
        assert_eq!((done.stdout, done.stderr), (vec![], vec![]), "all of it is in the log");
        self.read("logs/allocation-7.log")
    }
}

#[test]
fn a_node_whose_local_folder_runs_no_program_uses_the_shared_one() {
    // As on a file system that is mounted noexec, the copy does not run.
    for (refused, name) in [("*/local/*", "/thresher"), ("nowhere", "/local/thresher.")] {
        let thresher =
            format!("case $0 in {refused}) exit 126 ;; esac; [ $1 != worker ] || echo $0 >used");
        let programs = Programs::new(&[("thresher", &thresher)]);
        let local = programs.path("local");
        let site = site("generic-slurm", &format!("[site]\nlocal_dir = '{}'", local.display()));
        let text = render(&ScriptValues {
            job_name: "crawl",
            site: &site,
            nodes: 1,
            state: programs.0.path(),
            script: &programs.path("script.sh"),
            job: &programs.path("job.toml"),
            thresher: &programs.path("thresher"),
            directives: &directives(&site),
            parts: batch_system(&site).script(),
        });
        std::fs::write(programs.path("script.sh"), text.unwrap()).unwrap();
        let mut bash = std::process::Command::new("bash");
        let done = bash.arg(programs.path("script.sh")).arg("worker").output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(programs.read("used").contains(name), "{} {said}", programs.read("used"));
        assert_eq!(said.contains("so the shared one is used"), name == "/thresher", "{said}");
        assert_eq!(std::fs::read_dir(&local).unwrap().count(), 0, "the copy is removed");
    }
}

/// A coordinator that runs until the file `launched` exists.
const THRESHER: &str = "case $1.$2 in
    allocation.begin) now=$(date +%s); echo \"run $((now + 600)) $((now + 500)) 60 h1 h2 h3\" ;;
    allocation.end) shift 2; echo \"$@\" >>ended; echo done ;;
    serve.*) for _ in $(seq 300); do [ ! -e launched ] || exit 5; sleep 0.1; done; exit 1 ;;
esac";

#[test]
fn mpirun_is_called_again_only_for_the_hosts_that_answer() {
    // With `h2` among its hosts it fails, as one that loses a daemon.
    let mpirun = "echo \"$*\" >>calls
case $* in
    *'-n 1 --host h2 true' | *'-n 3 '*) exit 1 ;;
    *'--host h1,h3 '*) touch launched ;;
esac";
    let programs = Programs::new(&[("thresher", THRESHER), ("mpirun", mpirun)]);
    let log = programs.run("generic-lsf");
    let calls = programs.read("calls");
    let count = |part: &str| calls.lines().filter(|call| call.contains(part)).count();
    assert_eq!((count("-n 3 "), count(" true"), count("-n 2 --host h1,h3 ")), (1, 3, 1), "{calls}");
    assert!(log.contains("2 of 3 hosts answer, which are used from now on: h1 h3"), "{log}");
    assert!(programs.read("ended").contains("--status 5 --asked"), "{log}");
}

#[test]
fn a_launcher_that_fails_on_every_host_is_given_up() {
    let thresher = THRESHER.replace("serve.*)", "serve.*) trap 'exit 5' TERM;");
    let mpirun = "echo \"$*\" >>calls; exit 1";
    let programs = Programs::new(&[("thresher", &thresher), ("mpirun", mpirun)]);
    let log = programs.run("generic-lsf");
    let calls = programs.read("calls");
    assert_eq!(calls.lines().filter(|call| call.contains("-n 3 ")).count(), 4, "{log}");
    assert!(programs.read("ended").contains("--status 5 --asked launcher"), "{log}");
}

#[test]
fn the_whole_process_group_of_a_launcher_ends_with_it() {
    // It ignores TERM, as does a process that it started.
    let mpirun = "trap '' TERM; echo $$ >>pids; touch launched; sleep 600 & echo $! >>pids; wait";
    let programs = Programs::new(&[("thresher", THRESHER), ("mpirun", mpirun)]);
    let log = programs.run("generic-lsf");
    let pids = programs.read("pids");
    assert_eq!(pids.lines().count(), 2, "{log}");
    for pid in pids.lines() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }
}

#[test]
fn a_coordinator_that_hangs_is_killed_at_its_deadline() {
    let thresher = THRESHER
        .replace("$((now + 500))", "$((now + 2))")
        .replace("serve.*)", "serve.*) trap '' TERM USR2; touch launched; exec sleep 600;");
    let mpirun = "trap 'exit 1' TERM; sleep 600 & wait";
    let programs = Programs::new(&[("thresher", &thresher), ("mpirun", mpirun)]);
    let log = programs.run("generic-lsf");
    assert!(log.contains("the coordinator failed to stop by its deadline"), "{log}");
    assert!(programs.read("ended").contains("--status 137 --asked deadline"), "{log}");
}
