//! A whole dump in small: as many units as a dump has, with tiny inputs, through every stage. Shows
//! how wall time, CPU, file operations and memory grow with units and key ranges, beside what
//! `plan` forecast.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;
use thresher_tests::job::JobText;
use thresher_tests::operations::{Counter, Operations, write_inputs};

use crate::cpu;
use crate::options::Options;
use crate::pipelines::program;

/// Lines of one unit.
const LINES_PER_UNIT: u64 = 50;
/// Largest difference between a figure and its forecast.
const AIM_PERCENT: f64 = 25.0;

pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let counter = Counter::build(folder.path())?;
    println!("each figure is followed by what `plan` forecast, in percent of it");
    println!(
        "{:>6} {:>7} {:>6} {:>14} {:>14} {:>18} {:>12} {:>14} {:>14} {:>8}",
        "units",
        "memory",
        "ranges",
        "wall s",
        "CPU s",
        "operations",
        "I/O MB",
        "worker MB",
        "coordinator MB",
        "remove s"
    );
    let most = u64::from(options.units);
    let mut missed = Vec::new();
    let steps = [1000, 10_000].into_iter().filter(|units| *units < most);
    for units in steps.chain([most]) {
        let inputs = folder.path().join(format!("inputs-{units}"));
        fs::create_dir(&inputs)?;
        write_inputs(&inputs, units, LINES_PER_UNIT)?;
        let job = JobText::over(&inputs, "*.warc.wet.gz")
            .set("slice", "\"commoncrawl\"\nsteps = [\"lines\", \"documents\"]")
            .set("model", "\"none\"")
            .set("target_bytes", "\"1B\"");
        for memory in ["8GiB", "1MiB"] {
            let place = folder.path().join(format!("{units}-{memory}"));
            fs::create_dir(&place)?;
            let text = job.clone().append(&format!("[dedup]\nmemory = \"{memory}\"\n"));
            let text = text.write(&place);
            let forecast = Figures::planned(&text)?;
            let made = Figures::measured(&text, &counter, &place)?;
            missed.extend(made.print((units, memory), &forecast));
            fs::remove_dir_all(&place)?;
        }
        fs::remove_dir_all(&inputs)?;
    }
    match missed.is_empty() {
        true => println!("every forecast is within {AIM_PERCENT} %"),
        false => println!("more than {AIM_PERCENT} % off: {}", missed.join(", ")),
    }
    Ok(())
}

/// What a job takes.
#[derive(Debug, Default)]
struct Figures {
    ranges: u64,
    wall_seconds: f64,
    cpu_seconds: f64,
    operations: u64,
    worker_bytes: u64,
    coordinator_bytes: u64,
    /// Bytes that were read and written in the work directory; not forecast for inputs as small as
    /// these, whose files have more headers than content.
    io_bytes: u64,
    /// Time from the end of the last unit to the exit, in which the work directory is removed.
    removal_seconds: f64,
}

impl Figures {
    /// Returns what `plan` forecasts.
    fn planned(job: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program("thresher")?);
        let plan = command.arg("plan").arg(job).args(["--json", "--slots", "2"]).output()?;
        let plan: Value = serde_json::from_slice(&plan.stdout)?;
        let number = |name: &str| plan[name].as_u64().with_context(|| format!("no `{name}`"));
        let stages = plan["stages"].as_array().context("the plan has no stages")?;
        Ok(Self {
            wall_seconds: number("wall_millis")? as f64 / 1000.0,
            cpu_seconds: number("cpu_millis")? as f64 / 1000.0,
            operations: stages.iter().filter_map(|stage| stage["operations"].as_u64()).sum(),
            worker_bytes: number("usual_worker_bytes")?,
            coordinator_bytes: number("coordinator_bytes")?,
            ..Self::default()
        })
    }

    /// Runs the job in a folder.
    fn measured(job: &Path, counter: &Counter, place: &Path) -> anyhow::Result<Self> {
        let log = place.join("operations");
        let mut command = Command::new(program("thresher")?);
        command.arg("run").arg(job).arg("--state").arg(place.join("state"));
        command.args(["--slots", "2"]).stdout(Stdio::null()).stderr(Stdio::null());
        counter.watch(&mut command, &log);
        let (before, clock) = (cpu::of_ended_children()?, cpu::wall());
        let mut child = command.spawn()?;
        let mut made = Self::default();
        let report = place.join("corpus/manifest.json");
        let mut sealed = None;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            made.see(child.id());
            if sealed.is_none() && report.try_exists()? {
                sealed = Some(cpu::wall());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        if !status.success() {
            bail!("thresher exited with {status}");
        }
        made.wall_seconds = clock.elapsed().as_secs_f64();
        made.removal_seconds = sealed.map(|at| at.elapsed().as_secs_f64()).unwrap_or_default();
        made.cpu_seconds = cpu::of_ended_children()? - before;
        let report: Value = serde_json::from_slice(&fs::read(place.join("corpus/report.json"))?)?;
        let stages = report["stages"].as_array().context("the report has no stages")?;
        let resolve = stages.iter().find(|stage| stage["stage"] == "resolve-lines");
        made.ranges = resolve.and_then(|stage| stage["units"].as_u64()).context("no key ranges")?;
        let operations = Operations::read(&log)?;
        made.operations = operations.all();
        made.io_bytes = operations.bytes("read") + operations.bytes("write");
        Ok(made)
    }

    /// Looks at the memory of the coordinator and its workers.
    fn see(&mut self, coordinator: u32) {
        let peak = |pid| cpu::peak_bytes(pid).unwrap_or(0);
        self.coordinator_bytes = self.coordinator_bytes.max(peak(coordinator));
        for worker in cpu::children(coordinator) {
            self.worker_bytes = self.worker_bytes.max(peak(worker));
        }
    }

    /// Prints the row, and returns the names of the figures whose forecast was too far off.
    fn print(&self, (units, memory): (u64, &str), forecast: &Self) -> Vec<String> {
        let mb = |bytes: u64| bytes as f64 / (1 << 20) as f64;
        let compared = [
            ("wall", self.wall_seconds, forecast.wall_seconds),
            ("CPU", self.cpu_seconds, forecast.cpu_seconds),
            ("operations", self.operations as f64, forecast.operations as f64),
            ("worker", mb(self.worker_bytes), mb(forecast.worker_bytes)),
            ("coordinator", mb(self.coordinator_bytes), mb(forecast.coordinator_bytes)),
        ];
        let percent = |made: f64, planned: f64| 100.0 * planned / made.max(1e-9);
        let [wall, cpu, operations, worker, coordinator] =
            compared.map(|(_, made, planned)| format!("{made:.1} {:.0} %", percent(made, planned)));
        println!(
            "{units:>6} {memory:>7} {:>6} {wall:>14} {cpu:>14} {operations:>18} {:>12.1} \
             {worker:>14} {coordinator:>14} {:>8.1}",
            self.ranges,
            mb(self.io_bytes),
            self.removal_seconds,
        );
        let is_off = |(_, made, planned): &&(&str, f64, f64)| {
            (percent(*made, *planned) - 100.0).abs() > AIM_PERCENT
        };
        let off = compared.iter().filter(is_off);
        off.map(|(name, ..)| format!("{name} at {units} units and {memory}")).collect()
    }
}
