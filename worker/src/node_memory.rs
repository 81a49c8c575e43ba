//! The memory that this process may use of its node: the smallest of what the node has and of the
//! limits of the batch system.
//!
//! ```text
//! MemTotal · cgroup v2 and v1 · Slurm's variables · resource limits, which LSF sets ──→ least
//! ```
//! **Invariant:** it decides how much is done at a time, and no byte of the output.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

/// Divisor of the memory that gives the part for keys. The rest is for the language models and
/// records of other slots, and for the file cache.
pub const KEY_SHARE: u64 = 2;
/// Smallest memory for keys, whatever the limits say.
const LEAST_BYTES: u64 = 64 << 20;
/// cgroup v1 says that there is no limit by a number of about this size.
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// Returns the memory for keys of each of `ranks` that share this node.
pub fn key_memory_bytes(ranks: u32) -> u64 {
    share(usable_bytes(), ranks)
}

/// Returns the memory of this node that the job may use.
pub fn usable_bytes() -> u64 {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = [
        meminfo(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
        cgroup_limit(Path::new("/sys/fs/cgroup"), &own),
        slurm_limit(|name| std::env::var(name).ok()),
        [Resource::As, Resource::Data, Resource::Rss]
            .into_iter()
            .filter_map(|resource| getrlimit(resource).current)
            .min(),
    ];
    limits.into_iter().flatten().min().unwrap_or(LEAST_BYTES)
}

fn share(usable_bytes: u64, ranks: u32) -> u64 {
    (usable_bytes / KEY_SHARE / u64::from(ranks.max(1))).max(LEAST_BYTES)
}

/// Returns the memory of the node.
fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Returns the smallest limit of the process's cgroups and of those above them. `own` is the
/// content of `/proc/self/cgroup`.
fn cgroup_limit(root: &Path, own: &str) -> Option<u64> {
    let limits = own.lines().filter_map(|line| {
        let (_, named) = line.split_once(':')?;
        let (controllers, path) = named.split_once(':')?;
        match controllers {
            "" => least_above(root, path, "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                least_above(&root.join("memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    limits.min()
}

/// Returns the smallest number in the file of a folder below `root` and of all folders above it.
fn least_above(root: &Path, path: &str, file: &str) -> Option<u64> {
    let relative = PathBuf::from(path.trim_start_matches('/'));
    let folders = relative.ancestors().map(|folder| root.join(folder).join(file));
    let limits = folders.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    limits.filter(|bytes| *bytes < NO_LIMIT_BYTES).min()
}

/// Returns the limit that Slurm has for this node, in whose variables sizes are in MiB.
fn slurm_limit(lookup: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let number = |name: &str| lookup(name)?.parse::<u64>().ok().filter(|number| *number > 0);
    let per_cpu = || number("SLURM_MEM_PER_CPU")?.checked_mul(number("SLURM_CPUS_ON_NODE")?);
    number("SLURM_MEM_PER_NODE").or_else(per_cpu)?.checked_mul(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_node_and_of_its_limits_are_read() {
        assert_eq!(meminfo("MemTotal:       24689112 kB\nMemFree: 1 kB\n"), Some(25_281_650_688));
        assert_eq!(meminfo("MemFree: 1 kB\n"), None);
        assert!(usable_bytes() >= LEAST_BYTES);
    }

    #[test]
    fn slurms_limits_are_those_of_the_node_or_of_its_cores() {
        let with = |set: &'static [(&str, &str)]| {
            slurm_limit(|name| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(with(&[("SLURM_MEM_PER_NODE", "2048")]), Some(2 << 30));
        let cores = [("SLURM_MEM_PER_CPU", "1024"), ("SLURM_CPUS_ON_NODE", "4")];
        assert_eq!(with(Box::leak(Box::new(cores))), Some(4 << 30));
        // `--mem=0` asks for the whole node.
        assert_eq!(with(&[("SLURM_MEM_PER_NODE", "0")]), None);
        assert_eq!(with(&[("SLURM_MEM_PER_CPU", "1024")]), None);
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn the_smallest_limit_of_a_cgroup_and_those_above_it_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let own = "0::/slurm/job_1/step_0\n";
        assert_eq!(cgroup_limit(root.path(), own), None);
        write("slurm/job_1/step_0/memory.max", "max\n");
        write("slurm/job_1/memory.max", "4294967296\n");
        write("slurm/memory.max", "8589934592\n");
        assert_eq!(cgroup_limit(root.path(), own), Some(4 << 30));
        write("memory/lsf/memory.limit_in_bytes", "1073741824\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        let first_version = "5:cpu,cpuacct:/lsf\n4:memory:/lsf\n";
        assert_eq!(cgroup_limit(root.path(), first_version), Some(1 << 30));
        assert_eq!(cgroup_limit(root.path(), "4:memory:/\n"), None);
        assert_eq!(cgroup_limit(root.path(), "nonsense\n"), None);
    }

    #[test]
    fn ranks_share_half_of_the_memory() {
        assert_eq!(share(64 << 30, 4), 8 << 30);
        assert_eq!(share(64 << 30, 0), 32 << 30);
        assert_eq!(share(1 << 20, 8), LEAST_BYTES);
    }
}
