//! The loops that find, for each permutation, the least value of all items.
//!
//! `by_vectors` is inlined into one function per width of vectors, and so compiled for each.
//! `by_rejection` is for processors without wide vectors: it computes a value only if a product
//! that costs a third as much says that it may be the least so far, which is seldom.
//!
//! **Invariant:** both give the exact minima of the published formulas.

/// 2⁶¹ − 1.
pub(crate) const MERSENNE_61: u64 = (1 << 61) - 1;

/// The parameters of a number of permutations, laid out as the loops read them. The families
/// (`family`) say where they come from.
#[derive(Debug, Clone)]
pub(crate) enum Parameters {
    /// `((h·a + b mod 2⁶⁴) mod (2⁶¹ − 1)) & mask`; the mask keeps all bits, or the lower 32.
    Mersenne { a: Vec<u64>, b: Vec<u64>, mask: u64 },
    /// `h·a + b mod 2³²`.
    Wrapping { a: Vec<u32>, b: Vec<u32> },
    /// The upper 64 bits of `h·a mod 2¹²⁸`, with the two halves of each `a`.
    Multiply { low: Vec<u64>, high: Vec<u64> },
}

/// Replaces `signature`, which has one entry per permutation, by the minima over all items, of
/// which there is at least one. Items of 128 bits have their upper halves in `high`.
#[inline(always)]
pub(crate) fn by_vectors(
    parameters: &Parameters,
    low: &[u64],
    high: &[u64],
    signature: &mut [u64],
) {
    signature.fill(u64::MAX);
    match parameters {
        Parameters::Mersenne { a, b, mask: u64::MAX } => whole_remainders(low, a, b, signature),
        Parameters::Mersenne { a, b, mask } => lower_halves(low, a, b, *mask, signature),
        Parameters::Wrapping { a, b } => {
            let mut minima = vec![u32::MAX; signature.len()];
            each_item(low, a, b, &mut minima, wrapping);
            for (least, minimum) in signature.iter_mut().zip(minima) {
                *least = u64::from(minimum);
            }
        }
        Parameters::Multiply { low: a_low, high: a_high } => {
            for (&low, &high) in low.iter().zip(high) {
                for ((value, &a_low), &a_high) in signature.iter_mut().zip(a_low).zip(a_high) {
                    *value = (*value).min(upper_half(low, high, a_low, a_high));
                }
            }
        }
    }
}

/// Lowers each minimum by the values of all items. A pass takes four items, so that a minimum is
/// loaded and stored once for four values.
#[inline(always)]
fn each_item<T: Copy + Ord>(
    items: &[u64],
    a: &[T],
    b: &[T],
    minima: &mut [T],
    value: impl Fn(u64, T, T) -> T,
) {
    let (fours, rest) = items.as_chunks::<4>();
    for four in fours {
        for ((least, &a), &b) in minima.iter_mut().zip(a).zip(b) {
            let first = value(four[0], a, b).min(value(four[1], a, b));
            let second = value(four[2], a, b).min(value(four[3], a, b));
            *least = (*least).min(first.min(second));
        }
    }
    for &item in rest {
        for ((least, &a), &b) in minima.iter_mut().zip(a).zip(b) {
            *least = (*least).min(value(item, a, b));
        }
    }
}

/// The minima of `mersenne`, in fewer steps per value.
///
/// With s = h·a + b + 1 mod 2⁶⁴, the lower 61 bits of s + (s >> 61) are the remainder plus one,
/// unless they wrap, and then they are below eight. So a minimum of at least eight is exact, and
/// the others, one in 2⁵⁸, are computed again.
#[inline(always)]
fn whole_remainders(items: &[u64], a: &[u64], b: &[u64], signature: &mut [u64]) {
    each_item(items, a, b, signature, |item, a, b| {
        let sum = item.wrapping_mul(a).wrapping_add(b.wrapping_add(1));
        sum.wrapping_add(sum >> 61) << 3
    });
    for ((least, &a), &b) in signature.iter_mut().zip(a).zip(b) {
        let above = *least >> 3;
        *least = if above >= 8 {
            above - 1
        } else {
            items.iter().map(|&item| mersenne(item, a, b)).min().unwrap_or(u64::MAX)
        };
    }
}

