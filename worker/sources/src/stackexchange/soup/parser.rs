//! The states of libxml2's push parser for HTML, `htmlParseTryOrFinish`.
//!
//! lxml gives it the whole markup, and then the end of the input. This makes a difference after
//! `</html>`, where each of the two calls reads at most one text.

use super::elements::{ends, is_empty, priority};
use super::{MAX_OPEN, Soup, is_blank};

/// What the parser expects next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing has been read.
    Start,
    /// A declaration, a comment or content.
    Misc,
    /// After the declaration `<!DOCTYPE>`.
    Prolog,
    Content,
    StartTag,
    EndTag,
    /// No element is open any more.
    Epilog,
    /// The rest of the input is ignored.
    End,
}

/// Whether the parser can continue with its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Next,
    /// It waits for more input.
    Wait,
}

/// The next place of a sign, which is remembered until it is passed.
#[derive(Debug)]
struct Next {
    sign: char,
    at: Option<usize>,
}

impl Next {
    fn of(sign: char) -> Self {
        Self { sign, at: None }
    }

    /// Returns whether the sign is in the markup from `from` on, which may not become smaller.
    fn is_in(&mut self, html: &str, from: usize) -> bool {
        if self.at.is_none_or(|at| at < from) {
            let found = html[from..].find(self.sign);
            self.at = Some(found.map_or(usize::MAX, |more| from + more));
        }
        self.at != Some(usize::MAX)
    }
}

/// A parser of one markup.
#[derive(Debug)]
pub(super) struct Parser<'h> {
    pub(super) html: &'h str,
    pub(super) at: usize,
    pub(super) state: State,
    pub(super) soup: Soup,
    tag_start: Next,
    tag_end: Next,
    open: Vec<String>,
    /// Whether a `head`, or a `body`, has been opened.
    has_head: bool,
    has_body: bool,
    /// The number of misplaced start tags `html`, `head` and `body`, whose end tags are ignored.
    misplaced: u32,
    too_deep: bool,
}

impl<'h> Parser<'h> {
    pub(super) fn new(html: &'h str) -> Self {
        Self {
            html,
            at: 0,
            state: State::Start,
            soup: Soup::default(),
            tag_start: Next::of('<'),
            tag_end: Next::of('>'),
            open: Vec::new(),
            has_head: false,
            has_body: false,
            misplaced: 0,
            too_deep: false,
        }
    }

    /// Returns the text, or a message why the markup is not read.
    pub(super) fn run(mut self) -> Result<String, String> {
        self.advance(false);
        self.advance(true);
        self.soup.end_node();
        if self.too_deep {
            return Err(format!("elements nest deeper than {MAX_OPEN}"));
        }
        Ok(self.soup.text)
    }

    /// Parses until more input is needed. If `last`, there is none.
    fn advance(&mut self, last: bool) {
        while self.left() > 0 && !self.too_deep {
            if self.byte(0) == 0 {
                self.at += 1;
                continue;
            }
            let step = match self.state {
                State::End => return,
                State::Start => self.start(last),
                State::Misc | State::Prolog => self.before_content(last),
                State::Content => self.content(last),
                State::StartTag => self.start_tag(last),
                State::EndTag => self.end_tag(last),
                State::Epilog => self.epilog(last),
            };
            if step == Step::Wait {
                return;
            }
        }
        while last && let Some(name) = self.open.pop() {
            self.soup.end_element(&name);
        }
    }

    fn start(&mut self, last: bool) -> Step {
        self.skip_blanks();
        if !self.is_doctype() {
            self.state = State::Misc;
        } else if !last && !self.has_tag_end() {
            return Step::Wait;
        } else {
            self.doctype();
            self.state = State::Prolog;
        }
        Step::Next
    }

    fn before_content(&mut self, last: bool) -> Step {
        self.skip_blanks();
        let shortest = if last && self.state == State::Misc { 1 } else { 2 };
        if self.left() < shortest {
            return Step::Wait;
        }
        let declared = if self.state == State::Misc { 9 } else { 4 };
        if let Some(step) = self.comment_or_instruction(last) {
            return step;
        }
        if self.state == State::Misc && self.is_doctype() {
            return self.start(last);
        }
        if self.starts_with("<!") && self.left() < declared {
            return Step::Wait;
        }
        self.state = State::Content;
        Step::Next
    }

    /// Reads a comment or a processing instruction, if there is one.
    fn comment_or_instruction(&mut self, last: bool) -> Option<Step> {
        if self.starts_with("<!--") {
            if !last && !self.has_comment_end() {
                return Some(Step::Wait);
            }
            self.comment();
        } else if self.starts_with("<?") {
            if !last && !self.tag_end.is_in(self.html, self.at) {
                return Some(Step::Wait);
            }
            self.instruction();
        } else {
            return None;
        }
        Some(Step::Next)
    }

    fn epilog(&mut self, last: bool) -> Step {
        if is_blank(self.byte(0)) {
            self.character_data();
            return Step::Wait;
        }
        if self.left() < 2 {
            return Step::Wait;
        }
        if let Some(step) = self.comment_or_instruction(last) {
            return step;
        }
        if !(self.starts_with("<!") && self.left() < 4) {
            self.state = State::End;
        }
        Step::Wait
    }

