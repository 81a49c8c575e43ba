//! Connects the coordinator and the slots: it registers the worker, leases units, reports results,
//! and renews the leases.
//!
//! ```text
//! coordinator ⇄ Sync (reports, want → leases) ⇄ agent ⇄ executor (slots)
//! ```
//! While the coordinator does not answer, the slots continue and their reports wait here. When it
//! is back, possibly at a new address, the agent sends the units that it holds and the reports. It
//! exits if the coordinator does not answer for longer than a lease lasts, unless the coordinator's
//! process is suspended on this host. Time in which this process itself was suspended does not
//! count.
//!
//! **Invariant:** a report is forgotten only when the coordinator has answered the Sync with it.

mod link;
mod pace;
mod silence;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message;

use thresher_channel::address::host_name;
use thresher_job::JobSpec;
use thresher_proto::pb::{
    Directive, RegisterResponse, Report, SyncRequest, SyncResponse, UnitRef, report::Outcome,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tonic::Code;

use crate::executor::Executor;
use crate::gang::{Gang, GangOptions};
use crate::signals::{Asked, Signals};
use crate::stages::JobContext;
use thresher_storage::clock;
use thresher_storage::set_request_rate;

use link::Link;
use pace::{GROUPING, Pace};
use silence::Silence;

/// Pause between two attempts to reach the coordinator.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How long to look for a coordinator before the first registration.
const FIRST_CONTACT: Duration = Duration::from_secs(60);
/// Longest time that a call may take in addition to the time that it may wait at the coordinator.
/// After it the answer counts as lost.
const ANSWER_GRACE: Duration = Duration::from_secs(10);
/// The same limit with a short lease.
const LEAST_GRACE: Duration = Duration::from_secs(1);
/// How long a drain waits for one record. A unit whose record lasts longer is given up, and runs
/// again from its start.
const RECORD_PATIENCE: Duration = Duration::from_secs(10);
/// Number of reports in one call; more are sent in several calls.
const MAX_REPORTS: usize = 512;
/// Size in bytes of the reports in one call. Each of them is far smaller (`reports`).
const MAX_CALL_BYTES: usize = 2 << 20;

/// The options of a worker.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// The state directory, which has the coordinator's address and the worker's keys.
    pub state: PathBuf,
    /// Number of units that run at a time.
    pub slots: usize,
    /// The directory of the keys, if they are not in the state directory.
    pub keys: Option<PathBuf>,
    /// An address to use instead of the one in the state directory.
    pub connect: Option<std::net::SocketAddr>,
    /// How gang units are spread over nodes. `None` runs them on threads of this process.
    pub gang: Option<GangOptions>,
    /// Memory for keys of one rank of a gang unit, as far as the node decides.
    pub key_memory_bytes: u64,
    /// A folder on a local disk of this node.
    pub scratch: Option<PathBuf>,
}

/// Runs units until the job is over, the coordinator asks the worker to exit, or the coordinator
/// does not answer for longer than a lease.
pub async fn work(options: AgentOptions) -> anyhow::Result<()> {
    let mut link = Link::new(options);
    let registered = link.register(FIRST_CONTACT, Vec::new()).await?;
    // Before the registration there is nothing to return, so a signal may end the process.
    let mut signals = Signals::catch()?;
    let job = JobSpec::from_resolved(&registered.job_toml)?;
    set_request_rate(registered.request_rate);
    let slots = link.options.slots;
    let process = format!("{}-{}-{}", host_name(), std::process::id(), registered.worker_id);
    let gang = link.options.gang.clone().map(Gang::new);
    let context = JobContext::new(job, slots, process.replace('/', "_"))?.with_gang(gang);
    let context = context.with_key_memory(link.options.key_memory_bytes);
    let context = Arc::new(context.with_scratch(link.options.scratch.clone()));
    let (sender, reports) = unbounded_channel();
    let executor = Executor::start(&context, slots, &sender)?;
    drop(sender);
    let mut agent = Agent {
        link,
        worker_id: registered.worker_id,
        job_toml: registered.job_toml.clone(),
        lease: Duration::from_millis(registered.lease_millis.into()),
        heartbeat: Duration::from_millis(registered.heartbeat_millis.max(1).into()),
        executor,
        reports,
        held: BTreeMap::new(),
        pending: Vec::new(),
        resync: false,
        sequence: 0,
        draining: false,
        leaving: None,
        margin: margin_of(&registered),
        silence: Silence::default(),
        pace: Pace::default(),
    };
    let ended = agent.run(&mut signals).await;
    agent.executor.close();
    if let Some(gang) = &context.gang {
        gang.abandon();
    }
    ended
}

