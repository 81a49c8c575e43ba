//! How the members of components of near-duplicates are divided: by groups of units where they are
//! read, and by parts of the components where they are compared.
//!
//! ```text
//! units of a group ──collect──▶ a file of the group, by part ──compare──▶ a file of the part, by
//! group ──decide──▶ a file of the group
//! ```
//! With about √n groups of √n units and as many parts, every group opens a file of every part and
//! every part one of every group, and these are as many opens as there are units.
//! Invariant: groups and parts change no result, only which files it goes through.

use std::ops::Range;

/// More parts than this are not made: with 90,000 units there are 300.
const MAX_PARTS: u32 = 1024;

/// The groups of the units of a job, and the parts of its components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberGroups {
    units: u32,
    group_units: u32,
}

impl MemberGroups {
    /// Divides a job of this many PREPARE units.
    pub fn of(units: u32) -> Self {
        Self { units, group_units: units.isqrt().max(1) }
    }

    /// Returns the number of units in a group; the last group may have fewer.
    pub const fn group_units(self) -> u32 {
        self.group_units
    }

    /// Returns the number of groups.
    pub const fn groups(self) -> u32 {
        self.units.div_ceil(self.group_units)
    }

    /// Returns the number of parts; none if there are no units.
    pub const fn parts(self) -> u32 {
        let groups = self.groups();
        if groups < MAX_PARTS { groups } else { MAX_PARTS }
    }

    /// Returns the group of a unit.
    pub const fn group_of(self, unit: u32) -> u32 {
        unit / self.group_units
    }

    /// Returns the units of a group.
    pub fn units_of(self, group: u32) -> Range<u32> {
        let first = group.saturating_mul(self.group_units).min(self.units);
        first..first.saturating_add(self.group_units).min(self.units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_the_units_once_and_files_are_as_many_as_units() {
        for units in [0, 1, 2, 3, 10, 99, 100, 90_000, 4_000_000] {
            let groups = MemberGroups::of(units);
            let all: Vec<u32> = (0..groups.groups()).flat_map(|it| groups.units_of(it)).collect();
            assert_eq!(all, (0..units).collect::<Vec<_>>());
            assert!(all.iter().all(|unit| groups.units_of(groups.group_of(*unit)).contains(unit)));
            let files = u64::from(groups.groups()) * u64::from(groups.parts());
            assert!(files <= 3 * u64::from(units), "{units}: {files}");
            assert_eq!(groups.parts() == 0, units == 0);
        }
    }
}
