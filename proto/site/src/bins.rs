//! Decides whether a site grants a request: nodes for some time in a queue.
//!
//! This is checked before anything is submitted, because batch systems accept requests that never
//! run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Bin, Conflict, SiteProfile, Wish};
use thresher_settings::Span;

/// Why a site does not grant a request. Each message says what it would grant.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum BinError {
    #[error(transparent)]
    /// Keys of the profile contradict each other.
    Conflict(#[from] Conflict),
    /// No bin of the site has this queue or quality of service.
    #[error("site `{site}` has no {what} `{word}`\nhint: {hint}")]
    UnknownQueue { site: String, what: &'static str, word: String, hint: String },
    /// The site has no bin for jobs that name no queue or quality of service.
    #[error("site `{site}` requires a {what}, but none is named\nhint: {hint}")]
    Unnamed { site: String, what: &'static str, hint: String },
    /// No bin has this number of nodes.
    #[error("site `{site}` does not give {nodes} nodes to one job\nhint: {hint}")]
    Nodes { site: String, nodes: u32, hint: String },
    /// The bin of this number of nodes gives less time.
    #[error(
        "{nodes} nodes for {walltime} is more than site `{site}` grants: at most {granted}\n\
         hint: {hint}"
    )]
    Walltime { site: String, nodes: u32, walltime: String, granted: String, hint: String },
    /// Jobs in this bin may not be chained.
    #[error("site `{site}` does not allow chained jobs here\nhint: leave out `--chain`")]
    NoChain { site: String },
    /// The chain is longer than the site allows.
    #[error("site `{site}` queues at most {limit} allocations of a chain, not {wished}")]
    LongChain { site: String, limit: u32, wished: u32 },
    /// The site requires a project.
    #[error("site `{site}` charges every allocation to a project\nhint: name it with `-A PROJECT`")]
    NoAccount { site: String },
}

/// Value of the key `queue` with which the queue is chosen by the bins.
const AUTOMATIC: &str = "auto";

impl SiteProfile {
    /// Chooses the queue if it is `auto`: that of the first bin which grants the wish, or else of
    /// the first one with this number of nodes, so that [`SiteProfile::check`] can say what is
    /// missing.
    pub fn choose_queue(&mut self, wish: Wish) {
        if self.queue != AUTOMATIC {
            return;
        }
        let holds = |bin: &&Bin| (bin.min_nodes..=bin.max_nodes).contains(&wish.nodes);
        let grants = |bin: &&Bin| {
            holds(bin)
                && bin.qos == self.qos
                && bin.max_time.0 >= wish.walltime
                && (bin.chain || wish.allocations == 1)
        };
        let chosen = self.bin.iter().find(grants);
        let chosen = chosen.or_else(|| self.bin.iter().find(holds)).or(self.bin.first());
        self.queue = chosen.map(|bin| bin.queue.clone()).unwrap_or_default();
    }

    /// Refuses what cannot work, then what the site would not grant.
    pub fn check(&self, wish: Wish) -> Result<(), BinError> {
        self.refuse_conflicts(wish)?;
        let site = || self.name.clone();
        if self.account_required && self.account.is_empty() {
            return Err(BinError::NoAccount { site: site() });
        }
        if wish.allocations > self.max_chain {
            let (limit, wished) = (self.max_chain, wish.allocations);
            return Err(BinError::LongChain { site: site(), limit, wished });
        }
        let bins = self.bins_of_queue()?;
        if bins.is_empty() {
            return Ok(());
        }
        let holds = |bin: &&&Bin| (bin.min_nodes..=bin.max_nodes).contains(&wish.nodes);
        let Some(longest) = bins.iter().filter(holds).max_by_key(|bin| bin.max_time) else {
            let ranges: Vec<String> = bins.iter().map(|bin| range(bin)).collect();
            let hint = format!("ask for {}", ranges.join(" or "));
            return Err(BinError::Nodes { site: site(), nodes: wish.nodes, hint });
        };
        if longest.max_time.0 < wish.walltime {
            return Err(BinError::Walltime {
                site: site(),
                nodes: wish.nodes,
                walltime: Span(wish.walltime).to_string(),
                granted: format!("{} ({})", longest.max_time, range(longest)),
                hint: what_fits(&bins, longest, wish.walltime),
            });
        }
        if wish.allocations > 1 && !longest.chain {
            return Err(BinError::NoChain { site: site() });
        }
        Ok(())
    }

