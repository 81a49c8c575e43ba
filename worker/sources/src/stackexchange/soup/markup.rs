//! The pieces of markup as libxml2 reads them: names, attributes, comments, text and entities.

use super::is_blank;
use super::parser::{Parser, State};
use crate::html4;

/// Bytes of text that are given out at a time.
const CHUNK_BYTES: usize = 1000;

/// Length in bytes of the longest name of a tag; what follows is read as an attribute.
const NAME_BYTES: usize = 100;

/// Returns whether XML allows a character.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

/// Returns the length of a comment with its end, `-->` or `--!>`.
fn end_of_comment(comment: &str) -> Option<usize> {
    let dashes = memchr::memchr_iter(b'-', comment.as_bytes());
    let mut ends = dashes.filter_map(|at| {
        let end = &comment.as_bytes()[at..];
        let length = [&b"-->"[..], b"--!>"].into_iter().find(|it| end.starts_with(it))?.len();
        Some(at + length)
    });
    ends.next()
}

impl<'h> Parser<'h> {
    /// Returns the byte at a distance, or 0 behind the end.
    pub(super) fn byte(&self, distance: usize) -> u8 {
        self.html.as_bytes().get(self.at + distance).copied().unwrap_or(0)
    }

    pub(super) fn rest(&self) -> &'h str {
        &self.html[self.at..]
    }

    pub(super) fn left(&self) -> usize {
        self.html.len() - self.at
    }

    pub(super) fn starts_with(&self, text: &str) -> bool {
        self.html.as_bytes()[self.at..].starts_with(text.as_bytes())
    }

    fn starts_with_word(&self, word: &str) -> bool {
        let bytes = self.html.as_bytes().get(self.at..self.at + word.len());
        bytes.is_some_and(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()))
    }

    pub(super) fn is_doctype(&self) -> bool {
        self.starts_with_word("<!DOCTYPE")
    }

    /// Returns whether a `>` follows that is not in quotes.
    pub(super) fn has_tag_end(&self) -> bool {
        let mut quote = None;
        for byte in self.rest().bytes() {
            match (quote, byte) {
                (None, b'>') => return true,
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(open), _) if open == byte => quote = None,
                _ => {}
            }
        }
        false
    }

    /// Returns whether the end of a comment follows. `<!-->` is taken for one.
    pub(super) fn has_comment_end(&self) -> bool {
        end_of_comment(&self.rest()["<!".len()..]).is_some()
    }

    pub(super) fn skip_blanks(&mut self) {
        while is_blank(self.byte(0)) {
            self.at += 1;
        }
    }

    fn skip_past(&mut self, text: &str) -> bool {
        let found = self.rest().find(text);
        self.at = found.map_or(self.html.len(), |at| self.at + at + text.len());
        found.is_some()
    }

    pub(super) fn skip_to_tag_end(&mut self) {
        self.at = self.rest().find('>').map_or(self.html.len(), |end| self.at + end);
    }

    /// Reads the name of a tag or an attribute, in lower case. It is empty if there is none.
    pub(super) fn tag_name(&mut self) -> String {
        let is_first = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':' | b'.');
        let is_other = |byte: u8| is_first(byte) || byte.is_ascii_digit() || byte == b'-';
        if !is_first(self.byte(0)) {
            return String::new();
        }
        let bytes = self.rest().bytes().take(NAME_BYTES);
        let length = bytes.take_while(|byte| is_other(*byte)).count();
        let name = self.rest()[..length].to_ascii_lowercase();
        self.at += length;
        name
    }

    /// Skips attributes up to `>`, `/>` or the end.
    pub(super) fn skip_attributes(&mut self) {
        self.skip_blanks();
        while !matches!(self.byte(0), 0 | b'>') && !self.starts_with("/>") {
            if self.tag_name().is_empty() {
                while !matches!(self.byte(0), 0 | b'>')
                    && !is_blank(self.byte(0))
                    && !self.starts_with("/>")
                {
                    self.at += 1;
                }
            } else {
                self.skip_blanks();
                if self.byte(0) == b'=' {
                    self.at += 1;
                    self.skip_blanks();
                    self.skip_value();
                }
            }
            self.skip_blanks();
        }
    }

    fn skip_value(&mut self) {
        match self.byte(0) {
            b'"' | b'\'' => self.skip_literal(),
            _ => {
                while !matches!(self.byte(0), 0 | b'>') && !is_blank(self.byte(0)) {
                    self.at += 1;
                }
            }
        }
    }

    /// Skips a quoted text, if there is one.
    fn skip_literal(&mut self) {
        let quote = match self.byte(0) {
            b'"' => "\"",
            b'\'' => "'",
            _ => return,
        };
        self.at += 1;
        self.skip_past(quote);
    }

    pub(super) fn doctype(&mut self) {
        self.at += "<!DOCTYPE".len();
        self.skip_blanks();
        self.name();
        self.skip_blanks();
        let is_public = self.starts_with_word("PUBLIC");
        if is_public || self.starts_with_word("SYSTEM") {
            self.at += "PUBLIC".len();
            self.skip_blanks();
            self.skip_literal();
        }
        self.skip_blanks();
        if is_public {
            self.skip_literal();
        }
        self.skip_past(">");
        self.soup.end_node();
    }

    pub(super) fn comment(&mut self) {
        self.at += "<!--".len();
        self.at += end_of_comment(self.rest()).unwrap_or(self.left());
        self.soup.end_node();
    }

    /// Reads `<?…>`. Without a name, only `<?` is removed.
    pub(super) fn instruction(&mut self) {
        self.at += "<?".len();
        if self.name().is_some() {
            self.skip_past(">");
            self.soup.end_node();
        }
    }

    /// Reads an XML name, but not an ASCII one with which the input ends.
    fn name(&mut self) -> Option<&'h str> {
        let rest = self.rest();
        let is_first = |c: char| c.is_alphabetic() || matches!(c, '_' | ':');
        let is_other = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.');
        if !rest.starts_with(is_first) {
            return None;
        }
        let length = rest.find(|c| !is_other(c)).unwrap_or(rest.len());
        if length == rest.len() && rest.is_ascii() {
            return None;
        }
        self.at += length;
        Some(&rest[..length])
    }

    /// Skips to the end tag of a script or a style.
    pub(super) fn skip_script(&mut self) {
        let name = self.current().unwrap_or_default().to_owned();
        while self.left() > 0 {
            let Some(end) = self.rest().find("</") else {
                self.at = self.html.len();
                return;
            };
            self.at += end + 2;
            if self.starts_with_word(&name) {
                self.at -= 2;
                return;
            }
        }
    }

    /// Reads text up to a tag or an entity.
    pub(super) fn character_data(&mut self) {
        let run = self.rest();
        let run = run.find(['<', '&', '\0']).map_or(run, |end| &run[..end]);
        let (from, mut chunk) = (self.at, String::new());
        for (at, c) in run.char_indices().filter(|(_, c)| is_xml(*c)) {
            chunk.push(c);
            if chunk.len() >= CHUNK_BYTES {
                self.at = from + at;
                self.give(&chunk);
                chunk.clear();
            }
        }
        self.at = from + run.len();
        if !chunk.is_empty() {
            self.give(&chunk);
        } else if self.left() == 0 {
            self.state = State::End;
        }
    }

    /// Gives out text, in a paragraph if it must be in one.
    fn give(&mut self, chunk: &str) {
        let may_be_outside = match self.byte(0) {
            0 => true,
            b'<' => matches!(self.current(), None | Some("html" | "head")),
            _ => false,
        };
        if !(may_be_outside && chunk.bytes().all(is_blank)) {
            self.imply_paragraph();
        }
        self.soup.data(chunk);
    }

    /// Reads an entity, or an `&` that starts none.
    pub(super) fn reference(&mut self) {
        if self.starts_with("&#") {
            if let Some(c) = self.numbered().filter(|c| is_xml(*c)) {
                self.imply_paragraph();
                self.soup.data(c.encode_utf8(&mut [0; 4]));
            }
            return;
        }
        self.imply_paragraph();
        self.at += 1;
        let Some(name) = self.name() else { return self.soup.data("&") };
        let found = if name == "apos" { Some('\'') } else { html4::entity(name) };
        match found.filter(|_| self.byte(0) == b';') {
            Some(c) => {
                self.at += 1;
                self.soup.data(c.encode_utf8(&mut [0; 4]));
            }
            None => {
                self.soup.data("&");
                self.soup.data(name);
            }
        }
    }

    /// Reads the number of a character. The semicolon may be missing.
    fn numbered(&mut self) -> Option<char> {
        self.at += 2;
        let radix = if matches!(self.byte(0), b'x' | b'X') { 16 } else { 10 };
        self.at += usize::from(radix == 16);
        let mut code = 0;
        while let Some(digit) = char::from(self.byte(0)).to_digit(radix) {
            if code < 0x11_0000 {
                code = code * radix + digit;
            }
            self.at += 1;
        }
        self.at += usize::from(self.byte(0) == b';');
        char::from_u32(code)
    }
}
