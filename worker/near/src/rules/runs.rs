//! Runs of ASCII, folded by a table: most of most texts.

/// A byte that no table folds: part of a character outside ASCII, or what a rule treats by itself.
pub(super) const STOP: u8 = 0;

/// A byte that is deleted.
pub(super) const DELETE: u8 = 1;

/// Bytes that are folded into a buffer before they are appended.
const RUN_BYTES: usize = 256;

/// Bytes that are looked at together.
const BLOCK_BYTES: usize = 16;

/// Appends what `table` makes of the bytes up to the first that is folded to `STOP`, and returns
/// their number. Letters must be lowered, and a space kept. Of spaces that follow one another, only the first is kept; `after_space` is
/// whether one came last, and it is updated.
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
        if length + BLOCK_BYTES > RUN_BYTES {
            append(&run[..length], out);
            length = 0;
        }
        let rest = &bytes[at..];
        if let Some(block) = rest.first_chunk::<BLOCK_BYTES>()
            && is_plain(block, last)
        {
            // A space has this bit, and a letter gets it.
            let lowered = block.map(|byte| byte | 0x20);
            run[length..length + BLOCK_BYTES].copy_from_slice(&lowered);
            length += BLOCK_BYTES;
            at += BLOCK_BYTES;
            last = block[BLOCK_BYTES - 1] == b' ';
            continue;
        }
        let mut stopped = rest.len() < BLOCK_BYTES;
        for &byte in rest.iter().take(BLOCK_BYTES) {
            let folded = table[usize::from(byte)];
            if folded == STOP {
                stopped = true;
                break;
            }
            // Each byte is written, and the next one over it if it is not kept.
            run[length % RUN_BYTES] = folded;
            let is_space = folded == b' ';
            let is_deleted = folded == DELETE;
            length += usize::from(!((is_space & last) | is_deleted));
            last = is_space | (is_deleted & last);
            at += 1;
        }
        if stopped {
            append(&run[..length], out);
            *after_space = last;
            return at;
        }
    }
}

fn append(run: &[u8], out: &mut String) {
    out.push_str(std::str::from_utf8(run).unwrap_or_default());
}

/// Returns whether a block has letters and single spaces alone, which every table folds alike.
fn is_plain(block: &[u8; BLOCK_BYTES], after_space: bool) -> bool {
    let is_letter = |byte: u8| (byte | 0x20).wrapping_sub(b'a') < 26;
    let letters_and_spaces =
        block.iter().fold(true, |plain, &byte| plain & (is_letter(byte) | (byte == b' ')));
    let pairs = block.iter().zip(&block[1..]);
    let single = pairs
        .fold(true, |single, (&first, &second)| single & !((first == b' ') & (second == b' ')));
    letters_and_spaces & single & !(after_space & (block[0] == b' '))
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
    fn blocks_are_folded_as_bytes_are() {
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
