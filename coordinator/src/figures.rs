//! What follows from a status: totals over the job, rates and times left of a stage.
//!
//! Pure arithmetic on a [`pb::StatusResponse`]; how it is shown is left to `report` and `cli`.
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

/// Where the records of a job are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    pub records_in: u64,
    /// Of the records' bodies.
    pub bytes_in: u64,
    pub published: u64,
    /// JSON lines, before compression.
    pub bytes_published: u64,
    pub dropped: BTreeMap<String, u64>,
    pub quarantined: BTreeMap<String, u64>,
    /// Prepared, and in no shard: not yet, or never when their shard was set aside.
    pub unpublished: u64,
}

impl Totals {
    pub fn of(status: &pb::StatusResponse) -> Self {
        let mut totals = Self::default();
        if let Some(prepare) = accounting(status, Stage::Prepare) {
            totals.records_in = prepare.records_in;
            totals.bytes_in = prepare.bytes_in;
            totals.take_fates(prepare);
        }
        if let Some(publish) = accounting(status, Stage::Publish) {
            totals.published = publish.kept;
            totals.bytes_published = publish.bytes_kept;
            totals.take_fates(publish);
        }
        let placed = totals.published + sum(&totals.dropped) + sum(&totals.quarantined);
        totals.unpublished = totals.records_in.saturating_sub(placed);
        totals
    }

    pub fn dropped_sum(&self) -> u64 {
        sum(&self.dropped)
    }

    pub fn quarantined_sum(&self) -> u64 {
        sum(&self.quarantined)
    }

    fn take_fates(&mut self, accounting: &pb::Accounting) {
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

/// Reasons with the most first; equal ones by name.
pub fn by_size(reasons: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut sorted: Vec<_> = reasons.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    sorted
}

/// How fast a stage goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From its first lease to its end, or to the moment of the status.
    pub elapsed_millis: u64,
    /// Until it ends at its pace so far; none before anything is done, and when it has ended.
    pub left_millis: Option<u64>,
}

impl Pace {
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

/// Units that have ended, well or not.
pub fn ended_units(stage: &StageStatus) -> u32 {
    stage.done + stage.set_aside
}

/// By bytes where they are known, else by units.
fn progress(stage: &StageStatus) -> (u64, u64) {
    if stage.bytes > 0 && stage.bytes_done > 0 {
        (stage.bytes_done.min(stage.bytes), stage.bytes)
    } else {
        (ended_units(stage).into(), stage.units.into())
    }
}

pub fn of_stage(status: &pb::StatusResponse, stage: Stage) -> Option<&StageStatus> {
    status.stages.iter().find(|status| status.stage() == stage)
}

/// Units of a stage that wait, and that are leased: what was leased when the job ended is not done,
/// and nobody does it.
pub const fn waiting_and_leased(stage: &StageStatus, live: bool) -> (u32, u32) {
    match live {
        true => (stage.waiting, stage.leased),
        false => (stage.waiting.saturating_add(stage.leased), 0),
    }
}

/// Units that a worker has in hand.
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
    fn documents_that_wait_for_their_shard_are_told_apart() {
        let mut status = example();
        status.stages.retain(|stage| stage.stage() != Stage::Publish);
        assert_eq!(Totals::of(&status).unpublished, 60);
    }

    #[test]
    fn the_time_left_follows_the_bytes() {
        let mut stage = StageStatus { started_millis: 1000, planned: true, ..Default::default() };
        (stage.units, stage.bytes, stage.bytes_done) = (10, 400, 100);
        let pace = Pace::of(&stage, 3000);
        assert_eq!(pace, Pace { elapsed_millis: 2000, left_millis: Some(6000) });
        stage.ended_millis = 2000;
        assert_eq!(Pace::of(&stage, 9000), Pace { elapsed_millis: 1000, left_millis: None });
    }
}
