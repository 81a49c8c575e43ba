//! PREPARE: reads the inputs again, or the text that LINES kept, evaluates each document, and
//! stages what may be published.
//!
//! ```text
//! record → pipeline → keys and a staged document, or a drop row
//! ```
//!
//! **Invariant:** each record gives either a document or a drop row.

mod writer;

use thresher_domain::KeyGroups;
use thresher_proto::convert::key_groups;
use thresher_proto::pb::{InputsUnit, PrepareUnit, Stage};

use self::writer::UnitWriter;
use super::kept_text::{self, read_kept};
use super::lines::{inputs_when_read, next, refuse_changed};
use super::pipeline::{Evaluation, Pipeline, RecordPlace};
use super::read::{Reading, read_unit};
use super::recipe::SourceRecipe;
use super::resolve::LINES;
use super::verdicts::verdicts_on;
use super::{Finished, JobContext, Task, near};
use thresher_dedup::verdicts::VerdictSet;
use thresher_filters::Measured;
use thresher_job::DroppedRows;
use thresher_sources::{Page, ReadRecord, RecordOutcome};
use thresher_unit::UnitError;
use thresher_unit::staging::{RowVerdict, StagedRow};

pub(super) fn run(context: &JobContext, task: &Task) -> Result<Finished, UnitError> {
    let PrepareUnit { inputs, line_groups } = task.decode()?;
    let unit: InputsUnit = task.decode_part(&inputs)?;
    let number = task.unit.ordinal;
    let source = context.source(unit.source)?;
    let recipe = context.recipe(unit.source)?;
    if source.earlier {
        // Nothing is staged, so no record is counted.
        let inputs = near::copy_index(context, task, &unit)?;
        let writer = UnitWriter::create(context, task, source, *recipe)?;
        let done = writer.finish(context.scorers()?.recipe_files.clone(), inputs)?;
        return Ok(Finished { done, ..Finished::default() });
    }
    let keys = context.work.unit_file(Stage::Prepare, number, "keys");
    let scratch = context.scratch_folder(&keys, task, "-scratch");
    let mut preparing = Preparing {
        pipeline: Pipeline::start(context, source, *recipe, &task.stop)?,
        lines: LineVerdicts::read(context, recipe, number, key_groups(line_groups))?,
        writer: UnitWriter::create(context, task, source, *recipe)?,
        gives_texts: context.job.output.dropped == DroppedRows::Texts,
    };
    let mut sink = |input: &Reading<'_>, record: ReadRecord<'_>| preparing.record(input, &record);
    let inputs = if recipe.dedups_lines {
        let before = inputs_when_read(context, number)?;
        let inputs = match read_kept(context, task, &unit, &before, &mut sink)? {
            Some(inputs) => inputs,
            None => read_unit(context, task, &unit, &scratch, &mut sink)?,
        };
        refuse_changed(&before, &inputs)?;
        inputs
    } else {
        read_unit(context, task, &unit, &scratch, &mut sink)?
    };
    let Preparing { pipeline, mut writer, .. } = preparing;
    pipeline.finish(&mut writer.tally)?;
    let done = writer.finish(context.scorers()?.recipe_files.clone(), inputs)?;
    kept_text::remove(context, number, &unit);
    Ok(Finished { done, ..Finished::default() })
}

/// The duplicate lines of the unit, which are looked up line by line in reading order.
struct LineVerdicts {
    /// Nothing is dropped if the source's lines are not compared.
    verdicts: Option<VerdictSet>,
    /// Number of the next line in the unit.
    next: u32,
}

impl LineVerdicts {
    fn read(
        context: &JobContext,
        recipe: &SourceRecipe,
        unit: u32,
        groups: KeyGroups,
    ) -> Result<Self, UnitError> {
        if !recipe.dedups_lines {
            return Ok(Self { verdicts: None, next: 0 });
        }
        let verdicts = verdicts_on::<u64>(context, LINES, groups, unit)?;
        Ok(Self { verdicts: Some(verdicts), next: 0 })
    }

    /// Returns whether the next line is a duplicate.
    fn is_duplicate(&mut self) -> Result<bool, UnitError> {
        let dropped = self.verdicts.as_ref().is_some_and(|v| v.is_dropped(self.next));
        self.next = next(self.next)?;
        Ok(dropped)
    }
}

struct Preparing<'j> {
    pipeline: Pipeline<'j>,
    lines: LineVerdicts,
    writer: UnitWriter<'j>,
    /// Whether drop rows have the text.
    gives_texts: bool,
}

impl Preparing<'_> {
    fn record(&mut self, input: &Reading<'_>, record: &ReadRecord<'_>) -> Result<(), UnitError> {
        let Self { pipeline, lines, writer, gives_texts } = self;
        let gives_texts = *gives_texts;
        writer.start_record(input.number, record.bytes);
        let place = RecordPlace { input: input.path, offset: record.offset, record: record.record };
        match record.outcome {
            RecordOutcome::Page(page) => {
                let place = place.first_read(&page);
                match pipeline.evaluate(&page, || lines.is_duplicate(), &mut writer.tally)? {
                    Evaluation::Kept(document) => writer.keep(place, &page, &document),
                    Evaluation::Withdrawn { text, reason } => {
                        let row = dropped_page(place, &page, (&reason, None), gives_texts);
                        writer.withdraw(&row, &page, &text)
                    }
                    Evaluation::Dropped { reason, measured } => {
                        writer.drop(&dropped_page(place, &page, (&reason, measured), gives_texts))
                    }
                }
            }
            RecordOutcome::Dropped { id, url, reason, detail } => {
                let verdict = RowVerdict::Dropped;
                writer.drop(&StagedRow { id, url, verdict, reason, detail, ..place.row() })
            }
            RecordOutcome::Quarantined { id, url, reason, detail } => {
                let verdict = RowVerdict::Quarantined;
                writer.drop(&StagedRow { id, url, verdict, reason, detail, ..place.row() })
            }
        }
    }
}

/// Returns the row of a page that the recipe dropped.
fn dropped_page<'a>(
    place: RecordPlace<'a>,
    page: &Page<'a>,
    (reason, measured): (&'a str, Option<Measured>),
    gives_texts: bool,
) -> StagedRow<'a> {
    StagedRow {
        id: page.id,
        url: page.url,
        reason,
        value: measured.map(|it| it.value),
        threshold: measured.map(|it| it.threshold),
        text: gives_texts.then_some(page.text),
        ..place.row()
    }
}
