//! The tables of the job file as types. `default.toml` documents each key.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checks::{check_name, require};
use super::commands::CommandSpec;
use super::corpus::{SampleSpec, SelectSpec};
use super::key_memory::KeyMemory;
use super::near::NearSpec;
use super::output::OutputSpec;
use super::s3::S3Spec;
use super::slice::{Slice, Step, StepsSpec};
use super::slices::{BooksSpec, ColumnsSpec, GithubSpec, RecordsSpec};
use super::text_slices::{ArxivSpec, StackExchangeSpec, WikipediaSpec};
use super::{
    Bytes, ClassifierSpec, FiltersSpec, JobError, ModelChoice, PerplexitySpec, Span, TokensSpec,
};

/// A whole job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    pub job: JobHead,
    #[serde(default)]
    pub source: Vec<SourceSpec>,
    #[serde(default)]
    pub command: Vec<CommandSpec>,
    pub units: UnitsSpec,
    pub steps: StepsSpec,
    pub records: RecordsSpec,
    pub commoncrawl: CommonCrawlSpec,
    pub github: GithubSpec,
    pub books: BooksSpec,
    pub wikipedia: WikipediaSpec,
    pub stackexchange: StackExchangeSpec,
    pub arxiv: ArxivSpec,
    pub dedup: DedupSpec,
    pub near: NearSpec,
    pub language: LanguageSpec,
    pub perplexity: PerplexitySpec,
    pub classifier: ClassifierSpec,
    pub tokens: TokensSpec,
    pub html: HtmlSpec,
    pub output: OutputSpec,
    pub s3: S3Spec,
    pub filters: FiltersSpec,
}

/// The table `[job]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobHead {
    pub name: String,
    pub preset: String,
    pub work_dir: String,
}

/// A `[[source]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    pub name: String,
    pub slice: Slice,
    pub listing: String,
    pub base: String,
    pub on_missing: OnMissing,
    pub dump: String,
    /// The columns of the inputs of slice `documents`.
    pub columns: ColumnsSpec,
    /// The shards of a corpus that slice `corpus` reads.
    pub select: SelectSpec,
    /// The part of its documents that is kept.
    pub sample: Option<SampleSpec>,
    /// The steps of this source, instead of those of its slice.
    pub steps: Option<Vec<Step>>,
    /// Name of the command that reads the inputs of slice `external`.
    pub reader: String,
    /// Names of the commands that keep or drop documents.
    pub commands: Vec<String>,
    /// Whether it is the index of an earlier output; set for `near.against` only.
    #[serde(default, skip_serializing_if = "super::near::is_off")]
    pub earlier: bool,
}

/// What happens if a listed input does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// The job stops.
    Fail,
    /// The input is counted as quarantined.
    Quarantine,
}

/// The table `[units]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitsSpec {
    pub target_bytes: Bytes,
    pub attempts: u32,
    /// What the job does when units have failed permanently.
    pub on_failed_units: OnFailedUnits,
    /// Largest share of a source's records that may be quarantined.
    pub max_quarantined_share: f64,
    pub outage: Span,
    pub crash_limit: u32,
    pub lease: Span,
    pub heartbeat: Span,
    pub order: LeaseOrder,
}

impl UnitsSpec {
    /// Returns fixed values for the limits that do not change the output.
    fn result_neutral(target_bytes: Bytes) -> Self {
        let none = Span(std::time::Duration::ZERO);
        Self {
            target_bytes,
            attempts: 0,
            on_failed_units: OnFailedUnits::Continue,
            max_quarantined_share: 0.0,
            outage: none,
            crash_limit: 0,
            lease: none,
            heartbeat: none,
            order: LeaseOrder::Canonical,
        }
    }
}

/// What a job does when units of a stage have failed permanently and all others are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailedUnits {
    /// The job stops, so that a person can fix the cause.
    Stop,
    /// The job continues, and its output lacks these units.
    Continue,
}

/// The order in which waiting units are leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LeaseOrder {
    /// The order of the job.
    Canonical,
    /// A random order with this seed, for tests.
    Shuffled(u64),
}

impl TryFrom<String> for LeaseOrder {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "canonical" => Some(Self::Canonical),
            Some(("shuffled", seed)) => seed.parse().ok().map(Self::Shuffled),
            _ => None,
        }
        .ok_or_else(|| format!("`{text}` is not a valid order; write `canonical` or `shuffled:7`"))
    }
}

impl From<LeaseOrder> for String {
    fn from(order: LeaseOrder) -> Self {
        match order {
            LeaseOrder::Canonical => "canonical".to_owned(),
            LeaseOrder::Shuffled(seed) => format!("shuffled:{seed}"),
        }
    }
}

