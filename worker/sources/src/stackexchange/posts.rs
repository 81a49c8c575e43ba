//! The posts of a `Posts.xml`: the fields of a tag `<row …/>`, or what is wrong with it.
//!
//! Attributes are read as XML, except that an `&` that starts no entity of XML is accepted: it
//! stays as it is, and a body in HTML then means the same. A few bytes that are not UTF-8 cost no
//! more than themselves.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::{Deserialize, Serialize};
use thresher_formats::utf8::{self, Utf8Text};

use crate::entities;

/// Reason of markup that is not a row.
pub(super) const MALFORMED: &str = "row_malformed";

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
    /// Number of damaged sequences in the row, which U+FFFD replaces.
    #[serde(default)]
    pub(super) damaged: u64,
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

/// One row of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Row {
    /// The row is a post.
    Post(Box<Post>),
    /// The row cannot be read, or something else is in its place.
    Bad { reason: Cow<'static, str>, detail: String },
}

/// Returns the row of a tag from `<row` to `>`.
pub(super) fn row_of(tag: &[u8]) -> Row {
    let bad = |reason: &'static str, detail| Row::Bad { reason: reason.into(), detail };
    let Utf8Text { text, damaged } = match utf8::read(tag) {
        Ok(text) => text,
        Err(at) => {
            let detail = format!("byte {at} of the row is not valid UTF-8");
            return bad("invalid_utf8", detail);
        }
    };
    match post_of(&text) {
        Ok(post) => Row::Post(Box::new(Post { damaged, ..post })),
        Err(detail) => bad(MALFORMED, detail),
    }
}

fn post_of(row: &str) -> Result<Post, String> {
    let mut reader = Reader::from_str(row);
    let first = reader.read_event().map_err(|error| error.to_string())?;
    let (Event::Empty(tag) | Event::Start(tag)) = first else {
        return Err("it is not a `<row …/>`".to_owned());
    };
    let mut post = Post::default();
    let mut has_id = false;
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = entities::resolved(&attribute.value).into_owned();
        let key = attribute.key.as_ref().to_owned();
        let number = || value.parse().map_err(|_| format!("`{key}` is not a number"));
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
    if has_id { Ok(post) } else { Err("the row has no `Id`".to_owned()) }
}
