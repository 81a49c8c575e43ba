//! Lines of a text as CCNet sees them: separated by `\n`, white space at both ends gone.

/// The lines of a text, stripped. An empty text has none.
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

/// Python's `str.strip`: it also takes U+001C to U+001F for white space.
pub fn strip(line: &str) -> &str {
    let plain = |byte: Option<&u8>| byte.is_none_or(|byte| (0x21..0x7f).contains(byte));
    if plain(line.as_bytes().first()) && plain(line.as_bytes().last()) {
        return line;
    }
    line.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

/// Whether the stripped lines, joined by `\n`, have at least so many code points.
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

/// Whether so many code points near the front are surely no white space, and so stay whatever is
/// stripped; they are told by their first byte. Most texts need no closer look.
fn has_solid_chars(text: &[u8], least: u64) -> bool {
    // The first bytes of U+0085, U+00A0 and of all later white space are left out.
    let is_solid = |byte: u8| matches!(byte, 0x21..=0x7E | 0xC3..=0xDF | 0xE4..=0xFF);
    let mut chars = 0;
    let near = text.len().min(usize::try_from(least.saturating_mul(4)).unwrap_or(usize::MAX));
    text[..near].chunks(CHUNK_BYTES).any(|chunk| {
        chars += u64::from(count_in_chunk(chunk, is_solid));
        chars >= least
    })
}

/// What is counted in a byte of its own does not overflow.
const CHUNK_BYTES: usize = 128;

/// How many bytes of a chunk are so. A checked sum, which `count` and `sum` are in this build,
/// would look at one byte at a time.
fn count_in_chunk(chunk: &[u8], is_so: impl Fn(u8) -> bool) -> u8 {
    debug_assert!(chunk.len() <= CHUNK_BYTES);
    chunk.iter().fold(0, |count: u8, byte| count.wrapping_add(u8::from(is_so(*byte))))
}

/// Code points.
pub fn count_chars(text: &str) -> u64 {
    let begins_char = |byte: u8| (byte as i8) >= -0x40;
    let chunks = text.as_bytes().chunks(CHUNK_BYTES);
    chunks.map(|chunk| u64::from(count_in_chunk(chunk, begins_char))).sum()
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
