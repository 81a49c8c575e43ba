//! An estimate of how long a unit of a stage takes, learned from the units that are done.
//!
//! The duration is assumed to grow with a unit's bytes; units of unknown size have an average of
//! their own. Old units count less and less. Invariant: integers only, so that every replay
//! estimates the same.

/// Number of units that count fully; after that all of them count half.
const REMEMBERED_UNITS: u64 = 4096;
/// A longer attempt counts as this long, since the number comes from a worker.
const MAX_WALL_MILLIS: u64 = 30 * 24 * 3_600_000;

/// The durations of a stage's units so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DurationEstimator {
    sized: Sums,
    unsized_: Sums,
}

/// Sums over units; `cost` is bytes, or the number of units if their bytes are unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    units: u64,
    cost: u64,
    millis: u64,
    /// Sum of the differences between expected and real durations.
    missed_millis: u64,
}

impl DurationEstimator {
    /// Adds the duration of a unit that is done.
    pub(crate) fn learn(&mut self, cost_bytes: u64, wall_millis: u64) {
        let wall_millis = wall_millis.min(MAX_WALL_MILLIS);
        match cost_bytes {
            0 => self.unsized_.learn(1, wall_millis),
            _ => self.sized.learn(cost_bytes, wall_millis),
        }
    }

    /// Returns the average duration of such a unit, or `None` before one is done.
    pub(crate) fn expected_millis(&self, cost_bytes: u64) -> Option<u64> {
        match cost_bytes {
            0 => self.unsized_.expect(1),
            _ => self.sized.expect(cost_bytes),
        }
    }

    /// Returns a duration that such a unit rarely exceeds: the average, twice the usual error, and
    /// more while few units are known.
    pub(crate) fn upper_bound_millis(&self, cost_bytes: u64) -> Option<u64> {
        let expected = self.expected_millis(cost_bytes)?;
        let sums = if cost_bytes == 0 { &self.unsized_ } else { &self.sized };
        let missed = portion(expected, sums.missed_millis.saturating_mul(2), sums.millis);
        Some(expected.saturating_add(missed).saturating_add(expected / sums.units))
    }
}

impl Sums {
    fn learn(&mut self, cost: u64, wall_millis: u64) {
        let missed = self.expect(cost).map_or(0, |expected| expected.abs_diff(wall_millis));
        if self.units >= REMEMBERED_UNITS {
            for sum in [&mut self.units, &mut self.cost, &mut self.millis, &mut self.missed_millis]
            {
                *sum /= 2;
            }
        }
        self.units += 1;
        self.cost = self.cost.saturating_add(cost);
        self.millis = self.millis.saturating_add(wall_millis);
        self.missed_millis = self.missed_millis.saturating_add(missed);
    }

    fn expect(&self, cost: u64) -> Option<u64> {
        (self.units > 0).then(|| portion(self.millis, cost, self.cost))
    }
}

/// Returns `whole × part / all`, and 0 if `all` is 0.
fn portion(whole: u64, part: u64, all: u64) -> u64 {
    let product = u128::from(whole) * u128::from(part);
    u64::try_from(product.checked_div(u128::from(all)).unwrap_or(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(units: &[(u64, u64)]) -> DurationEstimator {
        let mut estimator = DurationEstimator::default();
        units.iter().for_each(|(cost, wall)| estimator.learn(*cost, *wall));
        estimator
    }

    #[test]
    fn nothing_is_predicted_before_a_unit_is_done() {
        assert_eq!(DurationEstimator::default().upper_bound_millis(10), None);
        assert_eq!(learned(&[(10, 100)]).upper_bound_millis(0), None, "of another kind");
    }

    #[test]
    fn time_grows_with_bytes_and_the_first_unit_is_trusted_half() {
        assert_eq!(learned(&[(10, 100)]).upper_bound_millis(20), Some(400));
        let many = learned(&[(10, 100); 100]);
        assert_eq!(many.upper_bound_millis(20), Some(202));
        assert_eq!(many.expected_millis(20), Some(200));
    }

    #[test]
    fn units_that_vary_are_given_more_time() {
        let even = learned(&[(10, 100); 50]);
        let uneven = learned(&[(10, 50), (10, 150)].repeat(25));
        assert_eq!(uneven.expected_millis(10), even.expected_millis(10));
        assert!(uneven.upper_bound_millis(10).unwrap() > even.upper_bound_millis(10).unwrap() + 60);
    }

    #[test]
    fn a_new_estimator_is_learned_and_nonsense_does_no_harm() {
        let mut estimator = learned(&[(10, 100); 5000]);
        (0..20_000).for_each(|_| estimator.learn(10, 300));
        assert!(estimator.expected_millis(10).unwrap() > 280, "{estimator:?}");
        let wild = learned(&[(u64::MAX, u64::MAX), (1, u64::MAX), (u64::MAX, 0)]);
        assert!(wild.upper_bound_millis(u64::MAX).is_some());
    }
}
