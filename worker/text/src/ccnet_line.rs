//! CCNet's normal form of a line, by which RedPajama finds duplicate lines, and its two hashes.
//!
//! Its steps, in this order: white space is stripped from both ends, letters are lowercased, every
//! decimal digit becomes `0`, and a fixed set of punctuation and all control characters are
//! deleted. ASCII punctuation and accents stay. "White space", "lowercase" and "digit" mean what
//! they mean in Python, CCNet's language.
//!
//! The form depends on the line alone. Characters newer than the tables of the Python that ran
//! CCNet follow today's Unicode; the golden test lists them.

use std::sync::LazyLock;

use unicode_general_category::{GeneralCategory, get_general_category};

/// The punctuation that CCNet deletes.
const PUNCTUATION: &str = "，。、„”“«»１」「《》´∶：？！（）；–—．～’…━〈〉【】％►";

/// Number of bytes beyond the longest possible form, so that whole blocks may be stored at its end.
const SLACK_BYTES: usize = BLOCK_BYTES;

/// Number of bytes that are mapped together.
const BLOCK_BYTES: usize = 16;

/// Returns the normal form of `line`, which is written to `room` over what it had. The form is
/// UTF-8 and may be empty.
pub fn normalise_line<'a>(line: &str, room: &'a mut Vec<u8>) -> &'a [u8] {
    let stripped = strip(line);
    make_room(room, stripped);
    let tables = &*TABLES;
    let length = match tables.normalise(stripped, room) {
        Ok(length) => length,
        // The lowercase of a capital sigma depends on its neighbours, which the standard library
        // handles.
        Err(ContextNeeded) => {
            let lowered = stripped.to_lowercase();
            make_room(room, &lowered);
            tables.normalise(&lowered, room).expect("lowercase text has no capital sigma")
        }
    };
    &room[..length]
}

/// Makes room for any form of a text. The buffer never shrinks, so it is not filled again for each
/// line.
fn make_room(room: &mut Vec<u8>, text: &str) {
    // Ⱥ grows from 2 bytes to 3, and no character grows by a larger factor.
    let bytes = text.len() + text.len() / 2 + SLACK_BYTES;
    if room.len() < bytes {
        room.resize(bytes, 0);
    }
}

/// Returns CCNet's own hash of a normal form: the first 8 bytes of its SHA-1, little-endian.
pub fn line_hash_sha1(normalised: &[u8]) -> u64 {
    use sha1::Digest;
    let digest = sha1::Sha1::digest(normalised);
    let (first, _) = digest.split_first_chunk::<8>().expect("a SHA-1 digest has 20 bytes");
    u64::from_le_bytes(*first)
}

/// Returns the fast hash of a normal form.
pub fn line_hash_xxh3(normalised: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(normalised)
}

/// Strips like Python's `str.strip`: Rust's white space and the four ASCII information separators.
fn strip(line: &str) -> &str {
    let inside = |byte: Option<&u8>| byte.is_some_and(|byte| (0x21..0x7F).contains(byte));
    if inside(line.as_bytes().first()) && inside(line.as_bytes().last()) {
        return line;
    }
    line.trim_matches(|c: char| c.is_whitespace() || ('\x1C'..='\x1F').contains(&c))
}

/// The line has a capital sigma.
#[derive(Debug)]
struct ContextNeeded;

/// What a character becomes: up to three bytes and their number. Four-byte results exist only
/// beyond the tables.
#[derive(Clone, Copy)]
struct Mapped([u8; 4]);

const CAPITAL_SIGMA: Mapped = Mapped([0, 0, 0, u8::MAX]);

struct Tables {
    /// The results for U+0000 to U+07FF.
    short: Box<[Mapped; 0x800]>,
    /// A bit for each of U+0000 to U+FFFF that does not change.
    plain: Box<[u64; 0x400]>,
    /// A bit for each of these that is deleted.
    deleted: Box<[u64; 0x400]>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::build);

impl Tables {
    fn build() -> Self {
        let mut short = Box::new([Mapped([0; 4]); 0x800]);
        let (mut plain, mut deleted) = (Box::new([0; 0x400]), Box::new([0; 0x400]));
        for code in 0..=0xFFFF {
            let Some(c) = char::from_u32(code) else { continue };
            let (mut from, mut to) = ([0; 4], [0; 8]);
            let length = map_slowly(c, &mut to);
            let bit = 1 << (code % 64);
            if to[..length] == *c.encode_utf8(&mut from).as_bytes() {
                plain[code as usize / 64] |= bit;
            }
            if length == 0 {
                deleted[code as usize / 64] |= bit;
            }
            if let Some(entry) = short.get_mut(code as usize) {
                *entry = Mapped([to[0], to[1], to[2], length as u8]);
            }
        }
        short['Σ' as usize] = CAPITAL_SIGMA;
        Self { short, plain, deleted }
    }

