//! A fast check of markup before it is parsed: whether its tree would be too deep or too large.
//!
//! The parser takes time quadratic in nesting and in the attributes of a tag, and recreates a
//! hundred unclosed formatting tags in every later paragraph. So nesting is tracked here with the
//! parser's rules for implied end tags, closely enough to bound all three; the tree itself is
//! measured again after parsing.
//!
//! Invariant: the time is linear in the markup, times the depth limit at worst; only the stack is
//! allocated.

use thiserror::Error;

use super::HtmlRules;

/// The limit that the markup exceeds.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Excess {
    #[error("elements nest deeper than {limit}")]
    Depth { limit: usize },
    #[error("the tree has more than {limit} nodes")]
    Nodes { limit: usize },
    #[error("a tag has more than {limit} attributes")]
    Attributes { limit: usize },
    #[error("it takes more than {limit} steps of work")]
    Steps { limit: u64 },
}

/// Refuses markup whose tree would exceed the limits. Returns the steps that the parser needs.
pub fn check(html: &str, limits: &HtmlRules) -> Result<u64, Excess> {
    let mut nesting = Nesting::new(limits);
    let mut rest = html.as_bytes();
    while let Some(start) = memchr::memchr(b'<', rest) {
        rest = &rest[start + 1..];
        rest = match rest {
            [b'!', b'-', b'-', comment @ ..] => after_comment(comment),
            [b'!' | b'?', ..] => after_byte(rest, b'>'),
            [b'/', letter, ..] if letter.is_ascii_alphabetic() => {
                let tag = Tag::read(&rest[1..], limits)?;
                nesting.end(&tag.name)?;
                tag.after
            }
            [letter, ..] if letter.is_ascii_alphabetic() => {
                let tag = Tag::read(rest, limits)?;
                nesting.start(&tag)?;
                if nesting.in_foreign() { tag.after } else { after_raw_text(&tag) }
            }
            _ => rest,
        };
    }
    Ok(nesting.steps())
}

/// Steps of the parser for each open element that it passes in search of a tag's.
const SEARCH_STEPS: u64 = 10;

/// A tag name for comparison without case. Longer names are cut, so that they may be taken for each
/// other.
type Name = [u8; 12];

struct Tag<'a> {
    name: Name,
    self_closing: bool,
    /// All bytes between `<` and `>`.
    source: &'a [u8],
    after: &'a [u8],
}

impl<'a> Tag<'a> {
    fn read(tag: &'a [u8], limits: &HtmlRules) -> Result<Self, Excess> {
        let name_end = tag.iter().position(|&byte| ends_name(byte)).unwrap_or(tag.len());
        let mut name = Name::default();
        for (slot, byte) in name.iter_mut().zip(&tag[..name_end]) {
            *slot = byte.to_ascii_lowercase();
        }
        let (end, attributes) = end_of_tag(tag, name_end);
        if attributes > limits.attributes_per_tag {
            return Err(Excess::Attributes { limit: limits.attributes_per_tag });
        }
        let source = &tag[..end];
        let after = tag.get(end + 1..).unwrap_or(&[]);
        Ok(Self { name, self_closing: source.ends_with(b"/"), source, after })
    }
}

fn ends_name(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>')
}

/// Returns the position of the tag's `>`, and the number of attributes before it.
fn end_of_tag(tag: &[u8], name_end: usize) -> (usize, usize) {
    let (mut at, mut attributes) = (name_end, 0);
    loop {
        while tag.get(at).is_some_and(|&byte| byte.is_ascii_whitespace() || byte == b'/') {
            at += 1;
        }
        match tag.get(at) {
            None | Some(b'>') => return (at, attributes),
            Some(_) => attributes += 1,
        }
        at += 1;
        while tag.get(at).is_some_and(|&byte| !ends_name(byte) && byte != b'=') {
            at += 1;
        }
        let mut value = at;
        while tag.get(value).is_some_and(u8::is_ascii_whitespace) {
            value += 1;
        }
        if tag.get(value) != Some(&b'=') {
            continue;
        }
        at = value + 1;
        while tag.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        match tag.get(at) {
            Some(&quote @ (b'"' | b'\'')) => {
                let rest = &tag[at + 1..];
                at = memchr::memchr(quote, rest).map_or(tag.len(), |end| at + end + 2);
            }
            Some(_) | None => {
                while tag.get(at).is_some_and(|&b| !b.is_ascii_whitespace() && b != b'>') {
                    at += 1;
                }
            }
        }
    }
}

