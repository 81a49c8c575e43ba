//! Parses the headers of members of a tar, with the extensions that carry names which are too long
//! for a header: those of GNU tar (types `L` and `K`) and of POSIX (types `x` and `X`).

/// Size in bytes of a block of a tar.
pub(crate) const BLOCK: usize = 512;

/// Size in bytes of the largest extension that is read.
const MAX_EXTENSION: u64 = 1 << 20;

/// What a header starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A file, whose bytes follow.
    File,
    /// A folder.
    Folder,
    /// A link to a path that is relative to its folder.
    Link,
    /// A link to another member, by its path in the tar.
    HardLink,
    /// A device or a pipe.
    Special,
    /// An extension of the next header, whose type is the given letter.
    Extension(u8),
}

/// The fields of a member's header.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) name: String,
    /// The target of a link; empty for other members.
    pub(crate) target: String,
    pub(crate) bytes: u64,
    pub(crate) modified: u64,
    pub(crate) entry: Entry,
}

impl Header {
    /// Parses a header; returns `None` if its checksum is wrong.
    pub(crate) fn of(block: &[u8; BLOCK]) -> Option<Self> {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| match at {
                148..156 => u32::from(b' '),
                _ => u32::from(*byte),
            })
            .sum();
        let kind = block[156];
        if header.cksum().ok()? != sum || block[0] == 0 && !is_extension(kind) {
            return None;
        }
        let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
        let entry = match kind {
            b'1' => Entry::HardLink,
            b'2' => Entry::Link,
            b'3' | b'4' | b'6' => Entry::Special,
            b'5' => Entry::Folder,
            _ if is_extension(kind) => Entry::Extension(kind),
            _ => Entry::File,
        };
        let is_link = matches!(entry, Entry::Link | Entry::HardLink);
        let target = header.link_name_bytes().filter(|_| is_link);
        let target = target.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        // Only files and extensions are followed by bytes, whatever the size of a link says.
        let bytes = match entry {
            Entry::File | Entry::Extension(_) => header.entry_size().ok()?,
            Entry::Folder | Entry::Link | Entry::HardLink | Entry::Special => 0,
        };
        let modified = header.mtime().unwrap_or(0);
        Some(Self { name, target: target.unwrap_or_default(), bytes, modified, entry })
    }

    /// Returns whether the header is an extension that is small enough to be read.
    pub(crate) fn is_readable_extension(&self) -> bool {
        matches!(self.entry, Entry::Extension(_)) && self.bytes <= MAX_EXTENSION
    }
}

fn is_extension(kind: u8) -> bool {
    matches!(kind, b'x' | b'X' | b'g' | b'L' | b'K')
}

/// The values of the extensions before a header.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    name: Option<String>,
    target: Option<String>,
    bytes: Option<u64>,
}

impl Extensions {
    /// Adds what an extension of this type contains.
    pub(crate) fn add(&mut self, kind: u8, content: &[u8]) {
        let text = || {
            let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
            String::from_utf8_lossy(&content[..end]).into_owned()
        };
        match kind {
            b'L' => self.name = Some(text()),
            b'K' => self.target = Some(text()),
            b'x' | b'X' => self.add_records(content),
            // Values for all members of a tar are dates and owners in practice.
            _ => {}
        }
    }

    /// Adds the records of a POSIX extension: `LENGTH KEY=VALUE\n`.
    fn add_records(&mut self, mut content: &[u8]) {
        while let Some(space) = content.iter().take(12).position(|byte| *byte == b' ') {
            let length = str::from_utf8(&content[..space]).ok().and_then(|text| text.parse().ok());
            let Some(record) = length.and_then(|length: usize| content.get(space + 1..length))
            else {
                return;
            };
            content = &content[space + 1 + record.len()..];
            let record = String::from_utf8_lossy(record);
            let Some((key, value)) = record.trim_end_matches('\n').split_once('=') else {
                continue;
            };
            match key {
                "path" => self.name = Some(value.to_owned()),
                "linkpath" => self.target = Some(value.to_owned()),
                "size" => self.bytes = value.parse().ok(),
                _ => {}
            }
        }
    }

    /// Applies the values to the header that follows, and forgets them.
    pub(crate) fn apply(&mut self, header: &mut Header) {
        let Self { name, target, bytes } = std::mem::take(self);
        header.name = name.unwrap_or_else(|| std::mem::take(&mut header.name));
        header.target = target.unwrap_or_else(|| std::mem::take(&mut header.target));
        if header.entry == Entry::File {
            header.bytes = bytes.unwrap_or(header.bytes);
            // Before the extensions are known, a name that is cut off can end like this, too.
            if header.name.ends_with('/') {
                header.entry = Entry::Folder;
            }
        }
    }
}

/// Returns whether bytes start with the header of a tar.
pub(crate) fn is_tar(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|block| Header::of(block).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_posix_extensions_are_read_and_malformed_ones_end_them() {
        let cases: [(&[u8], Option<&str>, Option<u64>); 6] = [
            (b"12 path=a/b\n", Some("a/b"), None),
            (b"30 mtime=1795991030.825496313\n12 path=abc\n10 size=7\n", Some("abc"), Some(7)),
            ("13 path=\u{e9}\u{e9}\n".as_bytes(), Some("\u{e9}\u{e9}"), None),
            (b"99 path=a\n", None, None),
            (b"1 path=a\n", None, None),
            (b"path=a\n", None, None),
        ];
        for (content, name, bytes) in cases {
            let mut found = Extensions::default();
            found.add(b'x', content);
            assert_eq!((found.name.as_deref(), found.bytes), (name, bytes), "{content:?}");
        }
        let mut found = Extensions::default();
        found.add(b'L', b"long/name\0\0");
        found.add(b'K', b"target\0");
        assert_eq!(found.name.as_deref(), Some("long/name"));
        assert_eq!(found.target.as_deref(), Some("target"));
    }
}
