//! Between the coordinator and the slots: registers, leases, reports, and keeps the leases alive.
//!
//! ```text
//! coordinator ⇄ Sync (reports, want → leases) ⇄ agent ⇄ executor (slots)
//! ```
//! While the coordinator is away the slots go on, and their reports wait here; when it is back, at
//! a new address too, the agent says what it holds and reports. It gives up when the coordinator
//! stays away longer than a lease lasts.
//!
//! **Invariant:** a report is forgotten only when the coordinator has answered the Sync with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thresher_proto::channel::address::{CoordinatorAddress, host_name};
use thresher_proto::channel::{Credentials, Role, connect};
use thresher_proto::job::JobSpec;
use thresher_proto::pb::coordination_client::CoordinationClient;
use thresher_proto::pb::{
    Directive, RegisterRequest, RegisterResponse, Report, SyncRequest, SyncResponse, UnitRef,
    report::Outcome,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tonic::Code;
use tonic::transport::Channel;

use crate::clock;
use crate::executor::Executor;
use crate::stages::JobContext;
use crate::storage::set_request_rate;

/// Between two tries to reach a coordinator that is away.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How long to look for a coordinator before the first registration.
const FIRST_CONTACT: Duration = Duration::from_secs(60);
/// A lost answer must not take longer to notice than this beyond the time the call may wait.
const ANSWER_GRACE: Duration = Duration::from_secs(10);
/// Larger batches of reports go in several calls.
const MAX_REPORTS: usize = 512;

/// What a worker is told on its command line.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// The state directory: holds the coordinator's address and the worker's keys.
    pub state: PathBuf,
    pub slots: usize,
    /// Where the keys are, when not in the state directory.
    pub keys: Option<PathBuf>,
    /// A fixed address in place of the one in the state directory.
    pub connect: Option<std::net::SocketAddr>,
}

/// Works until the job is over, the coordinator says so, or it stays away.
pub async fn work(options: AgentOptions) -> anyhow::Result<()> {
    let mut link = Link { options, client: None };
    let registered = link.register(FIRST_CONTACT, Vec::new()).await?;
    let job = JobSpec::from_resolved(&registered.job_toml)?;
    set_request_rate(registered.request_rate);
    let slots = link.options.slots;
    let process = format!("{}-{}-{}", host_name(), std::process::id(), registered.worker_id);
    let context = Arc::new(JobContext::new(job, slots, process.replace('/', "_"))?);
    let (sender, reports) = unbounded_channel();
    let executor = Executor::start(&context, slots, &sender)?;
    drop(sender);
    let mut agent = Agent {
        link,
        worker_id: registered.worker_id,
        lease: Duration::from_millis(registered.lease_millis.into()),
        heartbeat: Duration::from_millis(registered.heartbeat_millis.max(1).into()),
        executor,
        reports,
        held: BTreeMap::new(),
        pending: Vec::new(),
        resync: false,
        sequence: 0,
        draining: false,
        heard: clock::now(),
    };
    let ended = agent.run().await;
    agent.executor.close();
    ended
}

struct Agent {
    link: Link,
    worker_id: u32,
    lease: Duration,
    heartbeat: Duration,
    executor: Executor,
    reports: UnboundedReceiver<Report>,
    /// Leased and not yet reported, by stage and ordinal.
    held: BTreeMap<(i32, u32), UnitRef>,
    /// Reported by slots, not yet acknowledged.
    pending: Vec<Report>,
    /// The last answer was lost.
    resync: bool,
    /// Of the last call of this registration.
    sequence: u64,
    draining: bool,
    heard: Instant,
}

