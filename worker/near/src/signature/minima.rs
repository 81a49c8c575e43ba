//! The loops that lower each minimum of a signature by the values of the items.
//!
//! They are inlined into one function per width of vectors (`vector`), and so compiled for each.
//! Each pass over the signature takes four items, so that a minimum is loaded and stored once for
//! four values.

use crate::family::{MERSENNE_61, Parameters};

/// Lowers `signature` by the values of all items.
#[inline(always)]
pub(crate) fn lower(parameters: &Parameters, low: &[u64], high: &[u64], signature: &mut [u64]) {
    match parameters {
        Parameters::Mersenne { a, b, mask: u64::MAX } => {
            each_item(low, a, b, signature, |item, a, b| mersenne(item, a, b));
        }
        Parameters::Mersenne { a, b, mask } => {
            let mask = *mask;
            each_item(low, a, b, signature, |item, a, b| mersenne(item, a, b) & mask);
        }
        Parameters::Wrapping { a, b } => {
            each_item(low, a, b, signature, |item, a, b| {
                u64::from((item as u32).wrapping_mul(a).wrapping_add(b))
            });
        }
        Parameters::Multiply { low: a_low, high: a_high } => {
            for (&low, &high) in low.iter().zip(high) {
                for ((value, &a_low), &a_high) in signature.iter_mut().zip(a_low).zip(a_high) {
                    *value = (*value).min(multiply(low, high, a_low, a_high));
                }
            }
        }
    }
}

#[inline(always)]
fn each_item<T: Copy>(
    items: &[u64],
    a: &[T],
    b: &[T],
    signature: &mut [u64],
    value: impl Fn(u64, T, T) -> u64,
) {
    let (fours, rest) = items.as_chunks::<4>();
    for four in fours {
        for ((least, &a), &b) in signature.iter_mut().zip(a).zip(b) {
            let first = value(four[0], a, b).min(value(four[1], a, b));
            let second = value(four[2], a, b).min(value(four[3], a, b));
            *least = (*least).min(first.min(second));
        }
    }
    for &item in rest {
        for ((least, &a), &b) in signature.iter_mut().zip(a).zip(b) {
            *least = (*least).min(value(item, a, b));
        }
    }
}

/// Returns `(h·a + b mod 2⁶⁴) mod (2⁶¹ − 1)`.
#[inline(always)]
fn mersenne(item: u64, a: u64, b: u64) -> u64 {
    let sum = item.wrapping_mul(a).wrapping_add(b);
    // At most 2⁶¹ + 6. One subtraction is enough, and it wraps to a large number if it is not due.
    let folded = (sum & MERSENNE_61) + (sum >> 61);
    folded.min(folded.wrapping_sub(MERSENNE_61))
}

/// Returns the upper half of `h·a mod 2¹²⁸`, by products of 32 bits, which vectors have.
#[inline(always)]
fn multiply(low: u64, high: u64, a_low: u64, a_high: u64) -> u64 {
    const HALF: u64 = u32::MAX as u64;
    let (x0, x1) = (low & HALF, low >> 32);
    let (y0, y1) = (a_low & HALF, a_low >> 32);
    let middle = (x1.wrapping_mul(y0)).wrapping_add(x0.wrapping_mul(y0) >> 32);
    let cross = (x0.wrapping_mul(y1)).wrapping_add(middle & HALF);
    let upper = x1.wrapping_mul(y1).wrapping_add(middle >> 32).wrapping_add(cross >> 32);
    upper.wrapping_add(low.wrapping_mul(a_high)).wrapping_add(high.wrapping_mul(a_low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_remainder_is_exact(item in any::<u64>(), a in any::<u64>(), b in any::<u64>()) {
            let sum = item.wrapping_mul(a).wrapping_add(b);
            prop_assert_eq!(mersenne(item, a, b), sum % MERSENNE_61);
        }

        #[test]
        fn the_upper_half_is_that_of_the_product(x in any::<u128>(), a in any::<u128>()) {
            let found = multiply(x as u64, (x >> 64) as u64, a as u64, (a >> 64) as u64);
            prop_assert_eq!(found, (x.wrapping_mul(a) >> 64) as u64);
        }
    }

    #[test]
    fn the_remainder_is_exact_around_multiples_of_the_prime() {
        for multiple in 0..8_u64 {
            for offset in 0..16_u64 {
                let sum = (multiple * MERSENNE_61).wrapping_add(offset).wrapping_sub(8);
                assert_eq!(mersenne(0, 0, sum), sum % MERSENNE_61);
            }
        }
    }
}
