//! The main loop of the coordinator: it takes commands, runs the scheduler, writes the journal,
//! then performs the effects and sends the answers.
//!
//! ```text
//! service ─ Command ─→ [ batch ] → Scheduler::handle → Journal::append … commit → answers
//!                         ↑ what is overdue, parked calls
//! ```
//! It runs on its own thread, because it waits for the disk. Commands that arrive while the disk is
//! busy become the next batch, so one fsync serves many calls. Between batches it sleeps until the
//! next deadline.
//!
//! **Invariant:** no answer is sent before the events of its batch are durable; after a journal
//! error no answer is sent at all.

mod effect_log;
mod heartbeat;
mod parked;
mod recovery;

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use thresher_domain::{Lease, RegisterRequest, Stage, SyncRequest, Timestamp, UnitKey};
use thresher_job::JobSpec;
use thresher_proto::convert::{SealReport, lease_to_wire};
use thresher_proto::pb;
use thresher_scheduler::{Changed, Effect, Event, MissingUnit, Scheduler, SyncAnswer, Synced};
use tokio::sync::oneshot;
use tonic::Status;

use crate::allocation::Allocation;
use crate::clock;
use crate::event_record::into_record;
use crate::job_changes::JobChanges;
use crate::job_plan::plan_of;
use crate::journal::{Journal, JournalError};
use crate::report::{report_json, report_markdown};

use heartbeat::Heartbeat;
pub use heartbeat::last_heartbeat;
use parked::{Parked, ParkedCalls};
pub use recovery::{Recovered, RecoveryError, read_scheduler};
pub(crate) use recovery::{journal_directory, refuse_copy};

/// Shortest sleep, because deadlines are in milliseconds.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);
/// How often the driver checks whether another coordinator took over while nothing is written. None
/// takes over in less: the first must not have answered for longer.
const LOOK_FOR_OTHERS: Duration = Duration::from_secs(1);
/// A wake-up that is later than this, and than half a lease, is a freeze. Busy machines and file
/// systems take less, and if they were counted, a slow disk would keep the leases of dead workers.
const LEAST_FREEZE: Duration = Duration::from_secs(1);
/// Commands handled with one fsync.
const MAX_BATCH: usize = 4096;
/// A parked call is answered after this time at the latest, whatever it asked for.
const MAX_PARKED_MILLIS: u64 = 30_000;

/// The channel for the answer to a command.
pub type Reply<T> = oneshot::Sender<Result<T, Status>>;

/// A request to the driver.
pub enum Command {
    Register(RegisterRequest, Reply<pb::RegisterResponse>),
    Sync(SyncRequest, Reply<pb::SyncResponse>),
    Submit(Box<JobSpec>, Reply<pb::SubmitResponse>),
    Status(Reply<pb::StatusResponse>),
    Explain(UnitKey, Reply<pb::ExplainResponse>),
    Cancel(Reply<pb::CancelResponse>),
    /// Continue without the units that failed permanently.
    AcceptFailedUnits(Reply<()>),
    /// Lease nothing more. Running units may finish until the given time, or without a limit.
    Drain {
        until: Option<Timestamp>,
        reply: Reply<pb::DrainResponse>,
    },
    /// A worker process on this host ended, so its units need not wait for the end of its lease.
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
    /// When a unit may be leased that waits some time: parked calls are then repeated.
    next_work: Option<Timestamp>,
    identity: String,
    /// When it was last checked whether another coordinator took over.
    looked: Instant,
    /// The time of the current batch. It is read once, when the driver wakes, so that a process
    /// that is suspended in the middle of a batch does not find everything overdue.
    now: Timestamp,
    heartbeat: Heartbeat,
}

/// Answers held back until their batch is durable.
type Answers = Vec<Box<dyn FnOnce() + Send>>;

