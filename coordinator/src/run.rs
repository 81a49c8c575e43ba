//! Runs a job to its end, for the command line.
//!
//! ```text
//! state directory → Driver (thread) ← commands ← service (tokio) ← sockets
//!                                   ← this thread: progress, children, signals
//! ```
//! This thread sleeps until an effect of the driver, a signal or the end of a child wakes it, or
//! until progress is due.

mod job_end;
mod offline;
mod starting;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::bail;
use thresher_channel::address::{CoordinatorAddress, host_name};
use thresher_channel::process::process_name;
use thresher_job::JobSpec;
use thresher_proto::pb;
use thresher_scheduler::Effect;
use tokio::sync::oneshot;

use crate::allocation::Allocation;
use crate::children::{ChildOptions, Children};
use crate::clock;
use crate::driver::{Command, Driver, Reply, refuse_copy};
use crate::journal::JournalError;
use crate::restart::completed;
use crate::second::refuse_second;
use crate::service::{METHODS, Service};
use crate::signals::Signals;
use crate::transport::{Limits, ListenConfig, Listener, RolePolicy, server};
use crate::wake::{Waker, Wakes, wakes};
use crate::work_folders::empty;

use job_end::JobEnd;
use starting::{StartedJob, complete_already};

pub use crate::children::WorkerCommand;
pub use crate::command_files::with_hashes;
pub use crate::driver::last_heartbeat;
pub use crate::offline::{
    JournalStatus, explain_from_state, job_from_state, journal_status, status_from_state,
};
pub use crate::repairs::{Relist, RepairedInputs};
pub use crate::restart::{JobTools, Wanted};
pub use crate::second::recover;
pub use offline::{accept_missing_in_state, cancel_in_state, restart_in_state};

/// How often progress is shown while no stage starts or ends.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// How long children get to exit after the job is over.
const CHILDREN_EXIT: Duration = Duration::from_secs(5);
/// How long workers elsewhere get to call once more and learn that the job is over.
const LAST_CALLS: Duration = Duration::from_secs(1);
/// The same if the job is only drained: they wait for the next coordinator.
const LAST_CALLS_OF_DRAIN: Duration = Duration::from_millis(100);

/// A function that is called with the status of the job whenever there is something to show.
pub type Progress = Box<dyn FnMut(&pb::StatusResponse) + Send>;

/// The options of `thresher run`.
pub struct RunOptions {
    /// The job to run.
    pub job: JobSpec,
    /// The state directory.
    pub state: PathBuf,
    /// Number of worker processes.
    pub workers: u32,
    /// Number of slots of each worker. `None` divides the cores among the workers.
    pub slots: Option<u32>,
    /// The command that starts one worker. The state directory and the slots are added to it.
    pub worker: WorkerCommand,
    /// What the worker's code does for a job before an epoch is taken, and when it is restarted.
    pub tools: JobTools,
    /// TCP address for workers on other nodes. The Unix socket is always offered.
    pub listen: Option<SocketAddr>,
    /// The allocation in which the coordinator runs.
    pub allocation: Allocation,
    /// Whether to start over, and whether units that fail once more may be missing in the output.
    pub wanted: Wanted,
    /// Shows the progress.
    pub progress: Progress,
}

/// The options of `thresher serve`.
pub struct ServeOptions {
    /// The job; `None` resumes the one of the state directory, or waits for a submission.
    pub job: Option<JobSpec>,
    /// The state directory.
    pub state: PathBuf,
    /// TCP address for workers on other nodes. The Unix socket is always offered.
    pub listen: Option<SocketAddr>,
    /// The allocation in which the coordinator runs.
    pub allocation: Allocation,
    /// What the worker's code does for a job that is restarted.
    pub tools: JobTools,
    /// Whether to start over.
    pub wanted: Wanted,
}

