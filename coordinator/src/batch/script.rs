//! Renders the batch script: assignments with what differs between sites and jobs, then
//! `script.sh`, which is the same everywhere.
//!
//! **Invariant:** the script holds nothing secret, and no value can be read as shell syntax: each
//! is one quoted word.

use std::path::{Path, PathBuf};

use thresher_site::batch::shell_quoted;
use thresher_site::{SiteProfile, System};

use super::launcher::{launch_on_words, launch_words};

const BODY: &str = include_str!("script.sh");

/// The values from which a script is made.
#[derive(Debug)]
pub(super) struct ScriptValues<'a> {
    /// Name of the job.
    pub job_name: &'a str,
    /// The profile of the site.
    pub site: &'a SiteProfile,
    /// Number of nodes.
    pub nodes: u32,
    /// State directory of the job.
    pub state: &'a Path,
    /// Path of the script itself, which all nodes must be able to read.
    pub script: &'a Path,
    /// Path of the job file, in which every path is absolute.
    pub job: &'a Path,
    /// The program, which is coordinator and worker.
    pub thresher: &'a Path,
}

/// Why a script cannot be rendered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ScriptError {
    #[error("the path `{}` is not valid UTF-8\nhint: choose another one", .0.display())]
    Path(PathBuf),
    #[error(
        "`{0}` is not a valid `local_dir`\n\
         hint: write an absolute path of letters, digits, `_-./` and names like `$USER`"
    )]
    LocalDir(String),
    #[error(
        "the `gang_launcher` `{0}` has no `{{ranks}}`\n\
         hint: write it where the number of ranks belongs, as in `srun --ntasks={{ranks}}`"
    )]
    GangLauncher(String),
    #[error("`{0}` does not set a variable\nhint: write `NAME=value` in `environment`")]
    Variable(String),
}

/// Renders the whole script.
pub(super) fn render(values: &ScriptValues<'_>) -> Result<String, ScriptError> {
    let ScriptValues { job_name, site, nodes, .. } = values;
    let mut text = format!(
        "#!/bin/bash\n# Runs the Thresher job `{job_name}` on {nodes} nodes of `{}`. Written by \
         `thresher submit`.\n\n",
        site.name
    );
    let paths = [
        ("state", values.state),
        ("script", values.script),
        ("job", values.job),
        ("thresher", values.thresher),
    ];
    for (name, path) in paths {
        let path = path.to_str().ok_or_else(|| ScriptError::Path(path.to_owned()))?;
        text += &format!("{name}={}\n", shell_quoted(path));
    }
    text += &format!("interface={}\nport={}\n", shell_quoted(&site.interface), site.port);
    text += &format!("local_dir={}\n", local_dir(&site.local_dir)?);
    text += &format!("worker_options=({})\n", words(&worker_options(values)?));
    text += &format!("launch=({})\n", words(&launch_words(site, *nodes)));
    text += &format!("launch_on=({})\n", words(&launch_on_words(site)));
    text += &of_system(site.system);
    text += &environment(site)?;
    text.push('\n');
    text += BODY;
    Ok(text)
}

fn worker_options(values: &ScriptValues<'_>) -> Result<Vec<String>, ScriptError> {
    let ScriptValues { site, thresher, .. } = values;
    let mut options = Vec::new();
    // Without this option, the worker uses all cores that it finds.
    if site.cores_per_node > 0 {
        options.extend(["--slots".to_owned(), site.cores_per_node.to_string()]);
    }
    if site.gang_launcher.is_empty() {
        return Ok(options);
    }
    if !site.gang_launcher.contains("{ranks}") {
        return Err(ScriptError::GangLauncher(site.gang_launcher.clone()));
    }
    options.extend(["--gang-launcher".to_owned(), site.gang_launcher.clone()]);
    // The worker itself may be a copy on the node's own disk.
    let program = gang_program(thresher);
    let program = program.to_str().ok_or_else(|| ScriptError::Path(program.clone()))?;
    options.extend(["--gang-program".to_owned(), program.to_owned()]);
    if site.gang_ranks > 0 {
        options.extend(["--gang-ranks".to_owned(), site.gang_ranks.to_string()]);
    }
    Ok(options)
}

