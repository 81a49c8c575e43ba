//! Whole jobs between disk and S3, which must publish the same bytes. `kills` is about killed
//! processes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use flate2::read::GzDecoder;
use thresher_tests::gate::Moment;
use thresher_tests::job::{JobText, root, sample};
use thresher_tests::process::{output, succeed, thresher, workers_of};
use thresher_tests::proxy::{Faults, Proxy};

use crate::objects::Plain;
use crate::places::Place;
use crate::{Server, case, corpora, keys, kills};

/// A pattern that means the same on disk and in a bucket.
const LISTING: &str = "crawl-data/CC-MAIN-2024-10/segments/*/wet/*.warc.wet.gz";
const REQUESTS_PER_SECOND: u32 = 40;
/// Limit of every wait, longer than any of them takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The files of an output, by their names relative to it.
pub(crate) type Published = BTreeMap<String, blake3::Hash>;

/// The data that the jobs of one run share.
pub(crate) struct Jobs<'a> {
    pub(crate) server: &'a Server,
    pub(crate) plain: Plain,
    /// Folder of the job files and state directories.
    pub(crate) folder: tempfile::TempDir,
    /// What the job on disk, without faults, published.
    pub(crate) reference: Published,
    /// Location of the sample's pages in the bucket.
    inputs: String,
}

/// A job that can be run.
pub(crate) struct Job {
    pub(crate) file: PathBuf,
    pub(crate) output: String,
    pub(crate) state: PathBuf,
}

impl Job {
    /// Returns the command `thresher run`, with shorter intervals than a user needs.
    pub(crate) fn run(&self) -> Command {
        let mut command = thresher();
        command.arg("run").arg(&self.file).arg("--state").arg(&self.state);
        command.args(["--slots", "2"]).env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }
}

pub(crate) fn check(server: &Server) -> anyhow::Result<()> {
    let jobs = Jobs::new(server)?;
    ensure!(jobs.reference.len() > 3, "the reference has {} files", jobs.reference.len());
    case("from S3 to S3: the bytes of the job on disk, and no secret shown", || jobs.quiet())?;
    kills::check(&jobs)?;
    case("an input that changed is refused by name", || jobs.changed())?;
    case("no more requests than the job may make", || jobs.paced())?;
    case("every form of an output: the bytes of the job on disk", || jobs.forms())?;
    corpora::check(&jobs)?;
    keys::check(&jobs)
}

impl<'a> Jobs<'a> {
    pub(crate) fn new(server: &'a Server) -> anyhow::Result<Self> {
        let plain = Plain::new(server)?;
        let folder = tempfile::tempdir()?;
        let reference = published_on_disk(folder.path(), "disk", text(&sample()))?;
        let inputs = Place::s3(&server.bucket)?.output.root().to_string();
        let jobs = Self { server, plain, folder, reference, inputs };
        for (name, bytes) in jobs.sample()? {
            jobs.plain.put(&key_of(&format!("{}/{name}", jobs.inputs), server), bytes)?;
        }
        Ok(jobs)
    }

    /// Returns the sample's pages by their names.
    pub(crate) fn sample(&self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let read = |path: PathBuf| {
            let name = path.strip_prefix(sample())?.to_string_lossy().into_owned();
            Ok((name, std::fs::read(&path)?))
        };
        glob(&sample().join(LISTING))?.into_iter().map(read).collect()
    }

    /// Returns the job of the reference, from the bucket to a new prefix of it.
    pub(crate) fn job(&self, name: &str, endpoint: &str, more: &str) -> anyhow::Result<Job> {
        self.sample_job(name, &format!("endpoint = \"{endpoint}\"\n{more}"))
    }

    /// Returns the same job with any table `[s3]`.
    pub(crate) fn sample_job(&self, name: &str, s3: &str) -> anyhow::Result<Job> {
        self.job_of(text(Path::new(&self.inputs)), name, s3)
    }

    /// Returns any job to a new prefix of the bucket; `s3` is the table of that name.
    pub(crate) fn job_of(&self, text: JobText, name: &str, s3: &str) -> anyhow::Result<Job> {
        let output = Place::s3(&self.server.bucket)?.output.root().to_string();
        job_in(self.folder.path(), name, text, output, s3)
    }