    fn content(&mut self, last: bool) -> Step {
        let (byte, next) = (self.byte(0), self.byte(1));
        if self.left() == 1 && last && !matches!(byte, b'<' | b'&') {
            if !is_blank(byte) {
                self.imply_paragraph();
            }
            let end = self.html.len();
            self.soup.data(&self.html[self.at..end]);
            self.at = end;
            return Step::Next;
        }
        if self.left() < 2 {
            return Step::Wait;
        }
        if matches!(self.current(), Some("script" | "style")) {
            return self.script(last);
        }
        if self.is_doctype() {
            if !last && !self.has_tag_end() {
                return Step::Wait;
            }
            self.doctype();
            return Step::Next;
        }
        if let Some(step) = self.comment_or_instruction(last) {
            return step;
        }
        match (byte, next) {
            (b'<', b'!') if self.left() < 4 => return Step::Wait,
            (b'<', b'/') => self.state = State::EndTag,
            (b'<', _) if next.is_ascii_alphabetic() => self.state = State::StartTag,
            (b'<', _) => {
                self.soup.data("<");
                self.at += 1;
            }
            _ if !last && !self.tag_start.is_in(self.html, self.at) => return Step::Wait,
            _ => self.characters(),
        }
        Step::Next
    }

    /// Reads text with its entities.
    fn characters(&mut self) {
        while self.state != State::End && !matches!(self.byte(0), 0 | b'<') {
            if self.byte(0) == b'&' { self.reference() } else { self.character_data() }
        }
    }

    /// Reads the content of a script or a style, which is not text of the page.
    fn script(&mut self, last: bool) -> Step {
        if !last {
            let end = self.rest().find("</");
            if end.is_none_or(|end| self.byte(end + 2) == 0) {
                return Step::Wait;
            }
        }
        let is_end = self.starts_with("</");
        self.skip_script();
        if is_end {
            self.state = State::EndTag;
        }
        Step::Next
    }

    fn start_tag(&mut self, last: bool) -> Step {
        if self.left() < 2 && !last {
            return Step::Wait;
        }
        if self.byte(0) != b'<' {
            self.state = State::Content;
            return Step::Next;
        }
        if self.byte(1) == b'/' {
            self.state = State::EndTag;
            return Step::Next;
        }
        if !last && !self.has_tag_end() {
            return Step::Wait;
        }
        let opened = self.read_start_tag();
        if !opened || self.open.is_empty() {
            self.at += usize::from(self.byte(0) == b'>');
            return Step::Next;
        }
        // If the tag was misplaced, this concerns the element around it.
        let empty = self.current().is_some_and(is_empty);
        if self.starts_with("/>") {
            self.at += 2;
            self.close();
        } else if self.byte(0) == b'>' {
            self.at += 1;
            if empty {
                self.close();
            }
        } else {
            self.close();
        }
        self.state = State::Content;
        Step::Next
    }

    /// Reads a start tag up to its `>`. Returns whether it has a name.
    fn read_start_tag(&mut self) -> bool {
        self.at += 1;
        let name = self.tag_name();
        if name.is_empty() {
            self.skip_to_tag_end();
            return false;
        }
        self.end_for(&name);
        self.imply_parents(&name);
        let is_misplaced = match name.as_str() {
            "html" => !self.open.is_empty(),
            "head" => self.open.len() != 1,
            "body" => self.open.contains(&name),
            _ => false,
        };
        self.skip_attributes();
        if is_misplaced {
            self.misplaced += 1;
        } else {
            self.push(name);
        }
        true
    }

    fn end_tag(&mut self, last: bool) -> Step {
        if self.left() < 2 || (!last && !self.tag_end.is_in(self.html, self.at)) {
            return Step::Wait;
        }
        self.read_end_tag();
        self.state = if self.open.is_empty() { State::Epilog } else { State::Content };
        Step::Next
    }

    fn read_end_tag(&mut self) {
        self.at += 2;
        let name = self.tag_name();
        if name.is_empty() {
            return;
        }
        self.skip_to_tag_end();
        self.at += usize::from(self.byte(0) == b'>');
        if self.misplaced > 0 && matches!(name.as_str(), "html" | "head" | "body") {
            self.misplaced -= 1;
            return;
        }
        let own = priority(&name);
        let stops = |open: &&String| **open == name || priority(open) > own;
        if self.open.iter().rev().find(stops).is_some_and(|found| *found == name) {
            while self.current().is_some_and(|current| current != name) {
                self.close();
            }
            self.close();
        }
    }

    pub(super) fn current(&self) -> Option<&str> {
        self.open.last().map(String::as_str)
    }

    fn push(&mut self, name: String) {
        self.has_head |= matches!(name.as_str(), "head" | "body");
        self.has_body |= name == "body";
        self.too_deep |= self.open.len() >= MAX_OPEN;
        self.soup.start_element(&name);
        self.open.push(name);
    }

    fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.soup.end_element(&name);
        }
    }

    /// Ends the elements that cannot contain `name`.
    fn end_for(&mut self, name: &str) {
        while self.current().is_some_and(|current| ends(current, name)) {
            self.close();
        }
    }

    /// Opens the elements `html`, `head` and `body` if they are missing.
    fn imply_parents(&mut self, name: &str) {
        if name == "html" {
            return;
        }
        if self.open.is_empty() {
            self.push("html".to_owned());
        }
        match name {
            "body" | "head" | "noframes" | "frame" | "frameset" => {}
            "script" | "style" | "meta" | "link" | "title" | "base" if self.open.len() <= 1 => {
                if !self.has_head {
                    self.push("head".to_owned());
                }
            }
            _ => {
                if !self.has_body && !self.open.iter().any(|it| it == "body" || it == "head") {
                    self.push("body".to_owned());
                }
            }
        }
    }

    /// Opens a paragraph if text cannot be here.
    pub(super) fn imply_paragraph(&mut self) {
        if matches!(self.current(), None | Some("html" | "head")) {
            self.end_for("p");
            self.imply_parents("p");
            self.push("p".to_owned());
        }
    }
}
