//! Whether a site grants what somebody wishes: nodes for a time in a queue.
//!
//! It decides before anything is submitted, because batch systems accept what they will never run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Bin, Conflict, SiteProfile};
use thresher_settings::Span;

/// What somebody wishes of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    pub nodes: u32,
    pub walltime: Duration,
    /// Allocations, one after the other.
    pub allocations: u32,
}

/// Why a site does not grant it; each says what it would grant.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum BinError {
    #[error(transparent)]
    Conflict(#[from] Conflict),
    #[error("site `{site}` knows no {what} `{word}`\nhint: {hint}")]
    UnknownQueue { site: String, what: &'static str, word: String, hint: String },
    #[error("site `{site}` has bins for named ones only, and no {what} is named\nhint: {hint}")]
    Unnamed { site: String, what: &'static str, hint: String },
    #[error("site `{site}` gives no {nodes} nodes to one job\nhint: {hint}")]
    Nodes { site: String, nodes: u32, hint: String },
    #[error(
        "{nodes} nodes for {walltime} is more than site `{site}` grants: at most {granted}\n\
         hint: {hint}"
    )]
    Walltime { site: String, nodes: u32, walltime: String, granted: String, hint: String },
    #[error("site `{site}` lets no job be chained here\nhint: leave out `--chain`")]
    NoChain { site: String },
    #[error("site `{site}` queues at most {limit} allocations of a chain, not {wished}")]
    LongChain { site: String, limit: u32, wished: u32 },
    #[error("site `{site}` charges every allocation to a project\nhint: name it, `-A PROJECT`")]
    NoAccount { site: String },
}

impl SiteProfile {
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

    /// The bins of the chosen queue and quality of service; none when the site has no bins.
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
        // To name the default is the same as to name none.
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
        // Bins without a name are those of whoever names none.
        if known.contains("") {
            ways.push(format!("leave out the {what}"));
        }
        if !names.is_empty() {
            ways.push(format!("choose one of {} by `{option}`", names.join(", ")));
        }
        ways.push("describe it by a `[[site.bin]]` in the job file".to_owned());
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

/// The same nodes for less time, and the nearest bin that gives the time.
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
        None => format!("{shorter}; a longer job is chained, `--chain K`"),
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
    fn names_that_are_not_there_are_told_with_those_that_are() {
        let perlmutter = |more: &str| {
            let job = format!("[site]\naccount = \"m1\"\n{more}");
            SiteProfile::choose("perlmutter", &job).unwrap()
        };
        let own = "[site]\n[[site.bin]]\nqueue = \"mine\"";
        let generic = SiteProfile::choose("generic-slurm", own).unwrap();
        let way = ", or describe it by a `[[site.bin]]` in the job file";
        let cases = [
            (
                frontier("qos = \"nonsense\""),
                "site `frontier` knows no quality of service `nonsense`\nhint: leave out the \
                 quality of service, or choose one of `debug`, `normal` by `-q`",
            ),
            (
                perlmutter("qos = \"premier\""),
                "site `perlmutter` knows no quality of service `premier`\nhint: choose one of \
                 `debug`, `preempt`, `regular` by `-q`",
            ),
            (
                perlmutter("qos = \"\""),
                "site `perlmutter` has bins for named ones only, and no quality of service is \
                 named\nhint: choose one of `debug`, `preempt`, `regular` by `-q`",
            ),
            (
                perlmutter("queue = \"x\""),
                "site `perlmutter` knows no queue `x`\nhint: leave out the queue",
            ),
            (
                generic,
                "site `generic-slurm` has bins for named ones only, and no queue is named\n\
                 hint: choose one of `mine` by `-p`",
            ),
        ];
        for (site, told) in cases {
            let error = site.check(wish(1, 1)).unwrap_err().to_string();
            assert_eq!(error, format!("{told}{way}"));
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
