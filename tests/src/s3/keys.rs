//! Checks which keys sign requests, which certificates are trusted, and how a job ends if it is
//! refused.
//!
//! **Invariant:** each job gets an environment of its own, so that only the method under test can
//! have provided the keys.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use aws_sdk_s3::types::{BucketCannedAcl, ObjectCannedAcl};
use thresher_tests::job::JobText;
use thresher_tests::process::{output, succeed};
use thresher_tests::proxy::{Fault, Faults, Proxy};

use crate::instance::InstanceRole;
use crate::jobs::{Job, Jobs, key_of};
use crate::objects::Plain;
use crate::places::Place;
use crate::tunnel::Tunnel;
use crate::{Server, case};

/// A user of the strict server who owns nothing; see `tests/s3/ceph`.
const STRANGER: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "stranger-key"), ("AWS_SECRET_ACCESS_KEY", "stranger-secret")];
/// Number of requests after which the keys of the test expire.
const REQUESTS_BEFORE_EXPIRY: u64 = 30;

pub(crate) fn check(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    case(
        "keys of a profile, which takes precedence over the environment if the job names it",
        || profiles(jobs),
    )?;
    case("keys of an instance role", || instance_role(jobs))?;
    case("no keys: reported at once", || no_keys(jobs))?;
    case("a server with a certificate of a private authority", || private_authority(jobs))?;
    case("keys that expire stop the job, which resumes with new ones", || expired(jobs))?;
    case("a bucket that does not exist is named", || no_bucket(jobs))?;
    if !jobs.server.lenient {
        case("public objects are read without keys", || anonymous(jobs))?;
        case("a wrong key stops the job with a hint", || wrong_key(jobs))?;
        case("somebody else's bucket stops the job with a hint", || not_ours(jobs))?;
    }
    Ok(())
}

/// Removes all keys from the environment of a command.
fn without_keys(mut command: Command) -> Command {
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"] {
        command.env_remove(name);
    }
    command
}

/// Returns the keys of this run, for a test that puts them elsewhere.
fn keys() -> anyhow::Result<(String, String)> {
    Ok((std::env::var("AWS_ACCESS_KEY_ID")?, std::env::var("AWS_SECRET_ACCESS_KEY")?))
}

/// Checks that the command fails, and that its output contains all words.
fn refused(command: &mut Command, words: &[&str]) -> anyhow::Result<String> {
    let ended = output(command);
    let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
    ensure!(!ended.status.success(), "it was not refused: {said}");
    for word in words {
        ensure!(said.contains(word), "`{word}` is not in: {said}");
    }
    Ok(said)
}

