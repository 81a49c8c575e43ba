//! The options of the command line that describe the allocation in which a coordinator runs.

use std::time::Duration;

use clap::Args;
use thresher_job::Span;

use thresher_coordinator::allocation::{Allocation, AllocationOptions};
use thresher_coordinator::clock;
use thresher_coordinator::scheduler::Timestamp;

/// When the allocation ends. The environment of the batch system is the default.
#[derive(Debug, Clone, Args)]
pub(super) struct AllocationArgs {
    /// End of the allocation: Unix seconds, or a time like `2026-11-27T18:00:00Z` [default: from
    /// the batch system's environment, if it has one]
    #[arg(long, value_name = "TIME", conflicts_with = "walltime", value_parser = parse_end)]
    ends_at: Option<Timestamp>,
    /// Time from now to the end of the allocation, such as `2h`
    #[arg(long, value_name = "SPAN")]
    walltime: Option<Span>,
    /// Time before the end, or after a signal, in which no unit starts [default in an allocation:
    /// 5m, in one of up to 30m: 2m]
    #[arg(long, value_name = "SPAN")]
    margin: Option<Span>,
}

impl AllocationArgs {
    pub(super) fn find(&self) -> anyhow::Result<Allocation> {
        let now = clock::now();
        let later = |span: Span| now.plus_millis(span.millis().into());
        let options = AllocationOptions {
            ends: self.ends_at.or(self.walltime.map(later)),
            margin: self.margin.map(|span| Duration::from_millis(span.millis().into())),
        };
        Ok(Allocation::find(now, options, &|name| std::env::var(name).ok())?)
    }
}

fn parse_end(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Timestamp::from_millis(seconds.saturating_mul(1000)));
    }
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| "write Unix seconds, or a time like `2026-11-27T18:00:00Z`".to_owned())?;
    u64::try_from(time.as_millisecond())
        .map(Timestamp::from_millis)
        .map_err(|_| "that is before 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_read_from_seconds_or_a_date() {
        let expected = Timestamp::from_millis(1_795_802_400_000);
        assert_eq!(parse_end("1795802400"), Ok(expected));
        assert_eq!(parse_end("2026-11-27T18:00:00Z"), Ok(expected));
        for text in ["", "soon", "-4", "18:00"] {
            assert!(parse_end(text).is_err(), "{text}");
        }
    }
}