/// Runs a job with a coordinator here and workers as children.
pub fn run(options: RunOptions) -> anyhow::Result<pb::StatusResponse> {
    let RunOptions {
        job,
        state,
        workers,
        slots,
        worker,
        tools,
        listen,
        allocation,
        wanted,
        mut progress,
    } = options;
    let output = job.output.path.clone();
    if let Some(status) = complete_already(&job, &state, wanted, &tools)? {
        // Hashing an output takes hours, and nobody asked for it.
        (tools.note)(&format!(
            "already complete; the published files have the right sizes, but their content was \
             not read: `thresher verify {output}` does that"
        ));
        progress(&status);
        return Ok(status);
    }
    let slots = slots.unwrap_or_else(|| share_of_cores(workers));
    refuse_copy(&state)?;
    let job = StartedJob::given(Some(job), &state, wanted, &tools)?;
    let coordinator = Coordinator::start(job, &state, listen, allocation)?;
    let status = coordinator.status()?;
    if status.state().is_final() {
        progress(&status);
        let end = JobEnd::look(status, coordinator.job.as_ref(), tools);
        return coordinator.stop(end);
    }
    if wanted.accept_missing {
        coordinator.ask(Command::AcceptFailedUnits)?;
    }
    let epoch = coordinator.epoch;
    let child_options = ChildOptions { worker, state, slots, epoch };
    let mut children = Children::start(child_options, workers)?;
    let ended = coordinator.watch(&mut progress, Some(&mut children));
    let status = match ended {
        Ok(status) => status,
        Err(error) => {
            children.kill();
            return Err(coordinator.reason(error));
        }
    };
    coordinator.drain_workers(&mut children)?;
    let end = JobEnd::look(status, coordinator.job.as_ref(), tools);
    coordinator.stop(end)
}

/// Runs a coordinator alone.
pub fn serve(options: ServeOptions) -> anyhow::Result<pb::StatusResponse> {
    let ServeOptions { job, state, listen, allocation, tools, wanted } = options;
    refuse_copy(&state)?;
    let job = StartedJob::given(job, &state, wanted, &tools)?;
    let mut coordinator = Coordinator::start(job, &state, listen, allocation)?;
    let status = match coordinator.watch(&mut |_: &pb::StatusResponse| {}, None) {
        Ok(status) => status,
        Err(error) => return Err(coordinator.reason(error)),
    };
    let job = match coordinator.job.clone() {
        // It was submitted while this coordinator waited for one.
        None => job_from_state(&state)?,
        known => known,
    };
    if let Some(job) = &job {
        coordinator.work_dir = PathBuf::from(&job.job.work_dir);
    }
    let ended = JobEnd::look(status, job.as_ref(), tools);
    // Workers elsewhere learn of the end with their next call.
    let is_final = ended.status.state().is_final();
    std::thread::sleep(if is_final { LAST_CALLS } else { LAST_CALLS_OF_DRAIN });
    coordinator.stop(ended)
}

/// A running coordinator.
struct Coordinator {
    runtime: tokio::runtime::Runtime,
    commands: Sender<Command>,
    driver: JoinHandle<Result<(), JournalError>>,
    shut: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
    epoch: u64,
    /// The job, unless it is still to be submitted.
    job: Option<JobSpec>,
    work_dir: PathBuf,
    signals: Signals,
    /// Effects of the driver, its end, signals and the ends of children.
    wakes: Wakes,
    allocation: Allocation,
}

