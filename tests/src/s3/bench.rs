//! Measures the cost of our reader and writer beside plain requests of the same SDK, in one
//! session, and the time of `thresher plan` over a dump.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use thresher_job::S3Spec;
use thresher_storage::{Location, ReadOptions, s3};
use thresher_tests::bucket::{Bucket, LISTING};
use thresher_tests::job::{JobText, sample};
use thresher_tests::process::thresher;

use crate::objects::Plain;
use crate::places::{Place, noise};
use crate::{Server, cpu};

const OBJECT_BYTES: usize = 128 << 20;
const PART_BYTES: usize = 8 << 20;
const ROUNDS: u32 = 3;
/// Number of objects in a dump of CommonCrawl.
const DUMP_OBJECTS: u64 = 90_000;
const ONE_INPUT: &str = "crawl-data/CC-MAIN-2024-10/segments/1707947473865.0/wet/\
                         CC-MAIN-20240220211055-20240221001055-00000.warc.wet.gz";

#[derive(Default)]
struct Cost {
    cpu: f64,
    wall: f64,
}

pub(crate) fn bench(server: &Server) -> anyhow::Result<()> {
    s3::configure(&S3Spec { endpoint: server.url(), ..S3Spec::default() });
    let plain = Plain::new(server)?;
    let place = Place::s3(&server.bucket)?;
    let content = noise(1, OBJECT_BYTES);
    let Location::S3 { key, .. } = place.at("read") else { return Ok(()) };
    put_parts(&plain, &key, &content)?;
    let mut costs: [Cost; 4] = Default::default();
    for round in 0..ROUNDS {
        measure(&mut costs[0], || read_ours(&place))?;
        measure(&mut costs[1], || read_plain(&plain, &key))?;
        measure(&mut costs[2], || {
            let mut file = place.output.create(&format!("ours/{round}"), "a1")?;
            file.write_all(&content)?;
            file.commit()?;
            Ok(())
        })?;
        measure(&mut costs[3], || put_parts(&plain, &format!("{key}-plain-{round}"), &content))?;
    }
    let megabytes = f64::from(ROUNDS) * OBJECT_BYTES as f64 / 1e6;
    let names = ["read, ours", "read, plain range", "write, ours", "write, plain parts"];
    for (name, Cost { cpu, wall }) in names.iter().zip(&costs) {
        let (speed, each) = (megabytes / wall, cpu / megabytes * 1000.0);
        println!("{name:<20} {speed:8.1} MB/s   {each:6.2} CPU ms/MB");
    }
    println!("reading:  {:.0} % of plain MB/s", 100.0 * costs[1].wall / costs[0].wall);
    println!("writing:  {:.0} % of plain MB/s", 100.0 * costs[3].wall / costs[2].wall);
    plan_a_dump()
}

/// Plans a dump whose objects are generated as they are listed, because filling a server here would
/// take too long.
fn plan_a_dump() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let dump = Bucket::start(DUMP_OBJECTS, std::fs::read(sample().join(ONE_INPUT))?)?;
    for listing in ["crawl/segments/*/wet/*.warc.wet.gz", LISTING] {
        let table = format!("[s3]\nendpoint = \"{}\"\nanonymous = true\n", dump.url());
        let text = JobText::over(Path::new("s3://dumps"), listing);
        let job = text.set("path", "\"s3://dumps/out\"").append(&table).write(folder.path());
        let mut cost = Cost::default();
        // The test does not depend on whether the output would fit here.
        let mut plan = thresher();
        plan.arg("plan").arg(job).current_dir(folder.path());
        measure(&mut cost, || plan.output().map(drop).map_err(Into::into))?;
        let seconds = cost.wall;
        println!("plan, {DUMP_OBJECTS} objects: {seconds:.2} s, `{listing}`, {:?}", dump.asked());
    }
    Ok(())
}

fn measure(cost: &mut Cost, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let wall = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let (started, started_cpu) = (wall(), cpu::of_this_process());
    run()?;
    cost.wall += wall() - started;
    cost.cpu += cpu::of_this_process() - started_cpu;
    Ok(())
}

/// Reads like a slot of a worker.
fn read_ours(place: &Place) -> anyhow::Result<()> {
    let mut reader = thresher_storage::open(&place.at("read"), &ReadOptions::default())?;
    let (mut buffer, mut bytes) = (vec![0; 256 << 10], 0);
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            count => bytes += count,
        }
    }
    ensure!(bytes == OBJECT_BYTES, "{bytes} bytes");
    Ok(())
}

fn read_plain(plain: &Plain, key: &str) -> anyhow::Result<()> {
    let request = plain.client.get_object().bucket(&plain.bucket).key(key);
    let request = request.range(format!("bytes=0-{}", OBJECT_BYTES - 1));
    plain.runtime.block_on(async {
        let (mut body, mut bytes) = (request.send().await?.body, 0);
        while let Some(piece) = body.next().await {
            bytes += piece?.len();
        }
        ensure!(bytes == OBJECT_BYTES, "{bytes} bytes");
        Ok(())
    })
}

fn put_parts(plain: &Plain, key: &str, content: &[u8]) -> anyhow::Result<()> {
    let Plain { runtime, client, bucket } = plain;
    runtime.block_on(async {
        let created = client.create_multipart_upload().bucket(bucket).key(key).send().await?;
        let id = created.upload_id().context("an upload has an id")?;
        let mut parts = Vec::new();
        for (number, part) in (1..).zip(content.chunks(PART_BYTES)) {
            let request = client.upload_part().bucket(bucket).key(key).upload_id(id);
            let request = request.part_number(number).body(ByteStream::from(part.to_vec()));
            let etag = request.send().await?.e_tag().map(str::to_owned);
            parts.push(CompletedPart::builder().part_number(number).set_e_tag(etag).build());
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let done = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(id);
        done.multipart_upload(parts).send().await?;
        Ok(())
    })
}
