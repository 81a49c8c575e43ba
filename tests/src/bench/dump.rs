//! A whole dump in small: as many units as a dump has, with tiny inputs, through every stage. Shows
//! how wall time, CPU, file operations and memory grow with units and key ranges, beside what
//! `plan` expected.

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

pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let counter = Counter::build(folder.path())?;
    println!(
        "units   memory  ranges  wall s  CPU s  operations  planned  worker MB  coordinator MB"
    );
    let most = u64::from(options.units);
    for units in [1000, 10_000, most].into_iter().filter(|units| *units <= most) {
        let inputs = folder.path().join(format!("in-{units}"));
        fs::create_dir(&inputs)?;
        write_inputs(&inputs, units, LINES_PER_UNIT)?;
        let job = JobText::over(&inputs, "*.warc.wet.gz")
            .set("model", "\"none\"")
            .set("target_bytes", "\"1B\"");
        for memory in ["8GiB", "16MiB", "1MiB"] {
            let place = folder.path().join(format!("{units}-{memory}"));
            fs::create_dir(&place)?;
            run(&job, &counter, &place, (units, memory))?;
            fs::remove_dir_all(&place)?;
        }
        fs::remove_dir_all(&inputs)?;
    }
    Ok(())
}

/// Runs one job, and prints its row.
fn run(
    job: &JobText,
    counter: &Counter,
    place: &Path,
    (units, memory): (u64, &str),
) -> anyhow::Result<()> {
    let text = job.clone().append(&format!("[dedup]\nmemory = \"{memory}\"\n")).write(place);
    let plan = Command::new(program("thresher")?).arg("plan").arg(&text).arg("--json").output()?;
    let plan: Value = serde_json::from_slice(&plan.stdout)?;
    let stages = plan["stages"].as_array().context("the plan has no stages")?;
    let planned: u64 = stages.iter().filter_map(|stage| stage["operations"].as_u64()).sum();

    let log = place.join("operations");
    let mut command = Command::new(program("thresher")?);
    command.arg("run").arg(&text).arg("--state").arg(place.join("state")).args(["--slots", "2"]);
    counter.watch(command.stdout(Stdio::null()).stderr(Stdio::null()), &log);
    let (before, clock) = (cpu::of_ended_children()?, cpu::wall());
    let mut child = command.spawn()?;
    let (mut coordinator_bytes, mut worker_bytes) = (0, 0);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        coordinator_bytes = coordinator_bytes.max(cpu::peak_bytes(child.id()).unwrap_or(0));
        for worker in cpu::children(child.id()) {
            worker_bytes = worker_bytes.max(cpu::peak_bytes(worker).unwrap_or(0));
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    // Filters drop all of it.
    if !status.success() {
        bail!("thresher exited with {status}");
    }
    let wall = clock.elapsed().as_secs_f64();
    let report: Value = serde_json::from_slice(&fs::read(place.join("corpus/report.json"))?)?;
    let stages = report["stages"].as_array().context("the report has no stages")?;
    let resolve = stages.iter().find(|stage| stage["stage"] == "resolve-lines");
    let ranges = resolve.and_then(|stage| stage["units"].as_u64()).context("no key ranges")?;
    // Each of two stages opens each input.
    let operations = Operations::read(&log)?.all() + 2 * units;
    println!(
        "{units:6}  {memory:>6}  {ranges:6}  {wall:6.1}  {:5.1}  {operations:10}  {:6.1} %  {:9}  {:14}",
        cpu::of_ended_children()? - before,
        100.0 * planned as f64 / operations as f64,
        worker_bytes >> 20,
        coordinator_bytes >> 20,
    );
    Ok(())
}
