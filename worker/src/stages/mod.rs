//! Runs the work units, with one file for each stage.
//!
//! ```text
//! lease → run_unit → list · lines · gather · resolve · combine · prepare · … → Done | UnitError
//! ```
//! A unit reads inputs and files of earlier stages, writes its own files, publishes them, and
//! reports what it counted. The coordinator decides which worker runs which unit.
//!
//! **Invariant:** what a unit writes is a function of the job file and its inputs. It depends on no
//! clock, attempt number, number of threads or host name.

mod addresses;
pub(crate) mod card;
mod combine;
mod corpora;
mod drops;
mod duplicates;
mod edited;
mod excluded;
mod gather;
mod join;
pub(crate) mod kept_text;
mod layout;
mod lines;
pub(crate) mod list;
pub(crate) mod manifest;
mod near;
mod output_file;
pub(crate) mod pipeline;
mod prepare;
mod publish;
mod published;
mod rank;
mod read;
mod recipe;
mod repaired;
mod required;
mod resolve;
mod sampled;
pub(crate) mod schemas;
mod seal;
mod simhash;
pub(crate) mod splits;
mod step;
mod stop;
mod tokens;
mod verdicts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use prost::Message;
use thresher_job::{JobSpec, LanguageView, SourceSpec};
use thresher_proto::pb::{self, PlannedUnit, Stage, UnitRef};
use thresher_proto::stage_name;

pub use corpora::{CorpusError, sources_of, with_corpora};
pub use manifest::{
    CountEntry, DroppedEntry, INDEX_FOLDER, IndexEntry, IndexRule, InputEntry, MANIFEST_FORMAT,
    Manifest, ManifestAccounting, NearIndex, PARQUET_FOLDER, SHARD_FOLDER, ShardEntry, SplitEntry,
    TOKEN_FOLDER, TokenEntry,
};
pub use pipeline::QualityModels;
pub use published::{output_loss, remove_output};
pub use rank::RankTask;
pub use recipe::{LanguageStep, Recipe, SourceRecipe};
pub use repaired::{Repaired, repaired_inputs};
pub use required::obstacles;
pub(crate) use seal::report_sums;
pub use step::RankError;
pub use thresher_formats::stop::Stop;

use crate::gang::Gang;
use edited::CommandFiles;
use thresher_filters::FilterChain;
use thresher_models::fasttext::Model;
use thresher_storage::commit::hash_file;
use thresher_storage::{Output, StorageError};
use thresher_text::language::{LanguageIdentifier, View};
use thresher_unit::UnitError;
use thresher_unit::staging::{InputTable, WorkDir};
use verdicts::VerdictFiles;

/// Smallest memory for sorting what a unit writes.
const MIN_SORT_BYTES: u64 = 16 << 20;
/// Largest memory for sorting of all slots. What does not fit is sorted in files.
const MAX_SORT_BYTES: u64 = 1 << 30;
/// Memory for keys in programs that run no gang units.
const DEFAULT_KEY_MEMORY_BYTES: u64 = 1 << 30;

/// What every unit of a job needs. The slots of a worker share it.
pub struct JobContext {
    /// The job file.
    pub job: JobSpec,
    /// What the job does with the documents of each source.
    recipe: Recipe,
    /// The work directory.
    pub work: WorkDir,
    /// The output.
    pub output: Output,
    /// Number of threads that a gang unit may use.
    pub slots: usize,
    /// How a gang unit is spread over nodes. `None` runs it on threads of this worker.
    pub gang: Option<Gang>,
    /// A folder on a local disk of this node, for files that only one attempt reads. `None` puts
    /// them beside the work files.
    scratch: Option<PathBuf>,
    /// Memory for keys, if the job file leaves that to the node.
    key_memory_bytes: u64,
    /// Identifies this process in the names of unfinished files.
    pub process_tag: String,
    tables: Mutex<BTreeMap<u32, Arc<InputTable>>>,
    /// Notices edits of the user's commands.
    command_files: CommandFiles,
    verdict_files: VerdictFiles,
    decision_files: near::DecisionFiles,
    scorers: OnceLock<Scorers>,
    /// Held by the slot that reads the models.
    reading: Mutex<()>,
}

/// The models and filters that evaluate documents. They are read once, when the first unit needs
/// them.
pub struct Scorers {
    /// Identifies languages, if the job has a model for it.
    pub language: Option<LanguageIdentifier>,
    /// The models of the step `quality`, and the tokenizer.
    pub quality: QualityModels,
    /// The document filters.
    pub filters: FilterChain,
    /// blake3 of the files that were read, by the key of the job file.
    pub recipe_files: BTreeMap<String, String>,
}

