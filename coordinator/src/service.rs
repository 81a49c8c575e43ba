//! Converts gRPC calls to commands, and answers back. It decides nothing: roles are checked before,
//! and the driver answers.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use thresher_channel::Role;
use thresher_domain::{AttemptRef, UnitNameError};
use thresher_job::JobSpec;
use thresher_proto::convert::MalformedMessage;
use thresher_proto::pb;
use thresher_proto::pb::control_server::{Control, ControlServer};
use thresher_proto::pb::coordination_server::{Coordination, CoordinationServer};
use tokio::sync::{Semaphore, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::driver::{Command, Reply};
use crate::transport::{MAX_DECODED_MESSAGE_BYTES, MethodRoles};

/// The roles that may call each method. A method that is missing here cannot be called.
pub const METHODS: [MethodRoles; 8] = [
    ("/thresher.v1.Coordination/Register", &[Role::Worker]),
    ("/thresher.v1.Coordination/Sync", &[Role::Worker]),
    ("/thresher.v1.Control/Submit", &[Role::Operator]),
    ("/thresher.v1.Control/Cancel", &[Role::Operator]),
    ("/thresher.v1.Control/Drain", &[Role::Operator]),
    ("/thresher.v1.Control/Status", &[Role::Operator, Role::Viewer]),
    ("/thresher.v1.Control/Watch", &[Role::Operator, Role::Viewer]),
    ("/thresher.v1.Control/Explain", &[Role::Operator, Role::Viewer]),
];

const DEFAULT_WATCH: Duration = Duration::from_secs(1);
const SHORTEST_WATCH: Duration = Duration::from_millis(100);
/// Number of `Watch` streams at a time. Each keeps at most two statuses in memory if nobody reads.
const MAX_WATCHES: usize = 128;

/// Both services, in front of one driver.
#[derive(Clone)]
pub struct Service {
    commands: Sender<Command>,
    /// Fills in what only this coordinator knows, such as the work directory.
    complete: Arc<dyn Fn(JobSpec) -> anyhow::Result<JobSpec> + Send + Sync>,
    /// Stops this coordinator if it has no job.
    stop: Arc<dyn Fn() + Send + Sync>,
    watches: Arc<Semaphore>,
}

impl Service {
    /// Creates the services of one driver, which gets `commands`. `complete` fills in a submitted
    /// job.
    pub fn new(
        commands: Sender<Command>,
        complete: impl Fn(JobSpec) -> anyhow::Result<JobSpec> + Send + Sync + 'static,
    ) -> Self {
        let watches = Arc::new(Semaphore::new(MAX_WATCHES));
        Self { commands, complete: Arc::new(complete), stop: Arc::new(|| ()), watches }
    }

    /// Returns the services with a function that stops a coordinator that waits for a job.
    pub fn with_stop(self, stop: impl Fn() + Send + Sync + 'static) -> Self {
        Self { stop: Arc::new(stop), ..self }
    }

    /// Returns the service for workers.
    pub fn coordination(&self) -> CoordinationServer<Self> {
        CoordinationServer::new(self.clone()).max_decoding_message_size(MAX_DECODED_MESSAGE_BYTES)
    }

    /// Returns the service for people.
    pub fn control(&self) -> ControlServer<Self> {
        ControlServer::new(self.clone()).max_decoding_message_size(MAX_DECODED_MESSAGE_BYTES)
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        let ended = || Status::unavailable("the coordinator is stopping");
        self.commands.send(command(reply)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

#[tonic::async_trait]
impl Coordination for Service {
    async fn register(
        &self,
        request: Request<pb::RegisterRequest>,
    ) -> Result<Response<pb::RegisterResponse>, Status> {
        let request = request.into_inner().try_into().map_err(refused)?;
        self.ask(|reply| Command::Register(request, reply)).await.map(Response::new)
    }

    async fn sync(
        &self,
        request: Request<pb::SyncRequest>,
    ) -> Result<Response<pb::SyncResponse>, Status> {
        let request = request.into_inner().try_into().map_err(refused)?;
        self.ask(|reply| Command::Sync(request, reply)).await.map(Response::new)
    }
}

type Statuses =
    Pin<Box<dyn tokio_stream::Stream<Item = Result<pb::StatusResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Control for Service {
    type WatchStream = Statuses;

    async fn submit(
        &self,
        request: Request<pb::SubmitRequest>,
    ) -> Result<Response<pb::SubmitResponse>, Status> {
        let pb::SubmitRequest { job_toml, base_dir } = request.into_inner();
        let job = JobSpec::parse(&job_toml, base_dir.as_ref())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let job =
            (self.complete)(job).map_err(|error| Status::invalid_argument(format!("{error:#}")))?;
        self.ask(|reply| Command::Submit(Box::new(job), reply)).await.map(Response::new)
    }

    async fn status(
        &self,
        _: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        self.ask(Command::Status).await.map(Response::new)
    }

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Statuses>, Status> {
        let interval = match request.into_inner().interval_millis {
            0 => DEFAULT_WATCH,
            millis => Duration::from_millis(millis.into()).max(SHORTEST_WATCH),
        };
        let watch = Arc::clone(&self.watches).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{MAX_WATCHES} streams of this coordinator are watched already\nhint: close some, \
                 or call `Status`"
            ))
        })?;
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let service = self.clone();
        tokio::spawn(async move {
            let _watch = watch;
            // A status is made only when the last one was taken, so that it is the latest.
            while let Ok(place) = sender.reserve().await {
                let status = service.ask(Command::Status).await;
                let over = status.as_ref().map_or(true, |status| status.state().is_over());
                place.send(status);
                if over {
                    return;
                }
                tokio::time::sleep(interval).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        let unit: AttemptRef = (request.into_inner().unit.parse())
            .map_err(|error: UnitNameError| Status::invalid_argument(error.to_string()))?;
        self.ask(|reply| Command::Explain(unit.key, reply)).await.map(Response::new)
    }

    async fn cancel(
        &self,
        _: Request<pb::CancelRequest>,
    ) -> Result<Response<pb::CancelResponse>, Status> {
        self.ask(Command::Cancel).await.map(Response::new)
    }

    async fn drain(
        &self,
        _: Request<pb::DrainRequest>,
    ) -> Result<Response<pb::DrainResponse>, Status> {
        if self.ask(Command::Status).await?.state() == pb::JobState::None {
            (self.stop)();
            return Ok(Response::new(pb::DrainResponse {}));
        }
        self.ask(|reply| Command::Drain { until: None, reply }).await.map(Response::new)
    }
}

/// Returns the error for a message that cannot be read, which only another version sends.
fn refused(error: MalformedMessage) -> Status {
    Status::invalid_argument(format!(
        "{error}\nhint: run workers and coordinator of the same version"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every question for a status.
    fn answering() -> Service {
        let (commands, received) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for command in received {
                if let Command::Status(reply) = command {
                    let _ = reply.send(Ok(pb::StatusResponse::default()));
                }
            }
        });
        Service::new(commands, Ok)
    }

    #[tokio::test]
    async fn streams_that_nobody_reads_are_limited() {
        let service = answering();
        let watch = || service.watch(Request::new(pb::WatchRequest::default()));
        let mut streams = Vec::new();
        for _ in 0..MAX_WATCHES {
            streams.push(watch().await.unwrap());
        }
        let Err(refused) = watch().await else { panic!("one more is accepted") };
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(refused.message().contains("hint: "), "{refused}");
        streams.pop();
        while service.watches.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(watch().await.is_ok(), "a closed stream makes room");
    }

    #[tokio::test]
    async fn a_drain_without_a_job_stops_the_coordinator() {
        let (sender, stopped) = std::sync::mpsc::channel();
        let service = answering().with_stop(move || sender.send(()).unwrap());
        service.drain(Request::new(pb::DrainRequest {})).await.unwrap();
        assert!(stopped.try_recv().is_ok());
    }

    #[tokio::test]
    async fn malformed_calls_are_refused_before_they_reach_the_driver() {
        let (commands, received) = std::sync::mpsc::channel();
        let service = Service::new(commands, Ok);
        let reports = vec![pb::Report::default()];
        let call = pb::SyncRequest { reports, ..pb::SyncRequest::default() };
        let refused = service.sync(Request::new(call)).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert!(refused.message().contains("hint: "), "{refused}");
        let held = vec![pb::UnitRef { stage: 77, ordinal: 0, attempt: 1 }];
        let registration = pb::RegisterRequest { held, ..pb::RegisterRequest::default() };
        let refused = service.register(Request::new(registration)).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert!(received.try_recv().is_err());
    }
}
