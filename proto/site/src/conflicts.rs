//! Finds keys of a site that cannot be combined: a launcher of another batch system, options of
//! another command, options that the program itself passes.
//!
//! Only what cannot work is refused. Whether a site has a queue or a constraint is for its bins and
//! for the batch system to decide. Abbreviated long options (`--nod=2`) are not recognised.

use super::options::{VALUED_LETTERS, taken};
use super::{Chain, Layout, SiteProfile, System, Wish};

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

impl SiteProfile {
    /// Refuses what cannot work, after all layers are applied and before the profile is used.
    pub(super) fn refuse_conflicts(&self, wish: Wish) -> Result<(), Conflict> {
        self.refuse_launchers()?;
        self.refuse_numbers()?;
        self.refuse_options(wish)?;
        self.refuse_what_the_system_lacks()?;
        match self.system {
            System::Slurm | System::Pbs | System::Flux => Ok(()),
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
        let system = self.system.name();
        let fine = self.system.launchers();
        if !fine.contains(&self.launcher) {
            let names: Vec<String> = fine.iter().map(|l| format!("`{}`", l.name())).collect();
            let problem = format!("which starts nothing in allocations of `system = \"{system}\"`");
            let hint = format!("choose {}, or the other system", names.join(" or "));
            return Err(self.conflict("launcher", self.launcher.name(), problem, hint));
        }
        let first = self.gang_launcher.split_whitespace().next().unwrap_or_default();
        let first = first.rsplit('/').next().unwrap_or_default();
        let foreign = match self.system {
            System::Slurm => first == "jsrun",
            System::Lsf => first == "srun",
            System::Pbs | System::Flux => ["srun", "jsrun"].contains(&first),
        };
        if foreign {
            let problem = format!("but `system = \"{system}\"` has no `{first}`");
            let hint = "write the command that starts MPI ranks there, or `\"\"` for none";
            return Err(self.conflict("gang_launcher", &self.gang_launcher, problem, hint));
        }
        Ok(())
    }

    /// Refuses keys for which the batch system has nothing.
    fn refuse_what_the_system_lacks(&self) -> Result<(), Conflict> {
        let title = self.system.title();
        if !self.qos.is_empty() && !self.system.has_qos() {
            let hint = "name the queue: `-q NAME`, or `queue` instead of `qos`";
            return Err(self.conflict("qos", &self.qos, format!("and {title} has none"), hint));
        }
        if self.chain == Chain::Requeue && !self.system.requeues() {
            let problem = format!("but scripts cannot requeue themselves in {title}");
            return Err(self.conflict("chain", "requeue", problem, "write `dependency`"));
        }
        match self.system {
            System::Pbs if !self.reservation.is_empty() => {
                let hint = "a reservation is a queue: `-p NAME`";
                Err(self.conflict(
                    "reservation",
                    &self.reservation,
                    "which PBS has no key for",
                    hint,
                ))
            }
            System::Flux if !self.reservation.is_empty() => {
                let hint = "leave it out, or ask the site for the queue of its reserved nodes";
                Err(self.conflict("reservation", &self.reservation, "and Flux has none", hint))
            }
            System::Slurm | System::Lsf | System::Pbs | System::Flux => Ok(()),
        }
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
        let command = self.system.submits_by();
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
        let taken = taken(self, wish);
        for (at, option) in self.submit_options.iter().enumerate() {
            let next = self.submit_options.get(at + 1).map(String::as_str);
            let long = option.starts_with("--") && option.len() > 2;
            let one_hyphen = match self.system {
                System::Slurm | System::Flux => None,
                System::Lsf => Some("`-x` for exclusive hosts, `-app NAME`"),
                System::Pbs => Some("`-l NAME=VALUE` for a resource, `-p N` for a priority"),
            };
            if let (true, Some(examples)) = (long, one_hyphen) {
                let problem = format!("which `{command}` does not know");
                let hint = format!("its options have one hyphen: {examples}");
                return conflict(option, problem, &hint);
            }
            let found = taken.iter().find(|taken| taken.has(self.system, option, next));
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
        let letters = VALUED_LETTERS.iter().find(|(system, _)| *system == self.system);
        if let (Some((_, letters)), Some(last)) = (letters, last)
            && last.len() == 1
            && letters.contains(last)
        {
            let problem = "which would read the script as its value".to_owned();
            return conflict(&format!("-{last}"), problem, "write its value after it");
        }
        Ok(())
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
        let mut site = SiteProfile::choose(name, &job).unwrap();
        let wish = Wish { allocations, ..WISH };
        site.choose_queue(wish);
        site.check(wish).err().map(|error| error.to_string())
    }

    #[test]
    fn conflicting_keys_are_refused_with_key_value_and_hint() {
        // Site, `[site]`, key, value, part of the hint.
        let cases = [
            ("generic-slurm", "system = 'lsf'", "launcher", "srun", "`jsrun` or `mpirun`"),
            ("generic-slurm", "system = 'pbs'", "launcher", "srun", "`mpiexec` or `mpirun`"),
            ("el-capitan", "launcher = 'mpirun'", "launcher", "mpirun", "choose `flux-run`"),
            ("aurora", "chain = 'requeue'", "chain", "requeue", "`dependency`"),
            ("polaris", "reservation = 'R7'", "reservation", "R7", "`-p NAME`"),
            ("el-capitan", "qos = 'debug'", "qos", "debug", "name the queue"),
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
        let cases: [(_, &[&str], _, _, _); 39] = [
            ("aurora", &["-l", "select=4"], 1, "-l", "`-N N`"),
            ("aurora", &["-lwalltime=1:00:00"], 1, "-lwalltime=1:00:00", "`-t TIME`"),
            ("aurora", &["-qdebug"], 1, "-qdebug", "`-p NAME`"),
            ("aurora", &["-W", "block=true"], 1, "-W", "does not wait"),
            ("aurora", &["-W", "depend=afterok:7"], 2, "-W", "`--chain`"),
            ("aurora", &["-J", "0-3"], 1, "-J", "one coordinator"),
            ("aurora", &["-r", "n"], 1, "-r", "resumes by itself"),
            ("aurora", &["--nodes=2"], 1, "--nodes=2", "one hyphen"),
            ("el-capitan", &["-N5"], 1, "-N5", "`-N N`"),
            ("el-capitan", &["--time-limit=5m"], 1, "--time-limit=5m", "`-t TIME`"),
            ("el-capitan", &["--dependency=after:f7"], 2, "--dependency=after:f7", "`--chain`"),
            ("el-capitan", &["--bank=x"], 1, "--bank=x", "`-A PROJECT`"),
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
            ("aurora", "submit_options = ['-l', 'filesystems=home', '-W', 'umask=027']"),
            ("polaris", "launcher = 'mpirun'"),
            ("el-capitan", "submit_options = ['--setattr=x=y', '--exclusive']"),
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