/// The result of a unit.
#[derive(Debug, Default)]
pub struct Finished {
    /// The report for the coordinator.
    pub done: pb::Done,
    /// Units that it plans for a later stage (LIST, LAYOUT).
    pub planned: Vec<PlannedUnit>,
    /// CPU time of other processes that ran parts of the unit.
    pub cpu_elsewhere: Duration,
}

/// One attempt of a unit on this worker.
#[derive(Debug, Clone)]
pub struct Task {
    /// The unit and the number of the attempt.
    pub unit: UnitRef,
    /// The encoded message of the unit's stage.
    pub payload: Vec<u8>,
    /// Part of the names of this attempt's unfinished files.
    pub tag: String,
    /// Asks the attempt to stop.
    pub stop: Stop,
}

/// Runs one unit to completion.
pub fn run_unit(
    context: &JobContext,
    lease: &pb::Lease,
    stop: &Stop,
) -> Result<Finished, UnitError> {
    let unit = lease.unit.unwrap_or_default();
    let tag = format!("{}-{}", context.process_tag, unit.attempt);
    let task = Task { unit, payload: lease.payload.clone(), tag, stop: stop.clone() };
    match unit.stage() {
        Stage::List => list::run(context, &task),
        Stage::Lines => lines::run(context, &task),
        Stage::GatherLines => gather::run_lines(context, &task),
        Stage::ResolveLines => resolve::run_lines(context, &task),
        Stage::CombineLines => combine::run_lines(context, &task),
        Stage::Prepare => prepare::run(context, &task),
        Stage::GatherDocuments => gather::run_documents(context, &task),
        Stage::ResolveDocuments => resolve::run_documents(context, &task),
        Stage::CombineDocuments => combine::run_documents(context, &task),
        Stage::Sign => near::sign(context, &task),
        Stage::GatherBands => gather::run_bands(context, &task),
        Stage::ResolveBands => near::resolve_bands(context, &task),
        Stage::Connect => near::connect(context, &task),
        Stage::Collect => near::collect(context, &task),
        Stage::Compare => near::compare(context, &task),
        Stage::Decide => near::decide(context, &task),
        Stage::Layout => layout::run(context, &task),
        Stage::Publish => publish::run(context, &task),
        Stage::Seal => seal::run(context, &task),
        Stage::Unspecified => Err(UnitError::Defect(format!(
            "stage {} is unknown\nhint: coordinator and worker are of different versions",
            unit.stage
        ))),
    }
}

impl Task {
    /// Decodes the unit's payload as the message of its stage.
    fn decode<M: Message + Default>(&self) -> Result<M, UnitError> {
        self.decode_part(&self.payload)
    }

    /// Decodes a message within the payload.
    fn decode_part<M: Message + Default>(&self, part: &[u8]) -> Result<M, UnitError> {
        M::decode(part).map_err(|error| {
            UnitError::Defect(format!(
                "the payload of unit `{}` is not a valid message: {error}",
                self.unit
            ))
        })
    }
}

impl JobContext {
    /// Creates the context of a job, and configures the access to its storage.
    pub fn new(job: JobSpec, slots: usize, process_tag: String) -> Result<Self, StorageError> {
        thresher_storage::s3::configure(&job.s3);
        Ok(Self {
            work: WorkDir::new(&job.job.work_dir),
            output: Output::new(&job.output.path)?,
            recipe: Recipe::of(&job),
            job,
            slots,
            gang: None,
            scratch: None,
            key_memory_bytes: DEFAULT_KEY_MEMORY_BYTES,
            process_tag,
            tables: Mutex::default(),
            command_files: CommandFiles::default(),
            verdict_files: VerdictFiles::default(),
            decision_files: near::DecisionFiles::default(),
            scorers: OnceLock::new(),
            reading: Mutex::default(),
        })
    }

    /// Runs gang units over MPI, if `gang` has a launcher.
    #[must_use]
    pub fn with_gang(mut self, gang: Option<Gang>) -> Self {
        self.gang = gang;
        self
    }

    /// Sets the memory for keys that the node has, which the job file may override.
    #[must_use]
    pub fn with_key_memory(self, key_memory_bytes: u64) -> Self {
        Self { key_memory_bytes, ..self }
    }

    /// Returns the memory for keys.
    pub(crate) fn key_memory(&self) -> u64 {
        self.job.dedup.memory.fixed().unwrap_or(self.key_memory_bytes)
    }

