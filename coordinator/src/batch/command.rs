//! Runs a batch system's commands, with a time limit, bounded output, and an error that shows the
//! command. Clients of a controller that is down wait for minutes.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use thresher_site::batch::CommandLine;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Limit of a command's output, larger than any answer that is expected here.
const MAX_OUTPUT_BYTES: u64 = 8 << 20;
const SHOWN_CHARS: usize = 2000;

/// Why a command gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program cannot be started.
    #[error("failed to run `{command}`: {source}\nhint: run this on a node of the batch system")]
    Start { command: String, source: std::io::Error },
    /// The file for standard input cannot be opened.
    #[error("failed to open `{path}` for `{command}`: {source}")]
    Input { command: String, path: String, source: std::io::Error },
    /// The command did not end in time and was killed.
    #[error("`{command}` did not end within {limit:?}\nhint: the batch system may be down")]
    TooSlow { command: String, limit: Duration },
    /// The command failed; `said` is the end of its output.
    #[error("`{command}` ended with {status}: {said}")]
    Failed { command: String, status: String, said: String },
    /// The output cannot be read.
    #[error("failed to read the answer of `{command}`: {source}")]
    Output { command: String, source: std::io::Error },
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) out: String,
    pub(super) errors: String,
    status: ExitStatus,
}

impl Output {
    /// Returns the error of a command that failed; `None` if it succeeded.
    pub(super) fn failure(&self, line: &CommandLine) -> Option<CommandError> {
        if self.status.success() {
            return None;
        }
        let both = format!("{}{}", self.errors, self.out);
        let said = both.trim_end().chars().take(SHOWN_CHARS).collect();
        let (command, status) = (line.to_string(), self.status.to_string());
        Some(CommandError::Failed { command, status, said })
    }
}

/// Runs the command to its end and returns what it printed to stdout.
pub fn run_command(line: &CommandLine, limit: Duration) -> Result<String, CommandError> {
    let output = run_to_its_end(line, limit)?;
    match output.failure(line) {
        Some(failure) => Err(failure),
        None => Ok(output.out),
    }
}

/// Runs the command to its end, whether it succeeds or fails.
pub(super) fn run_to_its_end(line: &CommandLine, limit: Duration) -> Result<Output, CommandError> {
    let command = line.to_string();
    let output = |source| CommandError::Output { command: command.clone(), source };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(output)?;
    runtime.block_on(async {
        match tokio::time::timeout(limit, to_its_end(line, &command)).await {
            Ok(answer) => answer,
            // The child is killed when it is dropped.
            Err(_) => Err(CommandError::TooSlow { command: command.clone(), limit }),
        }
    })
}

async fn to_its_end(line: &CommandLine, command: &str) -> Result<Output, CommandError> {
    let named = || command.to_owned();
    let stdin = match &line.stdin {
        None => Stdio::null(),
        Some(path) => std::fs::File::open(path).map(Stdio::from).map_err(|source| {
            CommandError::Input { command: named(), path: path.display().to_string(), source }
        })?,
    };
    let mut child = tokio::process::Command::new(line.program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| line.unsets(name)) {
            child.env_remove(name);
        }
    }
    let mut child = child
        .args(&line.arguments)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| CommandError::Start { command: named(), source })?;
    let (out, errors) = (child.stdout.take(), child.stderr.take());
    let read = async {
        let (out, errors) = tokio::join!(text_of(out), text_of(errors));
        let status = child.wait().await?;
        Ok((out?, errors?, status))
    };
    let (out, errors, status) =
        read.await.map_err(|source| CommandError::Output { command: named(), source })?;
    Ok(Output { out, errors, status })
}

async fn text_of(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_command_returns_its_output_or_an_error_with_its_stderr() {
        let echo = CommandLine::new("echo").argument("a b");
        assert_eq!(run_command(&echo, LONG).unwrap(), "a b\n");
        let fails = CommandLine::new("sh").argument("-c").argument("echo no >&2; exit 3");
        let error = run_command(&fails, LONG).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("no"), "{error}");
        let missing = CommandLine::new("no-such-batch-system");
        assert!(matches!(run_command(&missing, LONG), Err(CommandError::Start { .. })));
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let slow = CommandLine::new("sleep").argument("600");
        let error = run_command(&slow, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, CommandError::TooSlow { .. }), "{error}");
    }

    #[test]
    fn a_script_is_passed_on_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.sh");
        std::fs::write(&path, "hello").unwrap();
        let cat = CommandLine { stdin: Some(path), ..CommandLine::new("cat") };
        assert_eq!(run_command(&cat, LONG).unwrap(), "hello");
    }
}
