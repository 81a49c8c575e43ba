//! A site's profile: its batch system, its nodes, and what it grants.
//!
//! It is read in layers, of which later ones take precedence: `default.toml` (embedded; it is the
//! reference), the chosen profile, the job file's `[site]` table, and keys set on the command line.
//!
//! **Invariant:** no setting of a site is part of a job's recipe: the same job gives the same bytes
//! wherever it runs.

pub mod batch;
mod bins;
mod conflicts;
mod options;
mod system;
mod wish;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use thresher_settings::{JobError, Span, Written, keys, typed};

pub use bins::BinError;
pub use conflicts::Conflict;
pub use system::{Launcher, System};
pub use wish::Wish;

/// The reference of all keys, with their defaults and meaning, as a job file writes them.
pub const DEFAULT_SITE: &str = include_str!("default.toml");

/// The built-in profiles.
const SITES: [(&str, &str); 13] = [
    ("frontier", include_str!("../../../deploy/sites/frontier.toml")),
    ("aurora", include_str!("../../../deploy/sites/aurora.toml")),
    ("el-capitan", include_str!("../../../deploy/sites/el-capitan.toml")),
    ("alps-eiger", include_str!("../../../deploy/sites/alps-eiger.toml")),
    ("jupiter", include_str!("../../../deploy/sites/jupiter.toml")),
    ("lumi", include_str!("../../../deploy/sites/lumi.toml")),
    ("perlmutter", include_str!("../../../deploy/sites/perlmutter.toml")),
    ("polaris", include_str!("../../../deploy/sites/polaris.toml")),
    ("summit", include_str!("../../../deploy/sites/summit.toml")),
    ("generic-slurm", include_str!("../../../deploy/sites/generic-slurm.toml")),
    ("generic-lsf", include_str!("../../../deploy/sites/generic-lsf.toml")),
    ("generic-pbs", include_str!("../../../deploy/sites/generic-pbs.toml")),
    ("generic-flux", include_str!("../../../deploy/sites/generic-flux.toml")),
];

/// The settings of a site. `default.toml` documents each key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteProfile {
    /// Name of the profile; not a key of its file.
    pub name: String,
    /// The batch system.
    pub system: System,
    /// The program that starts workers on the nodes.
    pub launcher: Launcher,
    /// How LSF assigns nodes.
    pub layout: Layout,
    /// Where the state of Slurm's allocations is read.
    pub records: Records,
    /// Cores per node that a worker uses; 0 for all that it finds.
    pub cores_per_node: u32,
    /// Processors that Slurm counts per core.
    #[serde(default = "one_thread")]
    pub threads_per_core: u32,
    /// Slurm's partition or the queue of another system; empty for the site's default.
    pub queue: String,
    /// Quality of service; empty for the site's default.
    pub qos: String,
    /// The quality of service of jobs that name none.
    #[serde(default)]
    pub default_qos: String,
    /// Reservation; empty for none.
    pub reservation: String,
    /// Project that allocations are charged to.
    pub account: String,
    /// Whether the site refuses jobs without a project.
    pub account_required: bool,
    /// Features that the nodes must have.
    pub features: Vec<String>,
    /// Further options for the submitting command.
    pub submit_options: Vec<String>,
    /// Further options for the launcher.
    pub launch_options: Vec<String>,
    /// Command that starts MPI ranks; empty if there is none.
    pub gang_launcher: String,
    /// Number of ranks of a gang step; 0 for one per slot of all workers.
    pub gang_ranks: u32,
    /// Modules that the script loads.
    pub modules: Vec<String>,
    /// Variables that the script sets, as `NAME=value`.
    pub environment: Vec<String>,
    /// Proxy for inputs on `https://`; empty for none.
    pub proxy: String,
    /// Hosts that need no proxy.
    pub no_proxy: String,
    /// Folder on the node-local disk; empty if there is none.
    pub local_dir: String,
    /// Network interface that the coordinator listens on, or `auto`.
    pub interface: String,
    /// Port that the coordinator listens on; 0 for any free one.
    pub port: u16,
    /// Time before the end of the walltime at which the script gets the signal to drain.
    pub warn_before: Span,
    /// How a chained job resumes.
    pub chain: Chain,
    /// Longest chain that the site allows.
    pub max_chain: u32,
    /// Number of allocations in a row without a done unit after which a chain stops.
    pub idle_allocations: u32,
    /// What the site grants; everything if empty.
    #[serde(default)]
    pub bin: Vec<Bin>,
}

