//! `survey`: lists a job's inputs and measures a sample of them, for `thresher plan`.
//!
//! A sample is read with the job's own recipe in one thread, once as in LINES and once as in
//! PREPARE, and the thread's CPU time is measured. The planner calculates what follows for the
//! whole job.
//!
//! **Invariant:** memory is bounded by the sample's size, whatever the decompressed size of the
//! inputs.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;

use rustix::time::{ClockId, clock_gettime};
use thresher_job::{Bytes, JobSpec, LineHash, SourceSpec};
use thresher_proto::pb::Stage;

use self::documents::SampledDocuments;
pub use self::figures::{Sample, SourceSurvey, Survey};
use crate::stages::kept_text::{is_kept, kept};
use crate::stages::{JobContext, SourceRecipe, list};
use thresher_formats::form::Form;
use thresher_sources::{Input, Page, ReadRecord, RecordOutcome, Selected, first_group, source_of};
use thresher_storage::{Location, ReadOptions};
use thresher_text::ccnet_line::{line_hash_sha1, line_hash_xxh3, normalise_line};
use thresher_text::lines::lines;
use thresher_unit::UnitError;
use thresher_unit::staging::{InputRow, KeptRecordsWriter};

mod documents;
mod figures;

/// Smallest number of inputs over which a sample is spread, if there are as many.
const SPREAD: u64 = 4;
const MAX_SAMPLED_INPUTS: u64 = 256;
/// A smaller part of an input is not representative.
const MIN_INPUT_SAMPLE_BYTES: u64 = 256 << 10;
/// Largest size of the texts relative to the sample. More text is ignored, as of a decompression
/// bomb.
const MAX_EXPANSION: u64 = 16;

/// List the inputs of a job and measure a sample of them
///
/// `thresher plan` estimates from these figures what the whole job needs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thresher survey job.toml --sample 64MB")]
pub struct SurveyArgs {
    /// Job file
    #[arg(value_name = "JOB.toml")]
    pub job: std::path::PathBuf,
    /// Compressed bytes to read of each source
    #[arg(long, value_name = "SIZE", default_value = "8MB")]
    pub sample: Bytes,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A source that cannot be surveyed.
#[derive(Debug, thiserror::Error)]
#[error("failed to survey source `{source_name}`: {error}")]
pub struct SurveyError {
    /// Name of the source.
    pub source_name: String,
    /// Why it cannot be surveyed.
    pub error: UnitError,
}

/// Lists every source and measures up to `sample_bytes` of each.
pub fn survey(job: &JobSpec, sample_bytes: u64) -> Result<Survey, SurveyError> {
    let context = JobContext::new(job.clone(), 1, "survey".to_owned())
        .map_err(|error| SurveyError { source_name: "output".to_owned(), error: error.into() })?;
    let mut survey = Survey { sources: Vec::new(), model_bytes: model_bytes(job) };
    for (number, source) in (0..).zip(&job.source) {
        let surveyed = survey_source(&context, number, source, sample_bytes)
            .map_err(|error| SurveyError { source_name: source.name.clone(), error })?;
        survey.sources.push(surveyed);
    }
    Ok(survey)
}

fn model_bytes(job: &JobSpec) -> u64 {
    // A missing model is reported when it is loaded.
    let file = job.language.model.path().and_then(|path| std::fs::metadata(path).ok());
    file.map(|file| file.len()).unwrap_or_default()
}

fn survey_source(
    context: &JobContext,
    number: u32,
    source: &SourceSpec,
    sample_bytes: u64,
) -> Result<SourceSurvey, UnitError> {
    let job = &context.job;
    let Selected { inputs: rows, left_out } = list::find_inputs(job, source)?;
    let pieces = list::into_pieces(job, source, rows.clone())?;
    let target_bytes = job.units.target_bytes.0;
    let mut surveyed = SourceSurvey {
        name: source.name.clone(),
        inputs: rows.len() as u64,
        missing: rows.iter().filter(|row| row.missing).count() as u64,
        of_unknown_size: rows.iter().filter(|row| row.bytes.is_none() && !row.missing).count()
            as u64,
        bytes: rows.iter().filter_map(|row| row.bytes).sum(),
        left_out,
        units: list::cut(number, &pieces, target_bytes).len() as u64,
        sample: Sample::default(),
        quarantined_as: String::new(),
    };
    if source.earlier {
        // It has no records, and its index is not sampled.
        return Ok(surveyed);
    }
    let present: Vec<&InputRow> = rows.iter().filter(|row| !row.missing).collect();
    let typical = surveyed.bytes / (present.len() as u64).max(1);
    let chosen = spread(&present, sample_bytes, if typical > 0 { typical } else { target_bytes });
    let each = (sample_bytes / (chosen.len() as u64).max(1)).max(MIN_INPUT_SAMPLE_BYTES);
    let mut sampling = Sampling::new(context, source)?;
    let (mut asked, mut known_bytes) = (0, 0);
    let mut left = sample_bytes;
    for row in chosen {
        let location = thresher_sources::locate(source, &row.path)?;
        if row.bytes.is_none()
            && let Some(bytes) = thresher_storage::size(&location, &ReadOptions::default())?
        {
            (asked, known_bytes) = (asked + 1, known_bytes + bytes);
        }
        let mut raw = Vec::new();
        let opened = thresher_storage::open(&location, &ReadOptions::default())?;
        let name = location.to_string();
        opened.take(each).read_to_end(&mut raw).map_err(|error| UnitError::input(&name, &error))?;
        if Form::of(&raw) == Form::Parquet {
            // Its directory is at its end, and a row group can be larger than the sample.
            if left > 0 {
                left = left.saturating_sub(sampling.parquet(location, row)?);
            }
            continue;
        }
        let scratch = context.work.stage(Stage::List).join("survey");
        let bytes = raw.len() as u64;
        sampling.input(&Input::sample(&name, &row.path, &raw, scratch), bytes)?;
    }
    let average = u64::checked_div(known_bytes, asked).unwrap_or(target_bytes);
    surveyed.bytes += surveyed.of_unknown_size * average;
    surveyed.quarantined_as = sampling.main_reason();
    surveyed.sample = sampling.finish()?;
    Ok(surveyed)
}

/// Returns inputs at even distances, enough of them to fill the sample.
fn spread<'a>(rows: &[&'a InputRow], sample_bytes: u64, typical_bytes: u64) -> Vec<&'a InputRow> {
    let all = rows.len() as u64;
    let enough = sample_bytes.div_ceil(typical_bytes.max(1));
    let chosen = enough.clamp(SPREAD, MAX_SAMPLED_INPUTS).min(all);
    (0..chosen).map(|number| rows[(number * all / chosen) as usize]).collect()
}

