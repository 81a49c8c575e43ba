//! Reads the rows of a `Posts.xml`, which has one `<row …/>` on each line.
//!
//! **Invariant:** a row belongs to the piece in which its line starts, and memory holds one row of
//! at most the given size. A malformed row is reported with the offset of its line, and reading
//! continues at the next line.

use std::borrow::Cow;
use std::io::{self, BufRead};

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::{Deserialize, Serialize};

use thresher_formats::piece::Piece;

/// A post with the fields of the dump.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Post {
    /// `Id`, which is unique within the site.
    pub(super) id: u64,
    /// `PostTypeId`, such as `1` for questions and `2` for answers.
    pub(super) kind: String,
    /// The id of the question that the post answers.
    pub(super) parent: Option<u64>,
    /// The id of the accepted answer of a question.
    pub(super) accepted: Option<u64>,
    /// `CreationDate`, as the dump has it.
    pub(super) date: String,
    /// `Score` as a string, because RedPajama sorts by that; absent if the row has none.
    pub(super) score: Option<String>,
    /// The title, which only questions have.
    pub(super) title: Option<String>,
    /// The body in HTML.
    pub(super) body: String,
    /// `ContentLicense`; empty if the dump has none.
    pub(super) licence: String,
}

impl Post {
    /// Returns whether the post is neither a question nor an answer: a wiki page, a tag or a
    /// nomination.
    pub(super) fn belongs_to_no_thread(&self) -> bool {
        self.parent.is_none() && self.title.is_none()
    }

    /// Returns the score as a string. A missing score is 0.
    pub(super) fn score(&self) -> &str {
        self.score.as_deref().unwrap_or("0")
    }
}

/// One line between the head and the tail of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Row {
    /// The line is a post.
    Post(Box<Post>),
    /// The line cannot be read.
    Bad { reason: Cow<'static, str>, detail: String },
}

/// Reads rows with the offsets of their lines.
pub(super) struct Rows<R> {
    input: R,
    at: u64,
    /// Rows that start here or later belong to another piece.
    until: u64,
    max_bytes: usize,
    line: Vec<u8>,
}

impl<R: BufRead> Rows<R> {
    /// Reads the rows of a whole file.
    pub(super) fn new(input: R, max_bytes: usize) -> Self {
        Self { input, at: 0, until: u64::MAX, max_bytes, line: Vec::new() }
    }

    /// Reads the rows of a piece, with which `input` starts. If the piece starts inside a line, the
    /// rest of this line is skipped.
    pub(super) fn of_piece(
        input: R,
        max_bytes: usize,
        piece: Piece,
        inside_line: bool,
    ) -> io::Result<Self> {
        let (at, until) = (piece.offset, piece.range().end);
        let mut rows = Self { input, at, until, max_bytes, line: Vec::new() };
        if inside_line {
            rows.next_line()?;
        }
        Ok(rows)
    }

    /// Returns the next row with its offset and its length. After an error of an input that can be
    /// read further, the next call starts a new line.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, u64, Row)>> {
        loop {
            let at = self.at;
            if at >= self.until {
                return Ok(None);
            }
            let length = self.next_line()?;
            if length == 0 {
                return Ok(None);
            }
            if length > self.max_bytes as u64 {
                let detail = format!("it has {length} bytes");
                return Ok(Some((at, length, Row::Bad { reason: "row_too_large".into(), detail })));
            }
            if let Some(row) = row_of(&self.line) {
                return Ok(Some((at, length, row)));
            }
        }
    }

    /// Reads a line, keeps at most the allowed number of bytes of it, and returns its length.
    fn next_line(&mut self) -> io::Result<u64> {
        self.line.clear();
        let mut length = 0;
        loop {
            let piece = match self.input.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.at += length;
                    return Err(error);
                }
            };
            let feed = memchr::memchr(b'\n', piece);
            let taken = feed.map_or(piece.len(), |at| at + 1);
            let room = (self.max_bytes + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..taken.min(room)]);
            self.input.consume(taken);
            length += taken as u64;
            if feed.is_some() || taken == 0 {
                self.at += length;
                return Ok(length);
            }
        }
    }
}

/// Returns the row of a line, or `None` for the head and tail of the file and for empty lines.
fn row_of(line: &[u8]) -> Option<Row> {
    let bad = |reason: &'static str, detail| Some(Row::Bad { reason: reason.into(), detail });
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let text = match simdutf8::compat::from_utf8(line) {
        Ok(text) => text.trim(),
        Err(error) => {
            let detail = format!("byte {} of the row is no UTF-8", error.valid_up_to());
            return bad("invalid_utf8", detail);
        }
    };
    let text = without_frame(text);
    if text.is_empty() {
        return None;
    }
    match post_of(text) {
        Ok(post) => Some(Row::Post(Box::new(post))),
        Err(detail) => bad("row_malformed", detail),
    }
}

/// Returns the line without the head and tail of the file, if it contains them.
fn without_frame(line: &str) -> &str {
    let mut text = line;
    if text.starts_with("<?xml") {
        text = text.split_once("?>").map_or(text, |(_, rest)| rest).trim_start();
    }
    if ["<posts>", "<posts ", "<posts/"].iter().any(|it| text.starts_with(it)) {
        text = text.split_once('>').map_or(text, |(_, rest)| rest).trim_start();
    }
    text.strip_suffix("</posts>").unwrap_or(text).trim_end()
}