fn margin_of(registered: &RegisterResponse) -> Option<Duration> {
    let millis = Some(registered.margin_millis).filter(|millis| *millis > 0);
    millis.map(|millis| Duration::from_millis(millis.into()))
}

struct Agent {
    link: Link,
    worker_id: u32,
    /// The job as this worker opened it.
    job_toml: String,
    lease: Duration,
    heartbeat: Duration,
    executor: Executor,
    reports: UnboundedReceiver<Report>,
    /// Units that are leased and not yet reported, by stage and ordinal.
    held: BTreeMap<(i32, u32), UnitRef>,
    /// Reports of slots that the coordinator has not acknowledged.
    pending: Vec<Report>,
    /// Whether the last answer was lost.
    resync: bool,
    /// Number of the last call of this registration.
    sequence: u64,
    draining: bool,
    leaving: Option<Leaving>,
    /// Time between a signal and the kill by the batch system.
    margin: Option<Duration>,
    /// For how long the coordinator has not answered.
    silence: Silence,
    pace: Pace,
}

impl Agent {
    /// Works until it is asked to exit.
    async fn run(&mut self, signals: &mut Signals) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                biased;
                asked = signals.next() => {
                    // The current call is abandoned.
                    self.resync = true;
                    if self.leave(asked) {
                        return Ok(());
                    }
                }
                ended = self.step() => if ended? {
                    return Ok(());
                }
            }
        }
    }

    /// Makes one call and handles its answer. Returns true if this worker must exit.
    async fn step(&mut self) -> anyhow::Result<bool> {
        self.collect();
        self.group().await;
        let last = self.leaving.as_ref().is_some_and(Leaving::is_over);
        if last {
            self.give_up(self.held.values().copied().collect());
        }
        if self.draining {
            self.give_up(self.executor.stuck(RECORD_PATIENCE));
        }
        if self.leaving.is_some() && self.is_done() {
            return Ok(true);
        }
        let request = self.request();
        let (sent, started) = (request.reports.len(), clock::now());
        match self.sync(request).await {
            Ok(None) => {}
            Ok(Some(response)) => {
                self.silence.end();
                self.acknowledge(sent);
                self.resync = false;
                if self.apply(response) {
                    return Ok(true);
                }
            }
            Err(status) if status.code() == Code::NotFound && !last => {
                self.register_again().await?;
            }
            Err(status) if is_final(status.code()) => {
                anyhow::bail!("the coordinator refuses this worker: {}", status.message());
            }
            Err(status) => {
                tracing::debug!(error = %status, "the coordinator does not answer");
                self.resync = true;
                self.link.forget();
                let call = clock::now().duration_since(started);
                self.silence.add(call.min(self.longest_call()) + RETRY_PAUSE);
                if self.silence.lasts() > self.lease && !last && !self.link.is_coordinator_alive() {
                    anyhow::bail!(
                        "no coordinator answered for longer than a lease: {}",
                        status.message()
                    );
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
        // Whether that call succeeded or not, there is no time for another.
        Ok(last)
    }

    /// Starts to exit after a signal. Returns true if the worker must exit at once.
    fn leave(&mut self, asked: Asked) -> bool {
        match (&self.leaving, asked) {
            (Some(leaving), Asked::Interrupt) if leaving.interrupted => return true,
            (Some(_), Asked::Leave) => return false,
            (Some(_) | None, Asked::Interrupt | Asked::Leave) => {}
        }
        tracing::info!(held = self.held.len(), "asked to exit: no new unit starts");
        let by = self.leaving.as_ref().and_then(|leaving| leaving.by);
        let latest = self.margin.map(|margin| clock::now() + margin / 2);
        self.leaving = Some(Leaving { by: by.or(latest), interrupted: asked == Asked::Interrupt });
        self.drain();
        false
    }

    /// Returns whether nothing is left to run or to report.
    fn is_done(&self) -> bool {
        self.held.is_empty() && self.pending.is_empty()
    }

    /// Moves the reports of the slots to the pending reports.
    fn collect(&mut self) {
        while let Ok(report) = self.reports.try_recv() {
            self.take(report);
        }
    }

    /// Waits a moment for more reports, if there are some and every slot has work.
    async fn group(&mut self) {
        let until = clock::now() + GROUPING;
        let slots = self.link.options.slots;
        while !self.pending.is_empty() && !self.draining && self.held.len() >= slots {
            let left = until.saturating_duration_since(clock::now());
            match tokio::time::timeout(left, self.reports.recv()).await {
                Ok(Some(report)) => self.take(report),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn take(&mut self, report: Report) {
        let is_end = !matches!(report.outcome, Some(Outcome::Listed(_)));
        if let Some(unit) = report.unit.filter(|_| is_end) {
            let key = (unit.stage, unit.ordinal);
            let is_held = self.held.get(&key) == Some(&unit);
            if is_held {
                self.held.remove(&key);
                if matches!(report.outcome, Some(Outcome::Done(_))) {
                    self.pace.add(report.wall_millis);
                }
            } else if matches!(report.outcome, Some(Outcome::Returned(_))) {
                // It was asked to stop, so its return is already reported.
                return;
            }
        }
        self.pending.push(report);
    }

    fn request(&mut self) -> SyncRequest {
        self.sequence += 1;
        let slots = self.link.options.slots;
        let room = self.pace.room(slots);
        let want = if self.draining { 0 } else { room.saturating_sub(self.held.len()) };
        let held = if self.resync { self.held.values().copied().collect() } else { Vec::new() };
        let reports = self.pending[..fitting(&self.pending)].to_vec();
        let idle_slots = slots.saturating_sub(self.held.len());
        let wait = held_for(&reports, idle_slots, self.draining, self.heartbeat);
        SyncRequest {
            worker_id: self.worker_id,
            want: want as u32,
            idle: self.held.is_empty(),
            reports,
            resync: self.resync,
            held,
            wait_millis: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
            sequence: self.sequence,
            leaves_within_millis: self.leaving.as_ref().map_or(0, Leaving::millis_left),
        }
    }

    /// Makes one call. Returns `None` without an answer if a slot reports while the coordinator
    /// holds the call: the call is abandoned, and the next one sends the held units.
    async fn sync(&mut self, request: SyncRequest) -> Result<Option<SyncResponse>, tonic::Status> {
        let urgent = !request.reports.is_empty() || request.resync;
        if !urgent && request.wait_millis == 0 {
            // Every slot is busy, so there is nothing to ask for until a unit ends; but the lease
            // must be renewed.
            if let Ok(Some(report)) =
                tokio::time::timeout(self.heartbeat, self.reports.recv()).await
            {
                self.take(report);
                return Ok(None);
            }
        }
        let limit = Duration::from_millis(request.wait_millis.into()) + self.grace();
        let link = &mut self.link;
        let call = tokio::time::timeout(limit, async {
            let client = link.client().await?;
            client.sync(request).await
        });
        let report = tokio::select! {
            biased;
            answered = call => {
                let late = |_| tonic::Status::unavailable("no answer in time");
                return answered.map_err(late)?.map(|response| Some(response.into_inner()));
            }
            Some(report) = self.reports.recv(), if !urgent => report,
        };
        self.take(report);
        self.resync = true;
        Ok(None)
    }

    /// Returns how long a call may take in addition to its wait. Several attempts must fit into a
    /// lease.
    fn grace(&self) -> Duration {
        (self.lease / 3).clamp(LEAST_GRACE, ANSWER_GRACE)
    }

    /// Returns how long a step takes at most, if this process runs.
    fn longest_call(&self) -> Duration {
        self.heartbeat + self.grace()
    }

    fn acknowledge(&mut self, sent: usize) {
        let sent = sent.min(self.pending.len());
        self.pending.drain(..sent);
    }

    /// Applies an answer of the coordinator. Returns true if this worker must exit.
    fn apply(&mut self, response: SyncResponse) -> bool {
        set_request_rate(response.request_rate);
        let directive = response.directive();
        for lease in response.leases {
            if let Some(unit) = lease.unit {
                self.held.insert((unit.stage, unit.ordinal), unit);
                self.executor.push(lease);
            }
        }
        self.give_up(response.give_up);
        match directive {
            Directive::Continue if self.leaving.is_some() => self.is_done(),
            Directive::Continue => false,
            Directive::Exit => true,
            Directive::Drain => {
                self.drain();
                self.is_done()
            }
        }
    }

    /// Returns the units that have not started.
    fn drain(&mut self) {
        self.draining = true;
        self.returned(self.executor.take_waiting());
    }

    /// Returns units that cannot finish in time, or that another worker has finished. A slot that
    /// runs one stops at its next record; if it is past the last record, its result is reported
    /// too.
    fn give_up(&mut self, units: Vec<UnitRef>) {
        let held = |unit: &UnitRef| self.held.get(&(unit.stage, unit.ordinal)) == Some(unit);
        let units: Vec<UnitRef> = units.into_iter().filter(held).collect();
        units.iter().for_each(|unit| self.executor.forget(unit));
        self.returned(units);
    }

    fn returned(&mut self, units: Vec<UnitRef>) {
        for unit in units {
            self.held.remove(&(unit.stage, unit.ordinal));
            let outcome = Some(Outcome::Returned(thresher_proto::pb::Returned {}));
            self.pending.push(Report { unit: Some(unit), outcome, ..Report::default() });
        }
    }

    async fn register_again(&mut self) -> anyhow::Result<()> {
        let held = self.held.values().copied().collect();
        let registered = self.link.register(self.lease, held).await?;
        if registered.job_toml != self.job_toml {
            anyhow::bail!(
                "the job was restarted with another job file, which this worker does not have\n\
                 hint: start a new worker in its place"
            );
        }
        tracing::info!(worker_id = registered.worker_id, "registered again");
        self.worker_id = registered.worker_id;
        self.sequence = 0;
        self.silence.end();
        self.margin = margin_of(&registered);
        self.resync = true;
        Ok(())
    }
}

/// Returns how many of the reports go into one call.
fn fitting(pending: &[Report]) -> usize {
    let mut bytes = 0;
    let fits = |report: &&Report| {
        bytes += report.encoded_len();
        bytes <= MAX_CALL_BYTES
    };
    pending.iter().take(MAX_REPORTS).take_while(fits).count().max(pending.len().min(1))
}

/// Returns how long the coordinator may hold a call. It holds one only if it may find units for
/// this worker. During a drain it answers at once, so the worker itself has to wait.
fn held_for(
    reports: &[Report],
    idle_slots: usize,
    draining: bool,
    heartbeat: Duration,
) -> Duration {
    let may_get_units = reports.is_empty() && idle_slots > 0 && !draining;
    if may_get_units { heartbeat } else { Duration::ZERO }
}

/// The exit of this worker after a signal.
struct Leaving {
    /// When the worker exits even if units still run; `None` if no margin is known.
    by: Option<Instant>,
    interrupted: bool,
}

impl Leaving {
    fn is_over(&self) -> bool {
        self.by.is_some_and(|by| clock::now() >= by)
    }

    /// Returns the time left as messages encode it: 0 if there is no limit, otherwise at least 1.
    fn millis_left(&self) -> u32 {
        self.by.map_or(0, |by| {
            let left = by.saturating_duration_since(clock::now());
            u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)
        })
    }
}

/// Returns whether waiting cannot help against a refusal.
fn is_final(code: Code) -> bool {
    matches!(code, Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_as_many_reports_as_fit() {
        let report = |bytes: usize| {
            let failed = Outcome::Failed(thresher_proto::pb::Failed {
                error: "x".repeat(bytes),
                ..Default::default()
            });
            Report { outcome: Some(failed), ..Report::default() }
        };
        assert_eq!(fitting(&[]), 0);
        assert_eq!(fitting(&vec![report(10); 3]), 3);
        assert_eq!(fitting(&vec![report(10); MAX_REPORTS + 1]), MAX_REPORTS);
        assert_eq!(fitting(&vec![report(MAX_CALL_BYTES / 2 - 100); 3]), 2);
        assert_eq!(fitting(&vec![report(MAX_CALL_BYTES + 1); 3]), 1, "nothing else would be sent");
    }

    #[test]
    fn a_call_is_held_only_while_it_may_bring_units() {
        let heartbeat = Duration::from_secs(1);
        assert_eq!(held_for(&[], 1, false, heartbeat), heartbeat);
        let urgent = [Report::default()];
        for (reports, idle_slots, draining) in
            [(&urgent[..], 1, false), (&[], 0, false), (&[], 1, true)]
        {
            assert_eq!(held_for(reports, idle_slots, draining, heartbeat), Duration::ZERO);
        }
    }
}
