//! The command that starts a process on every node of an allocation.
//!
//! Each launcher has its own way to end all processes when one ends; every option here prevents
//! that. MPI is not initialised: a launcher that waits for it would end or hang when a worker is
//! lost.

use thresher_site::{Launcher, SiteProfile};

/// Returns the program and its arguments; the command to start comes after them.
pub(super) fn launch_words(site: &SiteProfile, nodes: u32) -> Vec<String> {
    let mut words: Vec<String> = match site.launcher {
        Launcher::Srun => srun(site, nodes),
        Launcher::Jsrun => jsrun(site, nodes),
        Launcher::Mpirun => mpirun(nodes),
        Launcher::Mpiexec => mpiexec(nodes),
        Launcher::FluxRun => flux_run(nodes),
    };
    words.extend_from_slice(&site.launch_options);
    words
}

/// Returns the program and its arguments for some of the hosts: the script adds their number and
/// names. Empty if the launcher cannot choose hosts, or the batch system removes lost ones.
pub(super) fn launch_on_words(site: &SiteProfile) -> Vec<String> {
    let mut words: Vec<String> = match site.launcher {
        Launcher::Srun | Launcher::Jsrun | Launcher::FluxRun => return Vec::new(),
        Launcher::Mpirun => {
            std::iter::once("mpirun").chain(MPIRUN_OPTIONS).map(str::to_owned).collect()
        }
        Launcher::Mpiexec => {
            std::iter::once("mpiexec").chain(MPIEXEC_OPTIONS).map(str::to_owned).collect()
        }
    };
    words.extend_from_slice(&site.launch_options);
    words
}

/// With `--enable-recovery`, the death of one process does not end all.
const MPIRUN_OPTIONS: [&str; 5] =
    ["--map-by", "ppr:1:node", "--bind-to", "none", "--enable-recovery"];

/// Options of PALS: a process that fails does not end all, and `bash` is not copied to the nodes.
const MPIEXEC_OPTIONS: [&str; 6] =
    ["--ppn", "1", "--cpu-bind", "none", "--no-abort-on-failure", "--no-transfer"];

fn srun(site: &SiteProfile, nodes: u32) -> Vec<String> {
    let mut words =
        vec!["srun".to_owned(), format!("--nodes={nodes}"), format!("--ntasks={nodes}")];
    if site.cores_per_node > 0 {
        // Since Slurm 22.05 a step does not inherit this from the allocation.
        let processors = site.cores_per_node.saturating_mul(site.threads_per_core);
        words.push(format!("--cpus-per-task={processors}"));
    }
    let rest = [
        "--ntasks-per-node=1",
        "--mpi=none",
        // The loss of a node or worker does not end the others.
        "--no-kill",
        "--kill-on-bad-exit=0",
        "--wait=0",
        "--cpu-bind=none",
        // Steps for gang units run at the same time.
        "--overlap",
    ];
    words.extend(rest.map(str::to_owned));
    words
}

/// Requests one resource set on each host, with all of the host.
fn jsrun(site: &SiteProfile, nodes: u32) -> Vec<String> {
    let cores = match site.cores_per_node {
        0 => "ALL_CPUS".to_owned(),
        cores => cores.to_string(),
    };
    let nodes = nodes.to_string();
    ["jsrun", "-n", &nodes, "-r", "1", "-a", "1", "-c", &cores, "-b", "none"]
        .map(str::to_owned)
        .to_vec()
}

fn mpirun(nodes: u32) -> Vec<String> {
    let nodes = nodes.to_string();
    ["mpirun", "-n", &nodes].into_iter().chain(MPIRUN_OPTIONS).map(str::to_owned).collect()
}

fn mpiexec(nodes: u32) -> Vec<String> {
    let nodes = nodes.to_string();
    ["mpiexec", "-n", &nodes].into_iter().chain(MPIEXEC_OPTIONS).map(str::to_owned).collect()
}

/// Requests one core on each node, so that steps for gang units find others; the worker uses all,
/// because nothing is bound.
fn flux_run(nodes: u32) -> Vec<String> {
    let (nodes, tasks) = (format!("--nodes={nodes}"), format!("--ntasks={nodes}"));
    let words = ["flux", "run", &nodes, &tasks, "--cores-per-task=1"];
    // The end of a worker does not end the others; without a limit of its own the job lasts as long
    // as the instance.
    let rest = [
        "--setopt=exit-timeout=none",
        "--setopt=cpu-affinity=off",
        "--setopt=gpu-affinity=off",
        "--setopt=pmi=none",
    ];
    words.into_iter().chain(rest).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(site: &str, job: &str) -> String {
        launch_words(&SiteProfile::choose(site, job).unwrap(), 92).join(" ")
    }

    #[test]
    fn each_launcher_starts_one_process_a_node_and_lets_the_others_live() {
        assert_eq!(
            words("frontier", ""),
            "srun --nodes=92 --ntasks=92 --cpus-per-task=56 --ntasks-per-node=1 --mpi=none \
             --no-kill --kill-on-bad-exit=0 --wait=0 --cpu-bind=none --overlap"
        );
        // All of a node's 256 processors, or Slurm gives 64 of the 128 cores.
        let perlmutter = words("perlmutter", "");
        assert!(perlmutter.contains(" --cpus-per-task=256 "), "{perlmutter}");
        assert_eq!(words("summit", ""), "jsrun -n 92 -r 1 -a 1 -c 42 -b none");
        assert_eq!(
            words("generic-lsf", "[site]\nlaunch_options = [\"--oversubscribe\"]"),
            "mpirun -n 92 --map-by ppr:1:node --bind-to none --enable-recovery --oversubscribe"
        );
        assert_eq!(
            words("aurora", ""),
            "mpiexec -n 92 --ppn 1 --cpu-bind none --no-abort-on-failure --no-transfer"
        );
        assert_eq!(
            words("el-capitan", ""),
            "flux run --nodes=92 --ntasks=92 --cores-per-task=1 --setopt=exit-timeout=none \
             --setopt=cpu-affinity=off --setopt=gpu-affinity=off --setopt=pmi=none"
        );
    }

    #[test]
    fn launchers_that_end_with_a_host_are_called_for_the_others() {
        let on = |site: &str, job: &str| {
            launch_on_words(&SiteProfile::choose(site, job).unwrap()).join(" ")
        };
        assert_eq!(
            on("generic-lsf", "[site]\nlaunch_options = [\"--oversubscribe\"]"),
            "mpirun --map-by ppr:1:node --bind-to none --enable-recovery --oversubscribe"
        );
        assert_eq!(
            on("polaris", ""),
            "mpiexec --ppn 1 --cpu-bind none --no-abort-on-failure --no-transfer"
        );
        for site in ["frontier", "summit", "el-capitan"] {
            assert_eq!(on(site, ""), "", "{site}");
        }
    }
}
