//! Simulated workers, which speak the protocol like real ones and report every unit as done at
//! once.
//!
//! Each has its own connection and one call at a time, which reports the units of the previous call
//! and requests as many again. The report of a unit is as large as a real one.

use anyhow::{Context, bail};
use prost::Message;
use thresher_channel::address::CoordinatorAddress;
use thresher_channel::{Channel, Credentials, connect as dial};
use thresher_domain::{Counter, Measure};
use thresher_proto::pb::coordination_client::CoordinationClient;
use thresher_proto::pb::report::Outcome;
use thresher_proto::pb::{
    Accounting, Count, Directive, Done, InputsUnit, Lease, Listed, PlannedUnit, RegisterRequest,
    Report, Stage, SyncRequest, SyncResponse, UnitRef,
};

const UNITS_PER_PIECE: u32 = 10_000;
const WAIT_MILLIS: u32 = 1000;
/// Number of answers without work after which a worker gives up.
const MAX_IDLE_CALLS: u32 = 30;

/// What the simulated workers do.
pub(crate) struct Load {
    pub(crate) address: CoordinatorAddress,
    pub(crate) credentials: Credentials,
    pub(crate) units: u32,
    pub(crate) connections: usize,
    pub(crate) batch: u32,
}

pub(crate) struct SimulatedWorker {
    client: CoordinationClient<Channel>,
    worker_id: u32,
    sequence: u64,
    /// Units that are leased and will be reported with the next call.
    held: Vec<Lease>,
}

/// Registers each worker on a connection of its own.
pub(crate) async fn connect(load: &Load) -> anyhow::Result<Vec<SimulatedWorker>> {
    let mut workers = Vec::with_capacity(load.connections);
    for number in 0..load.connections {
        let channel = dial(&load.address, &load.credentials).await?;
        let mut client = CoordinationClient::new(channel);
        let request = RegisterRequest {
            host: format!("node-{number}"),
            pid: 1,
            slots: load.batch,
            version: thresher_proto::VERSION.to_owned(),
            held: Vec::new(),
            ..RegisterRequest::default()
        };
        // The job is submitted shortly after the socket opens.
        let mut registered = client.register(request.clone()).await;
        for _ in 0..MAX_IDLE_CALLS {
            if registered.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            registered = client.register(request.clone()).await;
        }
        let worker_id = registered?.into_inner().worker_id;
        workers.push(SimulatedWorker { client, worker_id, sequence: 0, held: Vec::new() });
    }
    Ok(workers)
}

/// Runs the LIST unit, which plans the job's units.
pub(crate) async fn list(load: &Load, worker: &mut SimulatedWorker) -> anyhow::Result<()> {
    worker.sync(1, Vec::new()).await?;
    let lease = worker.held.pop().context("there was no LIST unit")?;
    let unit = lease.unit.filter(|unit| unit.stage() == Stage::List).context("no LIST unit")?;
    for (piece, first) in (0..).zip((0..load.units).step_by(UNITS_PER_PIECE as usize)) {
        let planned = (first..load.units.min(first + UNITS_PER_PIECE)).map(|first_input| {
            let payload = InputsUnit { source: 0, first_input, inputs: 1 };
            PlannedUnit { payload: payload.encode_to_vec(), cost_bytes: 123_456_789 }
        });
        let listed = Listed { piece, units: planned.collect() };
        let outcome = Some(Outcome::Listed(listed));
        let report = Report { unit: Some(unit), outcome, ..Report::default() };
        worker.sync(0, vec![report]).await?;
    }
    worker.sync(0, vec![done(unit)]).await?;
    Ok(())
}

