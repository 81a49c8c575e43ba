//! The text of HTML as BeautifulSoup 4.12.2 with lxml 4.9.2 (libxml2 2.9.14) returns it, which is
//! how RedPajama's StackExchange was made.
//!
//! ```text
//! markup → parser (libxml2's rules for tags) → text nodes → BeautifulSoup's rules → text
//! ```
//! libxml2 does not follow HTML 5: it knows the entities of HTML 4, keeps the newline after
//! `<pre>`, reads on inside `<title>` and `<textarea>`, and drops what follows `</html>`.
//! BeautifulSoup turns a text node of white space into one newline or one space, unless it is
//! preformatted.
//!
//! **Invariant:** no tree is built, the time is linear in the markup times [`MAX_OPEN`] at worst,
//! and a panic is not possible whatever the markup.

mod elements;
mod markup;
mod parser;

use std::borrow::Cow;

use parser::Parser;

/// The greatest number of elements that are open at the same time.
const MAX_OPEN: usize = 1000;

/// The tags of lists and what RedPajama replaced them with before it parsed a post.
const LIST_TAGS: [(&str, &str); 4] =
    [("<li>", "\n*"), ("</li>", ""), ("<ol>", "\n*"), ("</ol>", "")];

/// Returns the text of a post as RedPajama published it, or a message why it is not read.
pub(super) fn text_of_post(html: &str) -> Result<String, String> {
    let mut html = Cow::Borrowed(html);
    for (tag, sign) in LIST_TAGS {
        if html.contains(tag) {
            html = Cow::Owned(html.replace(tag, sign));
        }
    }
    // BeautifulSoup removes a byte order mark.
    Parser::new(html.strip_prefix('\u{feff}').unwrap_or(&html)).run()
}

/// The text nodes that have been read, by BeautifulSoup's rules.
#[derive(Debug, Default)]
struct Soup {
    text: String,
    /// The text node that is being read.
    node: String,
    /// The number of open elements whose white space is kept.
    preformatted: usize,
    /// The number of open elements whose text is not text of the page.
    hidden: usize,
}

impl Soup {
    /// Adds to the text node.
    fn data(&mut self, data: &str) {
        self.node.push_str(data);
    }

    /// Ends the text node: a tag, a comment or a declaration follows.
    fn end_node(&mut self) {
        if self.node.is_empty() {
            return;
        }
        let blank = |c| matches!(c, ' ' | '\n' | '\t' | '\u{c}' | '\r');
        if self.hidden == 0 {
            if self.preformatted > 0 || !self.node.chars().all(blank) {
                self.text.push_str(&self.node);
            } else {
                self.text.push(if self.node.contains('\n') { '\n' } else { ' ' });
            }
        }
        self.node.clear();
    }

    fn start_element(&mut self, name: &str) {
        self.end_node();
        self.preformatted += usize::from(is_preformatted(name));
        self.hidden += usize::from(is_hidden(name));
    }

    fn end_element(&mut self, name: &str) {
        self.end_node();
        self.preformatted -= usize::from(is_preformatted(name));
        self.hidden -= usize::from(is_hidden(name));
    }
}

/// Returns whether a byte is white space for libxml2.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_preformatted(name: &str) -> bool {
    matches!(name, "pre" | "textarea")
}

fn is_hidden(name: &str) -> bool {
    matches!(name, "rp" | "rt" | "script" | "style" | "template")
}

#[cfg(test)]
mod tests;