fn after_comment(comment: &[u8]) -> &[u8] {
    if let [b'>', rest @ ..] | [b'-', b'>', rest @ ..] = comment {
        return rest;
    }
    let mut from = 0;
    while let Some(dashes) = memchr::memmem::find(&comment[from..], b"--") {
        match &comment[from + dashes + 2..] {
            [b'>', rest @ ..] | [b'!', b'>', rest @ ..] => return rest,
            _ => from += dashes + 1,
        }
    }
    &[]
}

fn after_byte(bytes: &[u8], byte: u8) -> &[u8] {
    memchr::memchr(byte, bytes).map_or(&[], |end| &bytes[end + 1..])
}

/// Skips content that has no tags.
fn after_raw_text<'a>(tag: &Tag<'a>) -> &'a [u8] {
    let name = text_of(&tag.name);
    if !is_raw_text(name) {
        return tag.after;
    }
    let mut rest = tag.after;
    while let Some(start) = memchr::memmem::find(rest, b"</") {
        rest = &rest[start + 2..];
        let end = rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        if end && rest.get(name.len()).is_none_or(|&byte| ends_name(byte)) {
            return after_byte(rest, b'>');
        }
    }
    &[]
}

fn is_raw_text(name: &[u8]) -> bool {
    matches!(
        name,
        b"script"
            | b"style"
            | b"title"
            | b"textarea"
            | b"xmp"
            | b"iframe"
            | b"noembed"
            | b"noframes"
            | b"plaintext"
    )
}

fn text_of(name: &Name) -> &[u8] {
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    &name[..end]
}

/// An outline of the parser's stack of open elements and its list of active formatting elements.
struct Nesting<'a> {
    limits: &'a HtmlRules,
    open: Vec<Name>,
    /// Formatting elements, apart from `open` because they survive the end of their parents. `None`
    /// is a marker.
    formatting: Vec<Option<(Name, u64)>>,
    markers: usize,
    foreign: usize,
    nodes: usize,
    /// Number of open elements at each tag, because the parser searches them for a match.
    searched: u64,
}

impl<'a> Nesting<'a> {
    fn new(limits: &'a HtmlRules) -> Self {
        Self {
            limits,
            open: Vec::new(),
            formatting: Vec::new(),
            markers: 0,
            foreign: 0,
            nodes: 0,
            searched: 0,
        }
    }

    fn in_foreign(&self) -> bool {
        self.foreign > 0
    }

    fn start(&mut self, tag: &Tag<'_>) -> Result<(), Excess> {
        // Count the element and a text beside it.
        self.nodes += 2;
        self.search();
        let name = text_of(&tag.name);
        let raw_text = self.foreign == 0 && is_raw_text(name);
        if raw_text || is_void(name) || (self.foreign > 0 && tag.self_closing) {
            return self.within_limits();
        }
        if is_formatting(name) {
            self.start_formatting(tag);
            return self.within_limits();
        }
        if !self.close_implied(name) {
            return Ok(());
        }
        if closes_paragraph(name) {
            self.close_to(|open| open == b"p", is_button_scope);
        }
        if is_marker(name) {
            self.formatting.push(None);
            self.markers += 1;
        }
        if matches!(name, b"svg" | b"math") {
            self.foreign += 1;
        }
        self.nodes += self.formatting.len() - self.since_marker();
        self.open.push(tag.name);
        self.within_limits()
    }

