//! What time alone brings about: lost workers, and drains near the end of an allocation.
//!
//! It reads the state and decides nothing. Invariant: nothing is due before [`Deadlines::next`], so
//! the shell may sleep until then. Only the idle-node cutoff may be due up to a second earlier.

use thresher_domain::{Timestamp, UnitKey};

use crate::event::Event;
use crate::forecast::{Forecast, StartWindow};
use crate::idle_nodes::IdleNodes;
use crate::lifecycle::{Lifecycle, Phase};
use crate::plan::Limits;
use crate::walltime::Walltime;
use crate::workers::Workers;

/// A drain waits this many heartbeats beyond its end, for workers to return what they hold.
const LAST_HEARTBEATS: u64 = 2;
/// How often the idle-node cutoff is considered once nothing more fits into the allocation. Its
/// terms change all the time.
const CUTOFF_INTERVAL_MILLIS: u64 = 1000;

/// The deadlines as of now.
pub(crate) struct Deadlines<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) lifecycle: &'a Lifecycle,
    pub(crate) forecast: Forecast<'a>,
    pub(crate) workers: &'a Workers,
}

impl Deadlines<'_> {
    /// Returns the events that are due.
    pub(crate) fn due(&self) -> Vec<Event> {
        let now = self.forecast.now;
        let drain = self.due_drain().map(|until| Event::Drained { until: Some(until) });
        let overdue = self.workers.overdue(now, self.lease_millis());
        let lost = overdue.map(|(worker_id, worker)| {
            let silence = now.millis_since(worker.last_seen.at);
            Event::Lost { worker_id, reason: format!("it has not called for {silence} ms") }
        });
        drain.into_iter().chain(lost).collect()
    }

    /// Returns when something may be due next, if no event happens before.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let last_seen = self.workers.first_last_seen();
        let lease = last_seen.map(|seen| seen.plus_millis(self.lease_millis()));
        lease.into_iter().chain(self.next_drain()).min()
    }

    fn lease_millis(&self) -> u64 {
        self.limits.lease_millis.into()
    }

    fn idle_nodes(&self) -> IdleNodes<'_> {
        IdleNodes { forecast: self.forecast, workers: self.workers }
    }

    /// Returns until when running units may run, if time requires a drain or a shorter one: the
    /// allocation ends, nothing that waits fits into the rest of it, or workers did not return what
    /// they hold.
    fn due_drain(&self) -> Option<Timestamp> {
        let Forecast { now, walltime, .. } = self.forecast;
        let soon = now.plus_millis(1);
        match self.lifecycle.phase {
            Phase::Running => {
                let walltime = walltime?;
                if self.idle_nodes().is_cutoff() {
                    Some(soon)
                } else if now >= walltime.leasing_stops() || self.is_stuck() {
                    Some(walltime.work_stops())
                } else {
                    None
                }
            }
            Phase::Draining { until: Some(until) } => {
                if now >= self.drain_gives_up(until) {
                    Some(now)
                } else if until > soon && self.idle_nodes().is_cutoff() {
                    Some(soon)
                } else {
                    None
                }
            }
            Phase::Draining { until: None } | Phase::Drained | Phase::Over { .. } => None,
        }
    }

    /// Whether nothing runs, and nothing that waits could end in time: nodes would be idle until
    /// the end of the allocation.
    fn is_stuck(&self) -> bool {
        let units = self.forecast.units;
        let Some(stage) = units.current_stage() else { return false };
        let waits = units.table(stage).tally.waiting > 0;
        waits && units.leased() == 0 && self.forecast.any_fitting(stage).is_none()
    }

    fn drain_gives_up(&self, until: Timestamp) -> Timestamp {
        until.plus_millis(LAST_HEARTBEATS * u64::from(self.limits.heartbeat_millis))
    }

    fn next_drain(&self) -> Option<Timestamp> {
        match self.lifecycle.phase {
            Phase::Running => {
                let walltime = self.forecast.walltime?;
                Some(self.next_cutoff(walltime).min(walltime.leasing_stops()))
            }
            Phase::Draining { until: Some(until) } => {
                let cutoff = self.forecast.walltime.map(|walltime| self.next_cutoff(walltime));
                cutoff.into_iter().chain([self.drain_gives_up(until)]).min()
            }
            Phase::Draining { until: None } | Phase::Drained | Phase::Over { .. } => None,
        }
    }

    /// Returns when the idle-node cutoff, or a stuck job, must be considered next: when the first
    /// waiting unit that fits does so no longer.
    fn next_cutoff(&self, walltime: Walltime) -> Timestamp {
        let Forecast { now, units, .. } = self.forecast;
        let soon = now.plus_millis(CUTOFF_INTERVAL_MILLIS);
        let Some(stage) = units.current_stage() else { return walltime.leasing_stops() };
        if now >= walltime.leasing_stops() {
            return soon;
        }
        if units.table(stage).tally.waiting == 0 {
            return walltime.leasing_stops();
        }
        let next = self.forecast.next_fitting(stage);
        match next.or_else(|| self.forecast.any_fitting(stage)) {
            // Nothing more that is examined fits, so running units are weighed against idle nodes.
            _ if next.is_none() && units.leased() > 0 => soon,
            Some(fitting) => self.stops_fitting(fitting, walltime),
            None => now,
        }
    }

    fn stops_fitting(&self, key: UnitKey, walltime: Walltime) -> Timestamp {
        match self.forecast.start_window(key) {
            Some(StartWindow::Millis(window)) => {
                self.forecast.now.plus_millis(window.saturating_add(1))
            }
            Some(StartWindow::Unlimited) | None => walltime.leasing_stops(),
        }
    }
}
