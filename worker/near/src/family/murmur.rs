//! MurmurHash3, x86, 32 bits (Appleby, public domain), as cuDF hashes a string.

/// Returns the hash of `bytes`.
pub(super) fn murmur3_32(bytes: &[u8], seed: u32) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = words.iter().fold(seed, |hash, word| {
        let hash = hash ^ scrambled(u32::from_le_bytes(*word));
        hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let last = rest.iter().rev().fold(0, |last, &byte| (last << 8) | u32::from(byte));
    hash ^= scrambled(last);
    // The length counts modulo 2³².
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

fn scrambled(word: u32) -> u32 {
    word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {
    use super::murmur3_32;

    /// Values that PyPI mmh3 5.3.1 printed.
    #[test]
    fn hashes_are_those_of_mmh3() {
        let cases: [(&str, u32, u32); 7] = [
            ("", 0, 0),
            ("", 1, 1364076727),
            ("a", 0, 1009084850),
            ("ab", 42, 3610054215),
            ("abc", 1608637543, 3161641920),
            ("the quick brown fox jump", 1608637543, 444893061),
            ("Füchse", 7, 2731156573),
        ];
        for (text, seed, expected) in cases {
            assert_eq!(murmur3_32(text.as_bytes(), seed), expected, "{text:?} {seed}");
        }
    }
}
