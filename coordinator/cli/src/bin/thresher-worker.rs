//! `thresher-worker`: the old name of `thresher worker`, for one release.
//!
//! It becomes the program `thresher` beside it, so that no second copy of the worker is installed.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments = new_arguments(std::env::args_os().skip(1).collect());
    note(
        "warning: `thresher-worker` is now `thresher worker`, and its other verbs are `thresher \
         VERB`",
    );
    let error = match std::env::current_exe() {
        Ok(own) => {
            let program = own.with_file_name("thresher");
            // Only an error returns.
            let error = Command::new(&program).args(arguments).exec();
            format!("failed to run `{}`: {error}", program.display())
        }
        Err(error) => format!("failed to find this program's own file: {error}"),
    };
    note(&format!(
        "error: {error}\nhint: install `thresher` in the same folder, and use it instead"
    ));
    ExitCode::FAILURE
}

/// Returns what to write behind `thresher`: `connect` is a verb of `thresher worker`, and the other
/// verbs of the old program are verbs of `thresher`.
fn new_arguments(old: Vec<OsString>) -> Vec<OsString> {
    let of_worker = match old.first().map(|word| word.to_string_lossy()).as_deref() {
        None | Some("connect" | "help" | "-h" | "--help") => true,
        Some(_) => false,
    };
    let prefix = of_worker.then(|| OsStr::new("worker").to_owned());
    prefix.into_iter().chain(old).collect()
}

/// Prints a line for people. If stderr is closed, there is no other place for it.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_is_a_verb_of_the_worker_and_others_are_verbs_of_thresher() {
        for (old, new) in [
            ("connect --state s", "worker connect --state s"),
            ("--help", "worker --help"),
            ("", "worker"),
            ("verify corpus --json", "verify corpus --json"),
            ("train classifier", "train classifier"),
            ("--version", "--version"),
        ] {
            let words = old.split_whitespace().map(OsString::from).collect();
            assert_eq!(new_arguments(words).join(OsStr::new(" ")), OsStr::new(new));
        }
    }
}
