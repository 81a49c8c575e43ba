//! Finds near-duplicates as RedPajama-Data-1T did: books of a source whose SimHash is near that of
//! an earlier one.
//!
//! PREPARE writes a signature for each document of a source that has the step, LAYOUT compares all
//! of them and writes the verdicts, PUBLISH reads those. A signature is eight bytes, so those of
//! RedPajama's 200,000 books are 1.6 MB.
//!
//! **Invariant:** the verdicts are a function of the signatures in canonical order.

use thresher_proto::pb::{LayoutUnit, Stage};

use super::JobContext;
use super::excluded::Excluded;
use thresher_text::simhash::near_duplicates;
use thresher_unit::UnitError;
use thresher_unit::staging::DocumentFile;

/// Suffix of the file of excluded documents.
pub(super) const SUFFIX: &str = "near";

/// Compares the documents of a LAYOUT unit's source, if it has the step.
pub(super) fn decide(
    context: &JobContext,
    unit: &LayoutUnit,
) -> Result<Option<Excluded>, UnitError> {
    if !context.recipe(unit.source)?.compares_signatures {
        return Ok(None);
    }
    let (mut signatures, mut places) = (Vec::new(), Vec::new());
    for number in unit.first_unit..unit.first_unit + unit.units {
        if unit.absent.binary_search(&number).is_ok() {
            continue;
        }
        let path = context.work.unit_file(Stage::Prepare, number, "documents");
        let summaries = DocumentFile::open(&path, number)?.summaries()?;
        for (place, signature) in (0..).zip(summaries.iter().map(|summary| summary.signature)) {
            if let Some(signature) = signature {
                places.push((number, place));
                signatures.push(signature);
            }
        }
    }
    let mut near = Excluded::default();
    for ((number, place), is_near) in places.into_iter().zip(near_duplicates(&signatures)) {
        if is_near {
            near.push(number, place);
        }
    }
    Ok(Some(near))
}
