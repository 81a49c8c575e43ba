//! Builds text from a stream of elements and character data: the line structure of a page.
//!
//! Blocks start and end lines, cells of one row share a line, and white space collapses outside
//! `<pre>`. It knows tag names but no trees, so that the walk is a plain loop.
//!
//! Invariant: no line starts or ends with white space (in `<pre>` it may start with it), and no
//! empty line is first, last, next to another one or outside `<pre>`.

/// How the content of an element appears in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Part of the line that it is in.
    Inline,
    /// One line or more of its own.
    Block,
    /// A table cell, which shares the line of its row.
    Cell,
    /// A block whose white space is kept.
    Preformatted,
    /// The end of a line, without content.
    LineBreak,
    /// Not text for a reader; it is skipped with all its content.
    Hidden,
}

impl Role {
    /// Returns the role of a tag name in lower case, as the parser returns it.
    pub(crate) fn of(tag: &str) -> Self {
        match tag {
            "br" | "hr" => Self::LineBreak,
            "td" | "th" => Self::Cell,
            "pre" | "listing" | "xmp" | "plaintext" => Self::Preformatted,
            "address" | "article" | "aside" | "blockquote" | "body" | "caption" | "center"
            | "dd" | "details" | "dialog" | "dir" | "div" | "dl" | "dt" | "fieldset"
            | "figcaption" | "figure" | "footer" | "form" | "h1" | "h2" | "h3" | "h4" | "h5"
            | "h6" | "header" | "hgroup" | "html" | "legend" | "li" | "main" | "menu" | "ol"
            | "p" | "search" | "section" | "summary" | "table" | "tbody" | "tfoot" | "thead"
            | "tr" | "ul" => Self::Block,
            "head" | "title" | "script" | "style" | "noscript" | "template" | "nav" | "iframe"
            | "frameset" | "noframes" | "object" | "embed" | "applet" | "audio" | "video"
            | "canvas" | "map" | "svg" | "button" | "select" | "datalist" | "textarea"
            | "input" | "progress" | "meter" | "annotation" | "annotation-xml" | "rt" | "rp" => {
                Self::Hidden
            }
            _ => Self::Inline,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct LineWriter {
    out: String,
    /// Length of `out` at the start of the current line.
    line_start: usize,
    /// White space to write before the next word of this line.
    gap: Option<char>,
    /// Number of open preformatted elements.
    preformatted: usize,
    /// Length of `out` at the start of the outermost of them.
    preformatted_start: usize,
    /// Whether an empty line is to be written before the next preformatted line.
    blank_owed: bool,
}

impl LineWriter {
    pub(crate) fn open(&mut self, role: Role) {
        match role {
            Role::Block | Role::LineBreak => self.end_line(),
            Role::Preformatted => {
                self.end_line();
                if self.preformatted == 0 {
                    self.preformatted_start = self.out.len();
                }
                self.preformatted += 1;
            }
            Role::Cell => self.gap = Some('\t'),
            Role::Inline | Role::Hidden => {}
        }
    }

    pub(crate) fn close(&mut self, role: Role) {
        match role {
            Role::Block => self.end_line(),
            Role::Preformatted => {
                self.end_line();
                self.preformatted -= 1;
                if self.preformatted == 0 {
                    self.end_preformatted();
                }
            }
            Role::Cell => self.gap = Some('\t'),
            Role::Inline | Role::LineBreak | Role::Hidden => {}
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        if self.preformatted == 0 {
            return self.flowing_text(text);
        }
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                self.end_preformatted_line();
            }
            if line.is_empty() {
                continue;
            }
            if self.out.len() == self.line_start && std::mem::take(&mut self.blank_owed) {
                self.out.push('\n');
                self.line_start += 1;
            }
            self.pay_gap();
            self.push_kept(line);
        }
    }

    /// Returns whether the next text continues a line that ends with a digit.
    pub(crate) fn ends_with_digit(&self) -> bool {
        let line = &self.out[self.line_start..];
        self.gap.is_none() && line.ends_with(|sign: char| sign.is_ascii_digit())
    }

    /// Returns the finished text.
    pub(crate) fn finish(mut self) -> String {
        self.end_line();
        self.out.truncate(self.out.trim_end().len());
        self.out
    }

    fn flowing_text(&mut self, text: &str) {
        for piece in text.split_inclusive(char::is_whitespace) {
            let word = piece.trim_end_matches(char::is_whitespace);
            if word.chars().any(is_kept) {
                self.pay_gap();
                self.push_kept(word);
            }
            if word.len() < piece.len() {
                self.gap = self.gap.or(Some(' '));
            }
        }
    }

    fn push_kept(&mut self, text: &str) {
        // The characters that are dropped are below a space or start with these bytes.
        if text.bytes().all(|byte| byte >= b' ' && !matches!(byte, 0x7f | 0xc2 | 0xef)) {
            self.out.push_str(text);
        } else {
            self.out.extend(text.chars().filter(|&sign| is_kept(sign)));
        }
    }

    /// Writes the gap, except at the start of a line.
    fn pay_gap(&mut self) {
        if let Some(gap) = self.gap.take()
            && self.out.len() > self.line_start
        {
            self.out.push(gap);
        }
    }

    /// Ends the line if it has a word.
    fn end_line(&mut self) {
        self.gap = None;
        self.out.truncate(self.line_start + self.out[self.line_start..].trim_end().len());
        if self.out.len() > self.line_start {
            self.out.push('\n');
            self.line_start = self.out.len();
        }
    }

    fn end_preformatted_line(&mut self) {
        let lines_before = self.line_start;
        self.end_line();
        let blank = self.line_start == lines_before;
        self.blank_owed =
            blank && self.out.len() > self.preformatted_start && !self.out.ends_with("\n\n");
    }

    /// Removes an empty line that nothing followed.
    fn end_preformatted(&mut self) {
        self.blank_owed = false;
        if self.out.ends_with("\n\n") {
            self.out.pop();
            self.line_start = self.out.len();
        }
    }
}

/// Returns whether a character is text: soft hyphens, byte order marks and control characters are
/// not.
fn is_kept(sign: char) -> bool {
    match sign {
        '\t' => true,
        '\u{ad}' | '\u{feff}' => false,
        _ => !sign.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text of markup in which `<tag>` opens, `</tag>` closes, and the rest is text.
    fn written(markup: &str) -> String {
        let mut writer = LineWriter::default();
        for piece in markup.split_inclusive('>').flat_map(|piece| {
            let (text, tag) = piece.split_once('<').unwrap_or((piece, ""));
            [text, tag]
        }) {
            match piece.strip_suffix('>') {
                Some(tag) => match tag.strip_prefix('/') {
                    Some(tag) => writer.close(Role::of(tag)),
                    None => writer.open(Role::of(tag)),
                },
                None => writer.text(piece),
            }
        }
        writer.finish()
    }

    #[test]
    fn blocks_are_lines_and_inline_elements_are_not() {
        let markup = " <h1> A  <b>b</b>old\n title </h1><p>one<br>two</p>three<div><p></p></div>";
        assert_eq!(written(markup), "A bold title\none\ntwo\nthree");
    }

    #[test]
    fn items_are_lines_and_cells_share_the_line_of_their_row() {
        let list = "<ul> <li>one</li> <li><p>two</p></li></ul>";
        assert_eq!(written(list), "one\ntwo");
        let table =
            "<table><tr> <th> a b </th> <th>c</th></tr>\n<tr><td></td><td>d</td></tr></table>";
        assert_eq!(written(table), "a b\tc\nd");
    }

    #[test]
    fn every_kind_of_white_space_collapses_to_one_space() {
        assert_eq!(written("<p>a\u{a0} \u{3000}b\u{2028}c\t\n</p>"), "a b c");
    }

    #[test]
    fn characters_that_are_not_text_are_dropped() {
        assert_eq!(written("\u{feff}Silben\u{ad}trenn\u{0}ung \u{ad} é"), "Silbentrennung é");
    }

    #[test]
    fn preformatted_text_keeps_its_lines_and_indents() {
        let code = "<p>x</p><pre>\n\nfn a() {\n    <b>b</b>();  \n\n \n    c\n}\n\n</pre><p>y</p>";
        assert_eq!(written(code), "x\nfn a() {\n    b();\n\n    c\n}\ny");
        assert_eq!(written("<pre>a\n\n  </pre><p>b</p>"), "a\nb");
    }

    #[test]
    fn no_text_at_all_is_empty() {
        assert_eq!(written("<p> </p><pre>\n \n</pre><td></td>"), "");
    }
}