impl Agent {
    async fn run(&mut self) -> anyhow::Result<()> {
        loop {
            self.collect();
            let request = self.request();
            let sent = request.reports.len();
            match self.sync(request).await {
                Ok(None) => {}
                Ok(Some(response)) => {
                    self.heard = clock::now();
                    self.acknowledge(sent);
                    self.resync = false;
                    if self.obey(response) {
                        return Ok(());
                    }
                }
                Err(status) if status.code() == Code::NotFound => self.register_again().await?,
                Err(status) if is_final(status.code()) => {
                    anyhow::bail!("the coordinator refuses this worker: {}", status.message());
                }
                Err(status) => {
                    tracing::debug!(error = %status, "the coordinator is away");
                    self.resync = true;
                    self.link.client = None;
                    if clock::now().duration_since(self.heard) > self.lease {
                        anyhow::bail!(
                            "no coordinator for longer than a lease: {}",
                            status.message()
                        );
                    }
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Moves what the slots said into the pending reports.
    fn collect(&mut self) {
        while let Ok(report) = self.reports.try_recv() {
            self.take(report);
        }
    }

    fn take(&mut self, report: Report) {
        let is_end = !matches!(report.outcome, Some(Outcome::Listed(_)));
        if let Some(unit) = report.unit.filter(|_| is_end) {
            self.held.remove(&(unit.stage, unit.ordinal));
        }
        self.pending.push(report);
    }

    fn request(&mut self) -> SyncRequest {
        self.sequence += 1;
        let slots = self.link.options.slots;
        let room = slots + slots.div_ceil(2);
        let want = if self.draining { 0 } else { room.saturating_sub(self.held.len()) };
        let held = if self.resync { self.held.values().copied().collect() } else { Vec::new() };
        let reports: Vec<Report> = self.pending.iter().take(MAX_REPORTS).cloned().collect();
        let full = self.held.len() >= slots;
        let wait = if reports.is_empty() && !full { self.heartbeat } else { Duration::ZERO };
        SyncRequest {
            worker_id: self.worker_id,
            want: want as u32,
            idle: self.held.is_empty(),
            reports,
            resync: self.resync,
            held,
            wait_millis: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
            sequence: self.sequence,
        }
    }

    /// One call, or none: a slot that ends while the coordinator holds the call has something to
    /// say, so the call is given up, and the next one says what is held.
    async fn sync(&mut self, request: SyncRequest) -> Result<Option<SyncResponse>, tonic::Status> {
        let urgent = !request.reports.is_empty() || request.resync;
        if !urgent && request.wait_millis == 0 {
            // Every slot is busy: nothing to ask for until one ends, but the lease is to be
            // renewed.
            if let Ok(Some(report)) =
                tokio::time::timeout(self.heartbeat, self.reports.recv()).await
            {
                self.take(report);
                return Ok(None);
            }
        }
        let limit = Duration::from_millis(request.wait_millis.into()) + ANSWER_GRACE;
        let client = self.link.client().await?;
        let call = tokio::time::timeout(limit, client.sync(request));
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

    fn acknowledge(&mut self, sent: usize) {
        let sent = sent.min(self.pending.len());
        self.pending.drain(..sent);
    }

    /// Does as told; true when this worker is to end.
    fn obey(&mut self, response: SyncResponse) -> bool {
        set_request_rate(response.request_rate);
        let directive = response.directive();
        for lease in response.leases {
            if let Some(unit) = lease.unit {
                self.held.insert((unit.stage, unit.ordinal), unit);
                self.executor.push(lease);
            }
        }
        match directive {
            Directive::Continue => false,
            Directive::Exit => true,
            Directive::Drain => {
                self.drain();
                self.held.is_empty() && self.pending.is_empty()
            }
        }
    }

    /// Gives back what has not begun.
    fn drain(&mut self) {
        self.draining = true;
        for unit in self.executor.take_waiting() {
            self.held.remove(&(unit.stage, unit.ordinal));
            let outcome = Some(Outcome::Returned(thresher_proto::pb::Returned {}));
            self.pending.push(Report { unit: Some(unit), outcome, ..Report::default() });
        }
    }

    async fn register_again(&mut self) -> anyhow::Result<()> {
        let held = self.held.values().copied().collect();
        let registered = self.link.register(self.lease, held).await?;
        tracing::info!(worker_id = registered.worker_id, "registered again");
        self.worker_id = registered.worker_id;
        self.sequence = 0;
        self.heard = clock::now();
        self.resync = true;
        Ok(())
    }
}

/// Refusals that no waiting mends.
fn is_final(code: Code) -> bool {
    matches!(code, Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented)
}

/// The way to the coordinator, found anew when it breaks.
struct Link {
    options: AgentOptions,
    client: Option<CoordinationClient<Channel>>,
}

impl Link {
    async fn client(&mut self) -> Result<&mut CoordinationClient<Channel>, tonic::Status> {
        if self.client.is_none() {
            let away =
                |error: &dyn std::fmt::Display| tonic::Status::unavailable(error.to_string());
            let address = self.address().map_err(|error| away(&error))?;
            let credentials = match (&self.options.keys, self.options.connect) {
                (Some(keys), _) => Credentials::in_directory(keys, Role::Worker),
                (None, Some(_)) => {
                    let keys = self.options.state.join(thresher_proto::channel::KEYS_DIRECTORY);
                    Credentials::in_directory(&keys, Role::Worker)
                }
                (None, None) => Credentials::choose(&address, &self.options.state, Role::Worker),
            };
            let channel = connect(&address, &credentials).await.map_err(|error| {
                if error.may_pass() {
                    away(&error)
                } else {
                    tonic::Status::permission_denied(error.to_string())
                }
            })?;
            self.client = Some(CoordinationClient::new(channel));
        }
        self.client.as_mut().ok_or_else(|| tonic::Status::internal("the client was just made"))
    }

    fn address(&self) -> anyhow::Result<CoordinatorAddress> {
        match self.options.connect {
            None => Ok(CoordinatorAddress::read_in(&self.options.state)?),
            Some(tcp) => Ok(CoordinatorAddress {
                unix: None,
                tcp: Some(tcp),
                epoch: 0,
                pid: 0,
                host: String::new(),
                version: thresher_proto::VERSION.to_owned(),
            }),
        }
    }

    /// Registers, waiting for the coordinator and for a job for so long.
    async fn register(
        &mut self,
        patience: Duration,
        held: Vec<UnitRef>,
    ) -> anyhow::Result<RegisterResponse> {
        let began = clock::now();
        let request = RegisterRequest {
            host: host_name(),
            pid: std::process::id(),
            slots: self.options.slots as u32,
            version: thresher_proto::VERSION.to_owned(),
            held,
        };
        loop {
            let answered = match self.client().await {
                Ok(client) => client.register(request.clone()).await,
                Err(status) => Err(status),
            };
            let status = match answered {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            if is_final(status.code()) {
                anyhow::bail!("the coordinator refuses this worker: {}", status.message());
            }
            // Without a job the coordinator is there, and worth waiting for.
            let waits_for_job = status.code() == Code::FailedPrecondition;
            if !waits_for_job {
                self.client = None;
                if clock::now().duration_since(began) > patience {
                    anyhow::bail!("no coordinator could be reached: {}", status.message());
                }
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}