/// Returns the default for submissions that were recorded before the key existed.
const fn one_thread() -> u32 {
    1
}

/// What a site grants to a range of node counts in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// The queue that the bin is for; empty for jobs that name none.
    pub queue: String,
    /// The quality of service that the bin is for; empty for jobs that name none.
    pub qos: String,
    /// Smallest number of nodes.
    pub min_nodes: u32,
    /// Largest number of nodes.
    pub max_nodes: u32,
    /// Longest walltime.
    pub max_time: Span,
    /// Whether jobs may be chained.
    pub chain: bool,
}

/// How LSF assigns nodes to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Whole nodes by `-nnodes`; the script runs on a launch node.
    WholeNodes,
    /// Slots by `-n`; the script runs on the first host.
    Slots,
}

/// Which of Slurm's commands is asked about allocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Records {
    /// `squeue`, which forgets ended jobs.
    Queue,
    /// `sacct`, which remembers them.
    Accounting,
}

/// How a job resumes in the next allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chain {
    /// All allocations are queued at once, each after the one before.
    Dependency,
    /// One allocation is put back into the queue under its id.
    Requeue,
}

/// Why a site profile cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(
        "unknown site `{name}`\nhint: choose one of {known}, or write `--site path.toml`",
        known = SITES.map(|(name, _)| format!("`{name}`")).join(", ")
    )]
    Unknown { name: String },
    #[error("failed to read the site profile `{}`: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the site profile `{name}` is not valid: {source}")]
    Profile { name: String, source: JobError },
    #[error("the job file's `[site]` is not valid: {0}")]
    Job(JobError),
    #[error("`--set {given}` is not a key and a value\nhint: write `--set KEY=VALUE`")]
    NoKey { given: String },
    #[error("`--set {given}` is not valid: {source}")]
    Set { given: String, source: JobError },
}

impl SiteProfile {
    /// Reads the built-in site `name`, or the profile at that path, and applies a job file's
    /// `[site]` table.
    pub fn choose(name: &str, job_text: &str) -> Result<Self, SiteError> {
        Self::choose_with(name, job_text, &[])
    }

    /// Does the same, then applies the keys of `set`, each written `KEY=VALUE`.
    pub fn choose_with(name: &str, job_text: &str, set: &[String]) -> Result<Self, SiteError> {
        let embedded = SITES.iter().find(|(known, _)| *known == name);
        let text = match embedded {
            Some((_, text)) => (*text).to_owned(),
            None if name.contains('/') || name.ends_with(".toml") => {
                let path = PathBuf::from(name);
                std::fs::read_to_string(&path)
                    .map_err(|source| SiteError::Unreadable { path, source })?
            }
            None => return Err(SiteError::Unknown { name: name.to_owned() }),
        };
        let of_profile = |source| SiteError::Profile { name: name.to_owned(), source };
        let short = Path::new(name)
            .file_stem()
            .map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
        let profile = table(&text).map_err(of_profile)?;
        check_layer(&profile, Written { text: &text, under: "" }).map_err(of_profile)?;
        let mut overrides = overrides(job_text).map_err(SiteError::Job)?;
        for given in set {
            let source = |source| SiteError::Set { given: given.clone(), source };
            let one = set_by(given).ok_or_else(|| SiteError::NoKey { given: given.clone() })?;
            check_layer(&one, Written { text: "", under: "" }).map_err(source)?;
            keys::overlay(&mut overrides, &one);
        }
        // Each layer was checked by itself, so errors here have no text to point at.
        let nowhere = Written { text: "", under: "" };
        Self::layered(&short, &[&profile, &overrides], nowhere).map_err(SiteError::Job)
    }

    fn layered(name: &str, layers: &[&Table], written: Written<'_>) -> Result<Self, JobError> {
        let (mut site, bin) = defaults();
        let known = known();
        for upper in layers {
            let below = site.remove("bin");
            keys::overlay(&mut site, upper);
            join_bins(&mut site, below);
        }
        if let Some(Value::Array(bins)) = site.get_mut("bin") {
            for given in bins.iter_mut().filter_map(Value::as_table_mut) {
                let mut filled = bin.clone();
                keys::overlay(&mut filled, given);
                *given = filled;
            }
        }
        site.insert("name".to_owned(), Value::String(name.to_owned()));
        typed::read(site, &known, written)
    }
}

