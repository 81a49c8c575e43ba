//! Reads what was decided about the near-duplicates of a unit, for LAYOUT and PUBLISH.
//!
//! Units that a worker runs one after the other are in few groups, so the files that were used last
//! stay open.
//!
//! **Invariant:** a file that was written again is found: what fails with an open file is tried
//! once more with a file that is opened for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use thresher_clusters::Decision;
use thresher_clusters::decisions::DecisionFile;
use thresher_domain::MemberGroups;
use thresher_proto::pb::Stage;

use super::super::JobContext;
use super::decide::decisions_path;
use thresher_unit::UnitError;

/// Number of files that a worker keeps open.
const OPEN_FILES: usize = 16;

/// The open files of a worker; the one that was used last is at the end.
#[derive(Debug, Default)]
pub(in crate::stages) struct DecisionFiles(Mutex<Vec<(PathBuf, Arc<DecisionFile>)>>);

/// The decisions about the near-duplicates of a job.
#[derive(Debug, Clone, Copy)]
pub(in crate::stages) struct Decisions {
    groups: MemberGroups,
}

impl Decisions {
    /// The decisions of a job with this many PREPARE units.
    pub(in crate::stages) fn of_job(units: u32) -> Self {
        Self { groups: MemberGroups::of(units) }
    }

    /// Returns the decisions about the documents of a unit, by place.
    pub(in crate::stages) fn of(
        self,
        context: &JobContext,
        unit: u32,
    ) -> Result<Vec<Decision>, UnitError> {
        let group = self.groups.group_of(unit);
        let read = || context.decision_files.open(decisions_path(context, group))?.of_unit(unit);
        read()
            .or_else(|_| {
                context.decision_files.forget();
                read()
            })
            .map_err(|error| UnitError::staged(Stage::Decide, group, &error))
    }
}

impl DecisionFiles {
    fn open(
        &self,
        path: PathBuf,
    ) -> Result<Arc<DecisionFile>, thresher_formats::blocks::BlocksError> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = files.iter().position(|(name, _)| *name == path);
        let file = match found {
            Some(at) => files.remove(at).1,
            None => Arc::new(DecisionFile::open(&path)?),
        };
        if files.len() == OPEN_FILES {
            files.remove(0);
        }
        files.push((path, Arc::clone(&file)));
        Ok(file)
    }

    fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
