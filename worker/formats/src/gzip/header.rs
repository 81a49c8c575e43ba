//! Recognises the header of a gzip member (RFC 1952) and measures it. Its fields (name, time,
//! comment) are skipped.

/// A longer header is treated as damage; real ones have 10 to 60 bytes.
pub(super) const HEADER_MAX_BYTES: usize = 70 << 10;
/// Size of the CRC and length at the end of a member.
pub(super) const TRAILER_BYTES: usize = 8;
/// First bytes of a member: the magic number and the only method that exists.
pub(super) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

const FIXED_BYTES: usize = 10;
const FLAG_CRC: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;
const FLAGS_RESERVED: u8 = 0xe0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderScan {
    /// The header is complete, and the deflate data starts after this many bytes.
    Complete(usize),
    /// The bytes may be a header, but end before it does.
    Short,
    Bad(&'static str),
}

pub(super) fn scan(bytes: &[u8]) -> HeaderScan {
    let magic = bytes.len().min(MAGIC.len());
    if bytes[..magic] != MAGIC[..magic] {
        return HeaderScan::Bad("no gzip magic");
    }
    if bytes.len() < FIXED_BYTES {
        return HeaderScan::Short;
    }
    let flags = bytes[3];
    if flags & FLAGS_RESERVED != 0 {
        return HeaderScan::Bad("reserved header flags are set");
    }
    match length(bytes, flags) {
        Some(length) if length <= HEADER_MAX_BYTES.min(bytes.len()) => HeaderScan::Complete(length),
        Some(length) if length <= HEADER_MAX_BYTES => HeaderScan::Short,
        None if bytes.len() < HEADER_MAX_BYTES => HeaderScan::Short,
        Some(_) | None => HeaderScan::Bad("the header is too long"),
    }
}

fn length(bytes: &[u8], flags: u8) -> Option<usize> {
    let mut at = FIXED_BYTES;
    if flags & FLAG_EXTRA != 0 {
        let size = bytes.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([size[0], size[1]]));
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            at += memchr::memchr(0, bytes.get(at..)?)? + 1;
        }
    }
    if flags & FLAG_CRC != 0 {
        at += 2;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_optional_field_is_skipped() {
        let mut bytes = vec![0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3];
        bytes.extend_from_slice(&[3, 0, b'x', b'y', b'z']);
        bytes.extend_from_slice(b"name\0comment\0cc");
        let length = bytes.len();
        assert_eq!(scan(&bytes), HeaderScan::Complete(length));
        for cut in 0..length {
            assert_eq!(scan(&bytes[..cut]), HeaderScan::Short, "cut at {cut}");
        }
    }

    #[test]
    fn reserved_flags_and_endless_names_are_not_a_header() {
        let reserved = [0x1f, 0x8b, 8, 0x20, 0, 0, 0, 0, 0, 3];
        assert!(matches!(scan(&reserved), HeaderScan::Bad(_)));
        let mut endless = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
        endless.resize(HEADER_MAX_BYTES + 1, b'a');
        assert!(matches!(scan(&endless), HeaderScan::Bad(_)));
    }
}
