//! Reads the `<page>` elements of a dump, one at a time.
//!
//! A stream of a dump is not a whole XML document. Pages are therefore found by their tags, which
//! text cannot contain unescaped, and each page is parsed alone, so that an error loses one page.
//! Of a page that is not valid XML, the elements that are needed are searched for by their tags.
//!
//! **Invariant:** memory holds one page of at most the given size, and every `<page>` that starts
//! yields one item.

use std::io::{self, Read};
use std::mem;

use memchr::memmem;
use quick_xml::Reader;
use quick_xml::events::Event;
use thresher_formats::utf8::{self, Utf8Text};

use crate::entities;

const OPEN: &[u8] = b"<page>";
const CLOSE: &[u8] = b"</page>";
const READ_BYTES: usize = 64 << 10;

/// The fields of a page in a dump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WikiPage {
    /// The title with its entities resolved.
    pub title: String,
    /// The key of the namespace, `0` for articles; empty in dumps before 2012, which have none.
    pub namespace: String,
    /// The id of the page.
    pub id: String,
    /// The time of the newest revision.
    pub timestamp: String,
    /// Whether the page redirects to another.
    pub redirect: bool,
    /// The wikitext of the newest revision.
    pub text: String,
    /// What that text is: `wikitext`, or empty in dumps before 2013.
    pub model: String,
    /// Number of damaged sequences in the page, which U+FFFD replaces.
    pub damaged: u64,
}

/// What was found where a `<page>` starts.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// The bytes from `<page>` to `</page>`.
    Whole(&'a [u8]),
    /// A page that exceeds the limit and was skipped; its number of bytes.
    TooLarge(u64),
    /// A page before whose end the dump ends or another page starts; its number of bytes.
    Cut(u64),
}

/// Finds pages in the bytes of one or several streams.
pub struct PageFinder {
    buffer: Vec<u8>,
    /// The end of the bytes that were returned or skipped.
    used: usize,
    /// The start of the bytes that were not yet searched.
    searched: usize,
    max_bytes: usize,
    /// Number of skipped bytes of a page that is too large, while it is skipped.
    skipped: Option<u64>,
}

impl PageFinder {
    /// Returns a finder of pages with at most `max_bytes` bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self { buffer: Vec::new(), used: 0, searched: 0, max_bytes, skipped: None }
    }

    /// Returns the next page, or `None` at the end of the input.
    pub fn next(&mut self, input: &mut impl Read) -> io::Result<Option<Found<'_>>> {
        loop {
            if let Some(found) = self.in_buffer() {
                return Ok(Some(self.given(found)));
            }
            if self.fill(input)? == 0 {
                return Ok(self.rest());
            }
        }
    }

    /// Forgets a page that has started, after damage in the input. Returns whether there was one.
    pub fn reset(&mut self) -> bool {
        let started =
            self.skipped.is_some() || memmem::find(&self.buffer[self.used..], OPEN).is_some();
        self.buffer.clear();
        (self.used, self.searched, self.skipped) = (0, 0, None);
        started
    }

    fn fill(&mut self, input: &mut impl Read) -> io::Result<usize> {
        self.buffer.drain(..self.used);
        self.searched -= self.used;
        self.used = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + READ_BYTES, 0);
        let read = loop {
            match input.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        read
    }

    /// Finds a page that ends in the buffer. If there is none, drops bytes that belong to no page.
    fn in_buffer(&mut self) -> Option<InBuffer> {
        if self.skipped.is_none() {
            let Some(at) = memmem::find(&self.buffer[self.used..], OPEN) else {
                let keep = self.buffer.len().saturating_sub(OPEN.len() - 1).max(self.used);
                (self.used, self.searched) = (keep, keep);
                return None;
            };
            self.used += at;
            self.searched = self.searched.max(self.used + OPEN.len());
        }
        let rest = &self.buffer[self.searched..];
        // The nearer of the two is searched first, so that nothing behind it is searched for each
        // page that starts before it.
        let open = if self.skipped.is_none() { memmem::find(rest, OPEN) } else { None };
        let close = memmem::find(&rest[..open.unwrap_or(rest.len())], CLOSE);
        if let (Some(next), None) = (open, close) {
            return Some(InBuffer::Cut(self.searched + next));
        }
        if let Some(at) = close {
            return Some(InBuffer::Ends(self.searched + at + CLOSE.len()));
        }
        self.searched = self.buffer.len().saturating_sub(CLOSE.len() - 1).max(self.searched);
        if self.buffer.len() - self.used > self.max_bytes || self.skipped.is_some() {
            let over = self.searched.max(self.used);
            *self.skipped.get_or_insert(0) += (over - self.used) as u64;
            (self.used, self.searched) = (over, over);
        }
        None
    }

    fn given(&mut self, found: InBuffer) -> Found<'_> {
        let start = self.used;
        match found {
            InBuffer::Cut(end) => {
                (self.used, self.searched) = (end, end);
                Found::Cut((end - start) as u64)
            }
            InBuffer::Ends(end) => {
                (self.used, self.searched) = (end, end);
                let length = (end - start) as u64 + self.skipped.unwrap_or(0);
                if self.skipped.take().is_some() || length > self.max_bytes as u64 {
                    return Found::TooLarge(length);
                }
                Found::Whole(&self.buffer[start..end])
            }
        }
    }

    /// Returns the page that has started at the end of the input, if any.
    fn rest(&mut self) -> Option<Found<'static>> {
        let length = (self.buffer.len() - self.used) as u64 + self.skipped.unwrap_or(0);
        self.reset().then_some(Found::Cut(length))
    }
}