/// Permutations that are looked at together.
const GROUP: usize = 16;
/// Items that are looked at together.
const ITEMS: usize = 8;

/// The minima of `mersenne` under a mask of 32 bits. Products of 32 bits say which values may be
/// the least, as in `by_rejection`.
#[inline(always)]
fn lower_halves(items: &[u64], a: &[u64], b: &[u64], mask: u64, signature: &mut [u64]) {
    let groups = signature.chunks_mut(GROUP).zip(a.chunks(GROUP).zip(b.chunks(GROUP)));
    let halves: Vec<u32> = items.iter().map(|&item| item as u32).collect();
    for (least, (a, b)) in groups {
        let limit = |least: u64| (least as u32).saturating_add(7);
        let value = |item: u64, lane: usize| mersenne(item, a[lane], b[lane]) & mask;
        let (mut a_half, mut b_half) = ([0_u32; GROUP], [0_u32; GROUP]);
        let mut highest = [0_u32; GROUP];
        for lane in 0..least.len() {
            (a_half[lane], b_half[lane]) = (a[lane] as u32, (b[lane] as u32).wrapping_add(8));
            least[lane] = items.first().map_or(u64::MAX, |&item| value(item, lane));
            highest[lane] = limit(least[lane]);
        }
        let (eights, rest) = halves.as_chunks::<ITEMS>();
        for (eight, items) in eights.iter().zip(items.chunks_exact(ITEMS)) {
            let mut lowest = [0_u32; GROUP];
            for ((lowest, &a), &b) in lowest.iter_mut().zip(&a_half).zip(&b_half) {
                let product = |half: u32| half.wrapping_mul(a).wrapping_add(b);
                *lowest = eight.iter().fold(u32::MAX, |least, &half| least.min(product(half)));
            }
            let pairs = lowest.iter().zip(&highest);
            if !pairs.fold(false, |any, (lowest, highest)| any | (lowest <= highest)) {
                continue;
            }
            for lane in 0..least.len() {
                if lowest[lane] <= highest[lane] {
                    let values = items.iter().map(|&item| value(item, lane));
                    least[lane] = values.fold(least[lane], u64::min);
                    highest[lane] = limit(least[lane]);
                }
            }
        }
        for &item in &items[items.len() - rest.len()..] {
            for (lane, least) in least.iter_mut().enumerate() {
                *least = (*least).min(value(item, lane));
            }
        }
    }
}

/// As `by_vectors`, for one value at a time.
pub(crate) fn by_rejection(
    parameters: &Parameters,
    low: &[u64],
    high: &[u64],
    signature: &mut [u64],
) {
    match parameters {
        Parameters::Mersenne { a, b, mask } => {
            // The bits of a sum that decide are shifted to the top.
            let shift = mask.leading_zeros().max(3);
            for ((least, &a), &b) in signature.iter_mut().zip(a).zip(b) {
                *least = least_remainder(low, a, b, *mask, shift);
            }
        }
        Parameters::Wrapping { .. } | Parameters::Multiply { .. } => {
            by_vectors(parameters, low, high, signature);
        }
    }
}

/// Returns the least of `mersenne(item, a, b) & mask`.
///
/// The decisive bits of a sum (61, or the 32 of the mask) are at most eight less than those of its
/// remainder, modulo their range. So a value below the least has decisive bits plus eight of at
/// most the least plus seven; or they wrapped, and are at most seven.
fn least_remainder(items: &[u64], a: u64, b: u64, mask: u64, shift: u32) -> u64 {
    let Some((&first, items)) = items.split_first() else { return u64::MAX };
    let value = |item: u64| mersenne(item, a, b) & mask;
    let limit = |least: u64| {
        let above = least + 7;
        if above > u64::MAX >> shift { u64::MAX } else { above << shift }
    };
    let mut least = value(first);
    let mut highest = limit(least);
    let (a, b) = (a << shift, b.wrapping_add(8) << shift);
    let may_be_least = |item: u64, highest| item.wrapping_mul(a).wrapping_add(b) <= highest;
    let (fours, rest) = items.as_chunks::<4>();
    for four in fours {
        if four.iter().any(|&item| may_be_least(item, highest)) {
            least = four.iter().fold(least, |least, &item| least.min(value(item)));
            highest = limit(least);
        }
    }
    rest.iter().fold(least, |least, &item| least.min(value(item)))
}

