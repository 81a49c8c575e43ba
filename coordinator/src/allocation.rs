//! Determines when the allocation around this coordinator ends, from the command line or the batch
//! system's environment, and how long before the end the coordinator stops.
//!
//! It asks no batch system and reads no clock. Invariant: the command line takes precedence over
//! the environment.

use std::time::Duration;

use thresher_domain::Timestamp;
use thresher_site::batch::ParseError;

use super::batch::inside_any;

/// Usual margin, long enough for a flush, a late signal, and the batch system's own time before it
/// kills.
const MARGIN: Duration = Duration::from_secs(300);
/// Margin in an allocation of at most [`SHORT`].
const SHORT_MARGIN: Duration = Duration::from_secs(120);
const SHORT: Duration = Duration::from_secs(30 * 60);
/// Divisor of the time of a very short allocation, which limits its margin.
const MARGIN_PART: u32 = 4;

/// The options of the command line about the allocation.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllocationOptions {
    /// When it ends.
    pub ends: Option<Timestamp>,
    /// The margin before the end.
    pub margin: Option<Duration>,
}

/// What is known about the allocation around this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    /// Its id in the batch system; empty outside any.
    pub name: String,
    /// When it ends, if known.
    pub ends: Option<Timestamp>,
    /// Time before the end, or after a signal, in which nothing runs. `None` lets running units
    /// end.
    pub margin: Option<Duration>,
}

/// When a coordinator that still runs hangs: all units are released by the middle of the margin,
/// and it needs only moments after that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patience {
    /// Time after a signal.
    pub after_signal: Duration,
    /// Time before the end of the allocation.
    pub before_end: Duration,
}

/// Longest time that a coordinator needs after the release of all units.
const LAST_MOMENTS: Duration = Duration::from_secs(15);
/// How long units may run after a signal outside of any allocation, where a person waits.
const UNITS_END: Duration = Duration::from_secs(30);

/// Why an allocation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AllocationError {
    #[error(transparent)]
    Environment(#[from] ParseError),
    #[error(
        "the margin of {} s leaves nothing of the {} s until the allocation ends\n\
         hint: choose a smaller `--margin`",
        margin.as_secs(), left.as_secs()
    )]
    NothingLeft { margin: Duration, left: Duration },
}

impl Allocation {
    /// Combines the command line and the environment.
    pub fn find(
        now: Timestamp,
        options: AllocationOptions,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, AllocationError> {
        let inside = inside_any(variable)?;
        let ends = inside.as_ref().and_then(|inside| inside.ends_unix_seconds);
        let ends = ends.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)));
        let ends = options.ends.or(ends);
        let left = ends.map(|ends| Duration::from_millis(ends.millis_since(now)));
        if let (Some(margin), Some(left)) = (options.margin, left)
            && margin >= left
            && options.ends.is_some()
        {
            return Err(AllocationError::NothingLeft { margin, left });
        }
        let usual = (inside.is_some() || ends.is_some()).then(|| usual_margin(left));
        Ok(Self {
            name: inside.map(|inside| inside.allocation.to_string()).unwrap_or_default(),
            ends,
            margin: options.margin.or(usual),
        })
    }

    /// Returns the margin as messages encode it; 0 if there is none.
    pub fn margin_millis(&self) -> u32 {
        self.margin.map_or(0, |margin| u32::try_from(margin.as_millis()).unwrap_or(u32::MAX))
    }

    /// Returns when a coordinator that still runs must be killed.
    pub fn patience(&self) -> Patience {
        let margin = self.margin.unwrap_or(MARGIN);
        let (half, last) = (margin / 2, LAST_MOMENTS.min(margin / MARGIN_PART));
        Patience { after_signal: half + last, before_end: half - last }
    }

    /// Returns for how long units may run after a signal. A unit that takes longer is given up, and
    /// runs again from its start.
    pub fn patience_with_units(&self) -> Duration {
        self.margin.map_or(UNITS_END, |margin| margin / 2)
    }
}