/// Runs all workers until every planned unit is reported; returns the units and calls.
pub(crate) async fn run(
    load: &Load,
    workers: Vec<SimulatedWorker>,
) -> anyhow::Result<(Vec<SimulatedWorker>, u64)> {
    let batch = load.batch;
    let tasks: Vec<_> = workers
        .into_iter()
        .map(|mut worker| {
            tokio::spawn(async move {
                let (mut units, mut calls) = (0, 0);
                loop {
                    let reports = worker.reports();
                    let reported = reports.len() as u32;
                    units += reported;
                    calls += 1;
                    worker.sync(batch, reports).await?;
                    let goes_on = |lease: &Lease| {
                        lease.unit.is_some_and(|unit| unit.stage() == Stage::Prepare)
                    };
                    // No work is left, or the next stage has started.
                    if !worker.held.first().is_some_and(goes_on) {
                        return anyhow::Ok((worker, units, calls));
                    }
                }
            })
        })
        .collect();
    let (mut workers, mut units, mut calls) = (Vec::new(), 0, 0);
    for task in tasks {
        let (worker, its_units, its_calls) = task.await??;
        workers.push(worker);
        units += its_units;
        calls += its_calls;
    }
    if units != load.units {
        bail!("{units} of {} units were run", load.units);
    }
    Ok((workers, calls))
}

/// Runs the stages that follow until the job has ended.
pub(crate) async fn finish(mut workers: Vec<SimulatedWorker>) -> anyhow::Result<()> {
    let holds = workers.iter().position(|worker| !worker.held.is_empty());
    let worker = &mut workers[holds.unwrap_or(0)];
    for _ in 0..MAX_IDLE_CALLS {
        let reports = worker.reports();
        if worker.sync(1, reports).await? == Directive::Exit {
            return Ok(());
        }
    }
    bail!("the job does not end")
}

impl SimulatedWorker {
    fn reports(&mut self) -> Vec<Report> {
        self.held.drain(..).filter_map(|lease| lease.unit).map(done).collect()
    }

    async fn sync(&mut self, want: u32, reports: Vec<Report>) -> anyhow::Result<Directive> {
        self.sequence += 1;
        let idle = want > 0;
        let wait_millis = if idle && reports.is_empty() { WAIT_MILLIS } else { 0 };
        let request = SyncRequest {
            worker_id: self.worker_id,
            want,
            idle,
            reports,
            wait_millis,
            sequence: self.sequence,
            ..SyncRequest::default()
        };
        let response: SyncResponse = self.client.sync(request).await?.into_inner();
        let directive = response.directive();
        self.held.extend(response.leases);
        Ok(directive)
    }
}

/// Returns a report like that of a unit of PREPARE: its numbers and its hash are its own.
fn done(unit: UnitRef) -> Report {
    let is_prepare = unit.stage() == Stage::Prepare;
    let hash = blake3::hash(&unit.ordinal.to_le_bytes());
    let vary = |value: u64, at: usize| value + u64::from(hash.as_bytes()[at]);
    let names = ["language/low_score", "gopher_quality/too_few_words", "commoncrawl/too_short"];
    let dropped: Vec<Count> = names
        .into_iter()
        .zip(0..)
        .map(|(name, at)| Count { name: name.to_owned(), value: vary(3_000, at) })
        .collect();
    let accounting = is_prepare.then(|| Accounting {
        records_in: 30_115 + dropped.iter().map(|count| count.value).sum::<u64>(),
        kept: 30_115,
        dropped,
        quarantined: Vec::new(),
        bytes_in: vary(150_123_456, 3),
        bytes_kept: vary(90_123_456, 4),
    });
    let digest = if is_prepare { hash.as_bytes().to_vec() } else { Vec::new() };
    let documents = |language: &str| Counter::Language {
        language: language.to_owned(),
        measure: Measure::Documents,
    };
    let counters = match is_prepare {
        true => vec![
            Counter::LinesIn.with(vary(2_000_000, 5)).into(),
            Counter::DuplicateLines.with(vary(700_000, 6)).into(),
            documents("en").with(vary(14_000, 7)).into(),
            documents("de").with(vary(3_000, 8)).into(),
        ],
        false => Vec::new(),
    };
    let outcome = Some(Outcome::Done(Done { accounting, digest, keys: 0, counters }));
    Report { unit: Some(unit), outcome, cpu_millis: vary(41_000, 9), wall_millis: vary(43_000, 10) }
}
