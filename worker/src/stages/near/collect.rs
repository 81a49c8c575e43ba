//! COLLECT: what the comparison needs of each document of a group of units that is in a component.
//!
//! The staged documents of the group are read once more, in their order, and only those that have a
//! band in common with another document are kept.

use std::collections::BTreeMap;

use thresher_clusters::index_file::Indexed;
use thresher_clusters::members_file::{MEMBERS_FILE, MembersWriter};
use thresher_clusters::{Document, Evidence, Head, Label, Member};
use thresher_domain::{Counter, MemberGroups};
use thresher_job::Verify;
use thresher_proto::pb::{self, MembersUnit, Stage};

use super::super::{Finished, JobContext, Task, stop};
use super::band_file;
use super::connect::Labels;
use super::earlier;
use super::errors::{run_error, writing};
use super::order::{EARLIER, behind_earlier, rank};
use super::rule::{NearRule, Signing};
use super::sign::bands_path;
use thresher_unit::staging::{DocumentFile, Staged, create, hash_of, publish_blocks};
use thresher_unit::{UnitError, wire_counters};

pub(in crate::stages) fn collect(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let unit: MembersUnit = task.decode()?;
    let groups = MemberGroups::of(unit.units);
    let path = context.work.unit_file(Stage::Collect, unit.number, "members");
    let file = create(&path, &task.tag)?;
    let scratch = super::scratch_folder(&path);
    let writer = MembersWriter::new(file, groups.parts(), context.sort_bytes(), &scratch);
    let mut writer = writer.map_err(|error| writing("members", &error))?;
    let labels = Labels::of_group(context, &unit)?;
    let rule = NearRule::of_context(context)?;
    let mut collecting =
        Collecting { context, bands: rule.bands().bands, signing: Signing::new(context, rule)? };
    for (number, source) in groups.units_of(unit.number).zip(&unit.sources) {
        if unit.absent.binary_search(&number).is_ok() {
            continue;
        }
        let labels = labels.of_unit(number)?;
        collecting.unit(task, (number, *source), &labels, |member| {
            writer.push(&member).map_err(|error| run_error("members", error))
        })?;
    }
    task.stop.end_records();
    let (file, members) = writer.finish().map_err(|error| run_error("members", error))?;
    let digest = hash_of(publish_blocks(file, MEMBERS_FILE)?).as_bytes().to_vec();
    let counters = wire_counters([(Counter::Connected, members)]);
    Ok(Finished {
        done: pb::Done { digest, counters, ..pb::Done::default() },
        ..Finished::default()
    })
}

/// Reads the documents of units.
struct Collecting<'c> {
    context: &'c JobContext,
    bands: usize,
    signing: Signing<'c>,
}

impl Collecting<'_> {
    /// Passes on the members among the documents of a unit, in their order.
    fn unit(
        &mut self,
        task: &Task,
        (number, source): (u32, u32),
        labels: &[Label],
        mut each: impl FnMut(Member) -> Result<(), UnitError>,
    ) -> Result<(), UnitError> {
        let (Some(first), Some(last)) = (labels.first(), labels.last()) else { return Ok(()) };
        if self.context.source(source)?.earlier {
            return self.earlier_unit(task, (number, source), labels, each);
        }
        let mut keys = self.keys(number, labels)?;
        let path = self.context.work.unit_file(Stage::Prepare, number, "documents");
        let documents = DocumentFile::open(&path, number)?;
        let job = &self.context.job;
        let mut labels = labels.iter().copied().peekable();
        let (signing, mut missing) = (&mut self.signing, false);
        documents.for_each(first.place, last.place.saturating_add(1), |place, staged| {
            stop::check_record(&task.stop)?;
            let Some(label) = labels.next_if(|label| label.place == place) else { return Ok(()) };
            let (Staged::Document(document), Some(keys)) = (staged, keys.remove(&place)) else {
                missing = true;
                return Ok(());
            };
            let evidence = signing.evidence(job.near.verify, document.text)?;
            let own = rank(&job.near.prefer, source, &document);
            each(Member {
                component: label.component,
                rank: if job.near.against.is_empty() { own } else { behind_earlier(own) },
                head: Head {
                    document: Document { unit: number, place },
                    source,
                    dump: document.dump.to_owned(),
                    id: document.id.to_owned(),
                    keys,
                },
                evidence,
            })
        })?;
        if missing || labels.next().is_some() { Err(unknown_label(number)) } else { Ok(()) }
    }

    /// Passes on the members among the documents of an earlier output.
    fn earlier_unit(
        &self,
        task: &Task,
        (number, source): (u32, u32),
        labels: &[Label],
        mut each: impl FnMut(Member) -> Result<(), UnitError>,
    ) -> Result<(), UnitError> {
        let compares = self.context.job.near.verify != Verify::None;
        let mut labels = labels.iter().copied().peekable();
        earlier::for_each(self.context, number, |place, indexed| {
            stop::check_record(&task.stop)?;
            let Some(label) = labels.next_if(|label| label.place == place) else { return Ok(()) };
            let Indexed { id, dump, keys, evidence, .. } = indexed;
            let document = Document { unit: number, place };
            each(Member {
                component: label.component,
                rank: EARLIER.to_vec(),
                head: Head { document, source, dump, id, keys },
                evidence: if compares { evidence } else { Evidence::None },
            })
        })?;
        if labels.next().is_some() { Err(unknown_label(number)) } else { Ok(()) }
    }

    /// Returns the band keys of the documents of a unit that have a label, by place.
    fn keys(&self, number: u32, labels: &[Label]) -> Result<BTreeMap<u32, Vec<u64>>, UnitError> {
        let mut found = BTreeMap::new();
        let path = bands_path(self.context, number);
        band_file::for_each(&path, self.bands, |place, keys| {
            if labels.binary_search_by_key(&place, |label| label.place).is_ok() {
                found.insert(place, keys.to_vec());
            }
        })
        .map_err(|error| UnitError::staged(Stage::Sign, number, &error))?;
        Ok(found)
    }
}

fn unknown_label(unit: u32) -> UnitError {
    UnitError::Defect(format!("a label names no document of `prepare/{unit}` that was signed"))
}
