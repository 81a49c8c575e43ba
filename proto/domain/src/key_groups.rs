//! How the key files of a stage are put together before its duplicates are resolved.
//!
//! ```text
//! one range:       key file of each unit ──→ resolve ──→ verdicts
//! several ranges:  key files of a group ──→ gather ──→ resolve each range ──→ combine ──→ verdicts
//! ```
//! With several key ranges, every range would open the key file of every unit, and every unit the
//! verdicts of every range. In groups of at least as many units as there are ranges, all of these
//! are fewer opens than there are units, for any number of ranges up to [`MAX_GROUP_UNITS`].
//! Invariant: groups change no result, only which files it goes through.

use std::ops::Range;

/// The largest group: a unit of GATHER holds a block of each of its files in memory.
pub const MAX_GROUP_UNITS: u32 = 512;
/// The smallest group, if there are as many units.
const MIN_GROUP_UNITS: u32 = 16;
/// A unit of COMBINE has a bit in memory for each line or document of its group.
const MAX_GROUP_KEYS: u64 = 1 << 30;

/// The number of key ranges of a stage, and the size of its groups of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGroups {
    /// Number of key ranges; 0 if nothing is compared.
    pub ranges: u32,
    /// Number of units whose keys lie in one file: 1 without groups.
    pub group_units: u32,
}

impl KeyGroups {
    /// Nothing is compared.
    pub const NONE: Self = Self { ranges: 0, group_units: 1 };

    /// Chooses groups for this many key ranges over `units` units with `keys` keys together.
    pub fn choose(ranges: u32, units: u32, keys: u64) -> Self {
        if ranges <= 1 {
            return Self { ranges, group_units: 1 };
        }
        let keys_per_unit = (keys / u64::from(units.max(1))).max(1);
        let fitting = u32::try_from(MAX_GROUP_KEYS / keys_per_unit).unwrap_or(u32::MAX);
        let wanted = ranges.clamp(MIN_GROUP_UNITS, MAX_GROUP_UNITS);
        Self { ranges, group_units: wanted.min(fitting).max(1) }
    }

    /// Whether keys are gathered before they are resolved, and verdicts combined afterwards.
    pub const fn is_gathered(self) -> bool {
        self.ranges > 1
    }

    /// Returns the number of groups of a stage with this many units; 0 if none are gathered.
    pub const fn groups(self, units: u32) -> u32 {
        if self.is_gathered() { units.div_ceil(self.group_units) } else { 0 }
    }

    /// Returns the group of a unit.
    pub const fn group_of(self, unit: u32) -> u32 {
        unit / self.group_units
    }

    /// Returns the units of a group of a stage with this many units.
    pub fn units_of(self, group: u32, units: u32) -> Range<u32> {
        let first = group.saturating_mul(self.group_units).min(units);
        first..first.saturating_add(self.group_units).min(units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_are_bounded_by_units_and_ranges_not_by_their_product() {
        for units in [1, 7, 400, 1000, 90_000] {
            for ranges in [2, 3, 16, 40, 100, 500, 1000] {
                let keys = u64::from(units) * 1_800_000;
                let groups = KeyGroups::choose(ranges, units, keys);
                let opens = groups.groups(units) * ranges;
                assert!(opens <= 2 * units + 2 * ranges, "{units} {ranges}: {opens}");
            }
        }
    }

    #[test]
    fn groups_cover_the_units_once_and_memory_limits_them() {
        for (units, ranges) in [(1, 2), (5, 9), (33, 16), (90_000, 40)] {
            let groups = KeyGroups::choose(ranges, units, 0);
            let all: Vec<u32> = (0..groups.groups(units))
                .flat_map(|group| groups.units_of(group, units).map(move |unit| (group, unit)))
                .map(|(group, unit)| {
                    assert_eq!(groups.group_of(unit), group);
                    unit
                })
                .collect();
            assert_eq!(all, (0..units).collect::<Vec<_>>());
        }
        assert_eq!(KeyGroups::choose(1000, 10, 10 << 30).group_units, 1);
        assert_eq!(KeyGroups::choose(1, 1000, 5), KeyGroups { ranges: 1, group_units: 1 });
        assert_eq!(KeyGroups::NONE.groups(10), 0);
    }
}