    /// Returns any job to any location.
    pub(crate) fn job_to(
        &self,
        output: &Path,
        text: JobText,
        name: &str,
        s3: &str,
    ) -> anyhow::Result<Job> {
        job_in(self.folder.path(), name, text, output.to_string_lossy().into_owned(), s3)
    }

    /// Returns all names below an output in the bucket.
    pub(crate) fn names(&self, output: &str) -> anyhow::Result<Vec<String>> {
        let prefix = format!("{}/", key_of(output, self.server));
        let request = self.plain.client.list_objects_v2().bucket(&self.server.bucket);
        let page = self.plain.runtime.block_on(request.prefix(&prefix).send())?;
        ensure!(page.is_truncated() != Some(true), "a test's output is one page");
        let keys = page.contents().iter().filter_map(|object| object.key()?.strip_prefix(&prefix));
        Ok(keys.map(str::to_owned).collect())
    }

    /// Returns the keys of the unfinished uploads below an output.
    pub(crate) fn uploads(&self, output: &str) -> anyhow::Result<Vec<String>> {
        let uploads = self.plain.client.list_multipart_uploads().bucket(&self.server.bucket);
        let below = uploads.prefix(format!("{}/", key_of(output, self.server)));
        let found = self.plain.runtime.block_on(below.send())?;
        Ok(found.uploads().iter().filter_map(|upload| upload.key().map(str::to_owned)).collect())
    }

    /// Returns the files of an output in the bucket, read by plain requests.
    fn published(&self, output: &str) -> anyhow::Result<Published> {
        let prefix = key_of(output, self.server);
        let names = self.names(output)?.into_iter().filter(|name| is_compared(name));
        names
            .map(|name| {
                let hash = blake3::hash(&self.plain.get(&format!("{prefix}/{name}"))?);
                Ok((name, hash))
            })
            .collect()
    }

    /// Checks that the output equals the reference, byte for byte.
    pub(crate) fn same(&self, job: &Job) -> anyhow::Result<()> {
        same_files(&self.published(&job.output)?, &self.reference)
    }

    /// Checks the same for any reference, and that our own verbs accept the output.
    pub(crate) fn compare(&self, job: &Job, reference: &Published) -> anyhow::Result<()> {
        same_files(&self.published(&job.output)?, reference)?;
        let said = succeed(thresher().arg("verify").arg(&job.file));
        ensure!(said.contains("sound"), "{said}");
        let report = succeed(thresher().arg("report").arg(&job.file));
        ensure!(report.contains("records in"), "{report}");
        let (url, hash) = self.a_page(&job.output, reference)?;
        let traced = succeed(thresher().arg("trace").arg(&job.file).arg(&url));
        ensure!(traced.contains("published in") && traced.contains(&hash), "{traced}");
        Ok(())
    }