fn usual_margin(left: Option<Duration>) -> Duration {
    match left {
        None => MARGIN,
        Some(left) if left <= SHORT => SHORT_MARGIN.min(left / MARGIN_PART),
        Some(_) => MARGIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn find(
        options: AllocationOptions,
        environment: &[(&str, &str)],
    ) -> Result<Allocation, AllocationError> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Allocation::find(NOW, options, &variable)
    }

    #[test]
    fn outside_of_any_allocation_there_is_no_end_and_no_margin() {
        let found = find(AllocationOptions::default(), &[]).unwrap();
        assert_eq!(found, Allocation::default());
        assert_eq!(found.patience_with_units(), UNITS_END);
    }

    #[test]
    fn an_end_from_slurm_determines_the_margin() {
        let inside = [("SLURM_JOB_ID", "7"), ("SLURM_JOB_END_TIME", "8200")];
        let found = find(AllocationOptions::default(), &inside).unwrap();
        assert_eq!(found.name, "7");
        assert_eq!(found.ends, Some(Timestamp::from_millis(8_200_000)));
        assert_eq!(found.margin, Some(MARGIN));
        let found = find(AllocationOptions::default(), &inside[..1]).unwrap();
        assert_eq!((found.ends, found.margin), (None, Some(MARGIN)));
        let nonsense = [("SLURM_JOB_ID", "7"), ("SLURM_JOB_END_TIME", "soon")];
        assert!(find(AllocationOptions::default(), &nonsense).is_err());
    }

    #[test]
    fn an_empty_end_of_slurm_is_like_none() {
        let inside =
            [("SLURM_JOB_ID", "7"), ("SLURM_JOB_END_TIME", ""), ("SLURM_RESTART_COUNT", "")];
        let found = find(AllocationOptions::default(), &inside).unwrap();
        assert_eq!((found.name.as_str(), found.ends), ("7", None));
    }

    #[test]
    fn pbs_and_flux_name_their_allocation() {
        for (variable, id) in [("PBS_JOBID", "12.pbs1"), ("FLUX_ENCLOSING_ID", "fA1")] {
            let found = find(AllocationOptions::default(), &[(variable, id)]).unwrap();
            assert_eq!((found.name.as_str(), found.margin), (id, Some(MARGIN)));
        }
    }

    #[test]
    fn lsf_gives_no_end_and_the_command_line_takes_precedence_over_slurm() {
        let lsf = [("LSB_JOBID", "12"), ("LSB_MCPU_HOSTS", "batch1 1 a01 42")];
        let found = find(AllocationOptions::default(), &lsf).unwrap();
        assert_eq!((found.name.as_str(), found.ends), ("12", None));
        let ends = Some(Timestamp::from_millis(1_040_000));
        let options = AllocationOptions { ends, margin: None };
        let inside = [("SLURM_JOB_ID", "7"), ("SLURM_JOB_END_TIME", "8200")];
        let found = find(options, &inside).unwrap();
        assert_eq!(found.ends, ends);
        assert_eq!(found.margin, Some(Duration::from_secs(10)), "a quarter of the 40 s");
        assert_eq!(found.patience_with_units(), Duration::from_secs(5));
    }

    #[test]
    fn a_coordinator_hangs_moments_after_the_release_of_its_units() {
        let seconds = Duration::from_secs;
        for (left, after_signal, before_end) in [
            (7200, seconds(165), seconds(135)),
            (1200, seconds(75), seconds(45)),
            (64, seconds(12), seconds(4)),
        ] {
            let ends = Some(NOW.plus_millis(left * 1000));
            let found = find(AllocationOptions { ends, margin: None }, &[]).unwrap();
            assert_eq!(found.patience(), Patience { after_signal, before_end }, "{left}");
        }
    }

    #[test]
    fn a_margin_that_leaves_nothing_is_refused() {
        let ends = Some(Timestamp::from_millis(1_040_000));
        let options = AllocationOptions { ends, margin: Some(Duration::from_secs(40)) };
        let error = find(options, &[]).unwrap_err().to_string();
        assert!(error.contains("40 s") && error.contains("hint: "), "{error}");
    }
}
