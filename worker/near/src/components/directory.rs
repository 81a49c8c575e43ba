//! Finds a vertex among sorted ones with about two reads of memory instead of twenty.
//!
//! Positions of one unit have the same high half, and their low halves are spread over the places
//! of the unit. So each unit has slots of equal width, which have the index of their first vertex.

/// Vertices per slot, if they are spread evenly: one cache line.
const VERTICES_PER_SLOT: usize = 8;

/// Where the vertices of each slot start.
#[derive(Debug, Clone, Default)]
pub(super) struct Directory {
    units: Vec<Unit>,
    /// The index of the first vertex of each slot, and after the slots of a unit that of its end.
    starts: Vec<usize>,
}

/// The vertices with the same high half.
#[derive(Debug, Clone)]
struct Unit {
    high: u32,
    first_slot: usize,
    slots: usize,
    /// Number of low bits that vertices of a slot differ in.
    shift: u32,
}

impl Directory {
    /// Memory for each vertex. What a unit adds to it does not matter beside its documents.
    pub(super) const VERTEX_BYTES: usize = size_of::<usize>() / VERTICES_PER_SLOT;

    /// Lists ascending vertices.
    pub(super) fn new(vertices: &[u64]) -> Self {
        let mut directory = Self::default();
        directory.starts.reserve_exact(vertices.len() / VERTICES_PER_SLOT);
        let mut begin = 0;
        for unit in vertices.chunk_by(|a, b| a >> 32 == b >> 32) {
            directory.add_unit(begin, unit);
            begin += unit.len();
        }
        directory
    }

    fn add_unit(&mut self, begin: usize, vertices: &[u64]) {
        let (Some(first), Some(last)) = (vertices.first(), vertices.last()) else { return };
        let last_low = *last as u32;
        let wanted = u32::try_from(vertices.len() / VERTICES_PER_SLOT).unwrap_or(u32::MAX).max(1);
        let slot_of = |shift: u32, low: u32| low.checked_shr(shift).unwrap_or(0);
        let shift = (0..32).find(|shift| slot_of(*shift, last_low) < wanted).unwrap_or(32);
        let slots = slot_of(shift, last_low) as usize + 1;
        let high = (first >> 32) as u32;
        self.units.push(Unit { high, first_slot: self.starts.len(), slots, shift });
        let mut at = 0;
        for slot in 0..slots {
            let before = |vertex: &u64| (slot_of(shift, *vertex as u32) as usize) < slot;
            at += vertices[at..].iter().take_while(|vertex| before(vertex)).count();
            self.starts.push(begin + at);
        }
        self.starts.push(begin + vertices.len());
    }

    /// Returns the index of a vertex among those that are listed.
    #[inline]
    pub(super) fn find(&self, vertices: &[u64], vertex: u64) -> Option<usize> {
        let high = (vertex >> 32) as u32;
        let unit = self.units.binary_search_by_key(&high, |unit| unit.high).ok()?;
        let unit = &self.units[unit];
        let slot = (vertex as u32).checked_shr(unit.shift).unwrap_or(0) as usize;
        if slot >= unit.slots {
            return None;
        }
        let slot = unit.first_slot + slot;
        let (begin, end) = (self.starts[slot], self.starts[slot + 1]);
        vertices[begin..end].binary_search(&vertex).ok().map(|at| begin + at)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    use super::*;

    #[test]
    fn every_vertex_is_found_and_no_other_however_they_are_spread() {
        let seed = rand::random();
        let mut random = SmallRng::seed_from_u64(seed);
        let ends = [0, 1, u64::from(u32::MAX), 1 << 32, (5 << 32) - 1, u64::MAX - 1, u64::MAX];
        for (units, places) in [(1, 10), (1, 5000), (40, 300), (3, 1 << 32), (1 << 32, 1)] {
            let position = |random: &mut SmallRng| {
                random.random_range(0..units) << 32 | random.random_range(0..places)
            };
            let count = random.random_range(0..3000);
            let mut vertices: Vec<u64> = (0..count).map(|_| position(&mut random)).collect();
            vertices.extend(ends.iter().filter(|_| random.random()));
            vertices.sort_unstable();
            vertices.dedup();
            let directory = Directory::new(&vertices);
            let near = vertices.iter().flat_map(|v| [v.wrapping_sub(1), *v, v.wrapping_add(1)]);
            let others: Vec<u64> = (0..500).map(|_| position(&mut random)).collect();
            for vertex in near.chain(others).chain(ends) {
                let expected = vertices.binary_search(&vertex).ok();
                assert_eq!(directory.find(&vertices, vertex), expected, "{vertex}, seed {seed}");
            }
        }
    }
}