impl Driver {
    /// Takes the next epoch of a state directory, and resumes the job from the journal.
    pub fn open(state: &Path, allocation: Allocation) -> Result<Self, RecoveryError> {
        let host = thresher_channel::address::host_name();
        let recovered = recovery::open(state, &host, &allocation)?;
        let job = recovered.scheduler.job_toml().map(JobSpec::from_resolved).transpose()?;
        let heartbeat = Heartbeat::start(state, recovered.scheduler.epoch());
        Ok(Self {
            scheduler: recovered.scheduler,
            journal: recovered.journal,
            job,
            host,
            allocation,
            parked: ParkedCalls::default(),
            next_work: None,
            identity: recovered.identity,
            looked: clock::instant(),
            now: clock::now(),
            heartbeat,
        })
    }

    /// Returns the epoch of this coordinator.
    pub fn epoch(&self) -> u64 {
        self.scheduler.epoch()
    }

    /// Returns the identity of the state directory.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Returns the job of this state directory, if one was submitted.
    pub fn job(&self) -> Option<&JobSpec> {
        self.job.as_ref()
    }

    /// Returns the status of the job.
    pub fn status(&self) -> pb::StatusResponse {
        self.scheduler.status(self.now).into()
    }

    /// Returns the missing units of the first stage that has some.
    pub fn missing_units(&self) -> Vec<MissingUnit> {
        self.scheduler.missing_units()
    }

    /// Handles commands until it receives `Stop`. `follow` is called with the effects of each
    /// batch. Returns an error of the journal, after which nothing was answered.
    pub fn run(
        mut self,
        commands: &Receiver<Command>,
        mut follow: impl FnMut(&[Effect]),
    ) -> Result<(), JournalError> {
        self.now = clock::now();
        loop {
            let sleep = self.time_to_sleep();
            let first = match commands.recv_timeout(sleep) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let mut answers = Answers::new();
            let mut effects = Vec::new();
            let mut stop = false;
            self.wake(sleep, &mut effects)?;
            for command in first.into_iter().chain(commands.try_iter().take(MAX_BATCH)) {
                stop |= matches!(command, Command::Stop);
                self.command(command, &mut effects, &mut answers)?;
            }
            for event in self.scheduler.overdue(self.now) {
                self.apply(event, &mut effects)?;
            }
            self.wake_parked(&mut effects, &mut answers)?;
            self.journal.commit()?;
            self.check_replaced()?;
            answers.into_iter().for_each(|answer| answer());
            effects.iter().for_each(effect_log::log);
            follow(&effects);
            if stop {
                return Ok(());
            }
        }
    }

    /// Returns the time until something is due, if no command comes before.
    fn time_to_sleep(&mut self) -> Duration {
        let now = clock::now();
        self.next_work = self.scheduler.next_work(now);
        let due = self.scheduler.next_deadline(now).into_iter().chain(self.parked.first_deadline());
        let due = due.chain(self.next_work);
        let until_due = due.min().map(|due| Duration::from_millis(due.millis_since(now)));
        let checked = clock::instant().duration_since(self.looked);
        let until_check = LOOK_FOR_OTHERS.saturating_sub(checked);
        until_due.map_or(until_check, |due| due.min(until_check)).max(SHORTEST_SLEEP)
    }

    /// Checks whether another coordinator took over, if that is not known. A commit does the same;
    /// a driver that only answers may have been suspended for a long time.
    fn check_replaced(&mut self) -> Result<(), JournalError> {
        let now = clock::instant();
        if now.duration_since(self.looked) >= LOOK_FOR_OTHERS {
            self.journal.check_replaced()?;
            self.looked = now;
        }
        Ok(())
    }

    /// Reads the time. If it is much later than this thread asked for, no worker could call in
    /// between, and leases do not run: the process was suspended, or the disk did not answer.
    fn wake(&mut self, sleep: Duration, effects: &mut Vec<Effect>) -> Result<(), JournalError> {
        let woke = clock::now();
        let elapsed = Duration::from_millis(woke.millis_since(self.now));
        self.now = woke;
        self.heartbeat.beat(woke);
        let late = elapsed.saturating_sub(sleep);
        let lease = self.scheduler.plan().map_or(0, |plan| plan.limits.lease_millis);
        if late < LEAST_FREEZE.max(Duration::from_millis(u64::from(lease) / 2)) {
            return Ok(());
        }
        let millis = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(millis, "this process did not run for a time; leases last that much longer");
        self.apply(Event::Frozen { millis }, effects)
    }

