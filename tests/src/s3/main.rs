//! `thresher-s3` checks our storage against a real server that speaks S3, and measures its cost.
//!
//! ```text
//! thresher-s3 check  --server HOST:PORT --bucket NAME    storage (memory, disk, S3), then jobs
//! thresher-s3 jobs   --server HOST:PORT --bucket NAME    the jobs alone
//! thresher-s3 bench  --server HOST:PORT --bucket NAME    MB/s and CPU beside plain requests
//! ```
//! `tests/s3/run` starts the servers. Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
//! The name of each case is printed when it has passed; the first failure ends the program with its
//! reason.
//!
//! **Invariant:** a job is run as a user runs it, by processes; only the storage cases call the
//! worker's code.

#![expect(clippy::print_stdout, reason = "a check prints what it has checked")]

mod bench;
mod corpora;
mod cpu;
mod instance;
mod jobs;
mod keys;
mod kills;
mod objects;
mod places;
mod storage;
mod tunnel;

use anyhow::{Context, bail};

const USAGE: &str = "thresher-s3 check|jobs|bench --server HOST:PORT --bucket NAME [--lenient]";

/// The server under test.
#[derive(Clone)]
struct Server {
    address: String,
    bucket: String,
    /// Whether it accepts any key, so that refusals cannot be tested against it.
    lenient: bool,
}

impl Server {
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().context(USAGE)?;
    let (mut address, mut bucket, mut lenient) = (None, None, false);
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--lenient" => lenient = true,
            "--server" => address = arguments.next(),
            "--bucket" => bucket = arguments.next(),
            _ => bail!("unknown option `{word}`\n{USAGE}"),
        }
    }
    let address = address.context(USAGE)?;
    let server = Server { address, bucket: bucket.context(USAGE)?, lenient };
    objects::make_bucket(&server)?;
    match what.as_str() {
        "check" => {
            storage::check(&server)?;
            jobs::check(&server)
        }
        "jobs" => jobs::check(&server),
        "keys" => keys::check(&jobs::Jobs::new(&server)?),
        "bench" => bench::bench(&server),
        _ => bail!("unknown command `{what}`\n{USAGE}"),
    }
}

/// Runs one case and prints its name.
fn case(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    run().with_context(|| format!("FAILED: {name}"))?;
    println!("ok  {name}");
    Ok(())
}
