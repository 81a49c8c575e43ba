//! Lines of a text as CCNet sees them: separated by `\n`, white space at both ends gone.

/// The lines of a text, stripped. An empty text has none.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = (!text.is_empty()).then_some(text);
    std::iter::from_fn(move || {
        let all = rest?;
        let line = match memchr::memchr(b'\n', all.as_bytes()) {
            Some(feed) => {
                rest = Some(&all[feed + 1..]);
                &all[..feed]
            }
            None => {
                rest = None;
                all
            }
        };
        Some(strip(line))
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
    let mut chars = 0;
    for (number, line) in lines(text).enumerate() {
        chars += count_chars(line) + u64::from(number > 0);
        if chars >= least {
            return true;
        }
    }
    chars >= least
}

/// Code points.
pub fn count_chars(text: &str) -> u64 {
    text.as_bytes().iter().filter(|byte| (**byte as i8) >= -0x40).count() as u64
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
        assert_eq!(count_chars("aä日😀"), 4);
    }
}