fn profiles(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    let home = jobs.folder.path().join("home");
    let (key, secret) = keys()?;
    let folder = home.join(".aws");
    std::fs::create_dir_all(&folder)?;
    let pair = |key: &str, secret: &str| {
        format!("aws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    };
    let credentials = format!("[default]\n{}[ours]\n{}", pair("no", "no"), pair(&key, &secret));
    std::fs::write(folder.join("credentials"), credentials)?;
    let endpoint = format!("endpoint_url = {}", jobs.server.url());
    std::fs::write(folder.join("config"), format!("[profile ours]\nregion = r\n{endpoint}\n"))?;
    let at_home = |job: &Job| {
        let mut command = without_keys(job.run());
        command.env("HOME", &home);
        command.env_remove("AWS_CONFIG_FILE").env_remove("AWS_SHARED_CREDENTIALS_FILE");
        command
    };
    // The profile provides the address of the server, too.
    let job = jobs.sample_job("profile-environment", "")?;
    succeed(at_home(&job).env("AWS_PROFILE", "ours"));
    jobs.same(&job)?;
    let job = jobs.sample_job("profile-job", "profile = \"ours\"")?;
    succeed(at_home(&job).env("AWS_ACCESS_KEY_ID", "no").env("AWS_SECRET_ACCESS_KEY", "no"));
    jobs.same(&job)?;
    let job = jobs.sample_job("profile-missing", "profile = \"theirs\"")?;
    refused(&mut at_home(&job), &["no credentials", "theirs", "hint:"])?;
    Ok(())
}

fn instance_role(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    let (key, secret) = keys()?;
    let role = InstanceRole::start(key, secret)?;
    // Outside of clouds nothing would answer; and keys that are known must not be requested.
    let job = jobs.job("no-instance", &jobs.server.url(), "")?;
    let mut command = job.run();
    command.env_remove("AWS_EC2_METADATA_DISABLED");
    succeed(command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", role.url()));
    ensure!(role.reached() == 0, "the metadata service was asked although keys were known");
    let job = jobs.job("instance", &jobs.server.url(), "")?;
    let mut command = without_keys(job.run());
    command.env_remove("AWS_EC2_METADATA_DISABLED");
    succeed(command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", role.url()));
    ensure!(role.asked() > 0, "the keys came from elsewhere");
    jobs.same(&job)
}

fn no_keys(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    let job = jobs.job("no-keys", &jobs.server.url(), "")?;
    let words = ["no credentials", "AWS_ACCESS_KEY_ID", "anonymous", "hint:"];
    refused(&mut without_keys(job.run()), &words)?;
    Ok(())
}

fn private_authority(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    let tunnel = Tunnel::start(&jobs.server.address)?;
    let bundle = jobs.folder.path().join("authority.pem");
    std::fs::write(&bundle, tunnel.authority())?;
    let job = jobs.job("tls", &tunnel.url(), "")?;
    refused(&mut job.run(), &["not trusted", "AWS_CA_BUNDLE", "hint:"])?;
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        let job = jobs.job(&format!("tls-{variable}"), &tunnel.url(), "")?;
        succeed(job.run().env(variable, &bundle));
        jobs.same(&job)?;
    }
    let job = jobs.job("tls-nothing", &tunnel.url(), "")?;
    let nothing = Path::new("/nonexistent/authority.pem");
    refused(job.run().env("AWS_CA_BUNDLE", nothing), &["AWS_CA_BUNDLE", "authority.pem"])?;
    Ok(())
}

fn expired(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    let proxy = Proxy::start(&jobs.server.address, Faults::none())?;
    let job = jobs.job("expired", &proxy.url(), "")?;
    let expire = || {
        while proxy.requests() < REQUESTS_BEFORE_EXPIRY {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        proxy.set(Faults::always(Fault::Expired));
    };
    std::thread::scope(|scope| {
        scope.spawn(expire);
        let bucket = format!("s3://{}/", jobs.server.bucket);
        refused(&mut job.run(), &["ExpiredToken", "400", &bucket, "renew", "hint:"])
    })?;
    proxy.set(Faults::none());
    succeed(&mut job.run());
    jobs.same(&job)
}

fn no_bucket(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    let text = JobText::over(Path::new("s3://no-such-bucket-anywhere/in"), "*.gz");
    let table = format!("endpoint = \"{}\"", jobs.server.url());
    let job = jobs.job_of(text, "no-bucket", &table)?;
    let words = ["s3://no-such-bucket-anywhere/", "404", "NoSuchBucket", "hint:"];
    refused(&mut job.run(), &words)?;
    Ok(())
}

fn anonymous(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    let server = Server { bucket: format!("{}-public", jobs.server.bucket), ..jobs.server.clone() };
    crate::objects::make_bucket(&server)?;
    let plain = Plain::new(&server)?;
    let public = plain.client.put_bucket_acl().bucket(&server.bucket);
    plain.runtime.block_on(public.acl(BucketCannedAcl::PublicRead).send())?;
    for (name, bytes) in jobs.sample()? {
        plain.put(&name, bytes)?;
        let public = plain.client.put_object_acl().bucket(&server.bucket).key(&name);
        plain.runtime.block_on(public.acl(ObjectCannedAcl::PublicRead).send())?;
    }
    let output = jobs.folder.path().join("public-output");
    let inputs = PathBuf::from(format!("s3://{}", server.bucket));
    let text = crate::jobs::text(&inputs);
    let table =
        |anonymous: bool| format!("endpoint = \"{}\"\nanonymous = {anonymous}", jobs.server.url());
    let with_keys = jobs.job_to(&output, text, "public", &table(true))?;
    succeed(&mut without_keys(with_keys.run()));
    ensure!(crate::jobs::on_disk(&output)? == jobs.reference, "not as in the job on disk");
    // Nobody may write without keys.
    let job = jobs.job("public-write", &jobs.server.url(), "anonymous = true")?;
    refused(&mut without_keys(job.run()), &["403", "hint:"])?;
    Ok(())
}

fn wrong_key(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    let job = jobs.job("denied", &jobs.server.url(), "")?;
    let words = ["s3://", &jobs.server.bucket, "403", "hint:", "AWS_SECRET_ACCESS_KEY"];
    let said = refused(job.run().env("AWS_SECRET_ACCESS_KEY", "wrong-secret"), &words)?;
    ensure!(!said.contains("wrong-secret"), "the secret is shown: {said}");
    Ok(())
}

fn not_ours(jobs: &Jobs<'_>) -> anyhow::Result<()> {
    let job = jobs.job("not-ours", &jobs.server.url(), "")?;
    let words = ["s3://", &jobs.server.bucket, "403", "AccessDenied", "owner", "hint:"];
    refused(job.run().envs(STRANGER), &words)?;
    // The refusal comes before the work is done, if only the output is not ours.
    let text = crate::jobs::text(&thresher_tests::job::sample());
    let output = Place::s3(&jobs.server.bucket)?.output.root().to_string();
    let table = format!("endpoint = \"{}\"", jobs.server.url());
    let job = jobs.job_to(Path::new(&output), text, "not-ours-output", &table)?;
    let key = key_of(&output, jobs.server);
    refused(job.run().envs(STRANGER), &[&key, "403", "hint:"])?;
    Ok(())
}
