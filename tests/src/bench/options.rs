//! The options of the command line.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// The options, with their defaults.
#[derive(Debug)]
/// The options, with their defaults.
pub(crate) struct Options {
    pub(crate) files: Vec<PathBuf>,
    /// The Python interpreter of the peers' environment.
    pub(crate) python: PathBuf,
    /// The folder of the peers' scripts.
    pub(crate) peers: PathBuf,
    pub(crate) model: PathBuf,
    /// Folder in which state directories and outputs are created and removed.
    pub(crate) folder: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) units: u32,
    pub(crate) connections: usize,
    /// Number of units that a simulated worker holds.
    pub(crate) batch: u32,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self {
            files: Vec::new(),
            python: "target/peers-venv/bin/python".into(),
            peers: "tests/peers".into(),
            model: "deploy/sample/models/lid.176.ftz".into(),
            folder: std::env::temp_dir(),
            rounds: 3,
            units: 1_000_000,
            connections: 32,
            batch: 256,
        };
        while let Some(word) = arguments.next() {
            let Some(name) = word.strip_prefix("--") else {
                options.files.push(word.into());
                continue;
            };
            let value = arguments.next().with_context(|| format!("`{word}` needs a value"))?;
            let number =
                || value.parse::<u32>().with_context(|| format!("`{value}` is not a number"));
            match name {
                "python" => options.python = value.into(),
                "peers" => options.peers = value.into(),
                "model" => options.model = value.into(),
                "folder" => options.folder = value.into(),
                "rounds" => options.rounds = number()?.max(1) as usize,
                "units" => options.units = number()?.max(1),
                "connections" => options.connections = number()?.max(1) as usize,
                "batch" => options.batch = number()?.max(1),
                _ => bail!("unknown option `{word}`"),
            }
        }
        Ok(options)
    }

    pub(crate) fn need_files(&self) -> anyhow::Result<&[PathBuf]> {
        if self.files.is_empty() {
            bail!("no WET file was named\nhint: `tests/bench` makes some and runs everything");
        }
        Ok(&self.files)
    }
}
