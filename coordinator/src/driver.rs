//! The only loop: commands in, scheduler, journal, then effects.
//!
//! ```text
//! service ─ Command ─→ [ batch ] → Scheduler::handle → Journal::append … commit → answers
//!                         ↑ overdue workers, parked calls
//! ```
//! Runs on a thread of its own, since it waits for the disk. Whatever came in while the disk was
//! busy is the next batch, so one fsync serves many calls.
//!
//! **Invariant:** no answer leaves before the events of its batch are durable; after a journal
//! error no answer leaves at all.

mod parked;
mod recovery;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use thresher_domain::{Lease, RegisterRequest, Stage, SyncRequest, Timestamp, UnitKey};
use thresher_job::JobSpec;
use thresher_proto::convert::{SealReport, lease_to_wire};
use thresher_proto::pb;
use thresher_scheduler::{Changed, Effect, Event, Scheduler, SyncAnswer, Synced};
use tokio::sync::oneshot;
use tonic::Status;

use crate::allocation::Allocation;
use crate::clock;
use crate::event_record::into_record;
use crate::job_plan::plan_of;
use crate::journal::{Journal, JournalError};
use crate::report::{report_json, report_markdown};

use parked::{Parked, ParkedCalls};
pub(crate) use recovery::other_job;
pub use recovery::{RecoveryError, read_scheduler};

/// How often leases and parked calls are looked at when nothing happens.
const TICK: Duration = Duration::from_millis(50);
/// How often it is looked whether another coordinator took over, when nothing is written. Nobody
/// takes over in less: the first must not have answered for longer.
const LOOK_FOR_OTHERS: Duration = Duration::from_secs(1);
/// Commands handled with one fsync.
const MAX_BATCH: usize = 4096;
/// A parked call is answered after so long at the latest, whatever it asked for.
const MAX_PARKED_MILLIS: u64 = 30_000;

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, Status>>;

/// What the driver is asked.
pub enum Command {
    Register(RegisterRequest, Reply<pb::RegisterResponse>),
    Sync(SyncRequest, Reply<pb::SyncResponse>),
    Submit(Box<JobSpec>, Reply<pb::SubmitResponse>),
    Status(Reply<pb::StatusResponse>),
    Explain(UnitKey, Reply<pb::ExplainResponse>),
    Cancel(Reply<pb::CancelResponse>),
    /// Goes on without what was set aside.
    AcceptGaps(Reply<()>),
    /// Running units may go on until then, or for as long as they take.
    Drain {
        until: Option<Timestamp>,
        reply: Reply<pb::DrainResponse>,
    },
    /// A worker process on this host ended: what it held need not wait for its lease.
    WorkerExited {
        pid: u32,
        how: String,
    },
    Stop,
}

/// The coordinator's state and its journal.
pub struct Driver {
    scheduler: Scheduler,
    journal: Journal,
    job: Option<JobSpec>,
    host: String,
    allocation: Allocation,
    parked: ParkedCalls,
    state: PathBuf,
    /// When it was last looked whether another coordinator took over.
    looked: Instant,
}

/// Answers held back until their batch is durable.
type Answers = Vec<Box<dyn FnOnce() + Send>>;

impl Driver {
    /// Takes the next epoch of a state directory and goes on where the journal ends.
    pub fn open(state: &Path, allocation: Allocation) -> Result<Self, RecoveryError> {
        let host = thresher_channel::address::host_name();
        let recovered = recovery::open(state, &host, &allocation)?;
        let job = recovered.scheduler.job_toml().map(JobSpec::from_resolved).transpose()?;
        Ok(Self {
            scheduler: recovered.scheduler,
            journal: recovered.journal,
            job,
            host,
            allocation,
            parked: ParkedCalls::default(),
            state: state.to_owned(),
            looked: clock::instant(),
        })
    }

    pub fn epoch(&self) -> u64 {
        self.scheduler.epoch()
    }

    /// The job of this state directory, if one was submitted.
    pub fn job(&self) -> Option<&JobSpec> {
        self.job.as_ref()
    }

    pub fn status(&self) -> pb::StatusResponse {
        self.scheduler.status(clock::now()).into()
    }

    /// Works until told to stop. An error is the journal's, and nothing was answered after it.
    pub fn run(mut self, commands: &Receiver<Command>) -> Result<(), JournalError> {
        loop {
            let first = match commands.recv_timeout(TICK) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let mut answers = Answers::new();
            let mut effects = Vec::new();
            let mut stop = false;
            for command in first.into_iter().chain(commands.try_iter().take(MAX_BATCH)) {
                stop |= matches!(command, Command::Stop);
                self.command(command, &mut effects, &mut answers)?;
            }
            for event in self.scheduler.overdue(clock::now()) {
                self.apply(event, &mut effects)?;
            }
            self.wake_parked(&mut effects, &mut answers)?;
            self.journal.commit()?;
            self.check_replaced()?;
            answers.into_iter().for_each(|answer| answer());
            effects.iter().for_each(log);
            if stop {
                return Ok(());
            }
        }
    }