    fn end(&mut self, name: &Name) -> Result<(), Excess> {
        self.search();
        let name = text_of(name);
        if is_formatting(name) {
            let found = self
                .formatting
                .iter()
                .rposition(|entry| entry.as_ref().is_none_or(|(open, _)| text_of(open) == name));
            if let Some(at) = found.filter(|&at| self.formatting[at].is_some()) {
                self.formatting.remove(at);
            }
            return self.within_limits();
        }
        self.nodes += 1;
        if name.len() == 2 && name[0] == b'h' && name[1].is_ascii_digit() {
            self.close_to(is_heading, is_scope);
        } else if is_table_part(name) {
            self.close_to(|open| open == name, |open| open == b"table" || open == b"template");
        } else {
            self.close_to(|open| open == name, is_scope);
        }
        self.within_limits()
    }

    /// Closes what the start of `name` ends implicitly; returns `false` if the tag itself is
    /// ignored.
    fn close_implied(&mut self, name: &[u8]) -> bool {
        match name {
            b"html" | b"head" | b"body" | b"frameset" => return false,
            b"li" => self.close_to(|open| open == b"li", stops_item),
            b"dd" | b"dt" => self.close_to(|open| matches!(open, b"dd" | b"dt"), stops_item),
            b"option" | b"optgroup" => self.close_to(|open| open == b"option", |_| true),
            b"button" => self.close_to(|open| open == b"button", is_scope),
            b"td" | b"th" | b"tr" | b"tbody" | b"thead" | b"tfoot" | b"caption" | b"colgroup" => {
                return self.close_in_table(name);
            }
            _ if is_heading(name) => {
                self.close_to(|open| open == b"p", is_button_scope);
                self.close_to(is_heading, |_| true);
            }
            _ => {}
        }
        true
    }

    /// Closes the cells and rows that a cell or row ends; outside a table such tags are ignored.
    fn close_in_table(&mut self, name: &[u8]) -> bool {
        let cell = matches!(name, b"td" | b"th");
        let parent = self.open.iter().rposition(|open| match text_of(open) {
            b"table" | b"template" => true,
            b"tr" => cell,
            b"tbody" | b"thead" | b"tfoot" => cell || name == b"tr",
            _ => false,
        });
        if let Some(at) = parent {
            self.truncate(at + 1);
        }
        parent.is_some()
    }

    /// Pops up to the innermost element that is `wanted`, unless an element that `stops` is inside
    /// it.
    fn close_to(&mut self, wanted: impl Fn(&[u8]) -> bool, stops: impl Fn(&[u8]) -> bool) {
        for at in (0..self.open.len()).rev() {
            let name = text_of(&self.open[at]);
            if wanted(name) {
                return self.truncate(at);
            }
            if stops(name) {
                return;
            }
        }
    }

    fn truncate(&mut self, length: usize) {
        for closed in self.open.drain(length..) {
            let name = text_of(&closed);
            if matches!(name, b"svg" | b"math") {
                self.foreign -= 1;
            }
            if is_marker(name)
                && let Some(marker) = self.formatting.iter().rposition(Option::is_none)
            {
                self.formatting.truncate(marker);
                self.markers -= 1;
            }
        }
    }

    /// Adds a formatting element; the parser keeps at most three equal ones, and one link.
    fn start_formatting(&mut self, tag: &Tag<'_>) {
        let key = (tag.name, xxhash_rust::xxh3::xxh3_64(tag.source));
        let since = self.since_marker();
        let link = text_of(&tag.name) == b"a";
        let alike = |entry: &Option<(Name, u64)>| {
            entry.is_some_and(|entry| entry == key || (link && entry.0 == key.0))
        };
        let count = self.formatting[since..].iter().filter(|entry| alike(entry)).count();
        if count >= if link { 1 } else { 3 }
            && let Some(at) = self.formatting[since..].iter().position(alike)
        {
            self.formatting.remove(since + at);
        }
        self.formatting.push(Some(key));
    }