impl Coordinator {
    fn start(
        job: StartedJob<'_>,
        state: &Path,
        listen: Option<SocketAddr>,
        allocation: Allocation,
    ) -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let silent = refuse_second(&runtime, state)?;
        let mut driver = Driver::open(state, allocation.clone())?;
        if let Some(socket) = silent {
            // The epoch is ours. The coordinator that did not answer is suspended or dead, and
            // exits when it finds that out. It may be gone already, with its socket.
            let _ = std::fs::remove_file(socket);
        }
        let epoch = driver.epoch();
        let job = job.resume(&mut driver, state).inspect_err(|_| driver.refuse_run())?;
        let started = job.as_ref().or(driver.job()).cloned();
        let work_dir = match &started {
            Some(job) => PathBuf::from(&job.job.work_dir),
            None => state.join("work"),
        };
        let (waker, wakes) = wakes();
        let signals = Signals::catch(&runtime, &waker)?;
        let config =
            ListenConfig { state: state.to_owned(), tcp: listen, limits: Limits::default() };
        let bound = runtime.block_on(Listener::bind(config));
        let listener = bound.inspect_err(|_| driver.refuse_run())?;
        let address = CoordinatorAddress {
            unix: Some(listener.unix_path().to_owned()),
            tcp: listener.tcp_address(),
            epoch,
            pid: std::process::id(),
            host: host_name(),
            process: process_name(std::process::id()).unwrap_or_default(),
            identity: driver.identity().to_owned(),
            version: thresher_proto::VERSION.to_owned(),
        };
        address.write_in(state)?;
        if let Some(tcp) = address.tcp {
            tracing::warn!(%tcp, "listening; callers need the keys of the state directory");
        }
        let (commands, received) = channel();
        let service = {
            let state = state.to_owned();
            Service::new(commands.clone(), move |job| completed(job, &state))
                .with_stop(signals.trigger(&waker))
        };
        let (shut, closing) = oneshot::channel::<()>();
        let policy = RolePolicy::new(&METHODS).for_identity(driver.identity());
        let served = runtime.spawn(serve_on(listener, service, policy, closing));
        let driver = spawn(driver, received, waker)?;
        let coordinator = Self {
            runtime,
            commands,
            driver,
            shut,
            served,
            epoch,
            job: started,
            work_dir,
            signals,
            wakes,
            allocation,
        };
        if let Some(job) = job {
            coordinator.ask(|reply| Command::Submit(Box::new(job), reply))?;
        }
        Ok(coordinator)
    }

    /// Asks the driver. If the driver has ended, its own error is the better answer.
    fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> anyhow::Result<T> {
        let (reply, answer) = oneshot::channel();
        let ended = "the coordinator has stopped";
        self.commands.send(command(reply)).map_err(|_| anyhow::anyhow!(ended))?;
        match answer.blocking_recv() {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(status)) => bail!("{}", status.message()),
            Err(_) => bail!(ended),
        }
    }

    fn status(&self) -> anyhow::Result<pb::StatusResponse> {
        self.ask(Command::Status)
    }

    /// Shows progress and replaces children until nothing more happens.
    fn watch(
        &self,
        progress: &mut dyn FnMut(&pb::StatusResponse),
        mut children: Option<&mut Children>,
    ) -> anyhow::Result<pb::StatusResponse> {
        let mut stops = false;
        loop {
            if self.driver.is_finished() {
                bail!("the coordinator has stopped");
            }
            let status = self.status()?;
            progress(&status);
            if status.state().is_over() {
                return Ok(status);
            }
            if let Some(children) = children.as_deref_mut() {
                let replace = status.state() == pb::JobState::Running && !self.signals.seen();
                for ended in children.reap(replace)? {
                    let (pid, how) = (ended.pid, ended.how);
                    tracing::info!(pid, how, "worker ended");
                    // The driver may have ended; the next status shows that.
                    let _ = self.commands.send(Command::WorkerExited { pid, how });
                }
            }
            if self.signals.first() {
                // Without a job there is nothing to wait for.
                if status.state() == pb::JobState::None {
                    return Ok(status);
                }
                let patience = self.allocation.patience_with_units();
                tracing::warn!(
                    "draining: running units get {} s to finish, then this process stops; send \
                     INT {} to stop now",
                    patience.as_secs().max(1),
                    self.signals.interrupts_to_stop(),
                );
                let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX).max(1);
                let until = Some(clock::now().plus_millis(millis));
                self.ask(|reply| Command::Drain { until, reply })?;
            }
            if self.signals.again() && !std::mem::replace(&mut stops, true) {
                tracing::warn!("stopping now: units that run are given up, and run again");
                let until = Some(clock::now());
                self.ask(|reply| Command::Drain { until, reply })?;
                children.iter_mut().for_each(|children| children.kill());
            }
            self.wakes.wait(PROGRESS_INTERVAL);
        }
    }

    /// Waits for the children to exit, and kills those that do not.
    fn drain_workers(&self, children: &mut Children) -> anyhow::Result<()> {
        let until = clock::instant() + CHILDREN_EXIT;
        loop {
            children.reap(false)?;
            let left = until.saturating_duration_since(clock::instant());
            if children.is_empty() || left.is_zero() {
                break;
            }
            self.wakes.wait(left);
        }
        children.kill();
        Ok(())
    }

    /// Returns why it ended: the driver's error if the driver ended by itself, otherwise `seen`.
    fn reason(self, seen: anyhow::Error) -> anyhow::Error {
        // Its channel closes a moment before its thread ends.
        let _ = self.commands.send(Command::Stop);
        match self.driver.join() {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) => seen,
            Err(_) => anyhow::anyhow!("the coordinator panicked"),
        }
    }

    /// Stops serving. The work directory is emptied if the job is complete, no unit is missing and
    /// the output is whole.
    fn stop(self, ended: JobEnd) -> anyhow::Result<pb::StatusResponse> {
        let JobEnd { status, is_whole } = ended;
        // Both may have ended by themselves.
        let _ = self.commands.send(Command::Stop);
        let _ = self.shut.send(());
        self.served.abort();
        match self.driver.join() {
            Ok(result) => result?,
            Err(_) => bail!("the coordinator panicked"),
        }
        self.runtime.shutdown_background();
        // Missing units can be made again from the files of the others.
        if status.state() == pb::JobState::Complete && is_whole {
            empty(&self.work_dir);
        }
        Ok(status)
    }
}

