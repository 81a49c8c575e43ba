//! The loops that take most of the time, each once for every width of the processor's vectors.
//!
//! The loops over minima are plain code, compiled a second and a third time for AVX2 and AVX-512.
//! SHA-1 of sixteen messages side by side is written with AVX-512's instructions, because they are
//! the first that rotate; elsewhere the `sha1` crate is faster, with the processor's own SHA
//! instructions if it has them.
//!
//! **Invariant:** every width computes the same values. The tests compare them on random inputs.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calling code for instructions that only some processors have")
)]

use std::ops::Range;

mod minima;

pub(crate) use minima::{MERSENNE_61, Parameters};

/// Messages that SHA-1 compresses side by side.
pub(crate) const LANES: usize = 16;

/// The state of each lane of SHA-1: five words.
pub(crate) type Sha1State = [[u32; LANES]; 5];

/// One block of each lane.
pub(crate) type Sha1Blocks = [[u8; 64]; LANES];

/// A width of vectors that this processor has. Only this module makes one, so that a `Width` is
/// proof that its instructions may be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Width {
    kind: Kind,
    /// Whether bytes can be compressed too (VBMI2), which not all processors with AVX-512 have.
    bytes: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Compressed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Width {
    /// The width that every processor can execute.
    pub(crate) const PORTABLE: Self = Self { kind: Kind::Portable, bytes: Bytes::Portable };

    /// Returns all widths that this processor has, the fastest last.
    #[cfg(target_arch = "x86_64")]
    fn available() -> impl DoubleEndedIterator<Item = Self> {
        let width = |kind, bytes, has: bool| has.then_some(Self { kind, bytes });
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        let vbmi2 = avx512 && is_x86_feature_detected!("avx512vbmi2");
        [
            Some(Self::PORTABLE),
            width(Kind::Avx2, Bytes::Portable, avx2),
            width(Kind::Avx512, Bytes::Portable, avx512),
            width(Kind::Avx512, Bytes::Compressed, vbmi2),
        ]
        .into_iter()
        .flatten()
    }

    /// Returns all widths that this processor has.
    #[cfg(not(target_arch = "x86_64"))]
    fn available() -> impl DoubleEndedIterator<Item = Self> {
        [Self::PORTABLE].into_iter()
    }

    /// Returns the fastest width of this processor.
    pub(crate) fn best() -> Self {
        Self::available().next_back().unwrap_or(Self::PORTABLE)
    }

    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        Self::available().collect()
    }

    /// Returns the name of this width in reports.
    pub(crate) fn name(self) -> &'static str {
        match self.kind {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
        }
    }

    /// Replaces `signature` by the minima over all items. There is at least one item. `high` has
    /// the upper halves of the items, which only one family reads.
    pub(crate) fn minima(
        self,
        parameters: &Parameters,
        low: &[u64],
        high: &[u64],
        signature: &mut [u64],
    ) {
        match self.kind {
            Kind::Portable => minima::by_rejection(parameters, low, high, signature),
            // SAFETY: a `Width` of this kind exists only if the processor has the instructions.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { x86::minima_avx2(parameters, low, high, signature) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { x86::minima_avx512(parameters, low, high, signature) },
        }
    }

    /// Appends the letters of `bytes` in lower case and a space for each run of other ASCII, up to
    /// the first digit or byte outside ASCII, and returns how many bytes it has taken. It takes
    /// whole vectors alone, so the caller continues from there; portable code takes none.
    /// `after_space` is whether a space came last, and it is updated.
    pub(crate) fn fold_letters(
        self,
        bytes: &[u8],
        after_space: &mut bool,
        out: &mut String,
    ) -> usize {
        match self.bytes {
            Bytes::Portable => {
                // Other processors have no other case.
                let _ = (bytes, after_space, out);
                0
            }
            // SAFETY: a `Width` with these bytes exists only if the processor has the instructions.
            #[cfg(target_arch = "x86_64")]
            Bytes::Compressed => unsafe { x86::fold_letters(bytes, after_space, out) },
        }
    }

    /// Compresses a message of at most 55 bytes and its padding into each lane's state, if this
    /// width can, and returns whether it did.
    pub(crate) fn sha1_short(
        self,
        state: &mut Sha1State,
        bytes: &[u8],
        messages: &[Range<usize>],
    ) -> bool {
        match self.kind {
            // SAFETY: a `Width` of this kind exists only if the processor has the instructions.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 if messages.len() > LANES / 4 => {
                unsafe { x86::sha1_short(state, bytes, messages) };
                true
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 | Kind::Avx512 => false,
            Kind::Portable => {
                // Other processors have no other case.
                let _ = (state, bytes, messages);
                false
            }
        }
    }

    /// Compresses one block into each of the first `lanes` lanes' states.
    pub(crate) fn sha1(self, state: &mut Sha1State, blocks: &Sha1Blocks, lanes: usize) {
        match self.kind {
            // SAFETY: a `Width` of this kind exists only if the processor has the instructions.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 if lanes > LANES / 4 => unsafe { x86::sha1_avx512(state, blocks) },
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 | Kind::Avx512 => sha1_each(state, blocks, lanes),
            Kind::Portable => sha1_each(state, blocks, lanes),
        }
    }
}