    /// A commit finds out whether another coordinator took over; so must one that only answers:
    /// it may have been suspended for long since it looked last.
    fn check_replaced(&mut self) -> Result<(), JournalError> {
        let now = clock::instant();
        if now.duration_since(self.looked) >= LOOK_FOR_OTHERS {
            self.journal.check_replaced()?;
            self.looked = now;
        }
        Ok(())
    }

    /// Gives one event to the scheduler and journals it if it changed something.
    fn apply(&mut self, event: Event, effects: &mut Vec<Effect>) -> Result<(), JournalError> {
        let now = clock::now();
        match self.scheduler.handle(now, &event, effects) {
            Changed::Yes => self.journal.append(&into_record(event, now)),
            Changed::No => Ok(()),
        }
    }

    fn command(
        &mut self,
        command: Command,
        effects: &mut Vec<Effect>,
        answers: &mut Answers,
    ) -> Result<(), JournalError> {
        match command {
            Command::Register(request, reply) => self.register(request, reply, effects, answers),
            Command::Sync(request, reply) => self.sync(request, reply, effects, answers),
            Command::Submit(job, reply) => self.submit(*job, reply, effects, answers),
            Command::Status(reply) => {
                let status = self.status();
                answer(answers, reply, Ok(status));
                Ok(())
            }
            Command::Explain(unit, reply) => {
                let explained = self.scheduler.explain(clock::now(), unit).map(Into::into);
                let missing = || Status::not_found(format!("the job has no unit `{unit}`"));
                answer(answers, reply, explained.ok_or_else(missing));
                Ok(())
            }
            Command::Cancel(reply) => {
                answer(answers, reply, Ok(pb::CancelResponse {}));
                self.apply(Event::Cancelled, effects)
            }
            Command::AcceptGaps(reply) => {
                answer(answers, reply, Ok(()));
                self.apply(Event::GapsAccepted, effects)
            }
            Command::Drain { until, reply } => {
                answer(answers, reply, Ok(pb::DrainResponse {}));
                self.apply(Event::Drained { until }, effects)
            }
            Command::WorkerExited { pid, how } => self.worker_exited(pid, &how, effects),
            Command::Stop => Ok(()),
        }
    }

    fn register(
        &mut self,
        request: RegisterRequest,
        reply: Reply<pb::RegisterResponse>,
        effects: &mut Vec<Effect>,
        answers: &mut Answers,
    ) -> Result<(), JournalError> {
        let (Some(job_toml), Some(plan)) = (self.scheduler.job_toml(), self.scheduler.plan())
        else {
            let status = Status::failed_precondition("no job was submitted yet");
            answer(answers, reply, Err(status));
            return Ok(());
        };
        if request.version != thresher_proto::VERSION {
            let (ours, theirs) = (thresher_proto::VERSION, &request.version);
            let text = format!("the worker is of version `{theirs}`, the coordinator of `{ours}`");
            answer(answers, reply, Err(Status::permission_denied(text)));
            return Ok(());
        }
        let worker_id = self.scheduler.next_worker_id();
        let response = pb::RegisterResponse {
            worker_id,
            epoch: self.scheduler.epoch(),
            job_toml: job_toml.to_owned(),
            lease_millis: plan.limits.lease_millis,
            heartbeat_millis: plan.limits.heartbeat_millis,
            request_rate: self.request_rate(1),
            margin_millis: self.allocation.margin_millis(),
        };
        answer(answers, reply, Ok(response));
        self.apply(Event::Registered { worker_id, request }, effects)
    }

    fn sync(
        &mut self,
        request: SyncRequest,
        reply: Reply<pb::SyncResponse>,
        effects: &mut Vec<Effect>,
        answers: &mut Answers,
    ) -> Result<(), JournalError> {
        // A worker has one call at a time: an older one was given up.
        self.parked.forget(request.worker_id);
        let wait_millis = u64::from(request.wait_millis).min(MAX_PARKED_MILLIS);
        let again = SyncRequest { reports: Vec::new(), held: Vec::new(), resync: false, ..request };
        let answered = self.ask(request, effects)?;
        if answered.is_empty() && wait_millis > 0 {
            let until = clock::now().plus_millis(wait_millis);
            self.parked.park(Parked { request: again, reply, until });
        } else {
            answer(answers, reply, self.response(answered));
        }
        Ok(())
    }

