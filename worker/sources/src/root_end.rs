//! Notices that a file of XML ends before the end tag of its root.
//!
//! What follows the end tag does not matter: padding, a comment or other text. If a record follows,
//! files were joined, and the last one needs its own end tag.

use std::io::{self, Read};

use thresher_formats::form::HEAD_BYTES;

/// Number of bytes that are kept between two blocks; longer than any tag that is searched.
const KEPT_BYTES: usize = 32;

/// The starts of the tags of a form, such as `<posts`, `<row` and `</posts`.
#[derive(Debug)]
pub(crate) struct Tags {
    /// The start tag of the root.
    pub(crate) root: &'static [u8],
    /// A record.
    pub(crate) record: &'static [u8],
    /// The end tag of the root.
    pub(crate) end: &'static [u8],
}

/// What was seen of a text.
#[derive(Debug)]
pub(crate) struct RootEnd {
    tags: &'static Tags,
    /// The first bytes of the text, up to [`HEAD_BYTES`].
    head: Vec<u8>,
    /// The last bytes of the text, in which a tag can start.
    last: Vec<u8>,
    bytes: u64,
    /// Whether there is more than white space and NULs.
    has_text: bool,
    /// Whether the last tag of the root or of a record is the end tag of the root.
    is_ended: bool,
}

impl RootEnd {
    /// Returns the state at the start of a text.
    pub(crate) fn new(tags: &'static Tags) -> Self {
        let (head, last) = (Vec::new(), Vec::new());
        Self { tags, head, last, bytes: 0, has_text: false, is_ended: false }
    }

    /// Looks at the next bytes of the text.
    pub(crate) fn push(&mut self, text: &[u8]) {
        let room = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&text[..text.len().min(room)]);
        self.bytes += text.len() as u64;
        self.has_text =
            self.has_text || text.iter().any(|byte| !byte.is_ascii_whitespace() && *byte != 0);
        // A tag can start in the bytes before these.
        self.last.extend_from_slice(&text[..text.len().min(KEPT_BYTES)]);
        self.look_at_last();
        if text.len() > KEPT_BYTES {
            self.look(text);
            self.last.clear();
            self.last.extend_from_slice(&text[text.len() - KEPT_BYTES..]);
        }
        let gone = self.last.len().saturating_sub(KEPT_BYTES);
        self.last.drain(..gone);
    }

    fn look_at_last(&mut self) {
        let last = std::mem::take(&mut self.last);
        self.look(&last);
        self.last = last;
    }

    fn look(&mut self, text: &[u8]) {
        let after = match memchr::memmem::rfind(text, self.tags.end) {
            Some(at) => &text[at..],
            None if self.is_ended => text,
            None => return,
        };
        self.is_ended = memchr::memmem::find(after, self.tags.record).is_none();
    }

    /// Returns the number of bytes of the text.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns whether there is nothing but white space and NULs.
    pub(crate) fn is_blank(&self) -> bool {
        !self.has_text
    }

    /// Returns whether there is text, and it ends before the end tag of its root.
    pub(crate) fn is_missing(&self) -> bool {
        self.has_text && !self.is_ended
    }

    /// Returns whether the text starts with a root that is not empty, and ends before its end tag.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_missing() && has_root(self.tags, &self.head)
    }
}

/// Returns whether the first bytes of a text have the start tag of a root that is not empty.
pub(crate) fn has_root(tags: &Tags, head: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(head, tags.root) else { return false };
    let tag = &head[at..];
    let end = memchr::memchr(b'>', tag).unwrap_or(tag.len());
    !tag[..end].ends_with(b"/")
}

/// A reader whose bytes are looked at.
pub(crate) struct Watched<R> {
    pub(crate) text: R,
    pub(crate) end: RootEnd,
}

impl<R: Read> Watched<R> {
    pub(crate) fn new(text: R, tags: &'static Tags) -> Self {
        Self { text, end: RootEnd::new(tags) }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(buffer)?;
        self.end.push(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: Tags = Tags { root: b"<posts", record: b"<row", end: b"</posts" };

    #[test]
    fn a_root_ends_wherever_blocks_do_and_whatever_follows() {
        let long = " ".repeat(5000);
        for (text, is_cut, is_blank) in [
            ("<posts><row /></posts>", false, false),
            ("<posts><row /></posts >\n trailing <!-- -->", false, false),
            (&format!("<posts><row /></posts>{long}"), false, false),
            (&format!("<posts>{long}<row />{long}"), true, false),
            ("<posts><row />", true, false),
            ("<posts><row /></pos", true, false),
            ("<posts>", true, false),
            ("<posts/>", false, false),
            ("<posts a=\"b\" /><!-- > -->", false, false),
            ("<row /><row />", false, false),
            ("<posts><row /></posts><posts><row />", true, false),
            ("<posts><row /></posts><posts><row /></posts>", false, false),
            (" \n\0\0", false, true),
            ("", false, true),
        ] {
            for block in [1, 2, 7, 31, 32, 33, 64, 10_000] {
                let mut end = RootEnd::new(&TAGS);
                text.as_bytes().chunks(block).for_each(|part| end.push(part));
                assert_eq!(end.is_cut(), is_cut, "{text:.60} by {block}");
                assert_eq!((end.is_blank(), end.bytes()), (is_blank, text.len() as u64));
            }
        }
    }
}
