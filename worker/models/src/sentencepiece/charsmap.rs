//! SentencePiece's precompiled character map: a double-array trie of what is replaced, and the
//! replacements, each ended by a zero byte.
//!
//! **Invariant:** a position outside the map matches nothing.

pub(super) struct CharsMap {
    units: Vec<u32>,
    replacements: Vec<u8>,
}

impl CharsMap {
    /// Reads the bytes of the map: the size of the trie, the trie, the replacements.
    pub(super) fn new(bytes: &[u8]) -> Result<Self, String> {
        let refuse = |what: &str| format!("its character map {what}");
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| refuse("is truncated"))?;
        let size = u32::from_le_bytes(*size) as usize;
        let Some((trie, replacements)) = rest.split_at_checked(size) else {
            return Err(refuse(&format!("says `{size}` bytes, but has {}", rest.len())));
        };
        let (units, []) = trie.as_chunks::<4>() else {
            return Err(refuse(&format!(
                "has a trie of `{size}` bytes, which is not a multiple of 4"
            )));
        };
        let units = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        Ok(Self { units, replacements: replacements.to_vec() })
    }

    /// Returns the length in bytes of the longest prefix of `text` that is replaced, and its
    /// replacement.
    pub(super) fn longest(&self, text: &[u8]) -> Option<(usize, &[u8])> {
        let mut found = None;
        let mut place = self.offset(0)?;
        for (index, &byte) in text.iter().enumerate() {
            place ^= usize::from(byte);
            let Some(&unit) = self.units.get(place) else { break };
            // The label of a leaf has the top bit, which no byte has.
            if unit & (1 << 31 | 0xFF) != u32::from(byte) {
                break;
            }
            let Some(offset) = self.offset(place) else { break };
            place ^= offset;
            if unit >> 8 & 1 == 1 {
                let Some(leaf) = self.units.get(place) else { break };
                found = Some((index + 1, (leaf & !(1 << 31)) as usize));
            }
        }
        let (length, start) = found?;
        let rest = self.replacements.get(start..)?;
        Some((length, rest.split(|byte| *byte == 0).next().unwrap_or_default()))
    }

    fn offset(&self, place: usize) -> Option<usize> {
        let unit = *self.units.get(place)?;
        Some(((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize)
    }
}