    /// Returns the bins of the chosen queue and quality of service; none if the site has no bins.
    fn bins_of_queue(&self) -> Result<Vec<&Bin>, BinError> {
        let of_queue: Vec<&Bin> = self.bin.iter().filter(|bin| bin.queue == self.queue).collect();
        if of_queue.is_empty() && !self.bin.is_empty() {
            let known = self.bin.iter().map(|bin| bin.queue.as_str());
            return Err(self.unknown("queue", "-p", &self.queue, known));
        }
        let with = |qos: &str| -> Vec<&Bin> {
            of_queue.iter().filter(|bin| bin.qos == qos).copied().collect()
        };
        let (own, any) = (with(&self.qos), with(""));
        if !own.is_empty() || of_queue.is_empty() {
            return Ok(own);
        }
        // Naming the default means the same as naming none.
        if !any.is_empty() && self.qos == self.default_qos {
            return Ok(any);
        }
        let default = Some(self.default_qos.as_str()).filter(|name| !name.is_empty());
        let known = of_queue.iter().map(|bin| bin.qos.as_str());
        let known = known.chain(default.filter(|_| !any.is_empty()));
        Err(self.unknown("quality of service", "-q", &self.qos, known))
    }

    fn unknown<'a>(
        &self,
        what: &'static str,
        option: &str,
        word: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> BinError {
        let known: BTreeSet<&str> = known.collect();
        let names = known.iter().filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let mut ways = Vec::new();
        // Bins without a name apply to jobs that name none.
        if known.contains("") {
            ways.push(format!("leave out the {what}"));
        }
        if !names.is_empty() {
            ways.push(format!("choose one of {} with `{option}`", names.join(", ")));
        }
        ways.push("describe it in a `[[site.bin]]` in the job file".to_owned());
        let hint = ways.join(", or ");
        let site = self.name.clone();
        match word {
            "" => BinError::Unnamed { site, what, hint },
            word => BinError::UnknownQueue { site, what, word: word.to_owned(), hint },
        }
    }
}

fn range(bin: &Bin) -> String {
    format!("{}–{} nodes", bin.min_nodes, bin.max_nodes)
}

