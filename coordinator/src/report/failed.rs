//! The failed units in the report: the first ones in full, and all of them by cause.
//!
//! **Invariant:** the size has a limit however many units failed and however long their errors are,
//! because SEAL receives the report in a message. Each failed unit is counted in exactly one cause.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use thresher_proto::pb;

use crate::amounts::count;
use thresher_domain::escape;

/// Number of units that are listed.
const UNITS_LISTED: usize = 100;
/// Number of causes that are listed; the units of others are counted together.
const CAUSES_LISTED: usize = 20;
/// Length in bytes of the longest error; the rest is cut off.
const ERROR_BYTES: usize = 2000;

/// The failed units of a job.
#[derive(Debug, Serialize)]
pub(super) struct FailedUnits {
    #[serde(rename = "set_aside_total")]
    pub(super) total: usize,
    /// The first ones.
    #[serde(rename = "set_aside")]
    units: Vec<FailedUnit>,
    /// The causes, of most units first.
    #[serde(rename = "set_aside_causes")]
    causes: Vec<Cause>,
}

/// A unit that failed permanently.
#[derive(Debug, Serialize)]
struct FailedUnit {
    unit: String,
    attempts: u32,
    /// Who or what is at fault.
    class: String,
    /// The host on which it failed last.
    host: String,
    error: String,
}

/// Errors that differ only in the values that they name.
#[derive(Debug, Serialize)]
struct Cause {
    units: usize,
    /// The error of one of the units; empty for all causes that are not listed.
    example: String,
}

impl FailedUnits {
    /// Describes the failed units; `all` is their number, of which `failed` may be only the first.
    pub(super) fn of(failed: &[pb::SetAside], all: usize) -> Self {
        let mut causes = causes(failed);
        let unlisted = all.saturating_sub(failed.len());
        if unlisted > 0 {
            causes.push(Cause { units: unlisted, example: String::new() });
        }
        let listed = failed.iter().take(UNITS_LISTED).map(|unit| FailedUnit {
            unit: pb::UnitRef { attempt: 0, ..unit.unit.unwrap_or_default() }.to_string(),
            attempts: unit.attempts,
            class: unit.class.clone(),
            host: unit.host.clone(),
            error: bounded(&unit.error).to_owned(),
        });
        Self { total: failed.len() + unlisted, units: listed.collect(), causes }
    }

    pub(super) fn write(&self, page: &mut String) -> std::fmt::Result {
        if self.total == 0 {
            return Ok(());
        }
        writeln!(page, "## Failed units\n")?;
        if self.total > self.units.len() {
            writeln!(page, "| units | cause |\n|---:|---|")?;
            for Cause { units, example } in &self.causes {
                let first = example.lines().next().filter(|line| !line.is_empty());
                let first = first.map_or_else(|| "other causes".into(), escape::page);
                writeln!(page, "| {} | {first} |", count(*units as u64))?;
            }
            let (listed, total) = (self.units.len(), count(self.total as u64));
            writeln!(page, "\nThe first {listed} of {total}:\n")?;
        }
        for unit in &self.units {
            writeln!(page, "* `{}`, after {} attempts:\n", unit.unit, unit.attempts)?;
            page.push_str(&escape::fenced(&unit.error, "  "));
        }
        writeln!(page)
    }
}

fn causes(failed: &[pb::SetAside]) -> Vec<Cause> {
    let mut found: BTreeMap<String, Cause> = BTreeMap::new();
    for unit in failed {
        let cause = found
            .entry(without_values(&unit.error))
            .or_insert_with(|| Cause { units: 0, example: bounded(&unit.error).to_owned() });
        cause.units += 1;
    }
    let mut causes: Vec<Cause> = found.into_values().collect();
    causes.sort_by(|a, b| b.units.cmp(&a.units).then_with(|| a.example.cmp(&b.example)));
    if causes.len() > CAUSES_LISTED {
        let units = causes.drain(CAUSES_LISTED..).map(|cause| cause.units).sum();
        causes.push(Cause { units, example: String::new() });
    }
    causes
}

/// Returns the first line of an error without the values in backticks and without digits.
fn without_values(error: &str) -> String {
    let first = bounded(error.lines().next().unwrap_or_default());
    let words = first.split('`').step_by(2);
    words.flat_map(str::chars).filter(|c| !c.is_ascii_digit()).collect()
}

fn bounded(error: &str) -> &str {
    &error[..error.floor_char_boundary(ERROR_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(number: u32, error: String) -> pb::SetAside {
        let unit = pb::UnitRef { stage: pb::Stage::Prepare.into(), ordinal: number, attempt: 3 };
        pb::SetAside { unit: Some(unit), error, attempts: 3, ..pb::SetAside::default() }
    }

    #[test]
    fn units_that_failed_alike_are_one_cause() {
        let mut all: Vec<_> = (0..7)
            .map(|n| failed(n, format!("failed to read `in/{n}`: line {n} is bad\nhint: look")))
            .collect();
        all.push(failed(7, "the program failed".to_owned()));
        let failed = FailedUnits::of(&all, all.len());
        let numbers: Vec<usize> = failed.causes.iter().map(|cause| cause.units).collect();
        assert_eq!(numbers, [7, 1]);
        assert_eq!(failed.total, 8);
    }

    #[test]
    fn the_size_has_a_limit_and_every_unit_is_counted() {
        let all: Vec<_> = (0..20_000_u32)
            .map(|n| {
                let letters: String = n.to_string().bytes().map(|d| char::from(d + 49)).collect();
                failed(n, format!("{letters} {}", "x".repeat(20_000)))
            })
            .collect();
        let failed = FailedUnits::of(&all, all.len());
        assert_eq!(failed.causes.iter().map(|cause| cause.units).sum::<usize>(), 20_000);
        let mut page = String::new();
        failed.write(&mut page).unwrap();
        assert!(page.len() < 300_000, "{}", page.len());
        assert!(page.contains("| 19,980 | other causes |"), "{}", &page[..5000]);
        assert!(page.contains("The first 100 of 20,000:"));
    }
}