/// Returns `(h·a + b mod 2⁶⁴) mod (2⁶¹ − 1)`.
#[inline(always)]
fn mersenne(item: u64, a: u64, b: u64) -> u64 {
    let sum = item.wrapping_mul(a).wrapping_add(b);
    // At most 2⁶¹ + 6. One subtraction is enough, and it wraps to a large number if it is not due.
    let folded = (sum & MERSENNE_61) + (sum >> 61);
    folded.min(folded.wrapping_sub(MERSENNE_61))
}

/// Returns `h·a + b mod 2³²`. Such items have 32 bits.
#[inline(always)]
fn wrapping(item: u64, a: u32, b: u32) -> u32 {
    (item as u32).wrapping_mul(a).wrapping_add(b)
}

/// Returns the upper half of `h·a mod 2¹²⁸`, by products of 32 bits, which vectors have.
#[inline(always)]
fn upper_half(low: u64, high: u64, a_low: u64, a_high: u64) -> u64 {
    const HALF: u64 = u32::MAX as u64;
    let (x0, x1) = (low & HALF, low >> 32);
    let (y0, y1) = (a_low & HALF, a_low >> 32);
    let middle = x1.wrapping_mul(y0).wrapping_add(x0.wrapping_mul(y0) >> 32);
    let cross = x0.wrapping_mul(y1).wrapping_add(middle & HALF);
    let upper = x1.wrapping_mul(y1).wrapping_add(middle >> 32).wrapping_add(cross >> 32);
    upper.wrapping_add(low.wrapping_mul(a_high)).wrapping_add(high.wrapping_mul(a_low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the least value by the published formula.
    fn published(items: &[u64], a: u64, b: u64, mask: u64) -> u64 {
        let sums = items.iter().map(|item| item.wrapping_mul(a).wrapping_add(b));
        sums.map(|sum| (sum % MERSENNE_61) & mask).min().unwrap()
    }

    fn both(items: &[u64], a: u64, b: u64, mask: u64) -> [u64; 2] {
        let parameters = Parameters::Mersenne { a: vec![a], b: vec![b], mask };
        [by_vectors, by_rejection].map(|minima| {
            let mut signature = [0];
            minima(&parameters, items, &[], &mut signature);
            signature[0]
        })
    }

    proptest! {
        #[test]
        fn minima_are_those_of_the_published_formula(
            items in prop::collection::vec(any::<u64>(), 1..50),
            a in any::<u64>(),
            b in 0..MERSENNE_61,
        ) {
            for mask in [u64::MAX, u64::from(u32::MAX)] {
                prop_assert_eq!(both(&items, a, b, mask), [published(&items, a, b, mask); 2]);
            }
        }

        /// With a = 1 and b = 0 the items are the sums: those where a remainder wraps, at either
        /// end of what the mask keeps, and some between.
        #[test]
        fn minima_are_exact_where_sums_wrap(
            sums in prop::collection::vec((0_u64..9, 0_u64..4, 0_u64..40), 1..6),
        ) {
            let sum = |&(eighth, quarter, offset): &(u64, u64, u64)| {
                let place = [0, 1 << 32, 1 << 31, 1 << 60][quarter as usize];
                (eighth << 61).wrapping_add(place).wrapping_add(offset).wrapping_sub(20)
            };
            let items: Vec<u64> = sums.iter().map(sum).collect();
            for mask in [u64::MAX, u64::from(u32::MAX)] {
                prop_assert_eq!(both(&items, 1, 0, mask), [published(&items, 1, 0, mask); 2]);
            }
        }

        #[test]
        fn the_upper_half_is_that_of_the_product(x in any::<u128>(), a in any::<u128>()) {
            let found = upper_half(x as u64, (x >> 64) as u64, a as u64, (a >> 64) as u64);
            prop_assert_eq!(found, (x.wrapping_mul(a) >> 64) as u64);
        }
    }
}
