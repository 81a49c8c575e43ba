//! The program `thresher-worker`: where it is, and running it for what needs document bytes.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use thresher_job::JobSpec;

/// Names another worker program than the one beside this executable.
const WORKER_VARIABLE: &str = "THRESHER_WORKER";
const WORKER_NAME: &str = "thresher-worker";

/// The worker program of this installation.
pub fn worker_program() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(WORKER_VARIABLE) {
        return Ok(path.into());
    }
    let own = std::env::current_exe().context("failed to find this program's own file")?;
    let beside = own.with_file_name(WORKER_NAME);
    if beside.is_file() {
        return Ok(beside);
    }
    bail!(
        "`{}` is not there\nhint: install `{WORKER_NAME}` beside `thresher`, or name it in \
         {WORKER_VARIABLE}",
        beside.display()
    )
}

/// Runs the worker program with this process's terminal, and ends as it ends.
pub fn pass_through<A: AsRef<OsStr>>(arguments: &[A]) -> anyhow::Result<ExitCode> {
    let program = worker_program()?;
    let status = Command::new(&program)
        .args(arguments)
        .status()
        .with_context(|| format!("failed to run `{}`", program.display()))?;
    match status.code() {
        Some(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        None => bail!("`{}` was killed: {status}", program.display()),
    }
}

/// Refuses a job whose models or lists are not there, or whose output is another job's, before
/// anything of it is begun.
pub fn refuse_obstacles(job: &JobSpec) -> anyhow::Result<()> {
    let answer = answer_of(&["check", "-"], &job.resolved()).context("failed to check the job")?;
    let obstacles: Vec<String> = serde_json::from_slice(&answer).context(
        "the worker's answer is not understood\nhint: both programs must be of one build",
    )?;
    if obstacles.is_empty() {
        return Ok(());
    }
    bail!("the job cannot begin\n{}", obstacles.join("\n"))
}

/// Runs the worker program on `input`, and gives what it printed. Its stderr is this process's.
pub fn answer_of<A: AsRef<OsStr>>(arguments: &[A], input: &str) -> anyhow::Result<Vec<u8>> {
    let program = worker_program()?;
    let mut child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to run `{}`", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A worker that ends early says why on stderr; its status is judged below.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("`{}` ended with {}", program.display(), output.status);
    }
    Ok(output.stdout)
}