fn sha1_each(state: &mut Sha1State, blocks: &Sha1Blocks, lanes: usize) {
    for (lane, block) in blocks.iter().enumerate().take(lanes) {
        let mut words = state.each_ref().map(|word| word[lane]);
        sha1::block_api::compress(&mut words, std::slice::from_ref(block));
        for (word, value) in state.iter_mut().zip(words) {
            word[lane] = value;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512i, _mm_set_epi8, _mm512_add_epi32, _mm512_broadcast_i32x4, _mm512_cmplt_epu8_mask,
        _mm512_loadu_si512, _mm512_mask_blend_epi8, _mm512_mask_mov_epi8,
        _mm512_maskz_compress_epi8, _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_or_si512,
        _mm512_rol_epi32, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_setzero_si512,
        _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_sub_epi8,
        _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
        _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
    };

    use std::ops::Range;

    use super::{LANES, Parameters, Sha1Blocks, Sha1State, minima};

    #[target_feature(enable = "avx2,bmi2")]
    pub(super) fn minima_avx2(
        parameters: &Parameters,
        low: &[u64],
        high: &[u64],
        signature: &mut [u64],
    ) {
        minima::by_vectors(parameters, low, high, signature);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,bmi2")]
    pub(super) fn minima_avx512(
        parameters: &Parameters,
        low: &[u64],
        high: &[u64],
        signature: &mut [u64],
    ) {
        minima::by_vectors(parameters, low, high, signature);
    }

    #[target_feature(enable = "avx512f")]
    fn load(words: &[u32; LANES]) -> __m512i {
        // SAFETY: the array has the 64 bytes that are read; no alignment is needed.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f")]
    fn load_block(block: &[u8; 64]) -> __m512i {
        // SAFETY: the array has the 64 bytes that are read; no alignment is needed.
        unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f")]
    fn store(words: &mut [u32; LANES], vector: __m512i) {
        // SAFETY: the array has the 64 bytes that are written; no alignment is needed.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
    }

    /// Bytes that are folded before they are appended.
    const RUN_BYTES: usize = 512;

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
    pub(super) fn fold_letters(bytes: &[u8], after_space: &mut bool, out: &mut String) -> usize {
        let mut run = [0_u8; RUN_BYTES];
        let (mut length, mut taken) = (0, 0);
        let mut last = u64::from(*after_space);
        for block in bytes.as_chunks::<64>().0 {
            let vector = load_block(block);
            let lowered = _mm512_or_si512(vector, _mm512_set1_epi8(0x20));
            let from_a = _mm512_sub_epi8(lowered, _mm512_set1_epi8(b'a' as i8));
            let letters = _mm512_cmplt_epu8_mask(from_a, _mm512_set1_epi8(26));
            let from_zero = _mm512_sub_epi8(vector, _mm512_set1_epi8(b'0' as i8));
            let digits = _mm512_cmplt_epu8_mask(from_zero, _mm512_set1_epi8(10));
            let stops = digits | _mm512_movepi8_mask(vector);
            // All bytes before the first stop.
            let valid = if stops == 0 { u64::MAX } else { (stops & stops.wrapping_neg()) - 1 };
            let spaces = !letters & valid;
            let kept = valid & !(spaces & ((spaces << 1) | last));
            let folded = _mm512_mask_blend_epi8(letters, _mm512_set1_epi8(b' ' as i8), lowered);
            let compressed = _mm512_maskz_compress_epi8(kept, folded);
            if length + 64 > RUN_BYTES {
                out.push_str(std::str::from_utf8(&run[..length]).unwrap_or_default());
                length = 0;
            }
            store_bytes(&mut run[length..], compressed);
            length += kept.count_ones() as usize;
            taken += valid.count_ones() as usize;
            if stops != 0 {
                // The bit below the stop; if it is the first byte, what came before stays.
                last = ((spaces << 1 | last) >> stops.trailing_zeros()) & 1;
                break;
            }
            last = spaces >> 63;
        }
        out.push_str(std::str::from_utf8(&run[..length]).unwrap_or_default());
        *after_space = last != 0;
        taken
    }

    #[target_feature(enable = "avx512f")]
    fn store_bytes(bytes: &mut [u8], vector: __m512i) {
        if let Some(block) = bytes.first_chunk_mut::<64>() {
            // SAFETY: the array has the 64 bytes that are written; no alignment is needed.
            unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), vector) }
        }
    }

    /// SHA-1 of one block in each lane.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn sha1_avx512(state: &mut Sha1State, blocks: &Sha1Blocks) {
        compress(state, message_words(blocks.each_ref().map(|block| load_block(block))));
    }

    /// SHA-1 of one short message in each lane, padded in registers.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn sha1_short(state: &mut Sha1State, bytes: &[u8], messages: &[Range<usize>]) {
        let mut rows = [_mm512_setzero_si512(); LANES];
        let mut bits = [0; LANES];
        let lanes = rows.iter_mut().zip(&mut bits);
        for ((row, bits), span) in lanes.zip(messages) {
            let message = &bytes[span.clone()];
            // At most 55, which leaves room for the padding.
            let length = message.len().min(55);
            let end = 1_u64 << length;
            // SAFETY: the mask has a bit for each byte of the message alone, and other bytes are
            // not read.
            let text = unsafe { _mm512_maskz_loadu_epi8(end - 1, message.as_ptr().cast()) };
            *row = _mm512_mask_mov_epi8(text, end, _mm512_set1_epi8(0x80_u8 as i8));
            *bits = 8 * length as u32;
        }
        let mut words = message_words(rows);
        words[15] = load(&bits);
        compress(state, words);
    }

    /// SHA-1's compression function (FIPS 180-4, 6.1.2).
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn compress(state: &mut Sha1State, mut schedule: [__m512i; 16]) {
        let [mut a, mut b, mut c, mut d, mut e] = state.each_ref().map(|words| load(words));
        // Truth tables of three inputs: choose, parity and majority.
        macro_rules! rounds {
            ($table:literal, $constant:literal, $($round:literal)*) => {
                let constant = _mm512_set1_epi32($constant as u32 as i32);
                // Written out, so that the schedule stays in registers.
                $(
                    let word = schedule_word::<$round>(&mut schedule);
                    let function = _mm512_ternarylogic_epi32::<$table>(b, c, d);
                    let sum = _mm512_add_epi32(_mm512_add_epi32(e, word), constant);
                    let sum = _mm512_add_epi32(sum, function);
                    let sum = _mm512_add_epi32(sum, _mm512_rol_epi32::<5>(a));
                    (a, b, c, d, e) = (sum, a, _mm512_rol_epi32::<30>(b), c, d);
                )*
            };
        }
        rounds!(0xca, 0x5a82_7999, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        rounds!(0x96, 0x6ed9_eba1, 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
        rounds!(0xe8, 0x8f1b_bcdc_u32, 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
        rounds!(0x96, 0xca62_c1d6_u32, 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
        for (words, vector) in state.iter_mut().zip([a, b, c, d, e]) {
            store(words, _mm512_add_epi32(load(words), vector));
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn schedule_word<const ROUND: usize>(schedule: &mut [__m512i; 16]) -> __m512i {
        if ROUND >= 16 {
            let three = _mm512_ternarylogic_epi32::<0x96>(
                schedule[(ROUND + 13) % 16],
                schedule[(ROUND + 8) % 16],
                schedule[(ROUND + 2) % 16],
            );
            let all = _mm512_xor_si512(three, schedule[ROUND % 16]);
            schedule[ROUND % 16] = _mm512_rol_epi32::<1>(all);
        }
        schedule[ROUND % 16]
    }

    /// Returns the sixteen big-endian words of each lane's block, one vector per word: the rows are
    /// transposed, first within their quarters of four words and then by whole quarters.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn message_words(rows: [__m512i; LANES]) -> [__m512i; 16] {
        let mut quarters = rows;
        for (four, rows) in quarters.chunks_exact_mut(4).zip(rows.chunks_exact(4)) {
            let low = _mm512_unpacklo_epi32(rows[0], rows[1]);
            let high = _mm512_unpackhi_epi32(rows[0], rows[1]);
            let other_low = _mm512_unpacklo_epi32(rows[2], rows[3]);
            let other_high = _mm512_unpackhi_epi32(rows[2], rows[3]);
            four[0] = _mm512_unpacklo_epi64(low, other_low);
            four[1] = _mm512_unpackhi_epi64(low, other_low);
            four[2] = _mm512_unpacklo_epi64(high, other_high);
            four[3] = _mm512_unpackhi_epi64(high, other_high);
        }
        let swap = _mm512_broadcast_i32x4(_mm_set_epi8(
            12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
        ));
        let mut words = quarters;
        for word in 0..4 {
            let [a, b, c, d] = [0, 4, 8, 12].map(|row| quarters[row + word]);
            let even = _mm512_shuffle_i32x4::<0x88>(a, b);
            let odd = _mm512_shuffle_i32x4::<0xdd>(a, b);
            let other_even = _mm512_shuffle_i32x4::<0x88>(c, d);
            let other_odd = _mm512_shuffle_i32x4::<0xdd>(c, d);
            let first = _mm512_shuffle_i32x4::<0x88>(even, other_even);
            let second = _mm512_shuffle_i32x4::<0x88>(odd, other_odd);
            let third = _mm512_shuffle_i32x4::<0xdd>(even, other_even);
            let fourth = _mm512_shuffle_i32x4::<0xdd>(odd, other_odd);
            for (quarter, vector) in [first, second, third, fourth].into_iter().enumerate() {
                words[4 * quarter + word] = _mm512_shuffle_epi8(vector, swap);
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::family::Permutations;

    proptest! {
        #[test]
        fn all_widths_find_the_same_minima(
            low in prop::collection::vec(any::<u64>(), 1..40),
            count in 1_usize..40,
            seed in any::<u32>(),
        ) {
            let high: Vec<u64> = low.iter().map(|item| item.rotate_left(17) ^ 5).collect();
            for permutations in [
                Permutations::Datatrove { seed },
                Permutations::DatasketchLegacy { seed },
                Permutations::Nemo { seed },
                Permutations::Multiply128,
            ] {
                let parameters = permutations.parameters(count);
                let found = Width::all().into_iter().map(|width| {
                    let mut signature = vec![u64::MAX; count];
                    width.minima(&parameters, &low, &high, &mut signature);
                    signature
                });
                let found: Vec<_> = found.collect();
                prop_assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{permutations:?}");
            }
        }

        #[test]
        fn all_widths_compress_alike(
            words in prop::array::uniform5(any::<u32>()),
            bytes in prop::collection::vec(any::<u8>(), 64 * LANES),
            lanes in 1_usize..=LANES,
        ) {
            let blocks: Sha1Blocks = std::array::from_fn(|lane| {
                std::array::from_fn(|byte| bytes[64 * lane + byte])
            });
            let state: Sha1State =
                std::array::from_fn(|word| [words[word].wrapping_add(word as u32); LANES]);
            let found = Width::all().into_iter().map(|width| {
                let mut state = state;
                width.sha1(&mut state, &blocks, lanes);
                state.map(|word| word[..lanes].to_vec())
            });
            let found: Vec<_> = found.collect();
            prop_assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }
}
