//! Runs of ASCII, folded by a table: most of most texts.

/// A byte that no table folds: part of a character outside ASCII, or what a rule treats by itself.
pub(super) const STOP: u8 = 0;

/// A byte that is deleted.
pub(super) const DELETE: u8 = 1;

/// Bytes that are folded into a buffer before they are appended.
const RUN_BYTES: usize = 256;

const WORD_BYTES: usize = 8;

/// Appends what `table` makes of the bytes up to the first that is folded to `STOP`, and returns
/// their number. Letters must be lowered, and a space kept. Of spaces that follow one another, only
/// the first is kept; `after_space` is whether one came last, and it is updated.
pub(super) fn fold_run(
    bytes: &[u8],
    table: &[u8; 256],
    after_space: &mut bool,
    out: &mut String,
) -> usize {
    let mut run = [0; RUN_BYTES];
    let mut length = 0;
    let mut at = 0;
    let mut last = *after_space;
    loop {
        if length + WORD_BYTES > RUN_BYTES {
            append(&run[..length], out);
            length = 0;
        }
        let word = Word::of(&bytes[at..], last);
        run[length..length + WORD_BYTES].copy_from_slice(&word.lowered);
        // By a branch: then the next word does not wait for the number of plain bytes.
        if word.others == 0 {
            last = word.spaces >> 63 != 0;
            length += WORD_BYTES;
            at += WORD_BYTES;
            continue;
        }
        let plain = word.plain();
        last = word.ends_in_space(plain, last);
        length += plain;
        at += plain;
        let folded = bytes.get(at).map_or(STOP, |&byte| table[usize::from(byte)]);
        match folded {
            STOP => {
                append(&run[..length], out);
                *after_space = last;
                return at;
            }
            DELETE => {}
            folded => {
                let is_space = folded == b' ';
                run[length] = folded;
                length += usize::from(!(is_space & last));
                last = is_space;
            }
        }
        at += 1;
    }
}

/// Eight bytes that are looked at together. The top bit of each byte of an answer is that byte's.
struct Word {
    lowered: [u8; WORD_BYTES],
    spaces: u64,
    /// Bytes that are neither a letter nor a space after no space. Every table lowers the one and
    /// keeps the other.
    others: u64,
}

const ONES: u64 = u64::MAX / 255;
const TOPS: u64 = ONES << 7;

impl Word {
    /// Looks at the first bytes of `bytes`; those that are missing are not plain.
    fn of(bytes: &[u8], after_space: bool) -> Self {
        let word = match bytes.first_chunk::<WORD_BYTES>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => bytes.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
        };
        // No sum carries into the next byte.
        let lowered = word | (ONES * 0x20);
        let low = lowered & !TOPS;
        let from_a = low + ONES * (0x80 - u64::from(b'a'));
        let behind_z = low + ONES * (0x7f - u64::from(b'z'));
        let letters = from_a & !behind_z & !word & TOPS;
        let not_space = word ^ (ONES * 0x20);
        let spaces = !(((not_space & !TOPS) + !TOPS) | not_space) & TOPS;
        let after_spaces = (spaces << 8) | if after_space { 0x80 } else { 0 };
        let others = !(letters | (spaces & !after_spaces)) & TOPS;
        Self { lowered: lowered.to_le_bytes(), spaces, others }
    }

    /// Returns the number of bytes before the first other.
    fn plain(&self) -> usize {
        self.others.trailing_zeros() as usize / 8
    }

    /// Returns whether the last of the first `plain` bytes is a space, or what is before the word
    /// if there are none.
    fn ends_in_space(&self, plain: usize, after_space: bool) -> bool {
        match plain.checked_sub(1) {
            Some(at) => (self.spaces >> (8 * at)) & 0x80 != 0,
            None => after_space,
        }
    }
}

fn append(run: &[u8], out: &mut String) {
    out.push_str(std::str::from_utf8(run).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters stay, `-` is deleted, `.` and spaces are spaces, and all else stops.
    fn table() -> [u8; 256] {
        std::array::from_fn(|byte| match byte as u8 {
            letter if letter.is_ascii_alphabetic() => letter.to_ascii_lowercase(),
            b'-' => DELETE,
            b'.' | b' ' => b' ',
            _ => STOP,
        })
    }

    #[test]
    fn a_run_of_any_length_ends_at_the_first_stop() {
        for length in [0, 1, 255, 256, 257, 511, 512, 1000] {
            for end in ["", "7", "é"] {
                let text = "a".repeat(length) + end + "b";
                let (mut out, mut after_space) = (String::new(), false);
                let taken = fold_run(text.as_bytes(), &table(), &mut after_space, &mut out);
                let expected = length + usize::from(end.is_empty());
                assert_eq!((taken, out.len()), (expected, expected), "{length} {end:?}");
            }
        }
    }

    #[test]
    fn words_are_folded_as_bytes_are() {
        let words = ["Some words", " ", "  ", "OF", ".", "-", " -", "lettersalonewithoutspaces"];
        let mut state = 7_usize;
        for _ in 0..300 {
            let mut text = String::new();
            while text.len() < 90 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text += words[(state >> 33) % words.len()];
            }
            let (mut whole, mut by_bytes) = (String::new(), String::new());
            let (mut after_whole, mut after_bytes) = (true, true);
            fold_run(text.as_bytes(), &table(), &mut after_whole, &mut whole);
            for byte in text.as_bytes() {
                fold_run(&[*byte], &table(), &mut after_bytes, &mut by_bytes);
            }
            assert_eq!((&whole, after_whole), (&by_bytes, after_bytes), "{text:?}");
        }
    }

    #[test]
    fn a_deleted_byte_is_neither_a_space_nor_a_letter() {
        let (mut out, mut after_space) = (String::new(), true);
        fold_run(b" -.a-b - .-c. -", &table(), &mut after_space, &mut out);
        assert_eq!((out.as_str(), after_space), ("ab c ", true));
    }
}
