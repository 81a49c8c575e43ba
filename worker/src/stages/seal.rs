//! SEAL: compares every published file with what its unit reported, names the token files, and
//! writes the report, the card and the manifest, which marks the output as complete.

mod published;
pub(crate) mod report_sums;

use std::collections::BTreeMap;
use std::io::{Read, Write};

use thresher_job::{JobSpec, Validation};
use thresher_proto::pb::{self, SealUnit, Stage};

use super::card::{CARD, CARD_MARK, companions};
use super::manifest::{
    CountEntry, DroppedEntry, IndexEntry, InputEntry, MANIFEST_FORMAT, Manifest,
    ManifestAccounting, ShardEntry, SplitEntry, TokenEntry, read_manifest,
};
use super::output_file::{PublishedFile, PublishedShard};
use super::publish::{CountKey, DocumentCount, ShardFacts, read_facts};
use super::tokens::seal::publish_pairs;
use super::tokens::{TokenFacts, TokenFile};
use super::{Finished, JobContext, Task, digest_of, near, schemas};
use thresher_storage::{Output, ReadOptions, StorageError};
use thresher_unit::staging::{DocumentFile, hash_of};
use thresher_unit::{Tally, UnitError};

/// As much of a card is searched for the mark of a job.
const MAX_CARD_BYTES: u64 = 64 << 20;

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let unit: SealUnit = task.decode()?;
    let Gathered { mut manifest, published, tokens } = gather(context, &unit)?;
    published::check(context, &published, &task.stop)?;
    let has_gaps = !unit.absent_shards.is_empty();
    manifest.tokens.extend(publish_pairs(context, task, tokens, has_gaps)?);
    manifest.tokens.sort_by(|a, b| a.path.cmp(&b.path));
    let mut text = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| UnitError::Defect(error.to_string()))?;
    text.push(b'\n');
    let patient = ReadOptions::default();
    if let Some(other) = other_corpus(&context.output, &patient, |there| *there == manifest)? {
        return Err(UnitError::Storage(other));
    }
    if let Some(other) = foreign_card(&context.output, &patient)? {
        return Err(UnitError::Storage(other));
    }
    for (name, content) in companions(&manifest) {
        put(context, task, &name, content.as_bytes(), true)?;
    }
    let (json, page) = near::report::added(context, &unit)?;
    let json = report_sums::added(&json, &page);
    put(context, task, "report.json", json.as_bytes(), true)?;
    put(context, task, "REPORT.md", page.as_bytes(), true)?;
    // The manifest is written last, because an output with a manifest is complete.
    let hash = put(context, task, "manifest.json", &text, false)?;
    let done = pb::Done { digest: digest_of(&[hash]), ..pb::Done::default() };
    Ok(Finished { done, ..Finished::default() })
}