/// The sample of one source, as it grows.
struct Sampling<'a> {
    context: &'a JobContext,
    source: &'a SourceSpec,
    sample: Sample,
    /// The keys of the lines so far. It is never iterated over, so its order does not matter.
    seen: HashSet<u64>,
    /// Number of quarantined records by reason.
    quarantined: BTreeMap<String, u64>,
    documents: SampledDocuments<'a>,
}

impl<'a> Sampling<'a> {
    fn new(context: &'a JobContext, source: &'a SourceSpec) -> Result<Self, UnitError> {
        Ok(Self {
            context,
            source,
            sample: Sample::default(),
            seen: HashSet::new(),
            quarantined: BTreeMap::new(),
            documents: SampledDocuments::new(context, source)?,
        })
    }

    /// Samples the first row group of a Parquet file, and returns how many bytes of it were read.
    fn parquet(&mut self, location: Location, row: &InputRow) -> Result<u64, UnitError> {
        let scratch = self.context.work.stage(Stage::List).join("survey");
        let whole = Input::stored(location.clone(), row, scratch.clone())?;
        let piece = first_group(&self.context.job, &whole)?;
        let bytes = piece.map(|piece| piece.length).or(row.bytes).unwrap_or_default();
        let row = InputRow { piece, ..row.clone() };
        self.input(&Input::stored(location, &row, scratch)?, bytes)?;
        Ok(bytes)
    }

    /// Samples an input of which this many bytes are read.
    fn input(&mut self, input: &Input<'_>, bytes: u64) -> Result<(), UnitError> {
        self.sample.inputs += 1;
        self.sample.bytes += bytes;
        let recipe = SourceRecipe::of(&self.context.job, self.source);
        let is_kept = is_kept(&self.context.job, self.source, &recipe, input.path())?;
        let start = cpu_micros();
        let keys = self.lines_pass(input, bytes, is_kept)?;
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        sorted.dedup();
        self.sample.lines_cpu_micros += cpu_micros() - start;

        let dedups = self.context.job.dedups_lines(self.source);
        let stays: Vec<bool> = keys.iter().map(|key| self.seen.insert(*key) || !dedups).collect();
        self.sample.lines += keys.len() as u64;
        self.sample.distinct_lines = self.seen.len() as u64;

        let start = (cpu_micros(), self.documents.publish_cpu_micros());
        self.prepare_pass(input, bytes, &stays)?;
        let published = self.documents.publish_cpu_micros() - start.1;
        let prepared = (cpu_micros() - start.0).saturating_sub(published);
        let read_again = if is_kept { self.reading_cpu_micros(input)? } else { 0 };
        self.sample.prepare_cpu_micros += prepared.saturating_sub(read_again);
        Ok(())
    }

    /// Returns the CPU time for turning an input into records, which PREPARE does not need if they
    /// are kept.
    fn reading_cpu_micros(&self, input: &Input<'_>) -> Result<u64, UnitError> {
        let start = cpu_micros();
        let slice = source_of(self.source.slice);
        slice.read(&self.context.job, self.source, input, &mut |_| Ok(()))?;
        Ok(cpu_micros() - start)
    }