    /// Returns the memory for sorting what one unit writes.
    fn sort_bytes(&self) -> usize {
        let all = self.key_memory().min(MAX_SORT_BYTES);
        (all / self.slots.max(1) as u64).max(MIN_SORT_BYTES) as usize
    }

    /// Sets the folder for files that only one attempt reads.
    #[must_use]
    pub fn with_scratch(mut self, folder: Option<PathBuf>) -> Self {
        self.scratch = folder;
        self
    }

    /// Returns the path of a folder that this attempt may make, and must remove. `file` is a file
    /// that the attempt writes.
    fn scratch_folder(&self, file: &Path, task: &Task, what: &str) -> PathBuf {
        let name = format!(".{}-{}{what}", task.unit.ordinal, task.tag);
        match &self.scratch {
            Some(folder) => folder.join(format!("{}{name}", stage_name(task.unit.stage()))),
            None => file.with_file_name(name),
        }
    }

    /// Returns what the job does with the documents of a source.
    pub(crate) fn recipe(&self, source: u32) -> Result<&SourceRecipe, UnitError> {
        let missing = || UnitError::Defect(format!("the job has no source {source}"));
        self.recipe.source(source).ok_or_else(missing)
    }

    pub(crate) fn source(&self, number: u32) -> Result<&SourceSpec, UnitError> {
        let missing = || UnitError::Defect(format!("the job has no source {number}"));
        self.job.source.get(number as usize).ok_or_else(missing)
    }

    /// Returns the path of the input table of a source.
    pub(crate) fn table_path(&self, source: u32) -> PathBuf {
        self.work.unit_file(Stage::List, source, "inputs")
    }

    /// Returns the input table of a source, which is read once.
    pub(crate) fn table(&self, source: u32) -> Result<Arc<InputTable>, UnitError> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&source) {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(InputTable::read(&self.table_path(source), source)?);
        tables.insert(source, Arc::clone(&table));
        Ok(table)
    }

    /// Returns the models and the filters. A failure is not remembered: a file may be visible on
    /// this node a moment later.
    pub fn scorers(&self) -> Result<&Scorers, UnitError> {
        let _turn = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scorers) = self.scorers.get() {
            return Ok(scorers);
        }
        let read = Scorers::read(&self.job).map_err(|error| self.blame_for_model(error))?;
        Ok(self.scorers.get_or_init(|| read))
    }

    /// Returns the error for models that were not read: this node's if it cannot open one of their
    /// files, otherwise the job file's, which names files of another kind.
    fn blame_for_model(&self, error: String) -> UnitError {
        let unreadable = |(_, path): (String, PathBuf)| std::fs::File::open(path).is_err();
        if self.job.recipe_files().into_iter().any(unreadable) {
            return UnitError::Node(error);
        }
        UnitError::JobFile(error)
    }
}

impl Scorers {
    fn read(job: &JobSpec) -> Result<Self, String> {
        let language = read_language(job)?;
        let filters =
            FilterChain::new(&job.filters).map_err(|error| format!("failed to {error}"))?;
        let hashed = |(key, path): (String, PathBuf)| match hash_file(&path) {
            Ok(hash) => Ok((key, hash.to_hex().to_string())),
            Err(error) => Err(format!("failed to read `{}`: {error}", path.display())),
        };
        let recipe_files = job.recipe_files().into_iter().map(hashed).collect::<Result<_, _>>()?;
        Ok(Self { language, quality: QualityModels::read(job)?, filters, recipe_files })
    }
}

fn read_language(job: &JobSpec) -> Result<Option<LanguageIdentifier>, String> {
    let Some(model) = read_language_model(job)? else { return Ok(None) };
    let view = match job.language.view {
        LanguageView::Spaces => View::Thresher,
        LanguageView::Ccnet => View::RedpajamaV1,
    };
    Ok(Some(LanguageIdentifier::new(Arc::new(model), view)))
}

fn read_language_model(job: &JobSpec) -> Result<Option<Model>, String> {
    let Some(path) = job.language.model.path() else { return Ok(None) };
    let model = Model::load(path).map_err(|error| {
        format!(
            "failed to load the language model: {error}\nhint: `language.model` names fastText's \
             lid.176.ftz or lid.176.bin \
             (https://fasttext.cc/docs/en/language-identification.html); `\"none\"` keeps \
             all documents and identifies no language"
        )
    })?;
    Ok(Some(model))
}

/// Returns one hash over the hashes of all files that a unit wrote, in order.
pub(crate) fn digest_of(hashes: &[blake3::Hash]) -> Vec<u8> {
    let mut all = blake3::Hasher::new();
    for hash in hashes {
        all.update(hash.as_bytes());
    }
    all.finalize().as_bytes().to_vec()
}
