//! Payloads of planned units, in one arena.
//!
//! Only workers know what a payload means. LINES and PREPARE share one arena, since they have the
//! same units.

use thresher_domain::PlannedUnit;

/// Planned units in order. A unit takes 16 bytes beside its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payloads {
    bytes: Vec<u8>,
    /// Where each payload ends in `bytes`.
    ends: Vec<u64>,
    cost_bytes: Vec<u64>,
}

impl Payloads {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn push(&mut self, unit: &PlannedUnit) {
        self.bytes.extend_from_slice(&unit.payload);
        self.ends.push(self.bytes.len() as u64);
        self.cost_bytes.push(unit.cost_bytes);
    }

    pub(crate) fn payload(&self, ordinal: u32) -> &[u8] {
        let i = ordinal as usize;
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[i] as usize]
    }

    pub(crate) fn cost_bytes(&self, ordinal: u32) -> u64 {
        self.cost_bytes[ordinal as usize]
    }

    pub(crate) fn total_cost_bytes(&self) -> u64 {
        self.cost_bytes.iter().fold(0, |sum, cost| sum.saturating_add(*cost))
    }

    /// Joins the parts in order, without spare capacity.
    pub(crate) fn concat(parts: Vec<Self>) -> Self {
        let mut all = Self {
            bytes: Vec::with_capacity(parts.iter().map(|p| p.bytes.len()).sum()),
            ends: Vec::with_capacity(parts.iter().map(Self::len).sum()),
            cost_bytes: Vec::with_capacity(parts.iter().map(Self::len).sum()),
        };
        for part in parts {
            let base = all.bytes.len() as u64;
            all.bytes.extend_from_slice(&part.bytes);
            all.ends.extend(part.ends.iter().map(|end| base + end));
            all.cost_bytes.extend_from_slice(&part.cost_bytes);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> PlannedUnit {
        PlannedUnit { payload: text.into(), cost_bytes: text.len() as u64 }
    }

    fn texts(payloads: &Payloads) -> Vec<&[u8]> {
        (0..payloads.len() as u32).map(|i| payloads.payload(i)).collect()
    }

    #[test]
    fn parts_are_joined_in_order() {
        let mut parts = vec![Payloads::default(); 3];
        parts[0].push(&unit("a"));
        parts[0].push(&unit(""));
        parts[2].push(&unit("bcd"));
        let all = Payloads::concat(parts);
        assert_eq!(texts(&all), [b"a".as_slice(), b"", b"bcd"]);
        assert_eq!(all.cost_bytes(2), 3);
    }
}
