//! Measures the real coordinator, alone in a child process, under simulated workers on TLS
//! connections.
//!
//! ```text
//! child: thresher serve --listen 127.0.0.1:0  ←TLS, certificates←  load (this process)
//! ```
//! Its CPU and memory are read from procfs while it runs; afterwards the size of its journal is
//! measured, and `thresher explain` replays it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use thresher_channel::address::CoordinatorAddress;
use thresher_channel::{Credentials, KEYS_DIRECTORY, Role};

use crate::cpu;
use crate::load::{self, Load};
use crate::options::Options;
use crate::pipelines::{job_text, program};
use crate::table::Row;

/// How long the coordinator may take to listen, and to exit.
const PATIENCE: Duration = Duration::from_secs(60);
/// Exit status of a coordinator whose job is complete, but has no output: the load writes none.
const NO_OUTPUT: i32 = 7;
const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let state = folder.path().join("state");
    let mut child = Served(serve(folder.path(), &state)?);
    let pid = child.0.id();
    let address = wait_for_address(&state, &mut child.0)?;
    let credentials = Credentials::in_directory(&state.join(KEYS_DIRECTORY), Role::Worker);
    let load = Load {
        address,
        credentials,
        units: options.units,
        connections: options.connections,
        batch: options.batch,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut workers = runtime.block_on(load::connect(&load))?;
    let empty_bytes = cpu::resident_bytes(pid)?;
    runtime.block_on(load::list(&load, &mut workers[0]))?;
    let waiting_bytes = cpu::resident_bytes(pid)?;

    let (started, cpu_started, own_started) =
        (cpu::wall(), cpu::of_process(pid)?, cpu::of_this_process());
    let (workers, calls) = runtime.block_on(load::run(&load, workers))?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = cpu::of_process(pid)? - cpu_started;
    let own_seconds = cpu::of_this_process() - own_started;
    let peak_bytes = cpu::resident_bytes(pid)?;
    runtime.block_on(load::finish(workers))?;
    child.wait()?;

    let units = f64::from(options.units);
    println!(
        "# {} units, {} connections, {} units held by each, {calls} calls; wall {seconds:.2} s; \
         CPU of the coordinator {cpu_seconds:.2} s, of the load {own_seconds:.2} s; memory {} MB \
         without units, {} MB listed, {} MB at the end",
        options.units,
        options.connections,
        options.batch,
        empty_bytes >> 20,
        waiting_bytes >> 20,
        peak_bytes >> 20
    );
    throughput(units, seconds, cpu_seconds, own_seconds);
    let unit_bytes = (waiting_bytes.saturating_sub(empty_bytes)) as f64 / units;
    Row {
        figure: "memory of a waiting unit",
        ours: format!("{unit_bytes:.0} B"),
        other: "HyperQueue 550 B".to_owned(),
        ratio: format!("1/{:.1}", 550.0 / unit_bytes),
        aim: "<= 100 B",
        reached: unit_bytes <= 100.0,
    }
    .print();
    replay(&state, units)
}

fn throughput(units: f64, seconds: f64, cpu_seconds: f64, own_seconds: f64) {
    let rate = units / seconds;
    Row {
        figure: "units a second, by the clock",
        ours: format!("{rate:.0}/s"),
        other: "HyperQueue 22 009/s".to_owned(),
        ratio: format!("{:.1}x", rate / 22_009.0),
        aim: ">= 200 000/s",
        reached: rate >= 200_000.0,
    }
    .print();
    // The rate on two cores without other load, since the load and the coordinator share them.
    let alone = 2.0 * units / (cpu_seconds + own_seconds);
    Row {
        figure: "units a second, by CPU of both",
        ours: format!("{alone:.0}/s"),
        other: String::new(),
        ratio: String::new(),
        aim: ">= 200 000/s",
        reached: alone >= 200_000.0,
    }
    .print();
    let micros = cpu_seconds / units * 1e6;
    Row {
        figure: "coordinator CPU of a unit",
        ours: format!("{micros:.2} us"),
        other: "HyperQueue 8.3..12.2 us".to_owned(),
        ratio: format!("1/{:.1}", 8.3 / micros),
        aim: "<= 2 us",
        reached: micros <= 2.0,
    }
    .print();
}

fn replay(state: &Path, units: f64) -> anyhow::Result<()> {
    let mut journal_bytes = 0;
    for entry in fs::read_dir(state.join("journal"))? {
        journal_bytes += entry?.metadata()?.len();
    }
    let unit_bytes = journal_bytes as f64 / units;
    let mut explain = Command::new(program("thresher")?);
    explain.args(["explain", "list/0", "--state"]).arg(state);
    let started = cpu::wall();
    let (cpu_seconds, _) = cpu::of_command(&mut explain)?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "# journal {unit_bytes:.1} B a unit (HyperQueue 33 B); replay {seconds:.2} s by the clock"
    );
    let million = cpu_seconds * 1e6 / units;
    Row {
        figure: "replay of a million units",
        ours: format!("{million:.2} s"),
        other: String::new(),
        ratio: String::new(),
        aim: "< 3 s",
        reached: million < 3.0,
    }
    .print();
    Ok(())
}

fn serve(folder: &Path, state: &Path) -> anyhow::Result<Child> {
    let job = folder.join("job.toml");
    // Its units are simulated; a job may not publish among its inputs.
    let inputs = folder.join("in");
    fs::create_dir(&inputs)?;
    let text = job_text(&inputs, "thresher", "none", "", &folder.join("out"));
    // The cores may be shared with other programs: a worker that waits for them is not lost.
    fs::write(
        &job,
        text + "[dedup.lines]\npolicy = \"off\"\n[units]\nlease = \"10m\"\nheartbeat = \"60s\"\n",
    )?;
    Command::new(program("thresher")?)
        .arg("serve")
        .arg(&job)
        .arg("--state")
        .arg(state)
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .spawn()
        .context("failed to start the coordinator")
}

fn wait_for_address(state: &Path, child: &mut Child) -> anyhow::Result<CoordinatorAddress> {
    let started = cpu::wall();
    loop {
        match CoordinatorAddress::read_in(state) {
            Ok(address) => return Ok(address),
            Err(error) if started.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => {}
        }
        if let Some(status) = child.try_wait()? {
            bail!("the coordinator exited with {status}");
        }
        std::thread::sleep(LOOK);
    }
}

/// A child that is killed when this is dropped.
struct Served(Child);

impl Served {
    fn wait(&mut self) -> anyhow::Result<()> {
        let started = cpu::wall();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait()? {
                if status.success() || status.code() == Some(NO_OUTPUT) {
                    return Ok(());
                }
                bail!("the coordinator exited with {status}");
            }
            std::thread::sleep(LOOK);
        }
        bail!("the coordinator did not exit")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has exited, or is not needed any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
