//! Finds keys of a site that cannot be combined: a launcher of another batch system, options of
//! another command, options that the program itself passes.
//!
//! Only what cannot work is refused. Whether a site has a queue or a constraint is for its bins and
//! for the batch system to decide. Abbreviated long options (`--nod=2`) are not recognised.

use super::{Chain, Launcher, Layout, SiteProfile, System, Wish};

/// A key whose value cannot work together with the others.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{key}` of site `{site}` is `{value}`, {problem}\nhint: {hint}")]
pub struct Conflict {
    /// Name of the site.
    pub site: String,
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// Why the value cannot work, as the end of a sentence.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

/// Options that the program passes to `sbatch` or `bsub` itself.
struct Taken {
    /// Names of the options.
    names: &'static [&'static str],
    /// How to set them instead.
    instead: &'static str,
    /// Whether the program passes them in this submission.
    given: bool,
}

const fn taken(names: &'static [&'static str], instead: &'static str, given: bool) -> Taken {
    Taken { names, instead, given }
}

/// Short options of `sbatch` that need a value: without one, `sbatch` would read the script as the
/// value.
const SBATCH_WITH_VALUE: &str = "AaBbCcDdeFGiJLMmNnopqStwx";

impl SiteProfile {
    /// Refuses what cannot work, after all layers are applied and before the profile is used.
    pub(super) fn refuse_conflicts(&self, wish: Wish) -> Result<(), Conflict> {
        self.refuse_launchers()?;
        self.refuse_numbers()?;
        self.refuse_options(wish)?;
        match self.system {
            System::Slurm => Ok(()),
            System::Lsf => self.refuse_for_lsf(),
        }
    }

