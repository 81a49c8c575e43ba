//! CPU seconds: of this process, of its children, of another process.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};
use rustix::time::{ClockId, clock_gettime};

/// Of procfs: the kernel shows 100 to programs whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Of this process, all threads.
pub(crate) fn of_this_process() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Of a child that runs to its end here, with all its own children; and what it printed.
pub(crate) fn of_command(command: &mut Command) -> anyhow::Result<(f64, Vec<u8>)> {
    let before = of_ended_children()?;
    let output = command.output().with_context(|| format!("failed to run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, error_text(&output.stderr));
    }
    Ok((of_ended_children()? - before, output.stdout))
}

/// Of a process that lives.
pub(crate) fn of_process(pid: u32) -> anyhow::Result<f64> {
    let ticks = ticks(Path::new(&format!("/proc/{pid}/stat")))?;
    Ok((ticks[0] + ticks[1]) as f64 / TICKS_PER_SECOND)
}

/// Memory that a process holds.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// The most memory that a process has held so far.
pub(crate) fn peak_bytes(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmHWM:")
}

fn status_bytes(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kibibytes.with_context(|| format!("`{name}` is missing"))?.trim().parse::<u64>()? << 10)
}

/// The processes that a process has started and that live.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads.flatten().map(|thread| thread.path().join("children"));
    let lists = lists.filter_map(|path| fs::read_to_string(path).ok());
    lists
        .flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>())
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
pub(crate) fn wall() -> Instant {
    Instant::now()
}

/// Of all children that have ended, with their own.
pub(crate) fn of_ended_children() -> anyhow::Result<f64> {
    let ticks = ticks(Path::new("/proc/self/stat"))?;
    Ok((ticks[2] + ticks[3]) as f64 / TICKS_PER_SECOND)
}

/// utime, stime, cutime and cstime of a `stat` file of procfs.
fn ticks(path: &Path) -> anyhow::Result<[u64; 4]> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    // The name in parentheses may hold anything.
    let (_, rest) = text.rsplit_once(')').context("no process name")?;
    let numbers: Vec<u64> =
        rest.split_whitespace().skip(11).take(4).map(str::parse).collect::<Result<_, _>>()?;
    numbers.try_into().ok().context("a `stat` file with fewer fields")
}

fn error_text(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
