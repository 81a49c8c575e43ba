//! SIGN: the band keys of the documents of a PREPARE unit that are not exact duplicates.
//!
//! It writes them twice: by document, for COLLECT, and in their own order, for the exchange.

use thresher_domain::{Counter, KeyGroups};
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{self, InputsUnit, SignUnit, Stage};

use super::super::duplicates::Duplicates;
use super::super::{Finished, JobContext, Task, digest_of, stop};
use super::band_file::{BAND_FILE, BandWriter};
use super::earlier;
use super::rule::{NearRule, Signing};
use thresher_dedup::KEY_FILE;
use thresher_dedup::keys::KeyCollector;
use thresher_storage::commit::NewNames;
use thresher_unit::staging::{DocumentFile, Staged, create, hash_of, publish_blocks_among};
use thresher_unit::{UnitError, wire_counters};

pub(in crate::stages) fn sign(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let unit: SignUnit = task.decode()?;
    let inputs: InputsUnit = task.decode_part(&unit.inputs)?;
    if !context.recipe(inputs.source)?.compares_bands {
        return Err(UnitError::Defect(format!("`{}` has nothing to compare", task.unit)));
    }
    let number = task.unit.ordinal;
    let path = context.work.unit_file(Stage::Sign, number, "keys");
    let mut key_file = create(&path, &task.tag)?;
    let band_file = create(&bands_path(context, number), &task.tag)?;
    let rule = NearRule::of_context(context)?;
    let bands = rule.bands().bands;
    let mut by_document = BandWriter::new(band_file, bands).map_err(|error| writing(&error))?;
    let spill = context.scratch_folder(&path, task, "");
    let mut keys =
        KeyCollector::<u64>::new(number, context.sort_bytes(), spill).with_every_occurrence();
    let mut push = |place, band_keys: &[u64]| {
        by_document.push(place, band_keys).map_err(|error| writing(&error))?;
        for (band, key) in (0_u32..).zip(band_keys) {
            keys.push(*key, ordinal(place, bands, band)?)?;
        }
        Ok(())
    };
    let (signed, unsigned) = if context.source(inputs.source)?.earlier {
        earlier::for_each(context, number, |place, document| {
            stop::check_record(&task.stop)?;
            if document.keys.len() != bands {
                return Err(UnitError::Defect(format!(
                    "`{}` of an index has {} band keys, not {bands}",
                    document.id,
                    document.keys.len()
                )));
            }
            push(place, &document.keys)
        })?;
        (0, 0)
    } else {
        sign_staged(context, task, key_groups(unit.document_groups), push)?
    };
    task.stop.end_records();
    let (_, summary) = keys.finish(&mut key_file)?;
    let band_file = by_document.finish().map_err(|error| writing(&error))?;
    let mut names = NewNames::default();
    let mut publish = |file, kind| publish_blocks_among(file, kind, &mut names).map(hash_of);
    let hashes = [publish(key_file, KEY_FILE)?, publish(band_file, BAND_FILE)?];
    names.sync()?;
    let done = pb::Done {
        digest: digest_of(&hashes),
        keys: summary.distinct,
        counters: wire_counters([(Counter::Signed, signed), (Counter::Unsigned, unsigned)]),
        ..pb::Done::default()
    };
    Ok(Finished { done, ..Finished::default() })
}

/// Passes on the place and the band keys of each document of a unit that is not an exact duplicate.
/// Returns the number of those with keys, and of those without.
fn sign_staged(
    context: &JobContext,
    task: &Task,
    document_groups: KeyGroups,
    mut push: impl FnMut(u32, &[u64]) -> Result<(), UnitError>,
) -> Result<(u64, u64), UnitError> {
    let number = task.unit.ordinal;
    let documents = context.work.unit_file(Stage::Prepare, number, "documents");
    let staged = DocumentFile::open(&documents, number)?;
    let duplicates = Duplicates::new(context, document_groups).of(context, number)?;
    let mut signing = Signing::new(context, NearRule::of_context(context)?)?;
    let (mut band_keys, mut signed, mut unsigned) = (Vec::new(), 0, 0);
    staged.for_each(0, u32::MAX, |place, staged| {
        stop::check_record(&task.stop)?;
        let Staged::Document(document) = staged else { return Ok(()) };
        if duplicates.as_ref().is_some_and(|verdicts| verdicts.is_dropped(place)) {
            return Ok(());
        }
        signing.keys(document.text, &mut band_keys)?;
        if band_keys.is_empty() {
            unsigned += 1;
            return Ok(());
        }
        signed += 1;
        push(place, &band_keys)
    })?;
    Ok((signed, unsigned))
}

/// Returns the path of the band keys of a unit's documents.
pub(super) fn bands_path(context: &JobContext, unit: u32) -> std::path::PathBuf {
    context.work.unit_file(Stage::Sign, unit, "bands")
}

/// Returns the number under which a band of a document is in the exchange.
fn ordinal(place: u32, bands: usize, band: u32) -> Result<u32, UnitError> {
    let number = u64::from(place) * bands as u64 + u64::from(band);
    u32::try_from(number).map_err(|_| {
        UnitError::JobFile(format!(
            "a unit has more than {place} documents of {bands} bands, more than can be numbered\n\
             hint: lower `units.target_bytes`"
        ))
    })
}

fn writing(error: &std::io::Error) -> UnitError {
    UnitError::writing(error, format!("failed to write band keys: {error}"))
}
