//! Compares every published file with what its PUBLISH unit reported.
//!
//! Between the two stages hours may pass, in which a file can be lost, cut or altered. All sizes
//! are compared first, because that is cheap; then all contents, by as many threads as there are
//! slots. **Invariant:** an output gets its manifest only if each file in it was just found to be
//! what its unit published; otherwise the unit that published the file runs again and replaces it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use thresher_proto::pb::{Stage, UnitRef};
use thresher_storage::Present;
use thresher_unit::UnitError;

use crate::stages::output_file::PublishedFile;
use crate::stages::publish::ShardFacts;
use crate::stages::{JobContext, Stop, stop};

/// A published file, and the number of the unit that published it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    unit: u32,
    file: PublishedFile,
}

/// Returns the files of one PUBLISH unit.
pub(super) fn files_of(unit: u32, facts: &ShardFacts) -> impl Iterator<Item = Published> {
    facts.files().into_iter().map(move |file| Published { unit, file })
}

/// Returns an error that names the unit of the first file that is not as it was published.
pub(super) fn check(
    context: &JobContext,
    published: &[Published],
    asked: &Stop,
) -> Result<(), UnitError> {
    for each in published {
        stop::check(asked)?;
        match context.output.find(&each.file.path)? {
            Present::Missing => return Err(each.altered(context, "is missing")),
            Present::Bytes(bytes) if bytes != each.file.bytes => {
                let what = format!("has {bytes} bytes, not {}", each.file.bytes);
                return Err(each.altered(context, &what));
            }
            Present::Bytes(_) => {}
        }
    }
    contents(context, published, asked)
}

/// Compares the contents of files of the right sizes.
fn contents(context: &JobContext, published: &[Published], asked: &Stop) -> Result<(), UnitError> {
    let (next, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failed: Mutex<Option<UnitError>> = Mutex::new(None);
    let work = || {
        while let Some(each) = published.get(next.fetch_add(1, Ordering::Relaxed)) {
            let goes_on = || !asked.is_set() && !ended.load(Ordering::Relaxed);
            if !goes_on() {
                return;
            }
            if let Err(error) = each.has_its_content(context, goes_on) {
                ended.store(true, Ordering::Relaxed);
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..context.slots.min(published.len()) {
            scope.spawn(work);
        }
        work();
    });
    stop::check(asked)?;
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

impl Published {
    fn has_its_content(
        &self,
        context: &JobContext,
        mut goes_on: impl FnMut() -> bool,
    ) -> Result<(), UnitError> {
        let Ok(expected) = self.file.blake3.parse::<blake3::Hash>() else {
            return Err(self.altered(context, "was reported without a valid hash"));
        };
        match context.output.has_content(&self.file.path, &expected, &mut goes_on)? {
            Some(false) => Err(self.altered(context, "has other bytes than were published")),
            Some(true) | None => Ok(()),
        }
    }

    fn altered(&self, context: &JobContext, what: &str) -> UnitError {
        let error = format!("`{}` {what}", context.output.root().join(&self.file.path));
        let producer = UnitRef { stage: Stage::Publish.into(), ordinal: self.unit, attempt: 0 };
        UnitError::Damaged { producer, error }
    }
}
