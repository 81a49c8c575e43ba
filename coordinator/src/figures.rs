//! Calculates figures from a status: totals of the job, and rate and time left of a stage.
//!
//! It is pure arithmetic on a [`pb::StatusResponse`]; `report` and `cli` decide how it is shown.
//!
//! **Invariant:** records in = published + dropped + quarantined + unpublished.

mod counted;
#[cfg(any(test, feature = "testing"))]
mod example;

use std::collections::BTreeMap;

use thresher_proto::pb::{self, Stage, StageStatus};

pub use counted::{Counted, Measures, counters_by_name};
#[cfg(any(test, feature = "testing"))]
pub use example::example;

/// Number of records of a job, by outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Number of records that were read.
    pub records_in: u64,
    /// Size of the bodies of these records.
    pub bytes_in: u64,
    /// Number of published documents.
    pub published: u64,
    /// Size of their JSON lines, before compression.
    pub bytes_published: u64,
    /// Number of dropped records, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Number of quarantined records, by reason.
    pub quarantined: BTreeMap<String, u64>,
    /// Number of records that are prepared but in no shard: not yet, or never if the unit of their
    /// shard failed permanently.
    pub unpublished: u64,
}

impl Totals {
    /// Adds up the counts of a status.
    pub fn of(status: &pb::StatusResponse) -> Self {
        let mut totals = Self::default();
        if let Some(prepare) = accounting(status, Stage::Prepare) {
            totals.records_in = prepare.records_in;
            totals.bytes_in = prepare.bytes_in;
            totals.add_outcomes(prepare);
        }
        if let Some(publish) = accounting(status, Stage::Publish) {
            totals.published = publish.kept;
            totals.bytes_published = publish.bytes_kept;
            totals.add_outcomes(publish);
        }
        let placed = totals.published + sum(&totals.dropped) + sum(&totals.quarantined);
        totals.unpublished = totals.records_in.saturating_sub(placed);
        totals
    }

    /// Returns the number of dropped records.
    pub fn dropped_sum(&self) -> u64 {
        sum(&self.dropped)
    }

    /// Returns the number of quarantined records.
    pub fn quarantined_sum(&self) -> u64 {
        sum(&self.quarantined)
    }

    fn add_outcomes(&mut self, accounting: &pb::Accounting) {
        for (into, from) in [
            (&mut self.dropped, &accounting.dropped),
            (&mut self.quarantined, &accounting.quarantined),
        ] {
            for count in from {
                *into.entry(count.name.clone()).or_default() += count.value;
            }
        }
    }
}

/// Returns the reasons by number of records, largest first; equal ones are ordered by name.
pub fn by_size(reasons: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut sorted: Vec<_> = reasons.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    sorted
}

/// Elapsed time of a stage, and the estimated time left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time from its first lease to its end, or to the time of the status.
    pub elapsed_millis: u64,
    /// Estimated time to its end at its rate so far. `None` before a unit is done, and after the
    /// end.
    pub left_millis: Option<u64>,
}

impl Pace {
    /// Calculates the times of a stage.
    pub fn of(stage: &StageStatus, now_millis: u64) -> Self {
        if stage.started_millis == 0 {
            return Self { elapsed_millis: 0, left_millis: None };
        }
        let ended = stage.ended_millis;
        let until = if ended > 0 { ended } else { now_millis };
        let elapsed_millis = until.saturating_sub(stage.started_millis);
        let (done, all) = progress(stage);
        let left = |done: u64| u128::from(all - done) * u128::from(elapsed_millis);
        let left_millis = (ended == 0 && stage.planned && done > 0 && done < all)
            .then(|| u64::try_from(left(done) / u128::from(done)).unwrap_or(u64::MAX));
        Self { elapsed_millis, left_millis }
    }
}

/// Returns the number of units that are done or have failed permanently.
pub fn ended_units(stage: &StageStatus) -> u32 {
    stage.done + stage.set_aside
}

/// Returns the done and the whole amount of a stage, in bytes if they are known, otherwise in
/// units.
fn progress(stage: &StageStatus) -> (u64, u64) {
    if stage.bytes > 0 && stage.bytes_done > 0 {
        (stage.bytes_done.min(stage.bytes), stage.bytes)
    } else {
        (ended_units(stage).into(), stage.units.into())
    }
}

/// Returns the status of one stage, if the job has it.
pub fn of_stage(status: &pb::StatusResponse, stage: Stage) -> Option<&StageStatus> {
    status.stages.iter().find(|status| status.stage() == stage)
}

/// Returns the number of waiting and of leased units of a stage. If the job is over (`live` is
/// false), units that were leased count as waiting, because no worker runs them.
pub const fn waiting_and_leased(stage: &StageStatus, live: bool) -> (u32, u32) {
    match live {
        true => (stage.waiting, stage.leased),
        false => (stage.waiting.saturating_add(stage.leased), 0),
    }
}

/// Returns the number of units that a worker holds; 0 if the job is over.
pub const fn held(worker: &pb::WorkerStatus, live: bool) -> u32 {
    if live { worker.held } else { 0 }
}

fn accounting(status: &pb::StatusResponse, stage: Stage) -> Option<&pb::Accounting> {
    of_stage(status, stage).and_then(|stage| stage.accounting.as_ref())
}

fn sum(reasons: &BTreeMap<String, u64>) -> u64 {
    reasons.values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_over_prepare_and_publish() {
        let totals = Totals::of(&example());
        assert_eq!((totals.records_in, totals.published), (100, 55));
        assert_eq!(
            (totals.dropped_sum(), totals.quarantined_sum(), totals.unpublished),
            (43, 2, 0)
        );
        assert_eq!(by_size(&totals.dropped)[0], ("gopher_quality/too_few_words", 30));
        assert_eq!(totals.dropped["dedup/duplicate_document"], 5);
    }

    #[test]
    fn documents_without_a_shard_are_counted_as_unpublished() {
        let mut status = example();
        status.stages.retain(|stage| stage.stage() != Stage::Publish);
        assert_eq!(Totals::of(&status).unpublished, 60);
    }

    #[test]
    fn the_time_left_is_estimated_from_bytes() {
        let mut stage = StageStatus { started_millis: 1000, planned: true, ..Default::default() };
        (stage.units, stage.bytes, stage.bytes_done) = (10, 400, 100);
        let pace = Pace::of(&stage, 3000);
        assert_eq!(pace, Pace { elapsed_millis: 2000, left_millis: Some(6000) });
        stage.ended_millis = 2000;
        assert_eq!(Pace::of(&stage, 9000), Pace { elapsed_millis: 1000, left_millis: None });
    }
}
