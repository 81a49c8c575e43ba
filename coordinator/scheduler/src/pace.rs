//! How long a unit of a stage will take, learned from those that are done.
//!
//! Time is taken to grow with a unit's bytes; units whose bytes are not known have an average of
//! their own. Old units count for less and less. Invariant: integers only, so that every replay
//! predicts the same.

/// So many units are remembered in full; then all count half.
const REMEMBERED_UNITS: u64 = 4096;
/// A longer attempt counts as one of so long: the number comes from a worker.
const MAX_WALL_MILLIS: u64 = 30 * 24 * 3_600_000;

/// What a stage's units took so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    sized: Sums,
    unsized_: Sums,
}

/// Sums over units; `cost` is bytes, or the number of units where those are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    units: u64,
    cost: u64,
    millis: u64,
    /// By how much each missed what was expected of it.
    missed_millis: u64,
}

impl Pace {
    /// Takes the time of one unit that is done.
    pub(crate) fn learn(&mut self, cost_bytes: u64, wall_millis: u64) {
        let wall_millis = wall_millis.min(MAX_WALL_MILLIS);
        match cost_bytes {
            0 => self.unsized_.learn(1, wall_millis),
            _ => self.sized.learn(cost_bytes, wall_millis),
        }
    }

    /// What a unit will take on average; none before one is done.
    pub(crate) fn expect_millis(&self, cost_bytes: u64) -> Option<u64> {
        match cost_bytes {
            0 => self.unsized_.expect(1),
            _ => self.sized.expect(cost_bytes),
        }
    }

    /// What it will hardly exceed: twice the usual miss on top, and more while few are known.
    pub(crate) fn predict_millis(&self, cost_bytes: u64) -> Option<u64> {
        let expected = self.expect_millis(cost_bytes)?;
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

/// `whole × part / all`, 0 when there is nothing to divide by.
fn portion(whole: u64, part: u64, all: u64) -> u64 {
    let product = u128::from(whole) * u128::from(part);
    u64::try_from(product.checked_div(u128::from(all)).unwrap_or(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(units: &[(u64, u64)]) -> Pace {
        let mut pace = Pace::default();
        units.iter().for_each(|(cost, wall)| pace.learn(*cost, *wall));
        pace
    }

    #[test]
    fn nothing_is_predicted_before_a_unit_is_done() {
        assert_eq!(Pace::default().predict_millis(10), None);
        assert_eq!(learned(&[(10, 100)]).predict_millis(0), None, "of another kind");
    }

    #[test]
    fn time_grows_with_bytes_and_the_first_unit_is_trusted_half() {
        assert_eq!(learned(&[(10, 100)]).predict_millis(20), Some(400));
        let many = learned(&[(10, 100); 100]);
        assert_eq!(many.predict_millis(20), Some(202));
        assert_eq!(many.expect_millis(20), Some(200));
    }

    #[test]
    fn units_that_vary_are_given_more_time() {
        let even = learned(&[(10, 100); 50]);
        let uneven = learned(&[(10, 50), (10, 150)].repeat(25));
        assert_eq!(uneven.expect_millis(10), even.expect_millis(10));
        assert!(uneven.predict_millis(10).unwrap() > even.predict_millis(10).unwrap() + 60);
    }

    #[test]
    fn a_new_pace_is_learned_and_nonsense_does_no_harm() {
        let mut pace = learned(&[(10, 100); 5000]);
        (0..20_000).for_each(|_| pace.learn(10, 300));
        assert!(pace.expect_millis(10).unwrap() > 280, "{pace:?}");
        let wild = learned(&[(u64::MAX, u64::MAX), (1, u64::MAX), (u64::MAX, 0)]);
        assert!(wild.predict_millis(u64::MAX).is_some());
    }
}
