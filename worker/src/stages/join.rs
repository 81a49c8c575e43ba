//! Exchanges rows between the pieces of an input, from LINES to PREPARE.
//!
//! A slice that joins rows to records says which part each row of a piece belongs to. LINES leaves
//! the rows of a piece in one file, ordered by part; PREPARE of a piece reads its part from
//! the files of all pieces. Only the slice interprets a row.
//!
//! ```text
//! piece k → work/lines/<unit>.rows-<input> = part 0 … part n-1 │ part k of all n files → records
//! ```
//! **Invariant:** if a file is incomplete or a block has a wrong checksum, the unit that wrote it
//! runs again; a part of which one file is missing is not read.

use std::ops::Range;
use std::path::{Path, PathBuf};

use prost::Message;
use thresher_job::SourceSpec;
use thresher_proto::pb::{InputsUnit, Stage};

use super::list::cut;
use super::{JobContext, Task};
use thresher_formats::blocks::{
    BlockFile, BlockWriter, Compression, Damage, Kind, MAX_BLOCK_BYTES,
};
use thresher_sources::{Input, Joined, RecordSink, check_piece, locate};
use thresher_storage::commit::AttemptFile;
use thresher_unit::UnitError;
use thresher_unit::staging::{InputFacts, InputRow, create, hash_of, publish_blocks};

const KIND: Kind = Kind(*b"ROWS");
const BLOCK_BYTES: usize = 1 << 20;

/// Writes the rows of every piece of the unit, if its slice joins rows. Returns the files' hashes.
pub(super) fn scatter(
    context: &JobContext,
    task: &Task,
    unit: &InputsUnit,
    scratch: &Path,
) -> Result<Vec<blake3::Hash>, UnitError> {
    let source = context.source(unit.source)?;
    let recipe = context.recipe(unit.source)?;
    let Some(joined) = recipe.slice.joined() else { return Ok(Vec::new()) };
    let table = context.table(unit.source)?;
    let first = unit.first_input as usize;
    let mut hashes = Vec::new();
    for number in first..first + unit.inputs as usize {
        let Some(row) = table.rows.get(number).filter(|row| row.piece.is_some()) else { continue };
        let pieces = pieces_of(&table.rows, number);
        let place = ((number - pieces.start) as u32, pieces.len() as u32);
        let path = file_of(context, task.unit.ordinal, number);
        let mut file = create(&path, &task.tag)?;
        let input = Input::stored(locate(source, &row.path)?, row, scratch.to_owned())?;
        let input = input.stopped_by(&task.stop);
        check_piece(recipe.slice, &input)?;
        let mut rows = RowWriter::new(&mut file)?;
        let digest =
            joined.scatter(&context.job, &input, place, &mut |part, row| rows.push(part, row))?;
        rows.finish(&InputFacts::of_read(input.name(), row, digest)?)?;
        hashes.push(hash_of(publish_blocks(file, KIND)?));
    }
    Ok(hashes)
}

fn file_of(context: &JobContext, unit: u32, input: usize) -> PathBuf {
    context.work.unit_file(Stage::Lines, unit, &format!("rows-{input}"))
}

/// Returns the pieces of the input to which piece `number` belongs. They are neighbours.
fn pieces_of(rows: &[InputRow], number: usize) -> Range<usize> {
    let path = &rows[number].path;
    let starts = |row: &InputRow| row.piece.is_none_or(|piece| piece.offset == 0);
    let first = (0..=number).rev().find(|at| starts(&rows[*at])).unwrap_or(number);
    let after = rows[number + 1..].iter().take_while(|row| row.path == *path && !starts(row));
    first..number + 1 + after.count()
}

/// Writes rows, which must come in the order of their parts.
struct RowWriter<'f> {
    blocks: BlockWriter<&'f mut AttemptFile>,
    part: u32,
    block: Vec<u8>,
    rows: u32,
}

impl<'f> RowWriter<'f> {
    fn new(file: &'f mut AttemptFile) -> Result<Self, UnitError> {
        let blocks = BlockWriter::new(file, KIND, Compression::Zstd(1)).map_err(|e| failed(&e))?;
        Ok(Self { blocks, part: 0, block: Vec::new(), rows: 0 })
    }

    fn push(&mut self, part: u32, row: &[u8]) -> Result<(), UnitError> {
        if part != self.part || self.block.len() + row.len() > BLOCK_BYTES {
            self.flush()?;
            self.part = part;
        }
        if row.len() > MAX_BLOCK_BYTES - size_of::<u32>() {
            let hint = "hint: lower `stackexchange.max_row_bytes`";
            let bytes = row.len();
            return Err(UnitError::JobFile(format!("a row of {bytes} bytes is too large\n{hint}")));
        }
        self.block.extend_from_slice(&(row.len() as u32).to_le_bytes());
        self.block.extend_from_slice(row);
        self.rows += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), UnitError> {
        if self.rows > 0 {
            let pushed = self.blocks.push(self.part.into(), self.rows, &self.block);
            pushed.map_err(|error| failed(&error))?;
            self.block.clear();
            self.rows = 0;
        }
        Ok(())
    }