    /// Gives one event to the scheduler and journals it if it changed something.
    fn apply(&mut self, event: Event, effects: &mut Vec<Effect>) -> Result<(), JournalError> {
        let now = self.now;
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
                let explained = self.scheduler.explain(self.now, unit).map(Into::into);
                let missing = || Status::not_found(format!("the job has no unit `{unit}`"));
                answer(answers, reply, explained.ok_or_else(missing));
                Ok(())
            }
            Command::Cancel(reply) => {
                answer(answers, reply, Ok(pb::CancelResponse {}));
                self.apply(Event::Cancelled, effects)
            }
            Command::AcceptFailedUnits(reply) => {
                answer(answers, reply, Ok(()));
                self.apply(Event::FailedUnitsAccepted, effects)
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
            let until = self.now.plus_millis(wait_millis);
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
        let now = self.now;
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

    /// Returns one worker's part of the job's limit on requests to storage: an equal share among
    /// the known workers and `more` that are about to register.
    fn request_rate(&self, more: u64) -> u64 {
        let whole = self.job.as_ref().map_or(0, |job| job.s3.max_requests_per_second);
        let workers = self.scheduler.worker_count() + more;
        match whole {
            0 => 0,
            whole => (u64::from(whole) * 1000 / workers.max(1)).max(1),
        }
    }

    /// Adds the current report to the lease of a unit of stage `seal`.
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
            Some(_) => self.compare_with_known(job),
        };
        answer(answers, reply, result);
        Ok(())
    }

    /// Answers the submission of a job to a coordinator that has one.
    fn compare_with_known(&self, mut job: JobSpec) -> Result<pb::SubmitResponse, Status> {
        let Some(known) = &self.job else { return Err(Status::internal("the job is not known")) };
        job.job.work_dir.clone_from(&known.job.work_dir);
        let changes = JobChanges::between(known, &job);
        if changes.is_empty() {
            let job_name = job.job.name;
            return Ok(pb::SubmitResponse { job_name, already_submitted: true });
        }
        Err(Status::already_exists(format!(
            "the coordinator runs a job that differs from this one: {}\nhint: drain it, then start \
             it with the changed job file",
            changes.in_one_line()
        )))
    }

    /// Continues the job as another version of it, and plans the stages from `from` on again. It is
    /// called before anybody is served, so nobody waits for the effects.
    pub fn restart(
        &mut self,
        job: JobSpec,
        from: Option<Stage>,
        keep_done: bool,
    ) -> Result<(), JournalError> {
        let (plan, job_toml) = (plan_of(&job), job.resolved());
        self.apply(Event::JobChanged { plan, job_toml, from, keep_done }, &mut Vec::new())?;
        self.job = Some(job);
        self.journal.commit()
    }

    /// Notes that this coordinator ends before it did anything for the job, so that the job's
    /// status is the one of before.
    pub fn refuse_run(&mut self) {
        let noted =
            self.apply(Event::RunRefused, &mut Vec::new()).and_then(|()| self.journal.commit());
        if let Err(error) = noted {
            // The reason of the refusal is the better message.
            tracing::warn!(%error, "it could not be noted that this run was refused");
        }
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

    /// Repeats parked calls if there may be work, and answers those that have waited long enough.
    fn wake_parked(
        &mut self,
        effects: &mut Vec<Effect>,
        answers: &mut Answers,
    ) -> Result<(), JournalError> {
        let now = self.now;
        let waited = self.next_work.is_some_and(|next| next <= now);
        let available = waited || effects.contains(&Effect::WorkAvailable);
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

/// Sends an answer. If the caller is gone, the answer is not needed.
fn answer<T: Send + 'static>(answers: &mut Answers, reply: Reply<T>, result: Result<T, Status>) {
    answers.push(Box::new(move || drop(reply.send(result))));
}
