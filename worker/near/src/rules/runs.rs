//! Runs of ASCII, folded by a table: most of most texts.

/// A byte that no table folds: part of a character outside ASCII, or what a rule treats by itself.
pub(super) const STOP: u8 = 0;

/// A byte that is deleted.
pub(super) const DELETE: u8 = 1;

/// Bytes that are folded into a buffer before they are appended.
const RUN_BYTES: usize = 256;

/// Appends what `table` makes of the bytes up to the first that is folded to `STOP`, and returns
/// their number. Of spaces that follow one another, only the first is kept; `after_space` is
/// whether one came last, and it is updated.
pub(super) fn fold_run(
    bytes: &[u8],
    table: &[u8; 256],
    after_space: &mut bool,
    out: &mut String,
) -> usize {
    let mut run = [0; RUN_BYTES];
    let mut at = 0;
    let mut last = *after_space;
    loop {
        let mut length = 0;
        let mut stopped = true;
        for &byte in bytes[at..].iter().take(RUN_BYTES) {
            let folded = table[usize::from(byte)];
            stopped = folded == STOP;
            if stopped {
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
        out.push_str(std::str::from_utf8(&run[..length]).unwrap_or_default());
        if stopped {
            *after_space = last;
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters stay, `-` is deleted, `.` and spaces are spaces, and all else stops.
    fn table() -> [u8; 256] {
        std::array::from_fn(|byte| match byte as u8 {
            letter @ b'a'..=b'z' => letter,
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
    fn a_deleted_byte_is_neither_a_space_nor_a_letter() {
        let (mut out, mut after_space) = (String::new(), true);
        fold_run(b" -.a-b - .-c. -", &table(), &mut after_space, &mut out);
        assert_eq!((out.as_str(), after_space), ("ab c ", true));
    }
}
