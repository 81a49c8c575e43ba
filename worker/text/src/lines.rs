//! Lines of a text as CCNet sees them: separated by `\n`, with white space stripped at both ends.

/// Returns the lines of a text, stripped. An empty text has none.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut feeds = memchr::memchr_iter(b'\n', text.as_bytes());
    let mut next = (!text.is_empty()).then_some(0);
    std::iter::from_fn(move || {
        let begin = next?;
        let feed = feeds.next();
        next = feed.map(|feed| feed + 1);
        Some(strip(&text[begin..feed.unwrap_or(text.len())]))
    })
}

/// Strips like Python's `str.strip`, which also treats U+001C to U+001F as white space.
pub fn strip(line: &str) -> &str {
    let plain = |byte: Option<&u8>| byte.is_none_or(|byte| (0x21..0x7f).contains(byte));
    if plain(line.as_bytes().first()) && plain(line.as_bytes().last()) {
        return line;
    }
    line.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

/// Returns whether the stripped lines, joined by `\n`, have at least `least` code points.
pub fn has_chars(text: &str, least: u64) -> bool {
    if has_solid_chars(text.as_bytes(), least) {
        return true;
    }
    let mut chars = 0;
    for (number, line) in lines(text).enumerate() {
        chars += count_chars(line) + u64::from(number > 0);
        if chars >= least {
            return true;
        }
    }
    chars >= least
}

/// Returns whether at least `least` code points near the start are certainly not white space, so
/// that stripping does not remove them; their first byte shows it. For most texts this is enough.
fn has_solid_chars(text: &[u8], least: u64) -> bool {
    // The first bytes of U+0085, U+00A0 and of all later white space are excluded.
    let is_solid = |byte: u8| matches!(byte, 0x21..=0x7E | 0xC3..=0xDF | 0xE4..=0xFF);
    let mut chars = 0;
    let near = text.len().min(usize::try_from(least.saturating_mul(4)).unwrap_or(usize::MAX));
    text[..near].chunks(CHUNK_BYTES).any(|chunk| {
        chars += u64::from(count_in_chunk(chunk, is_solid));
        chars >= least
    })
}

/// Chunks are so short that a count in a byte does not overflow.
const CHUNK_BYTES: usize = 128;

/// Counts the bytes of a chunk that match. A checked sum, which `count` and `sum` are in this
/// build, would process one byte at a time.
fn count_in_chunk(chunk: &[u8], is_so: impl Fn(u8) -> bool) -> u8 {
    debug_assert!(chunk.len() <= CHUNK_BYTES);
    chunk.iter().fold(0, |count: u8, byte| count.wrapping_add(u8::from(is_so(*byte))))
}

/// Returns the number of code points.
pub fn count_chars(text: &str) -> u64 {
    let starts_char = |byte: u8| (byte as i8) >= -0x40;
    let chunks = text.as_bytes().chunks(CHUNK_BYTES);
    chunks.map(|chunk| u64::from(count_in_chunk(chunk, starts_char))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_stripped_and_an_empty_text_has_none() {
        assert_eq!(lines(" a \r\n\u{1f}b\u{a0}\n\nc").collect::<Vec<_>>(), ["a", "b", "", "c"]);
        assert_eq!(lines("").count(), 0);
        assert_eq!(lines("\n").collect::<Vec<_>>(), ["", ""]);
    }

    #[test]
    fn length_is_counted_in_code_points_of_stripped_lines() {
        let text = " äö \nß";
        assert!(has_chars(text, 4) && !has_chars(text, 5));
        assert!(has_chars("", 0) && !has_chars("", 1));
        for space in (0..=0x3000).filter_map(char::from_u32).filter(|c| c.is_whitespace()) {
            let text = format!("{space}{space}a{space}");
            assert!(!has_chars(&text, 3) || space == '\n', "{space:?}");
        }
        let long = "ä\u{1680}b日\n".repeat(500);
        assert!(has_chars(&long, 2499) && !has_chars(&long, 2501));
        assert_eq!(count_chars("aä日😀"), 4);
    }
}
