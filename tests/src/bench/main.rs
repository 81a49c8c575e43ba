//! `thresher-bench` measures each of our figures together with its lower bound or peer, in one
//! session.
//!
//! ```text
//! thresher-bench data  … WET files      → lines · ccnet · filters · language · tokens · outputs ·
//!                                         near
//! thresher-bench near-scale … WET files → near-duplicates of made documents, of several shapes
//! thresher-bench coordinator …          → serve as a child ← load, over TLS
//! thresher-bench slices                 → every slice's steps
//! thresher-bench memory …               → the same job with 8 GiB and 64 MiB for its keys
//! thresher-bench dump …                 → as many units as a dump has, beside what `plan` expects
//! ```
//! `tests/bench` makes the crawl and installs the peers that this needs. Times are CPU seconds,
//! user and system, because the machines that run it are shared; the two sides of a ratio
//! alternate.
//!
//! **Invariant:** a figure is printed only if both sides completed their work.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod coordinator;
mod cpu;
mod dump;
mod language;
mod lines;
mod load;
mod memory;
mod near;
mod options;
mod outputs;
mod pipelines;
mod samples;
mod slices;
mod table;
mod tokens;

use options::Options;

const USAGE: &str = "thresher-bench lines FILE.wet.gz…\n\
    thresher-bench ccnet|filters|language --python PYTHON --peers DIR --model FILE FILE.wet.gz…\n\
    thresher-bench coordinator [--units N] [--connections N] [--batch N] [--folder DIR]\n\
    thresher-bench slices                              what the repository carries\n\
    thresher-bench tokens --python PYTHON --peers DIR FILE.wet.gz…\n\
    thresher-bench outputs --python PYTHON --peers DIR FILE.wet.gz…\n\
    thresher-bench near --python PYTHON --peers DIR FILE.wet.gz…\n\
    thresher-bench near-scale [--units N] [--folder DIR] FILE.wet.gz…   N documents\n\
    thresher-bench memory [--units N] [--folder DIR]    N times 6 lines\n\
    thresher-bench dump [--units N] [--folder DIR]      1000, 10000 and N units, such as 90000\n\
    every one: [--rounds N]";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else { anyhow::bail!("no benchmark was named\n{USAGE}") };
    let options = Options::parse(arguments)?;
    match name.as_str() {
        "lines" => lines::bench(&options),
        "ccnet" => pipelines::ccnet(&options),
        "filters" => pipelines::filters(&options),
        "language" => language::bench(&options),
        "slices" => slices::bench(&options),
        "tokens" => tokens::bench(&options),
        "outputs" => outputs::bench(&options),
        "memory" => memory::bench(&options),
        "near" => near::bench(&options),
        "near-scale" => near::scale(&options),
        "dump" => dump::bench(&options),
        "coordinator" => coordinator::bench(&options),
        _ => anyhow::bail!("unknown benchmark `{name}`\n{USAGE}"),
    }
}