/// The table `[commoncrawl]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommonCrawlSpec {
    pub min_chars: u64,
    pub max_record_bytes: Bytes,
    pub max_member_bytes: Bytes,
    pub cut_at_warc_line: bool,
    pub trailing_lines: bool,
}

/// The table `[dedup]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DedupSpec {
    pub memory: KeyMemory,
    pub lines: LinesSpec,
    pub documents: DocumentsSpec,
}

/// The table `[dedup.lines]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinesSpec {
    pub policy: DedupPolicy,
    pub hash: LineHash,
    pub shards: u32,
    pub keep_text: KeepText,
}

/// The table `[dedup.documents]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentsSpec {
    pub policy: DedupPolicy,
    pub key: DocumentKey,
    pub keep: KeepBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DedupPolicy {
    KeepFirst,
    DropAll,
    Off,
}

/// Whether the texts that LINES has read are kept for PREPARE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepText {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineHash {
    Xxh3,
    Sha1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DocumentKey {
    Text,
    Payload,
    Url,
}

/// What is kept if a document is the first of equal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepBy {
    /// The document itself.
    Document,
    /// Every page with its URL.
    Url,
}

/// The table `[language]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageSpec {
    pub model: ModelChoice,
    pub keep: Vec<String>,
    pub min_score: f32,
    pub view: LanguageView,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LanguageView {
    Spaces,
    Ccnet,
}

/// The table `[html]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HtmlSpec {
    pub focus: Focus,
    pub max_html_bytes: Bytes,
}

/// What is done with text of a page that is not clearly main text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Focus {
    /// It is left out, also if no text remains.
    Precision,
    /// It is taken if the page has little other text.
    #[default]
    Balanced,
    /// It is taken unless it is navigation.
    Recall,
}

impl JobSpec {
    /// Returns the part of the job that determines what is published, without the locations and
    /// limits that may differ between two runs of the same job.
    pub fn recipe(&self) -> Self {
        let mut recipe = self.clone();
        recipe.job.work_dir.clear();
        recipe.output.path.clear();
        for source in &mut recipe.source {
            source.base.clear();
        }
        for command in &mut recipe.command {
            command.folder.clear();
            // The hashes of these files say more.
            command.reads.clear();
        }
        for model in recipe.models_mut() {
            model.change_path(file_name);
        }
        recipe.filters.change_files(file_name);
        let defaults = UnitsSpec::result_neutral(self.units.target_bytes);
        recipe.units = defaults;
        recipe.dedup.memory = KeyMemory::Auto;
        recipe.dedup.lines.keep_text = KeepText::Auto;
        recipe.near.max_removed_share = 0.0;
        recipe.forget_earlier();
        recipe.stackexchange.sort_memory = Bytes(0);
        recipe.s3 = S3Spec::default();
        recipe
    }

    /// Returns whether the documents of a source have a step.
    pub fn has_step(&self, source: &SourceSpec, step: Step) -> bool {
        let steps = source.steps.as_ref().or_else(|| self.steps.get(source.slice.name()));
        steps.is_some_and(|steps| steps.contains(&step))
    }

    /// Returns the files that determine what is published, by the key that names them. Paths differ
    /// between machines, so two recipes are equal only if the content of these is.
    pub fn recipe_files(&self) -> Vec<(String, PathBuf)> {
        let models = [
            ("language.model", &self.language.model),
            ("classifier.model", &self.classifier.model),
            ("tokens.tokenizer", &self.tokens.tokenizer),
        ];
        let named = |(key, model): (&str, &ModelChoice)| {
            Some((String::from(key), model.path()?.to_owned()))
        };
        let mut files: Vec<_> = models.into_iter().filter_map(named).collect();
        files.extend(self.filters.files());
        files
    }

    /// Returns whether the source's lines take part in line dedup.
    pub fn dedups_lines(&self, source: &SourceSpec) -> bool {
        self.has_step(source, Step::Lines) && self.dedup.lines.policy != DedupPolicy::Off
    }

    /// Returns whether the inputs are read before PREPARE, either for their lines or because rows
    /// of one piece belong to documents of another.
    pub fn reads_twice(&self, source: &SourceSpec) -> bool {
        self.dedups_lines(source) || source.slice.joins_rows()
    }

    /// Changes the output to an absolute path or an address.
    pub fn with_output(mut self, output: &str) -> Result<Self, JobError> {
        output.clone_into(&mut self.output.path);
        self.make_absolute(Path::new("/"));
        self.check()?;
        Ok(self)
    }

