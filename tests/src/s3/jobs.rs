//! Whole jobs between disk and S3: the same bytes whatever lies between, and whoever dies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use thresher_tests::job::{JobText, sample};
use thresher_tests::process::{Leftovers, kill, succeed, thresher, workers_of};
use thresher_tests::proxy::{Faults, Proxy};

use crate::objects::Plain;
use crate::places::Place;
use crate::{Server, case};

/// As a pattern it means the same on disk and in a bucket.
const LISTING: &str = "crawl-data/CC-MAIN-2024-10/segments/*/wet/*.warc.wet.gz";
/// After so many kills a job is left alone, so that it ends.
const MAX_KILLS: u32 = 8;
const REQUESTS_PER_SECOND: u32 = 40;

type Published = BTreeMap<String, blake3::Hash>;

/// What the jobs of one run share.
struct Jobs<'a> {
    server: &'a Server,
    plain: Plain,
    /// Of the job files and state directories.
    folder: tempfile::TempDir,
    /// What the quiet job on disk published.
    reference: Published,
    inputs: String,
}

pub(crate) fn check(server: &Server) -> anyhow::Result<()> {
    let jobs = Jobs::new(server)?;
    ensure!(jobs.reference.len() > 3, "the reference has {} files", jobs.reference.len());
    case("from S3 to S3: the bytes of the job on disk", || jobs.quiet())?;
    case("from S3 to S3 under faults and kills: the same bytes", || jobs.under_fire())?;
    case("an input that changed is refused by name", || jobs.changed())?;
    case("no more requests than the job may make", || jobs.paced())?;
    if !server.lenient {
        case("a wrong key ends the job with what to do", || jobs.denied())?;
    }
    Ok(())
}

impl<'a> Jobs<'a> {
    fn new(server: &'a Server) -> anyhow::Result<Self> {
        let plain = Plain::new(server)?;
        let folder = tempfile::tempdir()?;
        let output = folder.path().join("disk");
        let job = write_job(
            folder.path(),
            "disk",
            &sample().to_string_lossy(),
            &output.to_string_lossy(),
            "",
        )?;
        succeed(&mut run(&job, &folder.path().join("disk.state")));
        let reference = on_disk(&output)?;
        let place = Place::s3(&server.bucket)?;
        let inputs = place.output.root().to_string();
        let pattern = sample().join(LISTING);
        for path in glob(&pattern)? {
            let name = path.strip_prefix(sample())?.to_string_lossy().into_owned();
            plain.put(&key_of(&format!("{inputs}/{name}"), server), std::fs::read(&path)?)?;
        }
        Ok(Self { server, plain, folder, reference, inputs })
    }

    /// A job from the bucket to a new prefix of it; its job file, output and state.
    fn job(
        &self,
        name: &str,
        endpoint: &str,
        more: &str,
    ) -> anyhow::Result<(PathBuf, String, PathBuf)> {
        let output = Place::s3(&self.server.bucket)?.output.root().to_string();
        let more = format!("endpoint = \"{endpoint}\"\n{more}");
        let job = write_job(self.folder.path(), name, &self.inputs, &output, &more)?;
        Ok((job, output, self.folder.path().join(format!("{name}.state"))))
    }

    /// The files of an output in the bucket, read by plain requests.
    fn published(&self, output: &str) -> anyhow::Result<Published> {
        let prefix = key_of(output, self.server);
        let request = self.plain.client.list_objects_v2().bucket(&self.server.bucket);
        let page = self.plain.runtime.block_on(request.prefix(format!("{prefix}/")).send())?;
        ensure!(page.is_truncated() != Some(true), "a test's output is one page");
        let mut found = Published::new();
        for object in page.contents() {
            let key = object.key().context("an object has a key")?;
            let name = key.strip_prefix(&format!("{prefix}/")).context("below its prefix")?;
            if is_compared(name) {
                found.insert(name.to_owned(), blake3::hash(&self.plain.get(key)?));
            }
        }
        Ok(found)
    }