    /// Returns the index of the first entry that a new block would recreate.
    fn since_marker(&self) -> usize {
        self.formatting.iter().rposition(Option::is_none).map_or(0, |at| at + 1)
    }

    /// Counts the search for the element that a tag belongs to.
    fn search(&mut self) {
        self.searched += (self.open.len() + self.formatting.len()) as u64;
    }

    fn steps(&self) -> u64 {
        self.searched * SEARCH_STEPS
    }

    fn within_limits(&self) -> Result<(), Excess> {
        if self.open.len() + self.formatting.len() - self.markers > self.limits.depth {
            return Err(Excess::Depth { limit: self.limits.depth });
        }
        if self.nodes > self.limits.nodes {
            return Err(Excess::Nodes { limit: self.limits.nodes });
        }
        if self.steps() > self.limits.steps {
            return Err(Excess::Steps { limit: self.limits.steps });
        }
        Ok(())
    }
}

fn is_void(name: &[u8]) -> bool {
    matches!(
        name,
        b"area"
            | b"base"
            | b"basefont"
            | b"bgsound"
            | b"br"
            | b"col"
            | b"embed"
            | b"frame"
            | b"hr"
            | b"image"
            | b"img"
            | b"input"
            | b"keygen"
            | b"link"
            | b"meta"
            | b"param"
            | b"source"
            | b"track"
            | b"wbr"
    )
}

fn is_formatting(name: &[u8]) -> bool {
    matches!(
        name,
        b"a" | b"b"
            | b"big"
            | b"code"
            | b"em"
            | b"font"
            | b"i"
            | b"nobr"
            | b"s"
            | b"small"
            | b"strike"
            | b"strong"
            | b"tt"
            | b"u"
    )
}

fn is_marker(name: &[u8]) -> bool {
    matches!(name, b"applet" | b"caption" | b"marquee" | b"object" | b"td" | b"template" | b"th")
}

fn is_heading(name: &[u8]) -> bool {
    matches!(name, b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6")
}

fn is_table_part(name: &[u8]) -> bool {
    matches!(name, b"table" | b"caption" | b"tbody" | b"thead" | b"tfoot" | b"tr" | b"td" | b"th")
}

fn is_scope(name: &[u8]) -> bool {
    matches!(name, b"table" | b"html") || is_marker(name) || name == b"foreignobjec"
}

fn is_button_scope(name: &[u8]) -> bool {
    name == b"button" || is_scope(name)
}

/// Returns whether the element is a block, which ends an open paragraph.
fn closes_paragraph(name: &[u8]) -> bool {
    matches!(
        name,
        b"address"
            | b"article"
            | b"aside"
            | b"blockquote"
            | b"center"
            | b"dd"
            | b"details"
            | b"dialog"
            | b"dir"
            | b"div"
            | b"dl"
            | b"dt"
            | b"fieldset"
            | b"figcaption"
            | b"figure"
            | b"footer"
            | b"form"
            | b"header"
            | b"hgroup"
            | b"li"
            | b"listing"
            | b"main"
            | b"menu"
            | b"nav"
            | b"ol"
            | b"p"
            | b"plaintext"
            | b"pre"
            | b"search"
            | b"section"
            | b"summary"
            | b"ul"
            | b"xmp"
            | b"table"
    )
}

/// Returns whether the element keeps an item from ending an outer one: special elements other than
/// `address`, `div` and `p` do.
fn stops_item(name: &[u8]) -> bool {
    is_scope(name)
        || is_heading(name)
        || is_table_part(name)
        || (closes_paragraph(name) && !matches!(name, b"address" | b"div" | b"p"))
        || matches!(name, b"button" | b"iframe" | b"noscript" | b"select" | b"textarea")
}

#[cfg(test)]
mod tests;