/// Returns the longest time for the same nodes, and the nearest bin that grants the time.
fn what_fits(bins: &[&Bin], longest: &Bin, walltime: Duration) -> String {
    let shorter = format!("`-t {}` fits", longest.max_time);
    let larger = bins
        .iter()
        .filter(|bin| bin.max_time.0 >= walltime)
        .min_by_key(|bin| bin.min_nodes.abs_diff(longest.min_nodes));
    match larger {
        Some(bin) => {
            format!("{shorter}; {walltime} is for {}", range(bin), walltime = Span(walltime))
        }
        None => format!("{shorter}; for a longer job, chain allocations with `--chain K`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frontier(more: &str) -> SiteProfile {
        let job = format!("[site]\naccount = \"ABC123\"\n{more}");
        SiteProfile::choose("frontier", &job).unwrap()
    }

    fn wish(nodes: u32, hours: u64) -> Wish {
        Wish { nodes, walltime: Duration::from_secs(hours * 3600), allocations: 1 }
    }

    #[test]
    fn what_fits_a_bin_is_granted() {
        for (nodes, hours) in [(1, 2), (92, 6), (183, 6), (184, 12), (9472, 12)] {
            assert_eq!(frontier("").check(wish(nodes, hours)), Ok(()), "{nodes} for {hours} h");
        }
        assert_eq!(frontier("queue = \"extended\"").check(wish(64, 24)), Ok(()));
        let generic = SiteProfile::choose("generic-slurm", "").unwrap();
        assert_eq!(generic.check(wish(100_000, 1000)), Ok(()));
    }

    #[test]
    fn an_automatic_queue_is_the_first_that_grants_the_wish() {
        let queue = |wish: Wish| {
            let job = "[site]\naccount = \"ABC123\"";
            let mut site = SiteProfile::choose("polaris", job).unwrap();
            site.choose_queue(wish);
            let granted = site.check(wish).is_ok();
            (site.queue, granted)
        };
        let chained = Wish { allocations: 2, ..wish(4, 1) };
        for (wish, name, granted) in [
            (wish(496, 24), "prod", true),
            (wish(4, 1), "debug-scaling", true),
            (wish(4, 72), "preemptable", true),
            (chained, "preemptable", true),
            (wish(24, 4), "prod", false),
            (wish(497, 1), "prod", false),
        ] {
            assert_eq!(queue(wish), (name.to_owned(), granted), "{wish:?}");
        }
        let mut named = frontier("");
        named.choose_queue(wish(9000, 99));
        assert_eq!(named.queue, "batch");
        let mut none = SiteProfile::choose("generic-pbs", "[site]\nqueue = \"auto\"").unwrap();
        none.choose_queue(wish(1, 1));
        assert_eq!(none.queue, "");
    }

    #[test]
    fn seven_hours_in_a_bin_of_six_are_refused_with_the_bin_that_fits() {
        let error = frontier("").check(wish(92, 7)).unwrap_err().to_string();
        assert_eq!(
            error,
            "92 nodes for 7h is more than site `frontier` grants: at most 6h (92–183 nodes)\n\
             hint: `-t 6h` fits; 7h is for 184–9472 nodes"
        );
        let error = frontier("").check(wish(184, 13)).unwrap_err().to_string();
        assert!(error.contains("`-t 12h` fits") && error.contains("--chain"), "{error}");
    }

    #[test]
    fn nodes_queues_and_projects_that_are_not_there_are_refused() {
        let error = frontier("").check(wish(9473, 1)).unwrap_err().to_string();
        assert!(error.contains("9473") && error.contains("184–9472 nodes"), "{error}");
        let error = frontier("queue = \"long\"").check(wish(1, 1)).unwrap_err().to_string();
        assert!(error.contains("`long`") && error.contains("`extended`"), "{error}");
        let bare = SiteProfile::choose("frontier", "").unwrap();
        assert!(matches!(bare.check(wish(1, 1)), Err(BinError::NoAccount { .. })));
    }

    #[test]
    fn the_default_quality_of_service_has_its_queues_bins_and_an_unknown_one_has_none() {
        assert_eq!(frontier("qos = \"normal\"").check(wish(92, 6)), Ok(()));
        assert_eq!(frontier("qos = \"normal\"\nqueue = \"extended\"").check(wish(9, 24)), Ok(()));
        let error = frontier("qos = \"debug\"").check(wish(92, 6)).unwrap_err();
        assert!(error.to_string().contains("at most 2h"), "{error}");
        let own = "qos = \"mine\"\n[[site.bin]]\nqueue = \"batch\"\nqos = \"mine\"\nmax_nodes = 2";
        assert_eq!(frontier(own).check(wish(2, 1)), Ok(()));
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let perlmutter = |more: &str| {
            let job = format!("[site]\naccount = \"m1\"\n{more}");
            SiteProfile::choose("perlmutter", &job).unwrap()
        };
        let own = "[site]\n[[site.bin]]\nqueue = \"mine\"";
        let generic = SiteProfile::choose("generic-slurm", own).unwrap();
        let way = ", or describe it in a `[[site.bin]]` in the job file";
        let cases = [
            (
                frontier("qos = \"nonsense\""),
                "site `frontier` has no quality of service `nonsense`\nhint: leave out the \
                 quality of service, or choose one of `debug`, `normal` with `-q`",
            ),
            (
                perlmutter("qos = \"premier\""),
                "site `perlmutter` has no quality of service `premier`\nhint: choose one of \
                 `debug`, `preempt`, `regular` with `-q`",
            ),
            (
                perlmutter("qos = \"\""),
                "site `perlmutter` requires a quality of service, but none is \
                 named\nhint: choose one of `debug`, `preempt`, `regular` with `-q`",
            ),
            (
                perlmutter("queue = \"x\""),
                "site `perlmutter` has no queue `x`\nhint: leave out the queue",
            ),
            (
                generic,
                "site `generic-slurm` requires a queue, but none is named\n\
                 hint: choose one of `mine` with `-p`",
            ),
        ];
        for (site, expected) in cases {
            let error = site.check(wish(1, 1)).unwrap_err().to_string();
            assert_eq!(error, format!("{expected}{way}"));
        }
    }

    #[test]
    fn chains_are_refused_where_the_site_forbids_them() {
        let two = Wish { allocations: 2, ..wish(1, 1) };
        assert_eq!(frontier("").check(two), Ok(()));
        let debug = frontier("qos = \"debug\"").check(two);
        assert!(matches!(debug, Err(BinError::NoChain { .. })));
        let many = Wish { allocations: 101, ..two };
        assert!(matches!(frontier("").check(many), Err(BinError::LongChain { .. })));
    }
}