async fn serve_on(
    listener: Listener,
    service: Service,
    policy: RolePolicy,
    closing: oneshot::Receiver<()>,
) -> Result<(), tonic::transport::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<pb::coordination_server::CoordinationServer<Service>>().await;
    health.set_serving::<pb::control_server::ControlServer<Service>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the embedded descriptors are those that the build made");
    server(policy)
        .add_service(health_service)
        .add_service(reflection)
        .add_service(service.coordination())
        .add_service(service.control())
        .serve_with_incoming_shutdown(listener.incoming(), async {
            // The sender has sent or is dropped; both mean that serving ends.
            let _ = closing.await;
        })
        .await
}

/// Runs the driver on its own thread, which wakes this one for news and when it ends.
fn spawn(
    driver: Driver,
    commands: Receiver<Command>,
    waker: Waker,
) -> std::io::Result<JoinHandle<Result<(), JournalError>>> {
    std::thread::Builder::new().name("driver".to_owned()).spawn(move || {
        // It must outlive the channel, so that the thread that is woken finds it closed.
        let _ended = waker.clone().on_drop();
        let commands = commands;
        driver.run(&commands, |effects| {
            if effects.iter().any(is_news) {
                waker.wake();
            }
        })
    })
}

/// Returns whether an effect is shown at once, before the progress interval is over.
fn is_news(effect: &Effect) -> bool {
    match effect {
        Effect::StageStarted { .. } | Effect::StageEnded { .. } | Effect::JobEnded { .. } => true,
        Effect::WorkAvailable
        | Effect::UnitFailed { .. }
        | Effect::AttemptFailed { .. }
        | Effect::WorkerExcluded { .. }
        | Effect::Alarm { .. }
        | Effect::ReportRefused { .. } => false,
    }
}

fn share_of_cores(workers: u32) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (u32::try_from(cores).unwrap_or(u32::MAX) / workers.max(1)).max(1)
}