/// Puts the bins of the layer below before those of `site`, except bins that `site` describes
/// again, with the same queue and quality of service. An empty list removes all.
fn join_bins(site: &mut Table, below: Option<Value>) {
    let Some(Value::Array(mut bins)) = below else { return };
    let given = match site.get_mut("bin") {
        None => Vec::new(),
        Some(Value::Array(given)) if !given.is_empty() => std::mem::take(given),
        // The value is missing or not a list; the reader of the table reports it.
        Some(_) => return,
    };
    let name = |bin: &Value| {
        ["queue", "qos"]
            .map(|key| bin.get(key).and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    let replaced: Vec<_> = given.iter().map(name).collect();
    bins.retain(|bin| !replaced.contains(&name(bin)));
    bins.extend(given);
    site.insert("bin".to_owned(), Value::Array(bins));
}

/// Removes the `[site]` table from a job's, and refuses a table with unknown keys or invalid
/// values, also for callers that only read the job.
pub fn take_table(job: &mut Table, text: &str) -> Result<Table, JobError> {
    match job.remove("site") {
        None => Ok(Table::new()),
        Some(Value::Table(site)) => {
            check_layer(&site, Written { text, under: "site" }).map(|()| site)
        }
        Some(other) => Err(typed::key_is_not_a_table("site", &other, text)),
    }
}

/// Checks one layer by itself, applied to the defaults only.
fn check_layer(layer: &Table, written: Written<'_>) -> Result<(), JobError> {
    keys::refuse_unknown(layer, &known(), &[], written)?;
    SiteProfile::layered("site", &[layer], written).map(|_| ())
}

/// Reads `KEY=VALUE` as a table of one key. The value is read as TOML if it is valid TOML, else as
/// a string.
fn set_by(given: &str) -> Option<Table> {
    let (key, text) = given.split_once('=')?;
    let toml: Option<Table> = format!("value = {text}").parse().ok();
    let value = toml.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    let value = value.unwrap_or_else(|| Value::String(text.to_owned()));
    Some(Table::from_iter([(key.trim().to_owned(), value)]))
}

/// Returns the job file's `[site]` table.
fn overrides(job_text: &str) -> Result<Table, JobError> {
    take_table(&mut table(job_text)?, job_text)
}

fn table(text: &str) -> Result<Table, JobError> {
    text.parse().map_err(|error: toml::de::Error| JobError::syntax(&error))
}

/// Returns every key with its default, including the keys of a bin.
fn known() -> Table {
    let (mut known, bin) = defaults();
    known.insert("bin".to_owned(), Value::Array(vec![Value::Table(bin)]));
    known
}

/// Returns the keys with their defaults, and those of a bin.
fn defaults() -> (Table, Table) {
    let mut whole: Table = DEFAULT_SITE.parse().expect("the embedded site is TOML, as tests prove");
    let Some(Value::Table(mut site)) = whole.remove("site") else { return Default::default() };
    let bin = match site.remove("bin") {
        Some(Value::Array(mut bins)) => bins.pop(),
        _ => None,
    };
    match bin {
        Some(Value::Table(bin)) => (site, bin),
        _ => (site, Table::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_site_is_valid_and_named_like_its_file() {
        for (name, _) in SITES {
            let site = SiteProfile::choose(name, "").unwrap();
            assert_eq!(site.name, name);
            assert!(site.system.launchers().contains(&site.launcher), "{name}");
        }
        assert_eq!(SiteProfile::choose("frontier", "").unwrap().bin.len(), 5);
    }

    #[test]
    fn a_job_file_changes_what_it_names_and_nothing_else() {
        let job = "[job]\nname = \"a\"\n[site]\ninterface = \"lo\"\nqos = \"debug\"\n";
        let site = SiteProfile::choose("frontier", job).unwrap();
        assert_eq!((site.interface.as_str(), site.qos.as_str()), ("lo", "debug"));
        assert_eq!(site.queue, "batch");
    }

    #[test]
    fn a_bin_is_added_or_replaces_those_of_its_queue() {
        let bins = |name: &str, job: &str| {
            let site = SiteProfile::choose(name, job).unwrap();
            let line = |bin: &Bin| format!("{}/{} {}", bin.queue, bin.qos, bin.max_nodes);
            site.bin.iter().map(line).collect::<Vec<_>>().join(", ")
        };
        let (batch, debug) = ("batch/ 91, batch/ 183, batch/ 9472", "batch/debug 9472");
        // The job's `[site]` for Frontier, and the bins that result.
        let cases = [
            ("", format!("{batch}, {debug}, extended/ 64")),
            (
                "[[site.bin]]\nqueue = 'mine'\nmax_nodes = 4",
                format!("{batch}, {debug}, extended/ 64, mine/ 4"),
            ),
            (
                "[[site.bin]]\nqueue = 'batch'\nmax_nodes = 4\n[[site.bin]]\nqueue = 'batch'",
                format!("{debug}, extended/ 64, batch/ 4, batch/ 1"),
            ),
            (
                "[[site.bin]]\nqueue = 'batch'\nqos = 'debug'\nmax_nodes = 2",
                format!("{batch}, extended/ 64, batch/debug 2"),
            ),
            ("[site]\nbin = []", String::new()),
        ];
        for (job, expected) in cases {
            assert_eq!(bins("frontier", job), expected, "{job}");
        }
        assert_eq!(bins("generic-slurm", "[[site.bin]]\nmax_nodes = 4"), "/ 4");
    }

    #[test]
    fn the_command_line_sets_any_key_above_the_job_file() {
        let choose = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|set| (*set).to_owned()).collect();
            let job = "[site]\ninterface = \"lo\"\n";
            SiteProfile::choose_with("frontier", job, &set)
        };
        let given = ["interface=hsn1", "cores_per_node=64", "submit_options=[\"-S\", \"0\"]"];
        let site = choose(&given).unwrap();
        assert_eq!((site.interface.as_str(), site.cores_per_node), ("hsn1", 64));
        assert_eq!(site.submit_options, ["-S", "0"]);
        assert_eq!(choose(&["warn_before = \"2m\""]).unwrap().warn_before.to_string(), "2m");
        for (given, expected) in [
            ("cores_per_nod=4", "did you mean `cores_per_node`?"),
            ("cores_per_node=many", "`--set cores_per_node=many` is not valid"),
            ("cores_per_node", "--set KEY=VALUE"),
            ("system=oar", "oar"),
        ] {
            let error = choose(&[given]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_reported_with_line_and_key() {
        for (job, expected) in [
            (
                "[site]\nqueue = \"a\"\ncores_per_node = \"many\"\n",
                "the job file's `[site]` is not valid: `site.cores_per_node` on line 3 is the \
                 string `many`, and must be a whole number from 0\nhint: write it like \
                 `cores_per_node = 0`",
            ),
            ("[site]\nsystem = \"oar\"\n", "`site.system` on line 2 is `oar`, which is unknown"),
            (
                "[[site.bin]]\nqos = \"a\"\n[[site.bin]]\nmax_time = \"1 week\"\n",
                "`site.bin[1].max_time` on line 4 is wrong: `1 week` is not a valid time",
            ),
            (
                "[site]\nbin = 5\n",
                "is the integer `5`, and must be a list\nhint: write it as `[[site.bin]]`",
            ),
            ("site = 5\n", "`site` on line 1 is the integer `5`, and must be a table"),
            ("[site]\nmodules = [\"a\",\n 5]\n", "`site.modules[1]` on line 3 is the integer `5`"),
            ("[site]\nport = 70000\n", "must be a whole number from 0 to 65535"),
        ] {
            let error = SiteProfile::choose("frontier", job).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}\nlacks\n{expected}");
            assert!(error.matches("hint: ").count() <= 1, "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "system = \"slurm\"\n\nmax_chain = true\n").unwrap();
        let error = SiteProfile::choose(path.to_str().unwrap(), "").unwrap_err().to_string();
        assert!(error.contains("`max_chain` on line 3 is the boolean `true`"), "{error}");
    }

    #[test]
    fn an_unknown_key_or_site_is_refused_with_what_was_meant() {
        let error = SiteProfile::choose("frontier", "[site]\ninterfaces = \"lo\"\n").unwrap_err();
        let expected = "unknown key `site.interfaces` on line 2\nhint: did you mean `interface`?";
        assert!(error.to_string().ends_with(expected), "{error}");
        let error = SiteProfile::choose("frontir", "").unwrap_err();
        assert!(error.to_string().contains("`frontier`"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "system = \"slurm\"\n[[bin]]\nmax_node = 4\n").unwrap();
        let error = SiteProfile::choose(path.to_str().unwrap(), "").unwrap_err();
        assert!(error.to_string().contains("did you mean `max_nodes`?"), "{error}");
        std::fs::write(&path, "system = \"slurm\"\n[[bin]]\nmax_nodes = 4\n").unwrap();
        let site = SiteProfile::choose(path.to_str().unwrap(), "").unwrap();
        assert_eq!((site.name.as_str(), site.bin[0].max_nodes), ("mine", 4));
    }
}