    /// Normalises `text` into `out`; returns the number of bytes written.
    fn normalise(&self, text: &str, out: &mut [u8]) -> Result<usize, ContextNeeded> {
        let bytes = text.as_bytes();
        let (mut read, mut written) = (0, 0);
        while read < bytes.len() {
            while let Some(block) = bytes[read..].first_chunk() {
                if !map_plain_ascii(block, room_at(out, written)) {
                    break;
                }
                read += BLOCK_BYTES;
                written += BLOCK_BYTES;
            }
            // The end is read as a whole block too. If that is plain, the bytes that it repeats
            // were mapped one by one, and are written again unchanged.
            let rest = bytes.len() - read;
            if let Some(block) = bytes.last_chunk().filter(|_| rest < BLOCK_BYTES) {
                let mut mapped = [0; BLOCK_BYTES];
                if map_plain_ascii(block, &mut mapped) {
                    store(out, written + rest - BLOCK_BYTES, mapped);
                    return Ok(written + rest);
                }
            }
            // The rest of plain ASCII is mapped in blocks of 8: all bytes are stored, but only
            // those before the first character that needs the slow path count.
            if let Some(block) = bytes[read..].first_chunk::<8>() {
                let block = u64::from_le_bytes(*block);
                let (mapped, special) = map_ascii(block);
                let count = (special.trailing_zeros() / 8) as usize;
                if count > 0 {
                    store(out, written, mapped.to_le_bytes());
                    read += count;
                    written += count;
                    if count == 8 {
                        continue;
                    }
                }
            }
            // After one character beyond ASCII, the next ones mostly are, too.
            while read < bytes.len() {
                let (taken, given) = self.normalise_one(text, read, out, written)?;
                read += taken;
                written += given;
                if bytes.get(read).is_none_or(u8::is_ascii) {
                    break;
                }
            }
        }
        Ok(written)
    }

    /// Maps the character at `read`; returns the bytes read and written.
    #[inline]
    fn normalise_one(
        &self,
        text: &str,
        read: usize,
        out: &mut [u8],
        written: usize,
    ) -> Result<(usize, usize), ContextNeeded> {
        let bytes = &text.as_bytes()[read..];
        let tail = |index: usize| usize::from(bytes[index] & 0x3F);
        let (code, taken) = match bytes[0] {
            ascii @ ..0x80 => (usize::from(ascii), 1),
            lead @ 0x80..0xE0 => (usize::from(lead & 0x1F) << 6 | tail(1), 2),
            lead @ 0xE0..0xF0 => (usize::from(lead & 0xF) << 12 | tail(1) << 6 | tail(2), 3),
            0xF0.. => (usize::MAX, 4),
        };
        if taken <= 2 {
            let Mapped([a, b, c, given]) = self.short[code];
            if given == u8::MAX {
                return Err(ContextNeeded);
            }
            store(out, written, [a, b, c, 0]);
            return Ok((taken, usize::from(given)));
        }
        if taken == 3 && self.plain[code / 64] >> (code % 64) & 1 == 1 {
            store(out, written, [bytes[0], bytes[1], bytes[2], 0]);
            return Ok((3, 3));
        }
        if taken == 3 && self.deleted[code / 64] >> (code % 64) & 1 == 1 {
            return Ok((3, 0));
        }
        let c = text[read..].chars().next().expect("a character starts here");
        let mut mapped = [0; 8];
        let given = map_slowly(c, &mut mapped);
        store(out, written, mapped);
        Ok((taken, given))
    }
}

#[inline]
fn store<const N: usize>(out: &mut [u8], at: usize, block: [u8; N]) {
    out[at..at + N].copy_from_slice(&block);
}

/// Lowercases a block of ASCII characters and zeroes their digits; returns whether it had nothing
/// else. It has no branch, so that it is compiled to vector instructions.
#[inline]
fn map_plain_ascii(block: &[u8; BLOCK_BYTES], mapped: &mut [u8; BLOCK_BYTES]) -> bool {
    let mut others = 0;
    for (to, &byte) in mapped.iter_mut().zip(block) {
        others |= u8::from(byte.wrapping_sub(b' ') > b'~' - b' ');
        let upper = u8::from(byte.wrapping_sub(b'A') < 26) << 5;
        // A digit has the bits of `0` and those of its value.
        let value = u8::from(byte.wrapping_sub(b'0') < 10) * 0x0F;
        *to = (byte | upper) & !value;
    }
    others == 0
}

#[inline]
fn room_at(out: &mut [u8], at: usize) -> &mut [u8; BLOCK_BYTES] {
    out[at..].first_chunk_mut().expect("there is room for a block after every form")
}

/// Lowercases eight ASCII characters and zeroes their digits. The second result marks, by the top
/// bit of each byte, those that are control characters or not ASCII.
#[inline]
fn map_ascii(block: u64) -> (u64, u64) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    let low = block & !TOPS;
    // The top bit of each byte says whether it is at least this.
    let at_least = |bound: u8| low + (0x80 - u64::from(bound)) * ONES;
    let upper = at_least(b'A') & !at_least(b'Z' + 1) & TOPS;
    let digit = at_least(b'0') & !at_least(b'9' + 1) & TOPS;
    let control = (!at_least(b' ') | at_least(0x7F)) & TOPS;
    let mapped = (block | upper >> 2) & !((digit >> 7) * 0x0F);
    (mapped, control | block & TOPS)
}

/// Maps one character, without the context of a capital sigma; returns the number of bytes.
fn map_slowly(c: char, to: &mut [u8; 8]) -> usize {
    if c.is_control() || is_punctuation(c) {
        return 0;
    }
    if is_digit(c) {
        to[0] = b'0';
        return 1;
    }
    let mut length = 0;
    for lower in c.to_lowercase() {
        length += lower.encode_utf8(&mut to[length..]).len();
    }
    length
}

/// Returns whether CCNet deletes it. `１` is in its set without effect, because it is a digit and
/// became `0` before.
fn is_punctuation(c: char) -> bool {
    c != '１' && PUNCTUATION.contains(c)
}

fn is_digit(c: char) -> bool {
    get_general_category(c) == GeneralCategory::DecimalNumber
}

#[cfg(test)]
mod tests;