/// The end of a page that was found in the buffer.
enum InBuffer {
    /// The page ends here.
    Ends(usize),
    /// Another page starts here.
    Cut(usize),
}

/// Parses a page. An error is a message with the cause and the position in the page.
pub fn parse(page: &[u8]) -> Result<WikiPage, String> {
    let Utf8Text { text: xml, damaged } =
        utf8::read(page).map_err(|at| format!("byte {at} of the page is not valid UTF-8"))?;
    let mut found = parse_valid(&xml).or_else(|error| parse_invalid(&xml).ok_or(error))?;
    for field in [
        &mut found.title,
        &mut found.namespace,
        &mut found.id,
        &mut found.timestamp,
        &mut found.text,
    ] {
        if field.contains('&') {
            *field = entities::resolved(field).into_owned();
        }
    }
    if found.title.is_empty() {
        return Err("the page has no title".to_owned());
    }
    Ok(WikiPage { damaged, ..found })
}

/// Parses a page that is XML, apart from an `&` that starts no entity. Entities in the fields are
/// not resolved.
fn parse_valid(xml: &str) -> Result<WikiPage, String> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().allow_dangling_amp = true;
    let mut found = WikiPage::default();
    let mut path: Vec<String> = Vec::new();
    let mut newest = (String::new(), String::new(), String::new());
    loop {
        let at = reader.buffer_position();
        let bad = |what: String| format!("{what} at byte {at} of the page");
        match reader.read_event().map_err(|error| bad(error.to_string()))? {
            Event::Start(tag) => {
                path.push(tag.name().as_ref().to_owned());
                if path.len() > MAX_DEPTH {
                    return Err(bad("elements nest too deep".to_owned()));
                }
            }
            Event::Empty(tag) => found.redirect |= tag.name().as_ref() == "redirect",
            Event::End(_) => {
                let name = path.pop().unwrap_or_default();
                found.redirect |= name == "redirect";
                if name == "revision" {
                    // A dump of the current pages has one revision, and others can have several.
                    let fields = (&mut found.timestamp, &mut found.text, &mut found.model);
                    let revision = (mem::take(fields.0), mem::take(fields.1), mem::take(fields.2));
                    if revision.0.is_empty() || revision.0 >= newest.0 {
                        newest = revision;
                    }
                }
            }
            Event::Text(text) => {
                if let Some(field) = field(&mut found, &path) {
                    field.push_str(&text);
                }
            }
            Event::CData(text) => {
                if let Some(field) = field(&mut found, &path) {
                    field.push_str(&text.replace('&', "&amp;"));
                }
            }
            Event::GeneralRef(name) => {
                if let Some(field) = field(&mut found, &path) {
                    field.push('&');
                    field.push_str(&name);
                    field.push(';');
                }
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    (found.timestamp, found.text, found.model) = newest;
    Ok(found)
}

/// Finds the fields of a page that is not XML, such as one with a `<` in its text. Of several
/// revisions the last is read.
fn parse_invalid(xml: &str) -> Option<WikiPage> {
    let revision = xml.rfind("<revision")?;
    let (head, revision) = xml.split_at(revision);
    // Text can contain anything, also the end of its own element.
    let text = content(revision, "text")?;
    let text = &text[..text.rfind("</text>")?];
    let value = |part, name| element(part, name).unwrap_or_default().to_owned();
    Some(WikiPage {
        title: value(head, "title"),
        namespace: value(head, "ns"),
        id: value(head, "id"),
        redirect: head.contains("<redirect"),
        timestamp: value(revision, "timestamp"),
        text: text.to_owned(),
        model: value(revision, "model"),
        damaged: 0,
    })
}

/// Returns what is between the first start of an element and the next end of one of its name.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let content = content(xml, name)?;
    let end = content.find(&format!("</{name}>"))?;
    Some(&content[..end])
}

/// Returns what follows the first start of an element.
fn content<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let starts = |(at, _): &(usize, &str)| {
        xml[at + 1 + name.len()..].starts_with(|next: char| next == '>' || next.is_whitespace())
    };
    let open = format!("<{name}");
    let (at, _) = xml.match_indices(open.as_str()).find(starts)?;
    let inner = at + xml[at..].find('>')? + 1;
    Some(&xml[inner..])
}