    /// Returns an error for a job that could not run, with a hint.
    pub(super) fn check(&self) -> Result<(), JobError> {
        check_name("job.name", &self.job.name)?;
        if self.source.is_empty() {
            let hint = "add a `[[source]]` with `slice`, `listing` and `base`";
            return Err(JobError::invalid("source", "missing, so the job reads nothing", hint));
        }
        for (index, source) in self.source.iter().enumerate() {
            check_name(&format!("source[{index}].name"), &source.name)?;
            require(&format!("source[{index}].listing"), &source.listing, "name the inputs")?;
            if self.source[..index].iter().any(|other| other.name == source.name) {
                let problem = format!("`{}`, like another source's", source.name);
                let key = format!("source[{index}].name");
                return Err(JobError::invalid(&key, problem, "give each source its own name"));
            }
        }
        self.check_commands()?;
        self.check_columns()?;
        self.check_corpora()?;
        require("output.path", &self.output.path, "name a directory or an S3 address")?;
        let scheme = self.output.path.split_once("://").map_or("file", |(scheme, _)| scheme);
        if !["file", "s3"].contains(&scheme) {
            let problem = format!("`{}`, which cannot be written", self.output.path);
            let hint = "use a directory or `s3://bucket/prefix`";
            return Err(JobError::invalid("output.path", problem, hint));
        }
        if scheme == "s3" && bucket_of(&self.output.path).is_empty() {
            let problem = format!("`{}`, which names no bucket", self.output.path);
            return Err(JobError::invalid("output.path", problem, "write `s3://bucket/prefix`"));
        }
        let hint = "name the file of fastText's lid.176.ftz or lid.176.bin (fasttext.cc, language \
                    identification), or write \"none\" to keep all documents and identify no \
                    language";
        let identifies =
            |source| self.has_step(source, Step::Language) || self.has_step(source, Step::Label);
        if self.language.model.is_open() && self.source.iter().any(identifies) {
            return Err(JobError::invalid("language.model", "not set", hint));
        }
        self.check_places()?;
        self.check_models()?;
        self.check_output()?;
        self.check_near()?;
        self.s3.check()?;
        self.check_numbers()
    }

    fn check_numbers(&self) -> Result<(), JobError> {
        let at_least = |key: &str, value: u64, least: u64| {
            if value >= least {
                return Ok(());
            }
            let problem = format!("`{value}`, too little");
            Err(JobError::invalid(key, problem, format!("write {least} or more")))
        };
        at_least("units.attempts", self.units.attempts.into(), 1)?;
        at_least("units.crash_limit", self.units.crash_limit.into(), 1)?;
        at_least("units.target_bytes", self.units.target_bytes.0, 1)?;
        at_least("units.heartbeat (in ms)", self.units.heartbeat.millis().into(), 10)?;
        at_least("output.shard_bytes", self.output.shard_bytes.0, 1024)?;
        if let Some(bytes) = self.dedup.memory.fixed() {
            at_least("dedup.memory", bytes, 1 << 20)?;
        }
        at_least("records.max_bytes", self.records.max_bytes.0, 1024)?;
        at_least("commoncrawl.max_record_bytes", self.commoncrawl.max_record_bytes.0, 1024)?;
        at_least("wikipedia.max_page_bytes", self.wikipedia.max_page_bytes.0, 1024)?;
        at_least("stackexchange.max_row_bytes", self.stackexchange.max_row_bytes.0, 1024)?;
        at_least("stackexchange.sort_memory", self.stackexchange.sort_memory.0, 1024)?;
        at_least("arxiv.max_paper_bytes", self.arxiv.max_paper_bytes.0, 1024)?;
        if self.units.lease.0 < self.units.heartbeat.0 * 2 {
            let hint = "make it at least twice `units.heartbeat`";
            return Err(JobError::invalid("units.lease", "shorter than two heartbeats", hint));
        }
        if !(1..=22).contains(&self.output.zstd_level) {
            let problem = format!("`{}`", self.output.zstd_level);
            return Err(JobError::invalid("output.zstd_level", problem, "choose 1 to 22"));
        }
        for (key, share) in [
            ("language.min_score", f64::from(self.language.min_score)),
            ("units.max_quarantined_share", self.units.max_quarantined_share),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(JobError::invalid(key, format!("`{share}`"), "choose 0.0 to 1.0"));
            }
        }
        Ok(())
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Returns the bucket of an `s3://` address; empty if it has none.
fn bucket_of(address: &str) -> &str {
    let place = address.strip_prefix("s3://").unwrap_or_default();
    place.split('/').next().unwrap_or_default()
}
