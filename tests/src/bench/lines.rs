//! Compares the LINES stage with a bare libdeflate loop over the same files, in this process.
//!
//! The lower bound reads a file whole and inflates its members one by one into the same buffer. Our
//! side is the real unit: read, frame, hash the input, normalise and hash lines, sort keys, write,
//! fsync.

#![expect(unsafe_code, reason = "the floor is the C library itself, without our wrapper")]

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use prost::Message;
use thresher_domain::{Counter, CounterValue};
use thresher_job::JobSpec;
use thresher_proto::pb::{Lease, ListUnit, PlannedUnit, Stage, UnitRef};
use thresher_worker::stages::{JobContext, Stop, run_unit};

use crate::cpu;
use crate::options::Options;
use crate::pipelines::{job_text, link_inputs};
use crate::table::{Row, median};

/// Size of the text and number of lines that a run of the stage read.
#[derive(Default)]
struct Read {
    lines: u64,
    text_bytes: u64,
}

pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    let files = options.need_files()?;
    let folder = tempfile::tempdir_in(&options.folder)?;
    let inputs = folder.path().join("in");
    link_inputs(files, &inputs)?;
    let (mut floors, mut stages, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut inflated, mut read) = (0, Read::default());
    for round in 0..options.rounds {
        let start = cpu::of_this_process();
        inflated = files.iter().map(|file| inflate(file)).sum::<anyhow::Result<u64>>()?;
        let floor = cpu::of_this_process() - start;
        let start = cpu::of_this_process();
        read = stage(&inputs, &folder.path().join(format!("work-{round}")))?;
        let ours = cpu::of_this_process() - start;
        ratios.push(ours / floor);
        floors.push(floor);
        stages.push(ours);
    }
    let (floor, ours, ratio) = (median(floors), median(stages), median(ratios));
    let megabytes = inflated as f64 / 1e6;
    println!("# {} lines, {:.1} MB of text", read.lines, read.text_bytes as f64 / 1e6);
    Row {
        figure: &format!("lines stage, {megabytes:.0} MB of WET"),
        ours: format!("{ours:.3} s {:.0} MB/s", megabytes / ours),
        other: format!("libdeflate {floor:.3} s {:.0} MB/s", megabytes / floor),
        ratio: format!("{ratio:.2}x"),
        aim: "<= 2x",
        reached: ratio <= 2.0,
    }
    .print();
    Ok(())
}

/// Runs LIST and every LINES unit, one after the other.
fn stage(inputs: &Path, work: &Path) -> anyhow::Result<Read> {
    let text = job_text(inputs, "thresher", "none", "", work);
    let mut job = JobSpec::parse(&text, work)?;
    job.job.work_dir = work.to_string_lossy().into_owned();
    let context = JobContext::new(job, 1, "bench".to_owned())?;
    let list = PlannedUnit { payload: ListUnit { source: 0 }.encode_to_vec(), cost_bytes: 0 };
    let planned = run(&context, Stage::List, 0, list)?.planned;
    let mut read = Read::default();
    for (ordinal, unit) in (0..).zip(planned) {
        let done = run(&context, Stage::Lines, ordinal, unit)?.done;
        read.text_bytes += done.accounting.map_or(0, |accounting| accounting.bytes_kept);
        for counted in done.counters {
            let CounterValue { counter, value } = counted.try_into()?;
            if counter == Counter::Lines {
                read.lines += value;
            }
        }
    }
    if read.lines == 0 {
        bail!("the inputs have no lines");
    }
    Ok(read)
}

fn run(
    context: &JobContext,
    stage: Stage,
    ordinal: u32,
    unit: PlannedUnit,
) -> anyhow::Result<thresher_worker::stages::Finished> {
    let reference = UnitRef { stage: stage.into(), ordinal, attempt: 1 };
    let lease = Lease {
        unit: Some(reference),
        payload: unit.payload,
        cost_bytes: unit.cost_bytes,
        ..Lease::default()
    };
    run_unit(context, &lease, &Stop::default()).with_context(|| format!("unit `{reference}`"))
}

/// Returns the inflated size of a file of small gzip members.
fn inflate(file: &Path) -> anyhow::Result<u64> {
    let input = fs::read(file).with_context(|| file.display().to_string())?;
    let mut output = vec![0_u8; 8 << 20];
    let (mut at, mut total) = (0, 0);
    // SAFETY: it is freed once, below; nothing in between returns early.
    let decompressor = unsafe { libdeflate_sys::libdeflate_alloc_decompressor() };
    let mut result = 0;
    while at < input.len() && result == 0 {
        let (mut consumed, mut produced) = (0, 0);
        let rest = &input[at..];
        // SAFETY: the pointers and lengths are those of live slices.
        result = unsafe {
            libdeflate_sys::libdeflate_gzip_decompress_ex(
                decompressor,
                rest.as_ptr().cast(),
                rest.len(),
                output.as_mut_ptr().cast(),
                output.len(),
                &raw mut consumed,
                &raw mut produced,
            )
        };
        at += consumed;
        total += produced as u64;
    }
    // SAFETY: it was allocated above and is not used after this.
    unsafe { libdeflate_sys::libdeflate_free_decompressor(decompressor) };
    if result != 0 {
        bail!("`{}` is damaged at byte {at}, or has a member over 8 MiB", file.display());
    }
    Ok(total)
}