    fn finish(mut self, facts: &InputFacts) -> Result<(), UnitError> {
        self.flush()?;
        let facts = serde_json::to_vec(facts).map_err(|e| UnitError::Defect(e.to_string()))?;
        self.blocks.finish(&facts).map(|_| ()).map_err(|error| failed(&error))
    }
}

fn failed(error: &std::io::Error) -> UnitError {
    UnitError::writing(error, format!("failed to write rows of a piece: {error}"))
}

/// One part of an input, and the files that have rows of it.
pub(super) struct Part<'c> {
    source: &'c SourceSpec,
    path: String,
    number: u32,
    /// The LINES unit and its file, for each piece in order.
    files: Vec<(u32, PathBuf)>,
}

impl<'c> Part<'c> {
    /// Returns the part that the PREPARE unit `ordinal` reads for the row `number` of its source.
    pub(super) fn of(
        context: &'c JobContext,
        (ordinal, unit): (u32, &InputsUnit),
        number: usize,
    ) -> Result<Self, UnitError> {
        let (source, table) = (context.source(unit.source)?, context.table(unit.source)?);
        let pieces = pieces_of(&table.rows, number);
        // These are the units that LIST planned from the same table.
        let planned = cut(unit.source, &table.rows, context.job.units.target_bytes.0);
        let planned: Vec<InputsUnit> = planned
            .iter()
            .map(|unit| InputsUnit::decode(unit.payload.as_slice()))
            .collect::<Result<_, _>>()
            .map_err(|error| UnitError::Defect(error.to_string()))?;
        let place = |row: usize| planned.partition_point(|u| u.first_input as usize <= row) - 1;
        // Units are numbered over all sources; those of one source are consecutive.
        let before = ordinal - place(unit.first_input as usize) as u32;
        let file = |row: usize| {
            let unit = before + place(row) as u32;
            (unit, file_of(context, unit, row))
        };
        Ok(Self {
            source,
            path: table.rows[number].path.clone(),
            number: (number - pieces.start) as u32,
            files: pieces.map(file).collect(),
        })
    }

    /// Passes on the records of the part. Returns what was read of its own piece.
    pub(super) fn gather(
        &self,
        context: &JobContext,
        joined: &dyn Joined,
        scratch: &Path,
        sink: &mut RecordSink<'_>,
    ) -> Result<InputFacts, UnitError> {
        let place = (self.path.as_str(), scratch);
        let mut rows = |each: &mut dyn FnMut(&[u8]) -> Result<(), UnitError>| {
            self.files.iter().try_for_each(|file| self.rows_of(file, each))
        };
        joined.gather(&context.job, self.source, place, &mut rows, sink)?;
        let (unit, path) = &self.files[self.number as usize];
        let staged = |error| UnitError::staged(Stage::Lines, *unit, &error);
        let file = BlockFile::open(path, KIND).map_err(staged)?;
        let invalid_facts =
            |_| staged(file.damaged(0, Damage::Layout("its metadata has no valid facts")));
        serde_json::from_slice(file.metadata()).map_err(invalid_facts)
    }

    fn rows_of(
        &self,
        (unit, path): &(u32, PathBuf),
        each: &mut dyn FnMut(&[u8]) -> Result<(), UnitError>,
    ) -> Result<(), UnitError> {
        let staged = |error| UnitError::staged(Stage::Lines, *unit, &error);
        let file = BlockFile::open(path, KIND).map_err(staged)?;
        let label = u128::from(self.number);
        let from = file.entries().partition_point(|entry| entry.label < label);
        let to = file.entries().partition_point(|entry| entry.label <= label);
        let mut blocks = file.blocks(from..to).map_err(staged)?;
        while let Some(block) = blocks.next_block().map_err(staged)? {
            let mut rest = block.payload;
            while let Some((length, after)) = rest.split_first_chunk() {
                let length = u32::from_le_bytes(*length) as usize;
                let (row, after) = after.split_at_checked(length).ok_or_else(|| {
                    staged(file.damaged(block.offset, Damage::Layout("a row is cut off")))
                })?;
                each(row)?;
                rest = after;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thresher_formats::piece::Piece;

    #[test]
    fn the_pieces_of_an_input_are_found_from_any_of_them() {
        let whole = |path: &str| InputRow::named(path.to_owned());
        let piece = |path: &str, offset| {
            let piece = Some(Piece { offset, length: 5 });
            InputRow { piece, ..whole(path) }
        };
        // One path may be listed twice.
        let rows = [
            whole("a"),
            piece("b", 0),
            piece("b", 5),
            piece("b", 10),
            piece("b", 0),
            piece("b", 5),
            whole("c"),
        ];
        for (number, pieces) in [(1, 1..4), (2, 1..4), (3, 1..4), (4, 4..6), (5, 4..6)] {
            assert_eq!(pieces_of(&rows, number), pieces, "{number}");
        }
    }
}
