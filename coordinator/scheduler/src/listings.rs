//! What attempts of LIST and LAYOUT units have planned, until their stage is over.

use std::collections::BTreeMap;

use thresher_domain::{AttemptRef, Listed, PlannedUnit, Stage};

use crate::payloads::Payloads;

/// The plans, by attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listings {
    listings: BTreeMap<AttemptRef, Listing>,
}

impl Listings {
    /// Adds a piece of what the attempt planned.
    pub(crate) fn add(&mut self, unit: AttemptRef, listed: &Listed) {
        self.listings.entry(unit).or_default().add(listed.piece, &listed.units);
    }

    /// Makes what the attempt planned the unit's plan, and forgets what its other attempts planned.
    /// Returns false, and changes nothing, if a piece is missing.
    pub(crate) fn choose(&mut self, unit: AttemptRef) -> bool {
        if self.listings.get(&unit).is_some_and(|listing| !listing.is_complete()) {
            return false;
        }
        self.listings.retain(|other, _| other.key != unit.key || *other == unit);
        true
    }

    /// Forgets what a failed attempt planned.
    pub(crate) fn forget(&mut self, unit: AttemptRef) {
        self.listings.remove(&unit);
    }

    /// Forgets what every unit of the stage planned.
    pub(crate) fn forget_stage(&mut self, stage: Stage) {
        self.listings.retain(|listed, _| listed.key.stage != stage);
    }

    /// Takes out what each of the stage's `units` planned.
    pub(crate) fn take_stage(&mut self, stage: Stage, units: u32) -> Vec<Payloads> {
        let mut parts = vec![Payloads::default(); units as usize];
        let of_stage = self.listings.extract_if(.., |unit, _| unit.key.stage == stage);
        for (unit, listing) in of_stage {
            parts[unit.key.ordinal as usize] = listing.units;
        }
        parts
    }
}

/// What one attempt has planned so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Listing {
    units: Payloads,
    /// The piece that comes next; `None` after a missing one.
    next_piece: Option<u32>,
}

impl Listing {
    /// Adds a piece. Piece 0 starts over; a piece that was added already is a repetition.
    fn add(&mut self, piece: u32, units: &[PlannedUnit]) {
        if piece == 0 {
            *self = Self { units: Payloads::default(), next_piece: Some(0) };
        }
        match self.next_piece {
            Some(next) if piece == next => {
                units.iter().for_each(|unit| self.units.push(unit));
                self.next_piece = next.checked_add(1);
            }
            Some(next) if piece < next => {}
            Some(_) | None => self.next_piece = None,
        }
    }

    fn is_complete(&self) -> bool {
        self.next_piece.is_some()
    }
}

#[cfg(test)]
mod tests {
    use thresher_domain::UnitKey;

    use super::*;

    fn unit(text: &str) -> PlannedUnit {
        PlannedUnit { payload: text.into(), cost_bytes: text.len() as u64 }
    }

    fn texts(listing: &Listing) -> Vec<&[u8]> {
        (0..listing.units.len() as u32).map(|i| listing.units.payload(i)).collect()
    }

    #[test]
    fn repeated_pieces_count_once_and_piece_0_starts_over() {
        let mut listing = Listing::default();
        listing.add(0, &[unit("a")]);
        listing.add(1, &[unit("b")]);
        listing.add(1, &[unit("b")]);
        assert_eq!(texts(&listing), [b"a", b"b"]);
        listing.add(0, &[unit("c")]);
        assert_eq!(texts(&listing), [b"c"]);
        assert!(listing.is_complete());
    }

    #[test]
    fn a_missing_piece_leaves_the_listing_incomplete() {
        let mut listing = Listing::default();
        listing.add(0, &[unit("a")]);
        listing.add(2, &[unit("c")]);
        assert!(!listing.is_complete());
        listing.add(1, &[unit("b")]);
        assert!(!listing.is_complete());
        let mut late = Listing::default();
        late.add(1, &[]);
        assert!(!late.is_complete());
    }

    #[test]
    fn only_the_chosen_attempt_of_a_unit_is_its_plan() {
        let key = UnitKey::new(Stage::List, 0);
        let mut listings = Listings::default();
        let listed = |text| Listed { piece: 0, units: vec![unit(text)] };
        listings.add(key.attempt(1), &listed("first"));
        listings.add(key.attempt(2), &listed("second"));
        assert!(listings.choose(key.attempt(2)));
        let parts = listings.take_stage(Stage::List, 1);
        assert_eq!(parts[0].payload(0), b"second");
        assert_eq!(listings, Listings::default());
    }
}
