//! The options that the program itself passes to the submitting command of each batch system, and
//! what sets them instead. A profile that has them too would contradict the program.

use super::{Chain, Layout, SiteProfile, System, Wish};

/// Options that the program passes to the submitting command itself.
pub(super) struct Taken {
    /// Names of the options: for Slurm and Flux without hyphens, for LSF and PBS also with a part
    /// of the value after a blank.
    names: &'static [&'static str],
    /// How to set them instead.
    pub(super) instead: &'static str,
    /// Whether the program passes them in this submission.
    given: bool,
}

/// Options of one letter that need a value: without one, the command would read the script as the
/// value.
pub(super) const VALUED_LETTERS: [(System, &str); 3] = [
    (System::Slurm, "AaBbCcDdeFGiJLMmNnopqStwx"),
    (System::Pbs, "aAcCeGhjJklmMnNopPqQrRStuUvW"),
    (System::Flux, "BcgNnoqStx"),
];

const fn one(names: &'static [&'static str], instead: &'static str, given: bool) -> Taken {
    Taken { names, instead, given }
}

impl Taken {
    /// Returns whether this word is one of the options; for LSF and PBS this may depend on the word
    /// `next`.
    pub(super) fn has(&self, system: System, option: &str, next: Option<&str>) -> bool {
        let is_named = |name: &&str| match system {
            System::Slurm | System::Flux if name.len() > 1 => option
                .strip_prefix("--")
                .and_then(|option| option.split(['=', ' ']).next())
                .is_some_and(|option| option == *name),
            // The value may be in the same word.
            System::Slurm | System::Flux => {
                option.strip_prefix('-').is_some_and(|option| option.starts_with(name))
            }
            System::Lsf => {
                let (name, value) = name.split_once(' ').unwrap_or((name, ""));
                option.strip_prefix('-') == Some(name) && next.unwrap_or_default().contains(value)
            }
            System::Pbs => {
                let (name, value) = name.split_once(' ').unwrap_or((name, ""));
                match option.strip_prefix('-').and_then(|option| option.strip_prefix(name)) {
                    Some("") => next.unwrap_or_default().contains(value),
                    Some(joined) => joined.contains(value),
                    None => false,
                }
            }
        };
        self.given && self.names.iter().any(is_named)
    }
}

/// Returns the options that the program passes for this profile and wish.
pub(super) fn taken(site: &SiteProfile, wish: Wish) -> Vec<Taken> {
    let mut all = shared(site, wish);
    all.extend(of_system(site));
    all
}

/// Returns those that every batch system has.
fn shared(site: &SiteProfile, wish: Wish) -> Vec<Taken> {
    let chained = wish.allocations > 1 && site.chain == Chain::Dependency;
    let (queue, account) = (!site.queue.is_empty(), !site.account.is_empty());
    let reservation = !site.reservation.is_empty();
    let names: [&'static [&'static str]; 8] = match site.system {
        System::Slurm => [
            &["job-name", "J"],
            &["time", "t"],
            &["output", "o"],
            &["account", "A"],
            &["partition", "p"],
            &["reservation"],
            &["dependency", "d"],
            &["wait", "W"],
        ],
        System::Lsf => {
            [&["J"], &["W"], &["o", "oo"], &["P"], &["q"], &["U"], &["w"], &["K", "I", "Ip", "Is"]]
        }
        System::Pbs => [
            &["N"],
            &["l walltime="],
            &["o", "j"],
            &["A"],
            &["q"],
            &[],
            &["W depend="],
            &["W block=", "I"],
        ],
        System::Flux => [
            &["job-name"],
            &["time-limit", "t"],
            &["output"],
            &["bank", "B"],
            &["queue", "q"],
            &[],
            &["dependency"],
            &["watch"],
        ],
    };
    let [name, time, output, account_, queue_, reservation_, after, waits] = names;
    vec![
        one(name, "the job's name is `job.name` of its file", true),
        one(time, "the walltime is `-t TIME`", true),
        one(output, "the output is `logs/allocation-ID.log` of the state", true),
        one(account_, "the project is `account`, or `-A PROJECT`", account),
        one(queue_, "the queue is `queue`, or `-p NAME`", queue),
        one(reservation_, "the reservation is `reservation`", reservation),
        one(after, "leave out `--chain`, which queues each allocation after another", chained),
        one(waits, "leave it out: `submit` does not wait for the allocation", true),
    ]
}

/// Returns those that only this batch system has, or that depend on more.
fn of_system(site: &SiteProfile) -> Vec<Taken> {
    let (warned, features) = (!site.warn_before.0.is_zero(), !site.features.is_empty());
    let whole = site.layout == Layout::WholeNodes;
    let rerun = "leave it out: a job resumes by itself when it is started again";
    let single = "leave it out: a job has one coordinator at a time";
    let script = "leave it out: there is a script";
    let (nodes, warning) = ("the nodes are `-N N`", "the warning's time is `warn_before`");
    match site.system {
        System::Slurm => vec![
            one(&["nodes", "N"], nodes, true),
            one(&["qos", "q"], "it is `qos`, or `-q NAME`", !site.qos.is_empty()),
            one(&["constraint", "C"], "constraints are `features`", features),
            one(&["signal"], warning, warned),
            one(&["open-mode", "requeue", "no-requeue"], rerun, true),
            one(&["array", "a"], single, true),
            one(&["wrap"], script, true),
        ],
        System::Lsf => vec![
            one(&["nnodes", "csm y", "csm Y"], nodes, whole),
            one(&["n", "R span["], nodes, !whole),
            one(&["alloc_flags"], "all flags are `features`", whole && features),
            one(&["wt", "wa"], warning, warned),
            one(&["r", "rn", "Q"], rerun, true),
        ],
        System::Pbs => vec![
            one(&["l select=", "l nodes="], nodes, true),
            one(&["r"], rerun, true),
            one(&["J"], single, true),
        ],
        System::Flux => vec![
            one(&["nodes", "N", "nslots", "n"], nodes, true),
            one(&["requires"], "requirements are `features`", features),
            one(&["signal"], warning, warned),
            one(&["wrap"], script, true),
        ],
    }
}
