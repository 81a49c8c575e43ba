//! Verbs that read documents or make a model: `verify`, `trace`, `diff`, `report`, `survey` and
//! `train`; and `default-job`, which reads nothing.
//!
//! Their arguments and functions are the worker's. Printing and exit statuses are decided here.

use std::process::ExitCode;

use clap::Args;
use thresher_job::DEFAULT_JOB;
use thresher_site::DEFAULT_SITE;
use thresher_worker::inspect::{DiffArgs, ReportArgs, SurveyArgs, TraceArgs, VerifyArgs, survey};
use thresher_worker::train::TrainArgs;

use super::place::load_whole_job;
use super::{Exit, print};

/// Print a job file with every key, its default and its meaning
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  thresher default-job | less")]
pub(super) struct DefaultJobArgs {}

pub(super) fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let report = args.run()?;
    print::answer(&report, args.json)?;
    let exit = match report.sound {
        false => Exit::Differs,
        true if report.has_missing_units() => Exit::MissingUnits,
        true => Exit::Done,
    };
    Ok(exit.into())
}

pub(super) fn trace(args: &TraceArgs) -> anyhow::Result<ExitCode> {
    let trace = args.run()?;
    print::answer(&trace, args.json)?;
    if !trace.sightings.is_empty() {
        return Ok(Exit::Done.into());
    }
    anyhow::ensure!(
        args.json,
        "`{}` is in no shard, and no dropped or quarantined record has it\nhint: write the \
         complete URL, record id or content hash, as it is in the input, or the name of an \
         input, to see its quarantined records",
        args.needle
    );
    Ok(Exit::Error.into())
}

pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    print::answer(&args.run()?, args.json)?;
    Ok(Exit::Done.into())
}

pub(super) fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    match args.json {
        true => print::json(&args.run()?)?,
        false => print::result(&args.run()?)?,
    }
    Ok(Exit::Done.into())
}

pub(super) fn survey_inputs(args: &SurveyArgs) -> anyhow::Result<ExitCode> {
    let survey = survey(&load_whole_job(&args.job, None)?, args.sample.0)?;
    print::answer(&survey, args.json)?;
    Ok(Exit::Done.into())
}

pub(super) fn train(args: TrainArgs) -> anyhow::Result<ExitCode> {
    let training = args.run()?;
    training.warnings().for_each(|warning| print::note(&format!("warning: {warning}")));
    print::result(&training.to_string())?;
    Ok(Exit::Done.into())
}

pub(super) fn default_job(_: &DefaultJobArgs) -> anyhow::Result<ExitCode> {
    let filters = thresher_filters::documentation();
    print::result(&format!("{}\n{filters}\n{DEFAULT_SITE}", DEFAULT_JOB.trim_end()))?;
    Ok(Exit::Done.into())
}
