//! The permutations of each family: their formulas, and their parameters.

use super::random_state::RandomState;
use crate::vector::{MERSENNE_61, Parameters};

const MERSENNE_31: u32 = (1 << 31) - 1;

/// A rule that makes many values of an item hash, one for each minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permutations {
    /// `(h·a + b mod 2⁶⁴) mod (2⁶¹ − 1)`, all `a` drawn before all `b`. datatrove.
    Datatrove {
        /// Seed of numpy's generator.
        seed: u32,
    },
    /// The lower 32 bits of the same formula, `a` and `b` drawn alternately. datasketch before
    /// 2.0, its scheme `legacy` since.
    DatasketchLegacy {
        /// Seed of numpy's generator.
        seed: u32,
    },
    /// `h·a + b mod 2³²`, and `h` at least 1. NeMo Curator on cuDF. There, `minhash` computes
    /// the product in 32 bits, so its remainder by 2⁶¹ − 1 changes nothing.
    Nemo {
        /// Seed of numpy's generator.
        seed: u32,
    },
    /// The upper 64 bits of `h·a mod 2¹²⁸` with odd `a`, as duplodocus has it. Parameter `i` is
    /// the first 16 bytes, little endian, of BLAKE3 over "thresher near multiply 128" and `i` as
    /// little-endian `u64`, with the lowest bit set. duplodocus draws them from a generator for
    /// item hashes that differ between machines, so its values cannot be reproduced.
    Multiply128,
}

impl Permutations {
    /// Returns the parameters of the first `count` permutations.
    pub(crate) fn parameters(self, count: usize) -> Parameters {
        match self {
            Self::Datatrove { seed } => {
                let mut state = RandomState::new(seed);
                let a = (0..count).map(|_| state.u64_in(1, MERSENNE_61)).collect();
                let b = (0..count).map(|_| state.u64_in(0, MERSENNE_61)).collect();
                Parameters::Mersenne { a, b, mask: u64::MAX }
            }
            Self::DatasketchLegacy { seed } => {
                let mut state = RandomState::new(seed);
                let mut pair = || (state.u64_in(1, MERSENNE_61), state.u64_in(0, MERSENNE_61));
                let (a, b) = (0..count).map(|_| pair()).unzip();
                Parameters::Mersenne { a, b, mask: u64::from(u32::MAX) }
            }
            Self::Nemo { seed } => {
                let mut state = RandomState::new(seed);
                let mut pair = || (state.u32_in(1, MERSENNE_31), state.u32_in(0, MERSENNE_31));
                let (a, b) = (0..count).map(|_| pair()).unzip();
                Parameters::Wrapping { a, b }
            }
            Self::Multiply128 => {
                let (low, high) = (0..count as u64).map(multiplier).unzip();
                Parameters::Multiply { low, high }
            }
        }
    }
}

/// Returns the two halves of the odd multiplier `at`, the lower first.
fn multiplier(at: u64) -> (u64, u64) {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"thresher near multiply 128").update(&at.to_le_bytes());
    let mut halves = [0; 16];
    hasher.finalize_xof().fill(&mut halves);
    let whole = u128::from_le_bytes(halves) | 1;
    (whole as u64, (whole >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn sha256_u64(numbers: impl Iterator<Item = u64>) -> String {
        let bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        hex(&Sha256::digest(bytes))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn mersenne(permutations: Permutations, count: usize) -> (Vec<u64>, Vec<u64>) {
        match permutations.parameters(count) {
            Parameters::Mersenne { a, b, .. } => (a, b),
            other @ (Parameters::Wrapping { .. } | Parameters::Multiply { .. }) => {
                panic!("{other:?}")
            }
        }
    }

    #[test]
    fn fineweb_parameters_are_those_of_datatrove() {
        let (a, b) = mersenne(Permutations::Datatrove { seed: 1 }, 112);
        assert_eq!(a[..3], [775169054918279404, 1758426461858698313, 2109959069025162]);
        assert_eq!(b[..3], [1062448801025099917, 1324811268927594100, 1217488311597731462]);
        assert_eq!(
            sha256_u64(a.into_iter().chain(b)),
            "3b8ce0e5ff06d6950b72f62ef5ff619cfa984cd0c52ce62b94ae10ded4e80c8d"
        );
    }

    #[test]
    fn slimpajama_and_redpajama_parameters_are_those_of_datasketch() {
        let (a, b) = mersenne(Permutations::DatasketchLegacy { seed: 1 }, 128);
        assert_eq!(a[..3], [775169054918279404, 2109959069025162, 401325382989534145]);
        assert_eq!(b[..3], [1758426461858698312, 965365488286768773, 1703346441743126657]);
        let (a, b) = mersenne(Permutations::DatasketchLegacy { seed: 42 }, 128);
        assert_eq!(a[..3], [2297359619001564596, 1973689801170867272, 572192888165898362]);
        assert_eq!(b[..3], [1396682528897996046, 1819927849474927636, 571748048327668950]);
        assert_eq!(
            sha256_u64(a.into_iter().chain(b)),
            "6a5665743fa1884640a8eb3543348255a90b4dbd55b093f39e3d61ac90eac9e1"
        );
    }

    #[test]
    fn nemo_parameters_are_those_of_curator() {
        let Parameters::Wrapping { a, b } = (Permutations::Nemo { seed: 42 }).parameters(260)
        else {
            panic!("NeMo's arithmetic wraps");
        };
        let pairs: Vec<(u32, u32)> = a.into_iter().zip(b).collect();
        let first = [(1608637543, 1273642419), (1935803229, 787846414), (996406379, 1201263687)];
        assert_eq!(pairs[..3], first);
        let bytes: Vec<u8> =
            pairs.iter().flat_map(|&(a, b)| [a.to_le_bytes(), b.to_le_bytes()]).flatten().collect();
        assert_eq!(
            hex(&Sha256::digest(bytes)),
            "7dde2d1607eb20cc4ee93c4d8f11cc2fa486206f9ddcd644e905dbdddf84afe6"
        );
    }

    #[test]
    fn multipliers_are_odd_and_each_its_own() {
        let Parameters::Multiply { low, high } = Permutations::Multiply128.parameters(286) else {
            panic!("the family multiplies");
        };
        assert!(low.iter().all(|low| low % 2 == 1));
        let distinct: std::collections::BTreeSet<_> = low.iter().zip(&high).collect();
        assert_eq!(distinct.len(), 286);
        assert_eq!((low[0], high[0]), multiplier(0));
    }
}
