//! Jobs over the sample crawl in the repository.

use std::path::{Path, PathBuf};

/// Returns the root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the repository is there")
}

/// Returns the folder of the sample crawl and its models.
pub fn sample() -> PathBuf {
    root().join("deploy/sample")
}

/// The text of a job file.
#[derive(Clone)]
pub struct JobText {
    text: String,
}

impl JobText {
    /// Starts a job over some inputs, with small units and shards, so that many things can go
    /// wrong.
    pub fn over(base: &Path, listing: &str) -> Self {
        let model = sample().join("models/lid.176.ftz");
        let text = format!(
            r#"
[job]
name = "test"
[[source]]
slice = "commoncrawl"
base = "{}"
listing = "{listing}"
[language]
model = "{}"
[units]
target_bytes = "100kB"
lease = "3s"
heartbeat = "200ms"
crash_limit = 50
[output]
path = "corpus"
shard_bytes = "200kB"
[filters.gopher_quality]
min_stop_words = 0
"#,
            base.display(),
            model.display()
        );
        Self { text }
    }

    /// Starts a job over the sample's WET files, listed `times` times: later copies are all
    /// duplicates.
    pub fn sample_times(times: usize, folder: &Path) -> Self {
        let listing = "crawl-data/CC-MAIN-2024-10/wet.paths.gz";
        let mut paths = String::new();
        let raw = std::fs::File::open(sample().join(listing)).expect("the sample has a listing");
        std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(raw), &mut paths)
            .expect("the listing is gzip");
        let list = folder.join("inputs.txt");
        std::fs::write(&list, paths.repeat(times)).expect("the folder can be written");
        Self::over(&sample(), &list.to_string_lossy())
    }

    /// Starts a job over pages of [`write_similar_inputs`], of which each is a unit, with the steps
    /// and no filters.
    ///
    /// [`write_similar_inputs`]: crate::operations::write_similar_inputs
    pub fn similar_pages(base: &Path, steps: &str) -> Self {
        let filters = ["length", "gopher_repetition", "c4_quality", "fineweb_quality"]
            .map(|name| format!("[filters.{name}]\nenabled = false\n"));
        Self::over(base, "*.warc.wet.gz")
            .set("slice", &format!("\"commoncrawl\"\nsteps = [{steps}]"))
            .set("model", "\"none\"")
            .set("target_bytes", "\"1B\"")
            .set("min_stop_words", "0\nenabled = false")
            .append(&format!("[commoncrawl]\nmin_chars = 0\n{}", filters.concat()))
    }

    /// Starts with this text.
    pub fn of(text: String) -> Self {
        Self { text }
    }

    /// Changes a line `key = …`, in any table.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let lines = self.text.lines().map(|line| match line.split_once(" = ") {
            Some((found, _)) if found == key => format!("{key} = {value}"),
            _ => line.to_owned(),
        });
        let changed: Vec<String> = lines.collect();
        let changed = changed.join("\n");
        assert_ne!(changed, self.text.trim_end(), "the job has no `{key}` to change");
        self.text = changed;
        self
    }

    /// Adds tables or keys at the end.
    pub fn append(mut self, text: &str) -> Self {
        self.text.push('\n');
        self.text.push_str(text);
        self
    }

    /// Writes the job file into the folder; its output is `corpus` beside it.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("job.toml");
        std::fs::write(&path, &self.text).expect("the folder can be written");
        path
    }
}