fn post_of(row: &str) -> Result<Post, String> {
    let mut reader = Reader::from_str(row);
    let first = reader.read_event().map_err(|error| error.to_string())?;
    let Event::Empty(tag) = first else { return Err("the line is no `<row …/>`".to_owned()) };
    if tag.name().as_ref() != "row" {
        return Err("the line is no `<row …/>`".to_owned());
    }
    let mut post = Post::default();
    let mut has_id = false;
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = quick_xml::escape::unescape(&attribute.value)
            .map_err(|error| error.to_string())?
            .into_owned();
        let key = attribute.key.as_ref().to_owned();
        let number = || value.parse().map_err(|_| format!("`{key}` is no number"));
        match key.as_str() {
            "Id" => (post.id, has_id) = (number()?, true),
            "ParentId" => post.parent = Some(number()?),
            "AcceptedAnswerId" => post.accepted = Some(number()?),
            "PostTypeId" => post.kind = value,
            "CreationDate" => post.date = value,
            "Score" => post.score = Some(value),
            "Title" => post.title = Some(value),
            "Body" => post.body = value,
            "ContentLicense" => post.licence = value,
            _ => {}
        }
    }
    match reader.read_event() {
        Ok(Event::Eof) if has_id => Ok(post),
        Ok(Event::Eof) => Err("the row has no `Id`".to_owned()),
        _ => Err("something follows the row on its line".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(file: &[u8], max: usize) -> Vec<(u64, String)> {
        let mut rows = Rows::new(io::BufReader::with_capacity(7, file), max);
        let mut found = Vec::new();
        while let Some((at, _, row)) = rows.next().unwrap() {
            found.push(match row {
                Row::Post(post) => (at, format!("{} {:?} {}", post.id, post.parent, post.body)),
                Row::Bad { reason, .. } => (at, reason.into_owned()),
            });
        }
        found
    }

    #[test]
    fn rows_are_read_with_their_offsets_and_entities() {
        let file = "\u{feff}<?xml version=\"1.0\"?>\n<posts>\n  <row Id=\"1\" Body=\"&lt;p&gt;a&#xA;\
                    b\" />\n  <row Id=\"2\" ParentId=\"1\" Body=\"\" />\r\n</posts>";
        let expected = [(33, "1 None <p>a\nb".to_owned()), (74, "2 Some(1) ".to_owned())];
        assert_eq!(all(file.as_bytes(), 1000), expected);
    }

    #[test]
    fn rows_on_the_line_of_the_head_or_tail_are_read_or_reported() {
        let row = "<row Id=\"1\" Body=\"b\" />";
        let one = vec![(0, "1 None b".to_owned())];
        for line in [
            format!("<posts>{row}</posts>"),
            format!("<?xml version=\"1.0\"?><posts site=\"x\"> {row}\n</posts>"),
            format!("{row}</posts>\n"),
        ] {
            assert_eq!(all(line.as_bytes(), 1000), one, "{line}");
        }
        let bad = vec![(0, "row_malformed".to_owned())];
        for line in [format!("<posts>{row}{row}</posts>"), format!("<postscript>{row}")] {
            assert_eq!(all(line.as_bytes(), 1000), bad, "{line}");
        }
        assert_eq!(all(b"<?xml version=\"1.0\"?><posts></posts>", 1000), []);
    }

    #[test]
    fn pieces_of_any_size_yield_each_row_once() {
        let file =
            b"<posts>\n<row Id=\"1\" />\n\n<row Id=\"2\" />\nbad\n<row Id=\"3\" />\n</posts>";
        let whole: Vec<u64> = all(file, 100).into_iter().map(|(at, _)| at).collect();
        assert_eq!(whole.len(), 4);
        for size in 1..file.len() {
            let mut found = Vec::new();
            for from in (0..file.len()).step_by(size) {
                let piece = Piece { offset: from as u64, length: size as u64 };
                let inside = from > 0 && file[from - 1] != b'\n';
                let mut rows = Rows::of_piece(&file[from..], 100, piece, inside).unwrap();
                while let Some((at, ..)) = rows.next().unwrap() {
                    found.push(at);
                }
            }
            assert_eq!(found, whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_malformed_row_loses_only_its_line() {
        let file =
            b"<row Id=\"x\" />\n<row Body=\"\" />\n<row Id=\"1\" Body=\"\xff\" />\n<row Id=\"1\n\
                     <row Id=\"2\" Body=\"&bogus;\" />\n<row Id=\"3\" />x\n<row Id=\"4\" />\n\
                     <row Id=\"5\" Body=\"01234567890123456789\" />\nnothing\n<row Id=\"6\"/>";
        let outcomes: Vec<String> = all(file, 36).into_iter().map(|(_, outcome)| outcome).collect();
        let bad = "row_malformed";
        let expected =
            [bad, bad, "invalid_utf8", bad, bad, bad, "4 None ", "row_too_large", bad, "6 None "];
        assert_eq!(outcomes, expected);
    }
}
