//! Corpora in a bucket as inputs: what `sample` and `tokenize` run publishes the same bytes from S3
//! to S3, under faults and kills, as on disk.

use std::path::Path;

use flate2::read::GzDecoder;
use thresher_tests::job::{JobText, root, sample};
use thresher_tests::process::succeed;
use thresher_tests::proxy::{Faults, Proxy};

use crate::jobs::{Job, Jobs, job_in, on_disk, published_on_disk, text};
use crate::{case, kills};

pub(crate) fn check(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    let packed = root().join("worker/testdata/tokens/gpt-neox-20b.json.gz");
    let tokenizer = jobs.folder.path().join("corpora-tokenizer.json");
    let mut unpacked = std::fs::File::create(&tokenizer)?;
    std::io::copy(&mut GzDecoder::new(std::fs::File::open(packed)?), &mut unpacked)?;
    case("a corpus in a bucket, sampled and tokenised under faults and kills", || {
        let disk = jobs.folder.path().join("corpora-disk-output");
        published_on_disk(jobs.folder.path(), "corpora-disk", text(&sample()))?;
        let whole = jobs.job("corpora", &jobs.server.url(), "")?;
        succeed(&mut whole.run());
        jobs.same(&whole)?;

        let again = |corpus: &str| again(corpus, &tokenizer);
        let folder = jobs.folder.path();
        let output = folder.join("corpora-again-output");
        let on = |output: &Path| output.to_string_lossy().into_owned();
        let quiet = job_in(folder, "corpora-again", again(&on(&disk)), on(&output), "")?;
        succeed(&mut quiet.run());
        let reference = on_disk(&output)?;
        let proxy = Proxy::start(&jobs.server.address, Faults::all(13))?;
        let table = format!("endpoint = \"{}\"\n", proxy.url());
        let fire: Job = jobs.job_of(again(&whole.output), "corpora-fire", &table)?;
        kills::under_fire(jobs, &proxy, &fire, &reference, 13)
    })
}

/// Returns the job that samples and tokenises a corpus.
fn again(corpus: &str, tokenizer: &Path) -> JobText {
    JobText::of(format!(
        "[job]\nname = \"again\"\n[[source]]\nslice = \"corpus\"\nbase = \"{corpus}\"\n\
         listing = \"manifest.json\"\nsample = {{ rate = 0.6, seed = 1 }}\n\
         [tokens]\ntokenizer = \"{}\"\n\
         [units]\ntarget_bytes = \"20kB\"\nlease = \"3s\"\nheartbeat = \"200ms\"\ncrash_limit = 50\n\
         [output]\npath = \"corpus\"\nshard_bytes = \"60kB\"\n\
         tokens.formats = [\"megatron\", \"olmo\"]\n",
        tokenizer.display()
    ))
}