    /// Reads an input as LINES does. Returns the key of every line, in order.
    fn lines_pass(
        &mut self,
        input: &Input<'_>,
        bytes: u64,
        is_kept: bool,
    ) -> Result<Vec<u64>, UnitError> {
        let failed = |error| UnitError::Defect(format!("failed to keep text in memory: {error}"));
        let writer = is_kept.then(|| KeptRecordsWriter::new(Vec::new())).transpose();
        let mut writer = writer.map_err(failed)?;
        let job = &self.context.job;
        let hash = match job.dedup.lines.hash {
            LineHash::Xxh3 => line_hash_xxh3,
            LineHash::Sha1 => line_hash_sha1,
        };
        let (sample, quarantined) = (&mut self.sample, &mut self.quarantined);
        let (mut keys, mut normal) = (Vec::new(), Vec::new());
        let mut room = Room::of(bytes);
        source_of(self.source.slice).read(job, self.source, input, &mut |record: ReadRecord<
            '_,
        >| {
            sample.records += 1;
            sample.record_bytes += record.bytes;
            if let RecordOutcome::Quarantined { reason, .. } = record.outcome {
                sample.quarantined += 1;
                *quarantined.entry(reason.to_owned()).or_default() += 1;
            }
            let Some(page) = room.page(&record) else { return Ok(()) };
            if let (Some(writer), Some(kept)) = (&mut writer, kept(0, &record)) {
                writer.push(&kept).map_err(failed)?;
            }
            sample.pages += 1;
            sample.page_bytes += page.text.len() as u64;
            for line in lines(page.text) {
                keys.push(hash(normalise_line(line, &mut normal)));
            }
            Ok(())
        })?;
        if let Some(writer) = writer {
            sample.kept_text_bytes += writer.finish(&[]).map_err(failed)?.len() as u64;
        }
        Ok(keys)
    }

    fn prepare_pass(
        &mut self,
        input: &Input<'_>,
        bytes: u64,
        stays: &[bool],
    ) -> Result<(), UnitError> {
        let mut room = Room::of(bytes);
        let mut stays = stays.iter().copied();
        let (job, documents) = (&self.context.job, &mut self.documents);
        let source = source_of(self.source.slice);
        source.read(
            job,
            self.source,
            input,
            &mut |record: ReadRecord<'_>| match room.page(&record) {
                Some(page) => {
                    let is_duplicate = || Ok(!stays.next().unwrap_or(true));
                    documents.page(input.path(), &record, &page, is_duplicate)
                }
                None => Ok(()),
            },
        )?;
        Ok(())
    }

    /// Returns the most frequent reason for a quarantined record.
    fn main_reason(&self) -> String {
        let most = self.quarantined.iter().max_by_key(|(_, count)| **count);
        most.map(|(reason, _)| reason.clone()).unwrap_or_default()
    }

    fn finish(self) -> Result<Sample, UnitError> {
        let published = self.documents.finish()?;
        Ok(Sample {
            documents: published.documents,
            json_bytes: published.json_bytes,
            shard_bytes: published.shard_bytes,
            publish_cpu_micros: published.cpu_micros,
            ..self.sample
        })
    }
}

/// The number of bytes of text of an input that may still be used.
struct Room {
    bytes: u64,
}

impl Room {
    fn of(bytes: u64) -> Self {
        Self { bytes: bytes.saturating_mul(MAX_EXPANSION) }
    }

    /// Returns the record's page, if its text is within the limit.
    fn page<'a>(&mut self, record: &ReadRecord<'a>) -> Option<Page<'a>> {
        match record.outcome {
            RecordOutcome::Page(page) => {
                self.bytes = self.bytes.checked_sub(page.text.len() as u64)?;
                Some(page)
            }
            RecordOutcome::Dropped { .. } | RecordOutcome::Quarantined { .. } => None,
        }
    }
}

/// Returns the CPU time of this thread. The clock would not do, because the machine may be busy.
fn cpu_micros() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_the_inputs() {
        let rows: Vec<InputRow> = (0..100)
            .map(|number| InputRow { bytes: Some(1000), ..InputRow::named(number.to_string()) })
            .collect();
        let rows: Vec<&InputRow> = rows.iter().collect();
        let paths = |sample, typical| -> Vec<&str> {
            spread(&rows, sample, typical).iter().map(|row| row.path.as_str()).collect()
        };
        assert_eq!(paths(1000, 1000), ["0", "25", "50", "75"]);
        assert_eq!(paths(10_000, 1000).len(), 10);
        assert_eq!(paths(10_000_000, 1000).len(), 100);
        assert!(spread(&[], 1000, 1000).is_empty());
    }
}