    fn conflict(
        &self,
        key: &'static str,
        value: &str,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Conflict {
        let (problem, hint) = (problem.into(), hint.into());
        Conflict { site: self.name.clone(), key, value: value.to_owned(), problem, hint }
    }

    fn refuse_launchers(&self) -> Result<(), Conflict> {
        let (value, own) = match (self.launcher, self.system) {
            (Launcher::Srun, System::Lsf) => ("srun", "jsrun"),
            (Launcher::Jsrun, System::Slurm) => ("jsrun", "srun"),
            (Launcher::Mpirun, _)
            | (Launcher::Srun, System::Slurm)
            | (Launcher::Jsrun, System::Lsf) => ("", ""),
        };
        let system = self.system.name();
        if !value.is_empty() {
            let problem = format!("which starts nothing in allocations of `system = \"{system}\"`");
            let hint = format!("choose `{own}` or `mpirun`, or the other system");
            return Err(self.conflict("launcher", value, problem, hint));
        }
        let first = self.gang_launcher.split_whitespace().next().unwrap_or_default();
        let other = match self.system {
            System::Slurm => "jsrun",
            System::Lsf => "srun",
        };
        if first.rsplit('/').next() == Some(other) {
            let problem = format!("but `system = \"{system}\"` has no `{other}`");
            let hint = "write the command that starts MPI ranks there, or `\"\"` for none";
            return Err(self.conflict("gang_launcher", &self.gang_launcher, problem, hint));
        }
        Ok(())
    }

    fn refuse_numbers(&self) -> Result<(), Conflict> {
        if self.threads_per_core == 0 {
            let hint = "write 1, or 2 if Slurm counts each hardware thread";
            return Err(self.conflict("threads_per_core", "0", "which leaves no processor", hint));
        }
        if let Some(bin) = self.bin.iter().find(|bin| bin.min_nodes > bin.max_nodes) {
            let problem = format!("more than its `max_nodes`, `{}`: no job fits", bin.max_nodes);
            let hint = "write the smallest and the largest number of nodes of the bin";
            return Err(self.conflict("bin.min_nodes", &bin.min_nodes.to_string(), problem, hint));
        }
        Ok(())
    }

    fn refuse_for_lsf(&self) -> Result<(), Conflict> {
        if !self.qos.is_empty() {
            let hint = "name the queue: `-q NAME`, or `queue` instead of `qos`";
            return Err(self.conflict("qos", &self.qos, "and LSF has none", hint));
        }
        if self.layout != Layout::Slots {
            return Ok(());
        }
        if self.cores_per_node == 0 {
            let problem = "which does not say how many slots to request on each host";
            let hint =
                "write the slots of a host (`MAX` of `bhosts`), or `layout = \"whole-nodes\"`";
            return Err(self.conflict("cores_per_node", "0", problem, hint));
        }
        match self.features.first() {
            Some(feature) => {
                let problem = "and `bsub` has no option for it with `layout = \"slots\"`";
                let hint = "write `submit_options = [\"-R\", \"select[NAME]\"]`";
                Err(self.conflict("features", feature, problem, hint))
            }
            None => Ok(()),
        }
    }

    fn refuse_options(&self, wish: Wish) -> Result<(), Conflict> {
        let command = match self.system {
            System::Slurm => "sbatch",
            System::Lsf => "bsub",
        };
        let conflict = |value: &str, problem: String, hint: &str| {
            Err(self.conflict("submit_options", value, problem, hint))
        };
        match self.submit_options.first() {
            Some(first) if !first.starts_with('-') => {
                let problem = format!("which `{command}` would read as the script");
                let hint = "start with an option; each word is one string of the list";
                return conflict(first, problem, hint);
            }
            Some(_) | None => {}
        }
        let taken = self.taken(wish);
        for (at, option) in self.submit_options.iter().enumerate() {
            let next = self.submit_options.get(at + 1).map(String::as_str);
            let long = option.starts_with("--") && option.len() > 2;
            if long && self.system == System::Lsf {
                let problem = format!("which `{command}` does not know");
                let hint = "its options have one hyphen: `-x` for exclusive hosts, `-app NAME`";
                return conflict(option, problem, hint);
            }
            let found = taken.iter().find(|taken| self.names(taken, option, next));
            if let Some(found) = found {
                let problem = format!("which the program itself passes to `{command}`");
                return conflict(option, problem, found.instead);
            }
            let word = option.split(['=', '"', '\'']).next().unwrap_or_default();
            if long && word.contains(' ') {
                let problem = format!("which `{command}` reads as the name of one option");
                return conflict(option, problem, "write `--name=value`, or two strings");
            }
        }
        let last = self.submit_options.last().and_then(|last| last.strip_prefix('-'));
        if let (System::Slurm, Some(last)) = (self.system, last)
            && last.len() == 1
            && SBATCH_WITH_VALUE.contains(last)
        {
            let problem = "which would read the script as its value".to_owned();
            return conflict(&format!("-{last}"), problem, "write its value after it");
        }
        Ok(())
    }

    /// Returns whether this word is one of those options; for LSF this may depend on the word
    /// `next`.
    fn names(&self, taken: &Taken, option: &str, next: Option<&str>) -> bool {
        taken.given
            && taken.names.iter().any(|name| match self.system {
                System::Slurm if name.len() > 1 => option
                    .strip_prefix("--")
                    .and_then(|option| option.split(['=', ' ']).next())
                    .is_some_and(|option| option == *name),
                // The value may be in the same word.
                System::Slurm => {
                    option.strip_prefix('-').is_some_and(|option| option.starts_with(name))
                }
                System::Lsf => {
                    let (name, value) = name.split_once(' ').unwrap_or((name, ""));
                    option.strip_prefix('-') == Some(name)
                        && next.unwrap_or_default().contains(value)
                }
            })
    }

    fn taken(&self, wish: Wish) -> Vec<Taken> {
        let chained = wish.allocations > 1 && self.chain == Chain::Dependency;
        let warned = !self.warn_before.0.is_zero();
        let (queue, account) = (!self.queue.is_empty(), !self.account.is_empty());
        let (reservation, features) = (!self.reservation.is_empty(), !self.features.is_empty());
        let shared = |names: [&'static [&'static str]; 8]| {
            let [name, time, output, account_, queue_, reservation_, after, waits] = names;
            vec![
                taken(name, "the job's name is `job.name` of its file", true),
                taken(time, "the walltime is `-t TIME`", true),
                taken(output, "the output is `logs/allocation-ID.log` of the state", true),
                taken(account_, "the project is `account`, or `-A PROJECT`", account),
                taken(queue_, "the queue is `queue`, or `-p NAME`", queue),
                taken(reservation_, "the reservation is `reservation`", reservation),
                taken(
                    after,
                    "leave out `--chain`, which queues each allocation after another",
                    chained,
                ),
                taken(waits, "leave it out: `submit` does not wait for the allocation", true),
            ]
        };
        let whole = self.layout == Layout::WholeNodes;
        let rerun = "leave it out: a job resumes by itself when it is started again";
        let single = "leave it out: a job has one coordinator at a time";
        let (nodes, warning) = ("the nodes are `-N N`", "the warning's time is `warn_before`");
        let mut all = match self.system {
            System::Slurm => shared([
                &["job-name", "J"],
                &["time", "t"],
                &["output", "o"],
                &["account", "A"],
                &["partition", "p"],
                &["reservation"],
                &["dependency", "d"],
                &["wait", "W"],
            ]),
            System::Lsf => shared([
                &["J"],
                &["W"],
                &["o", "oo"],
                &["P"],
                &["q"],
                &["U"],
                &["w"],
                &["K", "I", "Ip", "Is"],
            ]),
        };
        match self.system {
            System::Slurm => all.extend([
                taken(&["nodes", "N"], nodes, true),
                taken(&["qos", "q"], "it is `qos`, or `-q NAME`", !self.qos.is_empty()),
                taken(&["constraint", "C"], "constraints are `features`", features),
                taken(&["signal"], warning, warned),
                taken(&["open-mode", "requeue", "no-requeue"], rerun, true),
                taken(&["array", "a"], single, true),
                taken(&["wrap"], "leave it out: there is a script", true),
            ]),
            System::Lsf => all.extend([
                taken(&["nnodes", "csm y", "csm Y"], nodes, whole),
                taken(&["n", "R span["], nodes, !whole),
                taken(&["alloc_flags"], "all flags are `features`", whole && features),
                taken(&["wt", "wa"], warning, warned),
                taken(&["r", "rn", "Q"], rerun, true),
            ]),
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    const WISH: Wish = Wish { nodes: 2, walltime: Duration::from_secs(1800), allocations: 1 };

    /// Returns the message, if the profile is refused.
    fn refused(name: &str, job: &str, allocations: u32) -> Option<String> {
        let job = format!("[site]\naccount = \"ABC123\"\n{job}");
        let site = SiteProfile::choose(name, &job).unwrap();
        site.check(Wish { allocations, ..WISH }).err().map(|error| error.to_string())
    }

    #[test]
    fn conflicting_keys_are_refused_with_key_value_and_hint() {
        // Site, `[site]`, key, value, part of the hint.
        let cases = [
            ("generic-slurm", "system = 'lsf'", "launcher", "srun", "`jsrun` or `mpirun`"),
            ("generic-slurm", "launcher = 'jsrun'", "launcher", "jsrun", "`srun` or `mpirun`"),
            ("summit", "launcher = 'srun'", "launcher", "srun", "`jsrun` or `mpirun`"),
            (
                "generic-slurm",
                "system = 'lsf'\nlauncher = 'mpirun'\ncores_per_node = 8",
                "submit_options",
                "--exclusive",
                "`-x` for exclusive hosts",
            ),
            ("generic-lsf", "system = 'slurm'", "submit_options", "-x", "its value after it"),
            ("generic-lsf", "cores_per_node = 0", "cores_per_node", "0", "`MAX` of `bhosts`"),
            ("generic-lsf", "features = ['nvme']", "features", "nvme", "select[NAME]"),
            ("summit", "qos = 'debug'", "qos", "debug", "name the queue"),
            ("perlmutter", "threads_per_core = 0", "threads_per_core", "0", "write 1"),
            (
                "frontier",
                "gang_launcher = '/opt/jsrun -n {ranks}'",
                "gang_launcher",
                "/opt/jsrun -n {ranks}",
                "MPI ranks",
            ),
            (
                "generic-slurm",
                "[[site.bin]]\nmin_nodes = 5\nmax_nodes = 2",
                "bin.min_nodes",
                "5",
                "the smallest and the largest",
            ),
        ];
        for (name, job, key, value, fits) in cases {
            let message = refused(name, job, 1).unwrap();
            let start = format!("`{key}` of site `{name}` is `{value}`");
            assert!(message.starts_with(&start), "{job}: {message}");
            assert!(
                message.split("\nhint: ").nth(1).is_some_and(|h| h.contains(fits)),
                "{message}"
            );
        }
    }

    #[test]
    fn options_that_the_program_passes_are_refused_with_the_key_to_use() {
        // Site, options, allocations, the option in the message, what to use instead.
        let cases: [(_, &[&str], _, _, _); 27] = [
            ("generic-slurm", &["--nodes=5"], 1, "--nodes=5", "`-N N`"),
            ("generic-slurm", &["-x", "n3", "-N", "5"], 1, "-N", "`-N N`"),
            ("generic-slurm", &["-N5"], 1, "-N5", "`-N N`"),
            ("generic-slurm", &["--time", "5"], 1, "--time", "`-t TIME`"),
            ("generic-slurm", &["--job-name=a"], 1, "--job-name=a", "`job.name`"),
            ("generic-slurm", &["-A", "X"], 1, "-A", "`-A PROJECT`"),
            ("frontier", &["-pextended"], 1, "-pextended", "`-p NAME`"),
            ("perlmutter", &["--qos=debug"], 1, "--qos=debug", "`-q NAME`"),
            ("frontier", &["-C", "nvme"], 1, "-C", "`features`"),
            ("generic-slurm", &["-o", "log"], 1, "-o", "logs/allocation-ID.log"),
            ("generic-slurm", &["--open-mode=truncate"], 1, "--open-mode=truncate", "resumes"),
            ("generic-slurm", &["--no-requeue"], 1, "--no-requeue", "resumes by itself"),
            ("generic-slurm", &["--signal=USR1@60"], 1, "--signal=USR1@60", "`warn_before`"),
            ("generic-slurm", &["-d", "afterok:7"], 2, "-d", "`--chain`"),
            ("generic-slurm", &["--array=0-3"], 1, "--array=0-3", "one coordinator"),
            ("generic-slurm", &["--wait"], 1, "--wait", "does not wait"),
            ("generic-slurm", &["--mem 0"], 1, "--mem 0", "`--name=value`"),
            ("generic-slurm", &["my.sh"], 1, "my.sh", "start with an option"),
            ("summit", &["-nnodes", "5"], 1, "-nnodes", "`-N N`"),
            ("summit", &["-csm", "y"], 1, "-csm", "`-N N`"),
            ("summit", &["-alloc_flags", "gpumps"], 1, "-alloc_flags", "`features`"),
            ("summit", &["-W", "1:00"], 1, "-W", "`-t TIME`"),
            ("summit", &["-q", "debug"], 1, "-q", "`-p NAME`"),
            ("generic-lsf", &["-x", "-n", "4"], 1, "-n", "`-N N`"),
            ("generic-lsf", &["-R", "span[ptile=4]"], 1, "-R", "`-N N`"),
            ("generic-lsf", &["-K"], 1, "-K", "does not wait"),
            ("generic-lsf", &["-w", "done(7)"], 2, "-w", "`--chain`"),
        ];
        for (name, options, allocations, value, fits) in cases {
            let job = format!("submit_options = {options:?}");
            let message = refused(name, &job, allocations).unwrap();
            let start = format!("`submit_options` of site `{name}` is `{value}`, ");
            assert!(message.starts_with(&start), "{job}: {message}");
            assert!(
                message.split("\nhint: ").nth(1).is_some_and(|h| h.contains(fits)),
                "{message}"
            );
        }
    }

    #[test]
    fn what_may_work_passes() {
        let cases = [
            ("frontier", ""),
            ("perlmutter", ""),
            ("summit", ""),
            ("generic-slurm", ""),
            ("generic-lsf", ""),
            ("generic-slurm", "launcher = 'mpirun'"),
            ("summit", "launcher = 'mpirun'"),
            ("frontier", "submit_options = ['-S', '0']"),
            ("generic-slurm", "submit_options = ['-p', 'short', '-q', 'low', '-C', '[a|b]']"),
            ("generic-slurm", "submit_options = ['-d', 'afterok:7', '--comment=a b', '-x', 'n3']"),
            ("generic-slurm", "warn_before = '0s'\nsubmit_options = ['--signal=USR1@60', '-H']"),
            ("generic-slurm", "submit_options = ['--nodelist=n1', '--error=e', '--time-min=10']"),
            ("generic-lsf", "submit_options = ['-R', 'select[nvme]', '-w', 'done(7)', '-x']"),
            ("generic-lsf", "layout = 'whole-nodes'\ncores_per_node = 0"),
            ("summit", "submit_options = ['-csm', 'n', '-core_isolation', '2']"),
        ];
        for (name, job) in cases {
            assert_eq!(refused(name, job, 1), None, "{name}: {job}");
        }
    }
}