    /// Gives one call to the scheduler and journals it if it changed something.
    fn ask(
        &mut self,
        request: SyncRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<SyncAnswer, JournalError> {
        let now = clock::now();
        let Synced { answer, changed } = self.scheduler.sync(now, &request, effects);
        match changed {
            Changed::Yes => self.journal.append(&into_record(Event::Sync(request), now))?,
            Changed::No => {}
        }
        Ok(answer)
    }

    /// Returns the answer as a message.
    fn response(&self, answer: SyncAnswer) -> Result<pb::SyncResponse, Status> {
        match answer {
            SyncAnswer::Answer { leases, directive, give_up } => Ok(pb::SyncResponse {
                leases: leases.into_iter().map(|lease| self.to_wire(lease)).collect(),
                directive: pb::Directive::from(directive).into(),
                request_rate: self.request_rate(0),
                give_up: give_up.into_iter().map(pb::UnitRef::from).collect(),
            }),
            SyncAnswer::UnknownWorker => {
                Err(Status::not_found("this worker is not known; register again"))
            }
        }
    }

    /// The job's limit on requests to storage, in equal parts among the workers that are known and
    /// `more` that are about to be.
    fn request_rate(&self, more: u64) -> u64 {
        let whole = self.job.as_ref().map_or(0, |job| job.s3.max_requests_per_second);
        let workers = self.scheduler.worker_count() + more;
        match whole {
            0 => 0,
            whole => (u64::from(whole) * 1000 / workers.max(1)).max(1),
        }
    }

    /// A SEAL unit gets the report of this moment.
    fn to_wire(&self, lease: Lease) -> pb::Lease {
        lease_to_wire(lease, || {
            let Some(job) = &self.job else { return SealReport::default() };
            let status = self.status();
            SealReport {
                json: report_json(&status, job),
                markdown: report_markdown(&status, job),
                units: self.scheduler.units(Stage::Prepare),
                absent: self.scheduler.absent(Stage::Prepare),
                shards: self.scheduler.units(Stage::Publish),
                absent_shards: self.scheduler.absent(Stage::Publish),
            }
        })
    }

    fn submit(
        &mut self,
        job: JobSpec,
        reply: Reply<pb::SubmitResponse>,
        effects: &mut Vec<Effect>,
        answers: &mut Answers,
    ) -> Result<(), JournalError> {
        let job_toml = job.resolved();
        let job_name = job.job.name.clone();
        let result = match self.scheduler.job_toml() {
            None => {
                self.job = Some(job.clone());
                self.apply(Event::Submitted { plan: plan_of(&job), job_toml }, effects)?;
                Ok(pb::SubmitResponse { job_name, already_submitted: false })
            }
            Some(known) if known == job_toml => {
                Ok(pb::SubmitResponse { job_name, already_submitted: true })
            }
            Some(known) => Err(Status::already_exists(other_job(&self.state, known, &job_toml))),
        };
        answer(answers, reply, result);
        Ok(())
    }

    fn worker_exited(
        &mut self,
        pid: u32,
        how: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<(), JournalError> {
        let status = self.status();
        let gone = |worker: &&pb::WorkerStatus| {
            worker.pid == pid && worker.host == self.host && !worker.lost
        };
        let ids: Vec<u32> =
            status.workers.iter().filter(gone).map(|worker| worker.worker_id).collect();
        for worker_id in ids {
            self.apply(Event::Lost { worker_id, reason: how.to_owned() }, effects)?;
        }
        Ok(())
    }

    /// Asks again for those that wait, when there may be work, and answers those that waited long.
    fn wake_parked(
        &mut self,
        effects: &mut Vec<Effect>,
        answers: &mut Answers,
    ) -> Result<(), JournalError> {
        let available = effects.contains(&Effect::WorkAvailable);
        let now = clock::now();
        for call in self.parked.take(now, available) {
            let answered = self.ask(call.request.clone(), effects)?;
            if answered.is_empty() && call.until > now {
                self.parked.park(call);
            } else {
                answer(answers, call.reply, self.response(answered));
            }
        }
        Ok(())
    }
}

/// Whoever asked may be gone; then nobody misses the answer.
fn answer<T: Send + 'static>(answers: &mut Answers, reply: Reply<T>, result: Result<T, Status>) {
    answers.push(Box::new(move || drop(reply.send(result))));
}

fn log(effect: &Effect) {
    match effect {
        Effect::StageBegan { stage, units } => {
            tracing::info!(stage = stage.name(), units, "stage began");
        }
        Effect::StageEnded { stage } => {
            tracing::info!(stage = stage.name(), "stage ended");
        }
        Effect::UnitSetAside { unit, error } => tracing::warn!(%unit, error, "unit set aside"),
        Effect::AttemptFailed { unit, error } => tracing::warn!(%unit, error, "attempt failed"),
        Effect::Alarm { unit, text } => tracing::error!(%unit, text, "two runs differ"),
        Effect::ReportRefused { worker_id, unit, reason } => {
            tracing::warn!(worker_id, %unit, reason, "report refused");
        }
        Effect::JobEnded { state, reason } => {
            tracing::info!(state = state.name(), reason, "job ended");
        }
        Effect::WorkAvailable => {}
    }
}
