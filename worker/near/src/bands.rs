//! Bands: a signature is cut into bands of rows, and two documents are candidates if all rows of
//! one band agree. Each band becomes a key of eight bytes, which the exchange sorts.

/// The division of a signature into bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bands {
    /// Number of bands.
    pub bands: usize,
    /// Minima in each band.
    pub rows: usize,
}

impl Bands {
    /// Returns the number of minima that a signature needs.
    pub fn minima(self) -> usize {
        self.bands * self.rows
    }

    /// Returns the probability that two documents with a true similarity of `similarity` have
    /// a band in common: 1 − (1 − sʳ)ᵇ.
    pub fn probability(self, similarity: f64) -> f64 {
        let band = power(similarity, self.rows);
        1.0 - power(1.0 - band, self.bands)
    }

    /// Appends the key of each band of `signature`: the first eight bytes, little endian, of
    /// BLAKE3 over the band's number as little-endian `u32` and its rows as little-endian `u64`.
    ///
    /// The band's number is part of the key, so keys of all bands can be in one table. A signature
    /// that is too short has fewer keys.
    pub fn keys(self, signature: &[u64], keys: &mut Vec<u64>) {
        let mut bytes = Vec::with_capacity(4 + 8 * self.rows);
        let bands = signature.chunks_exact(self.rows.max(1)).take(self.bands);
        for (band, rows) in (0_u32..).zip(bands) {
            bytes.clear();
            bytes.extend_from_slice(&band.to_le_bytes());
            bytes.extend(rows.iter().flat_map(|row| row.to_le_bytes()));
            let mut key = [0; 8];
            key.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
            keys.push(u64::from_le_bytes(key));
        }
    }
}

/// Multiplies in a fixed order, because a platform's `pow` may round otherwise.
fn power(base: f64, exponent: usize) -> f64 {
    (0..exponent).fold(1.0, |product, _| product * base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_curve_is_the_published_one() {
        let cases = [
            (14, 8, [0.0533, 0.2111, 0.5645, 0.9235, 0.9996]),
            (9, 13, [0.0011, 0.0117, 0.0839, 0.3988, 0.9286]),
            (26, 11, [0.0126, 0.0902, 0.4050, 0.9032, 0.9999]),
            (20, 13, [0.0024, 0.0258, 0.1769, 0.6773, 0.9972]),
        ];
        for (bands, rows, expected) in cases {
            for (similarity, expected) in [0.5, 0.6, 0.7, 0.8, 0.9].into_iter().zip(expected) {
                let found = Bands { bands, rows }.probability(similarity);
                assert!((found - expected).abs() < 5.1e-5, "{bands} × {rows}: {found}");
            }
        }
        let bands = Bands { bands: 14, rows: 8 };
        assert_eq!((bands.probability(0.0), bands.probability(1.0)), (0.0, 1.0));
    }

    #[test]
    fn a_key_depends_on_its_band_and_on_each_row_of_it_alone() {
        let bands = Bands { bands: 2, rows: 2 };
        let keys = |signature: &[u64]| {
            let mut keys = Vec::new();
            bands.keys(signature, &mut keys);
            keys
        };
        let same_rows = keys(&[5, 6, 5, 6]);
        assert_ne!(same_rows[0], same_rows[1]);
        let other = keys(&[5, 6, 5, 7]);
        assert_eq!(other[0], same_rows[0]);
        assert_ne!(other[1], same_rows[1]);
        assert_eq!(keys(&[5, 6, 5]).len(), 1);
    }

    /// Keys are kept between jobs, so the definition may not change unnoticed.
    #[test]
    fn a_key_is_the_documented_hash() {
        let mut bytes = 1_u32.to_le_bytes().to_vec();
        bytes.extend([7_u64.to_le_bytes(), 8_u64.to_le_bytes()].concat());
        let expected = blake3::hash(&bytes).as_bytes()[..8].to_vec();
        let mut keys = Vec::new();
        Bands { bands: 2, rows: 2 }.keys(&[0, 0, 7, 8], &mut keys);
        assert_eq!(keys[1].to_le_bytes().to_vec(), expected);
    }
}