/// Depth of nested elements. In the export format it is five.
const MAX_DEPTH: usize = 16;

/// Returns the field to which the text of an element belongs.
fn field<'p>(page: &'p mut WikiPage, path: &[String]) -> Option<&'p mut String> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["page", "title"] => Some(&mut page.title),
        ["page", "ns"] => Some(&mut page.namespace),
        ["page", "id"] => Some(&mut page.id),
        ["page", "revision", "timestamp"] => Some(&mut page.timestamp),
        ["page", "revision", "text"] => Some(&mut page.text),
        ["page", "revision", "model"] => Some(&mut page.model),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::expect_linear;

    const PAGE: &str = "<page><title>A &amp; B</title><ns>0</ns><id>7</id><revision><id>9</id>\
                        <timestamp>2021-01-01T00:00:00Z</timestamp><text xml:space=\"preserve\">\
                        a &lt;b&gt; &#xA; c</text></revision></page>";

    fn all(dump: &str, max: usize) -> Vec<String> {
        let mut finder = PageFinder::new(max);
        // The input is read byte by byte, because no search may depend on the size of reads.
        let mut input = dump.bytes().map(|byte| [byte]).collect::<Vec<_>>();
        input.reverse();
        let mut found = Vec::new();
        let mut reader = OneByOne(input);
        while let Some(page) = finder.next(&mut reader).unwrap() {
            found.push(match page {
                Found::Whole(page) => String::from_utf8(page.to_vec()).unwrap(),
                Found::TooLarge(bytes) => format!("too large {bytes}"),
                Found::Cut(bytes) => format!("cut {bytes}"),
            });
        }
        found
    }

    struct OneByOne(Vec<[u8; 1]>);

    impl Read for OneByOne {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some([byte]) = self.0.pop() else { return Ok(0) };
            buffer[0] = byte;
            Ok(1)
        }
    }

    #[test]
    fn every_page_that_starts_yields_one_item() {
        let dump = format!("<mediawiki>{PAGE} junk {PAGE}</mediawiki>");
        assert_eq!(all(&dump, 1 << 20), [PAGE, PAGE]);
        assert_eq!(all("nothing <pag", 100), Vec::<String>::new());
        assert_eq!(all("<page>abc", 100), ["cut 9"]);
        assert_eq!(all("<page>abc<page>d</page>", 100), ["cut 9", "<page>d</page>"]);
        let large = format!("<page>{}</page><page>d</page>", "x".repeat(500));
        assert_eq!(all(&large, 100), ["too large 513", "<page>d</page>"]);
        let found = all(&format!("<page>{}", "x".repeat(500)), 100);
        assert_eq!(found, ["cut 506"]);
    }

    #[test]
    fn a_page_is_parsed_with_its_entities() {
        let page = parse(PAGE.as_bytes()).unwrap();
        assert_eq!((page.title.as_str(), page.id.as_str()), ("A & B", "7"));
        assert_eq!(page.text, "a <b> \n c");
        assert!(!page.redirect);
        let redirect = PAGE.replace("<id>7</id>", "<id>7</id><redirect title=\"C\" />");
        assert!(parse(redirect.as_bytes()).unwrap().redirect);
    }

    #[test]
    fn of_several_revisions_the_newest_is_read() {
        let revision = |time: &str, text: &str| {
            let time = if time.is_empty() { "" } else { &format!("<timestamp>{time}</timestamp>") };
            format!("<revision>{time}<text>{text}</text></revision>")
        };
        let (old, new) =
            (revision("2020-01-01T00:00:00Z", "old"), revision("2021-01-01T00:00:00Z", "new"));
        let cases = [
            (format!("{old}{new}"), "new"),
            (format!("{new}{old}"), "new"),
            (format!("{}{}", revision("", "one"), revision("", "two")), "two"),
            (format!("{old}<revision><timestamp>2022</timestamp></revision>"), ""),
        ];
        for (revisions, text) in cases {
            let xml = format!("<page><title>A</title><ns>0</ns>{revisions}</page>");
            assert_eq!(parse(xml.as_bytes()).unwrap().text, text, "{xml}");
        }
    }

    #[test]
    fn a_page_that_is_not_valid_xml_is_read_as_far_as_its_elements_are_there() {
        for (from, to, text) in [
            ("a &lt;b&gt; &#xA; c", "AT&T & R&D &bogus; &lt;", "AT&T & R&D &bogus; <"),
            ("a &lt;b&gt; &#xA; c", "&", "&"),
            ("a &lt;b&gt; &#xA; c", "&nbsp;&amp;nbsp;", "&nbsp;&nbsp;"),
            ("a &lt;b&gt; &#xA; c", "&#xD83D;&#xDE00; &#0;", "\u{1f600} \u{fffd}"),
            ("a &lt;b&gt; &#xA; c", "<![CDATA[a &lt; b & c]]>", "a &lt; b & c"),
            ("a &lt;b&gt; &#xA; c", "a < b &amp; <br> c", "a < b & <br> c"),
            ("a &lt;b&gt; &#xA; c", "<ref name=\"a>b</ref>", "<ref name=\"a>b</ref>"),
            ("a &lt;b&gt; &#xA; c", "a\u{0}b", "a\u{0}b"),
            ("</ns>", "</n>", "a <b> \n c"),
            ("<id>9</id>", "<id>9", "a <b> \n c"),
            ("<ns>0</ns>", "", "a <b> \n c"),
        ] {
            let page = parse(PAGE.replace(from, to).as_bytes()).unwrap();
            assert_eq!((page.title.as_str(), page.id.as_str()), ("A & B", "7"), "{to}");
            assert_eq!((page.text.as_str(), page.damaged), (text, 0), "{to}");
        }
        let mut bytes = PAGE.as_bytes().to_vec();
        let at = PAGE.find("a &lt;").unwrap();
        bytes[at] = 0xe9;
        let page = parse(&bytes).unwrap();
        assert_eq!((page.text.as_str(), page.damaged), ("\u{fffd} <b> \n c", 1));
    }

    #[test]
    fn malformed_pages_are_reported_with_their_position() {
        for (from, to) in [("</title>", "</titel>"), ("A &amp; B", ""), ("</text>", "")] {
            let error = parse(PAGE.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.contains("page"), "{error}");
        }
        let error = parse(b"<page>\xff \xff</page>").unwrap_err();
        assert_eq!(error, "byte 6 of the page is not valid UTF-8");
    }

    #[test]
    fn hostile_dumps_take_time_in_proportion_to_their_length() {
        for piece in ["<page>", "</page>", "<page", "<page></page>", "<page>x</page"] {
            let dump = piece.repeat((1 << 20) / piece.len());
            expect_linear(piece, || {
                let (mut finder, mut input) = (PageFinder::new(1 << 16), dump.as_bytes());
                while finder.next(&mut input).unwrap().is_some() {}
            });
        }
    }
}
