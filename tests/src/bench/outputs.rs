//! What the forms of an output cost: Parquet beside pyarrow's writer, and a whole job with token
//! files beside the same job without.
//!
//! Each side is a process of its own, with its start-up and its reading of the inputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cpu;
use crate::options::Options;
use crate::pipelines::{job_text, link_inputs, program};
use crate::samples::tokenizer;
use crate::table::{Row, median};

pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let inputs = folder.path().join("in");
    link_inputs(options.need_files()?, &inputs)?;
    let tokenizer = tokenizer(&folder.path().join("tokenizer.json"))?;
    let counted = format!("[tokens]\ntokenizer = \"{tokenizer}\"\n");
    let plain = WholeJob { inputs: &inputs, model: &options.model, output: "", tables: "" };
    let with_tokens =
        WholeJob { output: "tokens.formats = [\"megatron\"]\n", tables: &counted, ..plain };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut megabytes = 0.0;
    for round in 0..options.rounds {
        let place = folder.path().join(format!("round-{round}"));
        without.push(plain.run(&place.join("plain"))?);
        with.push(with_tokens.run(&place.join("tokens"))?);
        let corpus = place.join("plain/out");
        ours.push(to_parquet(&corpus, &place.join("parquet"))?);
        let mut peer = Command::new(&options.python);
        peer.arg(options.peers.join("to_parquet.py")).arg(&corpus).arg(place.join("theirs"));
        let (seconds, printed) = cpu::of_command(&mut peer)?;
        theirs.push(seconds);
        let facts: serde_json::Value = serde_json::from_slice(&printed)?;
        megabytes = facts["bytes"].as_f64().unwrap_or_default() / 1e6;
    }
    let (without, with) = (median(without), median(with));
    Row {
        figure: "a job with token files",
        ours: format!("{with:.2} s"),
        other: format!("without {without:.2} s"),
        ratio: format!("{:.2}", with / without),
        aim: "<= 1.3 times",
        reached: with <= 1.3 * without,
    }
    .print();
    let (ours, theirs) = (median(ours), median(theirs));
    Row {
        figure: &format!("JSON lines to Parquet, {megabytes:.1} MB"),
        ours: format!("{ours:.2} s {:.1} MB/s", megabytes / ours),
        other: format!("pyarrow {theirs:.2} s {:.1} MB/s", megabytes / theirs),
        ratio: format!("{:.2}", ours / theirs),
        aim: "no slower",
        reached: ours <= theirs,
    }
    .print();
    Ok(())
}

/// A job over WET files with lines, documents, language and filters.
#[derive(Clone, Copy)]
struct WholeJob<'a> {
    inputs: &'a Path,
    model: &'a Path,
    /// Further keys of `[output]`.
    output: &'a str,
    /// Further tables.
    tables: &'a str,
}

impl WholeJob<'_> {
    /// Runs the job and returns its CPU seconds.
    fn run(&self, place: &Path) -> anyhow::Result<f64> {
        fs::create_dir_all(place)?;
        let model = fs::canonicalize(self.model)?.display().to_string();
        let text = job_text(self.inputs, "thresher", &model, "", &place.join("out"));
        run_job(place, &(text + self.output + self.tables))
    }
}

/// Converts a corpus and returns the CPU seconds.
fn to_parquet(corpus: &Path, place: &Path) -> anyhow::Result<f64> {
    fs::create_dir_all(place)?;
    let text = format!(
        "[job]\nname = \"parquet\"\n[[source]]\nslice = \"corpus\"\nbase = \"{}\"\n\
         listing = \"manifest.json\"\n[output]\npath = \"{}\"\nformats = [\"parquet\"]\n",
        corpus.display(),
        place.join("out").display()
    );
    run_job(place, &text)
}

fn run_job(place: &Path, text: &str) -> anyhow::Result<f64> {
    let job: PathBuf = place.join("job.toml");
    fs::write(&job, text)?;
    let mut command = Command::new(program("thresher")?);
    command.arg("run").arg(&job).arg("--state").arg(place.join("state"));
    Ok(cpu::of_command(&mut command)?.0)
}