/// Returns where all nodes find the program of a rank: beside `thresher`.
pub fn gang_program(thresher: &Path) -> PathBuf {
    thresher.with_file_name("thresher-gang")
}

/// Returns the id of the allocation, the log that the script writes itself, if the batch system
/// writes only at the end, and the function with which it asks to be run again under the same id.
fn of_system(system: System) -> String {
    match system {
        System::Slurm => "id=${SLURM_JOB_ID:-}\nlog=''\n\
             requeue() { scontrol requeue \"$SLURM_JOB_ID\"; }\n"
            .to_owned(),
        System::Lsf => format!(
            "id=${{LSB_JOBID:-}}\nlog=$state/logs/allocation-$id.log\n\
             requeue() {{ exit {}; }}\n",
            thresher_lsf::REQUEUE_EXIT_CODE
        ),
    }
}

fn environment(site: &SiteProfile) -> Result<String, ScriptError> {
    let mut text = format!("modules=({})\n", words(&site.modules));
    // It is called after the modules are loaded: what the site sets overrides what a module sets.
    text += "environment() {\n";
    let proxies =
        [("http_proxy", &site.proxy), ("https_proxy", &site.proxy), ("no_proxy", &site.no_proxy)];
    for (name, value) in proxies.into_iter().filter(|(_, value)| !value.is_empty()) {
        text += &format!("    export {name}={}\n", shell_quoted(value));
    }
    for pair in &site.environment {
        let split = pair.split_once('=').filter(|(name, _)| is_variable(name));
        let (name, value) = split.ok_or_else(|| ScriptError::Variable(pair.clone()))?;
        text += &format!("    export {name}={}\n", shell_quoted(value));
    }
    text += "    return 0\n}\n";
    Ok(text)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Quotes with double quotes, because variables are expanded on the node.
fn local_dir(folder: &str) -> Result<String, ScriptError> {
    let fine = folder.is_empty()
        || folder.starts_with(['/', '$'])
            && folder.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./$".contains(&b));
    if fine { Ok(format!("\"{folder}\"")) } else { Err(ScriptError::LocalDir(folder.to_owned())) }
}

fn words(list: &[String]) -> String {
    list.iter().map(|word| shell_quoted(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str, job: &str) -> SiteProfile {
        SiteProfile::choose(name, job).unwrap()
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
        })
    }

    /// Compares with `testdata/SITE.sh`, or writes that file if THRESHER_BLESS is set.
    fn golden(site: &str) {
        let head = script(site, "").unwrap();
        let head = head.strip_suffix(BODY).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/batch/testdata")
            .join(format!("{site}.sh"));
        if std::env::var_os("THRESHER_BLESS").is_some() {
            std::fs::write(&path, head).unwrap();
        }
        assert_eq!(head, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
    }

    #[test]
    fn every_site_has_its_reviewed_script() {
        for site in ["frontier", "perlmutter", "summit", "generic-slurm", "generic-lsf"] {
            golden(site);
        }
    }

    #[test]
    fn bash_accepts_every_script() {
        let job = "[site]\nenvironment = [\"A=x'; exit 1; '\"]\nmodules = [\"rust/1 $(id)\"]";
        for site in ["frontier", "generic-lsf"] {
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
            assert_eq!(
                lines[..3],
                ["rust/1 $(id)", "x'; exit 1; '", "/proj/it's here/crawl.state"]
            );
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
        let text = render(&ScriptValues {
            job_name: "crawl",
            site: &site("generic-slurm", job),
            nodes: 2,
            state: Path::new("/s"),
            script: Path::new("/s/script.sh"),
            job: Path::new("/s/job.toml"),
            thresher: &path("thresher"),
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
}