    /// Checks that the state directory, the output, the command lines and the output of verbs never
    /// contain the secret, even if everything is logged.
    fn quiet(&self) -> anyhow::Result<()> {
        let job = self.job("quiet", &self.server.url(), "")?;
        let secret = std::env::var("AWS_SECRET_ACCESS_KEY")?;
        let mut command = job.run();
        command.env("THRESHER_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn()?;
        let pid = child.id();
        let running = std::thread::spawn(move || child.wait_with_output());
        let mut looked = 0;
        while !running.is_finished() {
            for pid in workers_of(&job.state).into_iter().chain([pid]) {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                ensure!(!holds(&line, &secret), "the secret is in a command line");
                looked += u32::from(!line.is_empty());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let ended = running.join().ok().context("the watcher panicked")??;
        ensure!(ended.status.success() && looked > 1, "{}, {looked} looks", ended.status);
        self.compare(&job, &self.reference)?;
        let mut texts = vec![("run".to_owned(), [ended.stdout, ended.stderr].concat())];
        for verb in [&["status", "--json"][..], &["status"], &["explain", "prepare/0"]] {
            let said = output(thresher().args(verb).arg("--state").arg(&job.state));
            texts.push((verb.join(" "), [said.stdout, said.stderr].concat()));
        }
        let script =
            ["submit", "--site", "generic-slurm", "-N", "1", "-t", "1h", "--dry-run", "--state"];
        let state = self.folder.path().join("submitted.state");
        let said = succeed(thresher().args(script).arg(state).arg(&job.file));
        ensure!(said.contains("srun"), "there is no batch script to look at");
        texts.push(("submit".to_owned(), said.into_bytes()));
        let mut logged = 0;
        for file in files_below(&job.state)? {
            let bytes = std::fs::read(&file)?;
            let is_log = file.extension().is_some_and(|extension| extension == "log");
            logged += if is_log { bytes.len() } else { 0 };
            texts.push((file.display().to_string(), bytes));
        }
        ensure!(logged > 100_000, "only {logged} bytes were logged: this proves nothing");
        for name in self.names(&job.output)? {
            let key = key_of(&format!("{}/{name}", job.output), self.server);
            texts.push((name, self.plain.get(&key)?));
        }
        let leaks: Vec<_> = texts.iter().filter(|(_, bytes)| holds(bytes, &secret)).collect();
        let places: Vec<&String> = leaks.iter().map(|(place, _)| place).collect();
        ensure!(places.is_empty(), "the secret is in {places:?}");
        Ok(())
    }

    /// Returns the URL and content hash of the first document.
    fn a_page(&self, output: &str, reference: &Published) -> anyhow::Result<(String, String)> {
        let shard = reference.keys().find(|name| name.ends_with(".jsonl.zst"));
        let shard = shard.context("there is a shard")?;
        let raw = self.plain.get(&key_of(&format!("{output}/{shard}"), self.server))?;
        let text = zstd::decode_all(raw.as_slice())?;
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let document: serde_json::Value = serde_json::from_slice(line)?;
        let field = |name: &str| document[name].as_str().map(str::to_owned).context("a field");
        Ok((field("url")?, field("content_hash")?))
    }

    /// Checks that an input is compared with the bucket's listing, whatever happens to the object
    /// between the listing and the first read.
    fn changed(&self) -> anyhow::Result<()> {
        let original = std::fs::read(glob(&sample().join(LISTING))?.first().context("an input")?)?;
        let mut other = original.clone();
        other.reverse();
        let proxy = Proxy::start(&self.server.address, Faults::none())?;
        let larger = [original.as_slice(), b"more"].concat();
        for (name, change) in [("etag", other), ("size", larger)] {
            let inputs = Place::s3(&self.server.bucket)?.output.root().to_string();
            let key = key_of(&format!("{inputs}/a.warc.wet.gz"), self.server);
            self.plain.put(&key, original.clone())?;
            let text = JobText::over(Path::new(&inputs), "*.warc.wet.gz");
            let table = format!("endpoint = \"{}\"\n", proxy.url());
            let job = self.job_of(text, &format!("changed-{name}"), &table)?;
            let reads = |head: &str| head.starts_with("GET") && head.contains("/a.warc.wet.gz");
            proxy.gate().arm(reads, Moment::Before);
            let child = job.run().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
            ensure!(proxy.gate().holds_within(PATIENCE), "the input was never read");
            self.plain.put(&key, change)?;
            proxy.gate().open();
            let ended = child.wait_with_output()?;
            let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
            ensure!(!ended.status.success(), "a job over a changed input succeeded: {said}");
            for word in [&format!("`{inputs}/a.warc.wet.gz` changed"), "hint:"] {
                ensure!(said.contains(word), "`{word}` is not in: {said}");
            }
        }
        Ok(())
    }

    /// Checks Parquet, splits and token files, of which the pairs are uploaded by SEAL.
    fn forms(&self) -> anyhow::Result<()> {
        let packed = root().join("worker/testdata/tokens/gpt-neox-20b.json.gz");
        let mut text = Vec::new();
        GzDecoder::new(std::fs::File::open(packed)?).read_to_end(&mut text)?;
        let tokenizer = self.folder.path().join("tokenizer.json");
        std::fs::write(&tokenizer, text)?;
        let text = |inputs: &Path| {
            let more = "\"40kB\"\nformats = [\"jsonl\", \"parquet\"]\nsplits.validation = \"5 %\"\n\
                        tokens.formats = [\"megatron\", \"olmo\"]";
            let table = format!("[tokens]\ntokenizer = \"{}\"", tokenizer.display());
            JobText::over(inputs, LISTING).set("shard_bytes", more).append(&table)
        };
        let reference = published_on_disk(self.folder.path(), "forms-disk", text(&sample()))?;
        for ending in
            [".parquet", "train_text_document.idx", "validation_text_document.bin", ".npy"]
        {
            ensure!(reference.keys().any(|name| name.ends_with(ending)), "no `{ending}`");
        }
        let table = format!("endpoint = \"{}\"\n", self.server.url());
        let job = self.job_of(text(Path::new(&self.inputs)), "forms", &table)?;
        succeed(&mut job.run());
        self.compare(&job, &reference)
    }

    fn paced(&self) -> anyhow::Result<()> {
        let proxy = Proxy::start(&self.server.address, Faults::none())?;
        let limit = format!("max_requests_per_second = {REQUESTS_PER_SECOND}");
        let job = self.job("paced", &proxy.url(), &limit)?;
        let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        succeed(job.run().args(["--workers", "2"]));
        let after = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = (after.tv_sec - before.tv_sec + 1) as u64;
        let requests = proxy.requests();
        // A worker may save up the requests of a second, and one worker was alone at first.
        let most = u64::from(REQUESTS_PER_SECOND) * (seconds + 2);
        println!("    {requests} requests in {seconds} s at most");
        ensure!(requests > 10 && requests <= most, "{requests} requests in {seconds} s");
        self.compare(&job, &self.reference)
    }
}

/// Returns a job over the sample's pages, with many small shards, each of which is a request that
/// can be lost.
pub(crate) fn text(inputs: &Path) -> JobText {
    JobText::over(inputs, LISTING).set("shard_bytes", "\"40kB\"")
}

/// Runs a job on disk and returns what it published there.
pub(crate) fn published_on_disk(
    folder: &Path,
    name: &str,
    text: JobText,
) -> anyhow::Result<Published> {
    let output = folder.join(format!("{name}-output"));
    let job = job_in(folder, name, text, output.to_string_lossy().into_owned(), "")?;
    succeed(&mut job.run());
    on_disk(&output)
}

/// Returns the files of an output on disk.
pub(crate) fn on_disk(output: &Path) -> anyhow::Result<Published> {
    let mut found = Published::new();
    for path in files_below(output)? {
        let name = path.strip_prefix(output)?.to_string_lossy().into_owned();
        if is_compared(&name) {
            found.insert(name, blake3::hash(&std::fs::read(&path)?));
        }
    }
    Ok(found)
}

fn same_files(found: &Published, reference: &Published) -> anyhow::Result<()> {
    let names = found.keys().chain(reference.keys());
    let differs = |name: &&String| found.get(*name) != reference.get(*name);
    let differing: BTreeSet<&String> = names.filter(differs).collect();
    ensure!(differing.is_empty(), "not as in the job on disk: {differing:?}");
    Ok(())
}

pub(crate) fn job_in(
    folder: &Path,
    name: &str,
    text: JobText,
    output: String,
    s3: &str,
) -> anyhow::Result<Job> {
    let own = folder.join(name);
    std::fs::create_dir_all(&own)?;
    let text = text.set("path", &format!("\"{output}\""));
    let file = text.append(&format!("[s3]\n{s3}\n")).write(&own);
    Ok(Job { file, output, state: folder.join(format!("{name}.state")) })
}

pub(crate) fn key_of(place: &str, server: &Server) -> String {
    let prefix = format!("s3://{}/", server.bucket);
    place.strip_prefix(&prefix).unwrap_or(place).to_owned()
}

/// Returns whether a file is compared: reports contain times, and commit records exist only in S3.
fn is_compared(name: &str) -> bool {
    !matches!(name, "report.json" | "REPORT.md") && !name.starts_with(".commits/")
}

fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// Returns the files that match the sample's pattern.
fn glob(pattern: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let root = pattern.ancestors().nth(4).context("the pattern has four levels")?;
    let is_input = |path: &PathBuf| path.to_string_lossy().ends_with(".warc.wet.gz");
    let mut files: Vec<PathBuf> = files_below(root)?.into_iter().filter(is_input).collect();
    files.sort();
    Ok(files)
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}
