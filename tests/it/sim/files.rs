//! The file system that simulated units write to and read from: one digest per unit.
//!
//! It checks from outside what the scheduler promises: nothing is read before it is written, and
//! two runs of one unit write the same.

use std::collections::{BTreeMap, BTreeSet};

use thresher_domain::{AttemptRef, Stage, UnitKey};

#[derive(Debug, Default)]
pub(crate) struct Files {
    written: BTreeMap<UnitKey, [u8; 32]>,
    damaged: BTreeSet<UnitKey>,
    damaged_before: BTreeSet<UnitKey>,
}

impl Files {
    /// What a unit wrote, or the unit itself when that is damaged.
    pub(crate) fn read(&self, key: UnitKey, by: AttemptRef) -> Result<[u8; 32], UnitKey> {
        let digest = self.written.get(&key).unwrap_or_else(|| {
            panic!("`{by}` started before `{key}`, whose output it reads, was done")
        });
        if self.damaged.contains(&key) { Err(key) } else { Ok(*digest) }
    }

    pub(crate) fn write(&mut self, key: UnitKey, digest: [u8; 32], by: AttemptRef) {
        let before = self.written.insert(key, digest);
        assert!(
            before.is_none_or(|before| before == digest),
            "`{by}` wrote other bytes than an earlier attempt"
        );
        self.damaged.remove(&key);
    }

    /// Damages a file that never was damaged before.
    pub(crate) fn damage(&mut self, choice: usize) {
        let whole = || self.written.keys().filter(|key| !self.damaged_before.contains(key));
        let count = whole().count();
        if count == 0 {
            return;
        }
        let chosen = whole().nth(choice % count).copied();
        self.damaged.extend(chosen);
        self.damaged_before.extend(chosen);
    }

    pub(crate) fn of_stage(&self, stage: Stage) -> Vec<(u32, [u8; 32])> {
        let of_stage = self.written.iter().filter(|(key, _)| key.stage == stage);
        of_stage.map(|(key, digest)| (key.ordinal, *digest)).collect()
    }
}
