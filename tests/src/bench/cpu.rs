//! CPU seconds of this process, of its children, or of another process.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};
use rustix::time::{ClockId, clock_gettime};

/// Clock ticks in procfs: the kernel reports 100 to programs whatever its own clock is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns the CPU seconds of this process, all threads.
pub(crate) fn of_this_process() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Runs a child to its end, and returns its CPU seconds, with those of its children, and its
/// output.
pub(crate) fn of_command(command: &mut Command) -> anyhow::Result<(f64, Vec<u8>)> {
    let before = of_ended_children()?;
    let output = command.output().with_context(|| format!("failed to run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} exited with {}: {}", output.status, error_text(&output.stderr));
    }
    Ok((of_ended_children()? - before, output.stdout))
}

/// Returns the CPU seconds of a running process.
pub(crate) fn of_process(pid: u32) -> anyhow::Result<f64> {
    let ticks = ticks(Path::new(&format!("/proc/{pid}/stat")))?;
    Ok((ticks[0] + ticks[1]) as f64 / TICKS_PER_SECOND)
}

/// Returns the memory that a process holds now.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// Returns the largest memory that a process has held so far.
pub(crate) fn peak_bytes(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmHWM:")
}

fn status_bytes(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kibibytes.with_context(|| format!("`{name}` is missing"))?.trim().parse::<u64>()? << 10)
}

/// Returns the running children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads.flatten().map(|thread| thread.path().join("children"));
    let lists = lists.filter_map(|path| fs::read_to_string(path).ok());
    lists
        .flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>())
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
/// Returns the current time of the monotonic clock.
pub(crate) fn wall() -> Instant {
    Instant::now()
}

/// Returns the CPU seconds of all children that have exited, with their own children.
pub(crate) fn of_ended_children() -> anyhow::Result<f64> {
    let ticks = ticks(Path::new("/proc/self/stat"))?;
    Ok((ticks[2] + ticks[3]) as f64 / TICKS_PER_SECOND)
}

/// Reads utime, stime, cutime and cstime of a `stat` file of procfs.
fn ticks(path: &Path) -> anyhow::Result<[u64; 4]> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    // The name in parentheses may hold any character.
    let (_, rest) = text.rsplit_once(')').context("no process name")?;
    let numbers: Vec<u64> =
        rest.split_whitespace().skip(11).take(4).map(str::parse).collect::<Result<_, _>>()?;
    numbers.try_into().ok().context("the `stat` file has too few fields")
}

fn error_text(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
