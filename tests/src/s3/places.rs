//! The places that every storage case runs against, with the same expectations.

use std::io::{Read, Write};

use anyhow::Context;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use thresher_storage::commit::{CommitError, Committed};
use thresher_storage::{Location, Output, ReadOptions};

/// An empty place to write to.
pub(crate) struct Place {
    pub(crate) kind: &'static str,
    pub(crate) output: Output,
    /// Whether answers may be lost on the way.
    pub(crate) loses_answers: bool,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    pub(crate) fn disk() -> anyhow::Result<Self> {
        Self::folder("disk", tempfile::tempdir()?)
    }

    /// Returns a file system in memory, which differs from that of the disk.
    pub(crate) fn memory() -> anyhow::Result<Self> {
        Self::folder("memory", tempfile::tempdir_in("/dev/shm")?)
    }

    fn folder(kind: &'static str, folder: tempfile::TempDir) -> anyhow::Result<Self> {
        let output = Output::new(&folder.path().to_string_lossy())?;
        Ok(Self { kind, output, loses_answers: false, _folder: Some(folder) })
    }

    /// Returns a prefix that was not used before.
    pub(crate) fn s3(bucket: &str) -> anyhow::Result<Self> {
        let unique = tempfile::tempdir()?;
        let name = unique.path().file_name().context("a folder has a name")?.to_string_lossy();
        let output = Output::new(&format!("s3://{bucket}/{}", name.trim_start_matches('.')))?;
        Ok(Self { kind: "S3", output, loses_answers: false, _folder: None })
    }

    pub(crate) fn at(&self, name: &str) -> Location {
        self.output.root().join(name)
    }

    /// Writes and commits; both errors are reported as errors of the commit.
    pub(crate) fn publish(
        &self,
        name: &str,
        tag: &str,
        bytes: &[u8],
    ) -> Result<Committed, CommitError> {
        let mut file = self.output.create(name, tag)?;
        // The pieces fit no boundary.
        for piece in bytes.chunks(1_000_003) {
            let written = file.write_all(piece);
            written.map_err(|error| file.explain(error))?;
        }
        file.commit()
    }

    pub(crate) fn read(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        thresher_storage::open(&self.at(name), &ReadOptions::default())?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn names(&self, folder: &str) -> anyhow::Result<Vec<String>> {
        let names =
            thresher_storage::names_below(self.output.root(), folder, &ReadOptions::default())?;
        names.context("the place lists no names")
    }
}

/// Returns bytes that do not compress and differ at every position, so that a wrong cut is noticed.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut noise);
    noise
}
