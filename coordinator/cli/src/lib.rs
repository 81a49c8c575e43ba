//! The command line: every verb, its arguments, and what it prints.
//!
//! ```text
//! arguments → a verb's file → run · RPC · journal · the worker's functions → result, exit status
//! ```
//! Verbs parse, call and print; nothing is decided here that another program could want. This crate
//! is the only one that knows both coordinator and worker. What needs document bytes (`verify`,
//! `trace`, the sample of `plan`) is the worker's, and the coordinator receives what it needs of a
//! worker as values: a command line, and the check of a job.
//!
//! **Invariant:** results go to stdout, everything else to stderr.

mod allocation;
mod allocations;
mod clean;
mod connection;
mod control;
mod corpus_job;
mod exit;
mod explain;
mod liveness;
mod mix;
mod output;
mod place;
mod plan;
mod print;
mod progress;
mod recover;
mod run;
mod sample;
mod script_calls;
mod shell;
mod status;
mod status_json;
mod status_text;
mod submit;
mod terminal;
mod tokenize;
mod walltime;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use thresher_worker::clean::CleanArgs;
use thresher_worker::inspect::{DiffArgs, ReportArgs, SurveyArgs, TraceArgs, VerifyArgs};
use thresher_worker::train::TrainArgs;
use tracing_subscriber::EnvFilter;

pub use exit::Exit;

/// Prepare language-model training data
#[derive(Debug, Parser)]
#[command(name = "thresher", version, after_help = exit::EXIT_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::RunArgs),
    Sample(sample::SampleArgs),
    Mix(mix::MixArgs),
    Tokenize(tokenize::TokenizeArgs),
    Serve(run::ServeArgs),
    Worker(worker::WorkerArgs),
    Plan(plan::PlanArgs),
    Submit(submit::SubmitArgs),
    Resume(submit::ResumeArgs),
    Status(status::StatusArgs),
    Explain(explain::ExplainArgs),
    Cancel(control::CancelArgs),
    Drain(control::DrainArgs),
    Verify(VerifyArgs),
    Trace(TraceArgs),
    Diff(DiffArgs),
    Report(ReportArgs),
    Clean(CleanArgs),
    Survey(SurveyArgs),
    Train(TrainArgs),
    DefaultJob(output::DefaultJobArgs),
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
    #[command(hide = true)]
    Allocation(script_calls::AllocationArgs),
}

/// The log filter unless `THRESHER_LOG` sets another. Outside of clouds the SDK's request for a
/// role or a region is never answered, so its warning is suppressed. The HTML parser warns about
/// markup of pages, once for every node that it moves: one page can cause megabytes of it.
const DEFAULT_LOG: &str = "warn,aws_config::imds=error,html5ever=error";

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("THRESHER_LOG").unwrap_or_else(|_| DEFAULT_LOG.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(print::has_colours())
        .with_writer(print::Log)
        // It would write to stderr, and panic if that is gone.
        .log_internal_errors(false)
        .init();
    match dispatch(cli.verb) {
        Ok(code) => code,
        Err(error) => {
            print::note(&print::error_text(&error));
            Exit::Error.into()
        }
    }
}

fn dispatch(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Run(args) => run::run(args),
        Verb::Sample(args) => sample::sample(args),
        Verb::Mix(args) => mix::mix(args),
        Verb::Tokenize(args) => tokenize::tokenize(args),
        Verb::Serve(args) => run::serve(args),
        Verb::Worker(args) => worker::worker(args),
        Verb::Plan(args) => plan::plan(&args),
        Verb::Submit(args) => submit::submit(&args),
        Verb::Resume(args) => submit::resume(&args),
        Verb::Status(args) => status::status(&args),
        Verb::Explain(args) => explain::explain(&args),
        Verb::Cancel(args) => control::cancel(&args),
        Verb::Drain(args) => control::drain(&args),
        Verb::Verify(args) => output::verify(&args),
        Verb::Trace(args) => output::trace(&args),
        Verb::Diff(args) => output::diff(&args),
        Verb::Report(args) => output::report(&args),
        Verb::Clean(args) => clean::clean(args),
        Verb::Survey(args) => output::survey_inputs(&args),
        Verb::Train(args) => output::train(args),
        Verb::DefaultJob(args) => output::default_job(&args),
        Verb::Completions(args) => shell::completions(Cli::command(), &args),
        Verb::Man(args) => shell::man(Cli::command(), &args),
        Verb::Allocation(args) => script_calls::allocation(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_a_description_and_an_example() {
        let mut commands = vec![Cli::command()];
        let mut verbs = 0;
        while let Some(command) = commands.pop() {
            for verb in command.get_subcommands() {
                let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
                assert!(!about.is_empty() && !about.ends_with('.'), "{}: {about}", verb.get_name());
                let after = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(after.contains("thresher "), "no example of `{}`", verb.get_name());
                commands.push(verb.clone());
                verbs += 1;
            }
        }
        assert!(verbs > 18, "{verbs}");
    }

    /// Returns the texts in backticks that start with this program's name, in all shipped files.
    fn named_commands() -> Vec<String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut folders: Vec<_> = ["coordinator", "worker", "proto", "slurm", "lsf", "pbs", "flux"]
            .map(|folder| root.join(folder))
            .into();
        let mut commands = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    // A text may be continued on the next line of the source.
                    let text = std::fs::read_to_string(&path).unwrap();
                    let words: Vec<&str> = text
                        .split_whitespace()
                        .filter(|word| !["\\", "///"].contains(word))
                        .collect();
                    let text = words.join(" ");
                    let starts = text.match_indices("`thresher ");
                    let ends = starts.filter_map(|(at, _)| text[at + 1..].split('`').next());
                    commands.extend(ends.map(str::to_owned));
                }
            }
        }
        commands
    }

    #[test]
    fn every_command_that_a_message_names_exists_with_its_options() {
        let cli = Cli::command();
        let commands = named_commands();
        assert!(commands.len() > 30, "{commands:?}");
        for named in commands {
            let mut words = named.split_whitespace().skip(1);
            let verb = words.next().unwrap_or_default();
            // A placeholder, such as `thresher …`, names no verb.
            if !verb.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                continue;
            }
            let mut found =
                cli.find_subcommand(verb).unwrap_or_else(|| panic!("no verb: `{named}`"));
            for word in words {
                if let Some(deeper) = found.find_subcommand(word) {
                    found = deeper;
                } else if let Some(option) = word.strip_prefix("--") {
                    let option = option.split('=').next();
                    let known = found.get_arguments().any(|argument| argument.get_long() == option);
                    assert!(known, "no such option: `{named}`");
                }
            }
        }
    }
}