    /// The output is the reference's, byte for byte, and our own means find it sound.
    fn compare(&self, job: &Path, output: &str) -> anyhow::Result<()> {
        let found = self.published(output)?;
        ensure!(found == self.reference, "{found:#?}\nis not\n{:#?}", self.reference);
        let said = succeed(thresher().arg("verify").arg(job));
        ensure!(said.contains("sound"), "{said}");
        let report = succeed(thresher().arg("report").arg(job));
        ensure!(report.contains("records in"), "{report}");
        Ok(())
    }

    fn quiet(&self) -> anyhow::Result<()> {
        let (job, output, state) = self.job("quiet", &self.server.url(), "")?;
        let secret = std::env::var("AWS_SECRET_ACCESS_KEY")?;
        let mut child = run(&job, &state).stdout(Stdio::null()).spawn()?;
        let mut looked = 0;
        let status = loop {
            for pid in workers_of(&state).into_iter().chain([child.id()]) {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                ensure!(!holds(&line, &secret), "the secret is in a command line");
                looked += 1;
            }
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        ensure!(status.success() && looked > 1, "{status}, {looked} command lines");
        self.compare(&job, &output)?;
        for file in files_below(&state)? {
            ensure!(
                !holds(&std::fs::read(&file)?, &secret),
                "the secret is in `{}`",
                file.display()
            );
        }
        let (url, hash) = self.a_page(&output)?;
        let traced = succeed(thresher().arg("trace").arg(&job).arg(&url));
        ensure!(traced.contains("published in") && traced.contains(&hash), "{traced}");
        Ok(())
    }

    /// URL and content hash of the first document.
    fn a_page(&self, output: &str) -> anyhow::Result<(String, String)> {
        let shard = self.reference.keys().find(|name| name.starts_with("documents/"));
        let shard = shard.context("there is a shard")?;
        let raw = self.plain.get(&key_of(&format!("{output}/{shard}"), self.server))?;
        let text = zstd::decode_all(raw.as_slice())?;
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let document: serde_json::Value = serde_json::from_slice(line)?;
        let field = |name: &str| document[name].as_str().map(str::to_owned).context("a field");
        Ok((field("url")?, field("content_hash")?))
    }

    fn under_fire(&self) -> anyhow::Result<()> {
        let proxy = Proxy::start(&self.server.address, Faults::all(11))?;
        let (job, output, state) = self.job("fire", &proxy.url(), "")?;
        let _leftovers = Leftovers(state.clone());
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let mut kills = 0;
        loop {
            let mut child =
                run(&job, &state).args(["--workers", "2"]).stdout(Stdio::null()).spawn()?;
            let ended = loop {
                let pause = random.random_range(100..1500);
                if let Some(status) = wait(&mut child, Duration::from_millis(pause))? {
                    break Some(status);
                }
                if kills >= MAX_KILLS {
                    continue;
                }
                kills += 1;
                let alive = workers_of(&state);
                if random.random_bool(0.4) || alive.is_empty() {
                    child.kill()?;
                    child.wait()?;
                    break None;
                }
                kill(alive[random.random_range(0..alive.len())]);
            };
            match ended {
                Some(status) => {
                    ensure!(status.success(), "the job ended with {status}");
                    break;
                }
                None => continue,
            }
        }
        println!("    {kills} kills, {:?}", proxy.met());
        ensure!(kills > 2, "only {kills} were killed");
        proxy.set(Faults::none());
        self.compare(&job, &output)?;
        let said = succeed(thresher().arg("clean").arg(&job).arg("--state").arg(&state));
        ensure!(said.contains("removed"), "{said}");
        let prefix = key_of(&output, self.server);
        let uploads = self.plain.client.list_multipart_uploads().bucket(&self.server.bucket);
        let left = self.plain.runtime.block_on(uploads.prefix(prefix).send())?;
        ensure!(left.uploads().is_empty(), "uploads are left: {:?}", left.uploads());
        self.compare(&job, &output)
    }

    /// A worker's memory of an input is the listing: what comes later is measured by it.
    fn changed(&self) -> anyhow::Result<()> {
        let place = Place::s3(&self.server.bucket)?.output.root().to_string();
        let name = "a.warc.wet.gz";
        let pattern = sample().join(LISTING);
        let original = std::fs::read(glob(&pattern)?.first().context("an input")?)?;
        let key = key_of(&format!("{place}/{name}"), self.server);
        self.plain.put(&key, original)?;
        let output = Place::s3(&self.server.bucket)?.output.root().to_string();
        // The first answer that comes after the listing is of another object.
        let only_etags = vec![(thresher_tests::proxy::Fault::OtherEtag, 100)];
        let proxy =
            Proxy::start(&self.server.address, Faults { seed: 1, percent: only_etags, burst: 0 })?;
        let more = format!("endpoint = \"{}\"\n", proxy.url());
        let text = JobText::over(Path::new(&place), "*.warc.wet.gz");
        let job = finish_job(text, self.folder.path(), "changed", &output, &more)?;
        let state = self.folder.path().join("changed.state");
        let ended = run(&job, &state).output()?;
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        ensure!(!ended.status.success(), "a job over a changed input succeeded: {said}");
        ensure!(said.contains(name) && said.contains("changed"), "{said}");
        Ok(())
    }

    fn paced(&self) -> anyhow::Result<()> {
        let proxy = Proxy::start(&self.server.address, Faults::none())?;
        let limit = format!("max_requests_per_second = {REQUESTS_PER_SECOND}");
        let (job, output, state) = self.job("paced", &proxy.url(), &limit)?;
        let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        succeed(run(&job, &state).args(["--workers", "2"]));
        let after = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = (after.tv_sec - before.tv_sec + 1) as u64;
        let requests = proxy.requests();
        // A worker may save up a second, and was alone at first.
        let most = u64::from(REQUESTS_PER_SECOND) * (seconds + 2);
        println!("    {requests} requests in {seconds} s at most");
        ensure!(requests > 10 && requests <= most, "{requests} requests in {seconds} s");
        self.compare(&job, &output)
    }

    fn denied(&self) -> anyhow::Result<()> {
        let (job, _, state) = self.job("denied", &self.server.url(), "")?;
        let ended = run(&job, &state).env("AWS_SECRET_ACCESS_KEY", "wrong-secret").output()?;
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        ensure!(!ended.status.success(), "{said}");
        for word in ["s3://", &self.server.bucket, "403", "hint:"] {
            ensure!(said.contains(word), "`{word}` is not in: {said}");
        }
        ensure!(!said.contains("wrong-secret"), "the secret is told: {said}");
        Ok(())
    }
}

/// `thresher run`, quicker than a user would.
fn run(job: &Path, state: &Path) -> Command {
    let mut command = thresher();
    command.arg("run").arg(job).arg("--state").arg(state).args(["--slots", "2"]);
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn write_job(
    folder: &Path,
    name: &str,
    base: &str,
    output: &str,
    s3: &str,
) -> anyhow::Result<PathBuf> {
    finish_job(JobText::over(Path::new(base), LISTING), folder, name, output, s3)
}

fn finish_job(
    text: JobText,
    folder: &Path,
    name: &str,
    output: &str,
    s3: &str,
) -> anyhow::Result<PathBuf> {
    let own = folder.join(name);
    std::fs::create_dir_all(&own)?;
    let text = text.set("path", &format!("\"{output}\"")).set("lease", "\"5s\"");
    Ok(text.append(&format!("[s3]\n{s3}\n")).write(&own))
}

/// Waits for the process to end, but no longer than the pause.
fn wait(
    child: &mut std::process::Child,
    pause: Duration,
) -> anyhow::Result<Option<std::process::ExitStatus>> {
    let step = Duration::from_millis(10);
    for _ in 0..pause.as_millis() / step.as_millis() {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(step);
    }
    Ok(None)
}

fn key_of(place: &str, server: &Server) -> String {
    let prefix = format!("s3://{}/", server.bucket);
    place.strip_prefix(&prefix).unwrap_or(place).to_owned()
}

/// The reports hold times, the commit records are of S3 alone.
fn is_compared(name: &str) -> bool {
    !matches!(name, "report.json" | "REPORT.md") && !name.starts_with(".commits/")
}

fn on_disk(output: &Path) -> anyhow::Result<Published> {
    let mut found = Published::new();
    for path in files_below(output)? {
        let name = path.strip_prefix(output)?.to_string_lossy().into_owned();
        if is_compared(&name) {
            found.insert(name, blake3::hash(&std::fs::read(&path)?));
        }
    }
    Ok(found)
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

/// The files that the sample's pattern means.
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
