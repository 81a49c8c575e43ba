//! Compares whole runs of `thresher` with the peer that does the same work, each as a child
//! process.
//!
//! Our time includes the coordinator, the workers, start-up, fsyncs and the manifest; the peer's
//! time includes its imports.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::cpu;
use crate::options::Options;
use crate::table::{Row, median};

/// The part of `redpajama-v1` that CCNet does: lines, dedup over all files, language, JSONL.
const CCNET: &str = "[dedup.lines]\nshards = 1\n[dedup.documents]\npolicy = \"off\"\n\
                     [perplexity]\nmodels = \"none\"\n[classifier]\nmodel = \"none\"\n";

/// datatrove's chain for FineWeb: English at its default threshold, then every rule.
const FILTERS: &str = "[commoncrawl]\nmin_chars = 0\n[dedup.lines]\npolicy = \"off\"\n\
                       [dedup.documents]\npolicy = \"off\"\n";

/// A comparison of one of our runs with a peer's.
struct Pair<'a> {
    figure: &'a str,
    preset: &'a str,
    settings: &'a str,
    language: &'a str,
    script: &'a str,
    peer: &'a str,
    aim: &'a str,
    times: f64,
}

pub(crate) fn ccnet(options: &Options) -> anyhow::Result<()> {
    compare(
        options,
        &Pair {
            figure: "CCNet-shaped run",
            preset: "redpajama-v1",
            settings: CCNET,
            language: "",
            script: "ccnet.py",
            peer: "cc_net",
            aim: "1/15 of the CPU",
            times: 15.0,
        },
    )
}

pub(crate) fn filters(options: &Options) -> anyhow::Result<()> {
    compare(
        options,
        &Pair {
            figure: "filters of FineWeb's chain",
            preset: "thresher",
            settings: FILTERS,
            language: "keep = [\"en\"]\nmin_score = 0.65\n",
            script: "datatrove_chain.py",
            peer: "datatrove",
            aim: "1/30 of the CPU",
            times: 30.0,
        },
    )
}

/// Runs the peer between two of our runs: it takes so long that drift of the machine would show
/// between ours.
fn compare(options: &Options, pair: &Pair<'_>) -> anyhow::Result<()> {
    let files = options.need_files()?;
    let folder = tempfile::tempdir_in(&options.folder)?;
    let inputs = folder.path().join("in");
    link_inputs(files, &inputs)?;
    let model = fs::canonicalize(&options.model)
        .with_context(|| format!("the model `{}`", options.model.display()))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut printed = Vec::new();
    for round in 0..options.rounds {
        let place = folder.path().join(format!("round-{round}"));
        fs::create_dir(&place)?;
        ours.push(run_ours(pair, &inputs, &model, &place)?);
        let mut peer = Command::new(&options.python);
        peer.arg(options.peers.join(pair.script)).args(files).arg("--model").arg(&model);
        let (seconds, text) = cpu::of_command(&mut peer)?;
        theirs.push(seconds);
        printed = text;
        ours.push(run_ours(pair, &inputs, &model, &place.join("again"))?);
    }
    println!("# {}", String::from_utf8_lossy(&printed).trim());
    println!("# CPU seconds, ours {ours:.2?}, {} {theirs:.2?}", pair.peer);
    let (ours, theirs) = (median(ours), median(theirs));
    Row {
        figure: pair.figure,
        ours: format!("{ours:.2} s"),
        other: format!("{} {theirs:.2} s", pair.peer),
        ratio: format!("1/{:.1}", theirs / ours),
        aim: pair.aim,
        reached: theirs / ours >= pair.times,
    }
    .print();
    Ok(())
}

fn run_ours(pair: &Pair<'_>, inputs: &Path, model: &Path, place: &Path) -> anyhow::Result<f64> {
    fs::create_dir_all(place)?;
    let job = place.join("job.toml");
    let language = format!("{}\"\n{}", model.display(), pair.language);
    let text = job_text(inputs, pair.preset, "", &language, &place.join("out")) + pair.settings;
    fs::write(&job, text)?;
    let mut command = Command::new(program("thresher")?);
    command.arg("run").arg(&job).arg("--state").arg(place.join("state"));
    let (seconds, _) = cpu::of_command(&mut command)?;
    let report = fs::read_to_string(place.join("out/REPORT.md"))?;
    if std::env::var_os("THRESHER_BENCH_REPORT").is_some() {
        println!("{report}");
    }
    Ok(seconds)
}

/// Returns a job over a folder of inputs. `language` continues the line of the model's path.
pub(crate) fn job_text(
    inputs: &Path,
    preset: &str,
    model: &str,
    language: &str,
    output: &Path,
) -> String {
    let language = if language.is_empty() { format!("{model}\"\n") } else { language.to_owned() };
    format!(
        "[job]\nname = \"bench\"\npreset = \"{preset}\"\n\
         [[source]]\nslice = \"commoncrawl\"\nbase = \"{}\"\nlisting = \"*.gz\"\n\
         [language]\nmodel = \"{language}[output]\npath = \"{}\"\n",
        inputs.display(),
        output.display()
    )
}

/// Links the files into a folder, in the order given.
pub(crate) fn link_inputs(files: &[PathBuf], folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for (number, file) in files.iter().enumerate() {
        let target = fs::canonicalize(file).with_context(|| file.display().to_string())?;
        symlink(target, folder.join(format!("{number:05}.warc.wet.gz")))?;
    }
    Ok(())
}

/// Returns the path of one of our programs, which was built beside this one.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.is_file() {
        bail!("`{}` does not exist\nhint: cargo build --release", path.display());
    }
    Ok(path)
}