/// Returns the message for an output with a `README.md` that no job wrote, which would be lost.
pub(super) fn foreign_card(
    output: &Output,
    options: &ReadOptions,
) -> Result<Option<String>, StorageError> {
    let location = output.root().join(CARD);
    let mut text = Vec::new();
    match thresher_storage::open(&location, options) {
        Err(StorageError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
        Ok(file) => {
            let read = file.take(MAX_CARD_BYTES).read_to_end(&mut text);
            read.map_err(|error| StorageError::from_io(error, || location.to_string()))?;
        }
    }
    if memchr::memmem::find(&text, CARD_MARK.as_bytes()).is_some() {
        return Ok(None);
    }
    Ok(Some(format!(
        "`{location}` exists, and no job wrote it\nhint: the job writes a dataset card of this name; \
         move the file away, then run the same command again"
    )))
}

/// Returns the message for an output that has another corpus, or `None` if it has none.
pub(super) fn other_corpus(
    output: &Output,
    options: &ReadOptions,
    is_ours: impl FnOnce(&Manifest) -> bool,
) -> Result<Option<String>, StorageError> {
    let location = output.root().join("manifest.json");
    let owner = match read_manifest(output.root(), options)? {
        None => return Ok(None),
        Some(Ok(there)) if is_ours(&there) => return Ok(None),
        Some(Ok(there)) => format!("another corpus, of the job `{}`", there.job_name),
        Some(Err(_)) => "something else".to_owned(),
    };
    Ok(Some(format!(
        "`{location}` already exists and belongs to {owner}\nhint: choose an empty `output.path`, \
         or move everything in `{}` away, then run the same command again",
        output.root()
    )))
}

/// Writes one file at the output's root. A second report replaces the first, because it has times.
fn put(
    context: &JobContext,
    task: &Task,
    name: &str,
    bytes: &[u8],
    replace: bool,
) -> Result<blake3::Hash, UnitError> {
    let mut file = context.output.create(name, &task.tag)?;
    let written = file.write_all(bytes);
    written.map_err(|error| UnitError::from(file.explain(error)))?;
    Ok(hash_of(if replace { file.commit_replacing()? } else { file.commit()? }))
}

/// What SEAL knows before it reads a published file.
struct Gathered {
    manifest: Manifest,
    /// Every file with the unit that published it.
    published: Vec<published::Published>,
    /// What each unit wrote into token files.
    tokens: Vec<(u32, TokenFacts)>,
}

fn gather(context: &JobContext, unit: &SealUnit) -> Result<Gathered, UnitError> {
    let job = &context.job;
    let mut manifest = Manifest {
        format: MANIFEST_FORMAT,
        job_name: job.job.name.clone(),
        thresher: thresher_proto::VERSION.to_owned(),
        schema: schemas::name(job).to_owned(),
        recipe: job.recipe().resolved(),
        absent_units: unit.absent.clone(),
        absent_shards: unit.absent_shards.clone(),
        splits: split_entry(job),
        near_index: near::empty_index(context)?,
        ..Manifest::default()
    };
    let mut prepared = Tally::default();
    for number in (0..unit.units).filter(|number| unit.absent.binary_search(number).is_err()) {
        let path = context.work.unit_file(Stage::Prepare, number, "documents");
        let facts = DocumentFile::open(&path, number)?.facts()?;
        prepared.add(&facts.tally);
        add_recipe_files(&mut manifest.recipe_files, facts.recipe_files)?;
        manifest.inputs.extend(facts.inputs.into_iter().map(|input| InputEntry {
            path: input.path,
            piece: input.piece,
            bytes: input.bytes,
            blake3: input.blake3,
        }));
    }
    let (mut rendered, mut counts) = (Tally::default(), Counts::new());
    let (mut published, mut tokens) = (Vec::new(), Vec::new());
    for number in (0..unit.shards).filter(|n| unit.absent_shards.binary_search(n).is_err()) {
        let facts = read_facts(context, number)?;
        rendered.add(&facts.tally);
        published.extend(published::files_of(number, &facts));
        add_shard(&mut manifest, &mut counts, &facts);
        tokens.push((number, facts.tokens));
    }
    manifest.shards.sort_by_key(|shard| shard.format);
    manifest.counts = count_entries(job, counts);
    manifest.accounting = add_up(&prepared, rendered);
    Ok(Gathered { manifest, published, tokens })
}

/// Documents by the source of the job and by key.
type Counts = BTreeMap<(String, CountKey), DocumentCount>;

/// Adds what the manifest says of one shard.
fn add_shard(manifest: &mut Manifest, counts: &mut Counts, facts: &ShardFacts) {
    let source = &facts.source;
    manifest.shards.extend(facts.documents.iter().map(|shard| shard_entry(source, shard)));
    manifest.dropped.extend(facts.dropped.clone().map(dropped_entry));
    if let (Some(index), Some(file)) = (&mut manifest.near_index, &facts.index) {
        index.files.push(index_entry(source, file.clone()));
    }
    manifest.tokens.extend(facts.tokens.files.iter().map(|file| token_entry(source, file)));
    for (key, count) in &facts.counts {
        counts.entry((source.clone(), key.clone())).or_default().add(count);
    }
    if let Some(splits) = &mut manifest.splits {
        splits.validation_below.insert(source.clone(), facts.validation_below);
    }
}

fn split_entry(job: &JobSpec) -> Option<SplitEntry> {
    let splits = job.output.splits;
    (splits.validation != Validation::None).then(|| SplitEntry {
        validation: splits.validation.to_string(),
        by: "content".to_owned(),
        validation_below: BTreeMap::new(),
    })
}

/// Returns the table of documents, with the sources in the order of the job.
fn count_entries(job: &JobSpec, counts: Counts) -> Vec<CountEntry> {
    let mut entries = Vec::new();
    for spec in &job.source {
        let of_source = counts.iter().filter(|((source, _), _)| *source == spec.name);
        entries.extend(of_source.map(|((_, key), count)| CountEntry {
            source: key.source.clone(),
            slice: key.slice.clone(),
            split: key.split.clone(),
            language: key.language.clone(),
            licence: key.licence.clone(),
            documents: count.documents,
            text_bytes: count.text_bytes,
            json_bytes: count.json_bytes,
            tokens: count.tokens,
        }));
    }
    entries
}

/// Adds the hashes of the recipe's files. Returns an error if two units used different files.
fn add_recipe_files(
    known: &mut BTreeMap<String, String>,
    read: BTreeMap<String, String>,
) -> Result<(), UnitError> {
    for (key, hash) in read {
        match known.get(&key) {
            Some(other) if *other != hash => {
                return Err(UnitError::JobFile(format!(
                    "the file that `{key}` names changed while the job ran: blake3 {other} for \
                     some units, {hash} for others\nhint: `--fresh` starts over with the new one"
                )));
            }
            Some(_) => {}
            None => {
                known.insert(key, hash);
            }
        }
    }
    Ok(())
}

fn add_up(prepared: &Tally, published: Tally) -> ManifestAccounting {
    let mut dropped = prepared.dropped.clone();
    for (reason, count) in published.dropped {
        *dropped.entry(reason).or_default() += count;
    }
    let quarantined = prepared.quarantined.clone();
    let records_in = prepared.records_in();
    ManifestAccounting { records_in, published: published.kept, dropped, quarantined }
}

fn shard_entry(source: &str, shard: &PublishedShard) -> ShardEntry {
    let PublishedShard { file, format, split, language } = shard.clone();
    let PublishedFile { path, bytes, blake3, sha256, rows, json_bytes } = file;
    ShardEntry {
        path,
        format,
        source: source.to_owned(),
        split,
        language,
        bytes,
        blake3,
        sha256,
        documents: rows,
        json_bytes,
    }
}

fn dropped_entry(file: PublishedFile) -> DroppedEntry {
    let PublishedFile { path, bytes, blake3, rows, .. } = file;
    DroppedEntry { path, bytes, blake3, rows }
}

fn index_entry(source: &str, file: PublishedFile) -> IndexEntry {
    let PublishedFile { path, bytes, blake3, rows, .. } = file;
    IndexEntry { path, source: source.to_owned(), bytes, blake3, documents: rows }
}

fn token_entry(source: &str, file: &TokenFile) -> TokenEntry {
    let TokenFile { file, split, documents, tokens } = file.clone();
    let PublishedFile { path, bytes, blake3, .. } = file;
    TokenEntry { path, source: source.to_owned(), split, bytes, blake3, documents, tokens }
}
