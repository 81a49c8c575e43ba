//! Converts the HTML of a post to readable text, as a browser shows it.
//!
//! A blank line separates paragraphs, blocks of code, quotes and lists. Items of a list start with
//! `* ` or their number, nested ones two columns further right; cells of a table row are separated
//! by tabs. Code keeps its white space, except that a run of blank lines becomes one blank line, as
//! everywhere in the text.

use dom_query::{Document, NodeRef};

use thresher_text::html::HtmlRules;

/// The deepest list whose items are moved to the right.
const MAX_INDENT: usize = 8;

/// Returns the text of a post, or a message why its markup is not parsed.
pub(super) fn text_of(html: &str) -> Result<String, String> {
    if html.contains(['<', '&']) {
        thresher_text::html::check(html, &HtmlRules::default())
            .map_err(|excess| excess.to_string())?;
    }
    let mut page = Page::default();
    page.walk(&Document::from(html).root());
    Ok(page.text)
}

/// A list that is open, with the number of its next item if it is numbered.
struct List {
    next: Option<u64>,
}

/// How elements are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Gap {
    #[default]
    None,
    Space,
    Tab,
    Line,
    Paragraph,
}

/// The text so far.
#[derive(Default)]
struct Page {
    text: String,
    /// What separates the text from what follows it.
    gap: Gap,
    lists: Vec<List>,
    /// The mark of a list item whose text has not started.
    mark: Option<String>,
    /// The number of open elements `pre`.
    preformatted: usize,
}

impl Page {
    /// Adds the text of all nodes below `root`.
    fn walk(&mut self, root: &NodeRef<'_>) {
        let mut next = root.first_child();
        let mut open: Vec<NodeRef<'_>> = Vec::new();
        loop {
            while let Some(node) = next {
                if node.is_text() {
                    self.add(&node.text());
                } else if self.start(&node) {
                    next = node.first_child();
                    open.push(node);
                    continue;
                }
                next = node.next_sibling();
            }
            let Some(node) = open.pop() else { return };
            self.end(&node);
            next = node.next_sibling();
        }
    }

    /// Starts an element. Returns whether its content is text.
    fn start(&mut self, node: &NodeRef<'_>) -> bool {
        let Some(name) = node.node_name() else { return false };
        match &*name {
            "script" | "style" | "template" => return false,
            "br" => {
                // A second one is a blank line.
                let next = if self.gap < Gap::Line { Gap::Line } else { Gap::Paragraph };
                self.separate(next);
            }
            "ul" | "ol" => {
                let start = node.attr("start").and_then(|start| start.trim().parse().ok());
                let next = (&*name == "ol").then(|| start.unwrap_or(1));
                self.separate(self.around_list());
                self.lists.push(List { next });
            }
            "li" => {
                self.separate(Gap::Line);
                self.mark = Some(self.next_mark());
            }
            "pre" => {
                self.separate(Gap::Paragraph);
                self.preformatted += 1;
            }
            _ => self.separate(gap_around(&name)),
        }
        true
    }

    fn end(&mut self, node: &NodeRef<'_>) {
        let Some(name) = node.node_name() else { return };
        match &*name {
            "br" => {}
            "ul" | "ol" => {
                self.lists.pop();
                self.separate(self.around_list());
            }
            "li" => {
                self.mark = None;
                self.separate(Gap::Line);
            }
            "pre" => {
                self.preformatted -= 1;
                self.separate(Gap::Paragraph);
            }
            "td" | "th" => self.separate(Gap::Tab),
            _ => self.separate(gap_around(&name)),
        }
    }

    fn around_list(&self) -> Gap {
        if self.lists.is_empty() { Gap::Paragraph } else { Gap::Line }
    }

    fn next_mark(&mut self) -> String {
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(MAX_INDENT));
        match self.lists.last_mut() {
            Some(List { next: Some(number) }) => {
                let mark = format!("{indent}{number}. ");
                *number = number.saturating_add(1);
                mark
            }
            _ => format!("{indent}* "),
        }
    }

    /// Separates what follows, unless it starts a list item.
    fn separate(&mut self, gap: Gap) {
        if self.mark.is_none() {
            self.gap = self.gap.max(gap);
        }
    }

    fn add(&mut self, text: &str) {
        if self.preformatted > 0 {
            self.add_preformatted(text);
            return;
        }
        for (number, word) in text.split(|c: char| c.is_ascii_whitespace()).enumerate() {
            if number > 0 {
                self.separate(Gap::Space);
            }
            if !word.is_empty() {
                self.close_gap();
                self.text.push_str(word);
            }
        }
    }

    fn add_preformatted(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            let content = line.trim_end_matches(['\n', '\r']);
            if content.trim().is_empty() && content.len() < line.len() {
                self.separate(if self.gap < Gap::Line { Gap::Line } else { Gap::Paragraph });
                continue;
            }
            self.close_gap();
            self.text.push_str(content);
            if content.len() < line.len() {
                self.gap = Gap::Line;
            }
        }
    }

    /// Writes what separates the text from what follows it, and the mark of its list item.
    fn close_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        if !self.text.is_empty() {
            self.text.push_str(match gap {
                Gap::None => "",
                Gap::Space => " ",
                Gap::Tab => "\t",
                Gap::Line => "\n",
                Gap::Paragraph => "\n\n",
            });
        }
        if let Some(mark) = self.mark.take() {
            self.text.push_str(&mark);
        }
    }
}

/// Returns what separates an element from the text before and after it.
fn gap_around(name: &str) -> Gap {
    match name {
        "p" | "blockquote" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "hr" | "table" | "dl" => {
            Gap::Paragraph
        }
        "div" | "section" | "article" | "center" | "dt" | "dd" | "tr" | "caption" | "details"
        | "summary" | "figure" | "figcaption" => Gap::Line,
        _ => Gap::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_lists_and_code_are_readable() {
        let cases = [
            ("", ""),
            ("plain & simple", "plain & simple"),
            ("<p>a</p>\n\n<blockquote>\n  <p>b &amp; c</p>\n</blockquote>\n", "a\n\nb & c"),
            ("<p>a</p><p>b</p>", "a\n\nb"),
            ("<p>one\nline <em>of</em> text</p>", "one line of text"),
            ("<p>a<br>b<br><br>c</p>", "a\nb\n\nc"),
            ("a<b>b</b>c <i> d</i>", "abc d"),
            ("a<!-- c --><script>d</script><style>e</style>", "a"),
            ("<p>a &nbsp; b</p>", "a \u{a0} b"),
        ];
        for (html, text) in cases {
            assert_eq!(text_of(html).as_deref(), Ok(text), "{html:?}");
        }
    }

    #[test]
    fn a_list_item_has_its_mark_on_the_line_of_its_text() {
        let cases = [
            ("<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n<p>c</p>", "* a\n* b\n\nc"),
            ("<ul>\n<li><p>a</p></li>\n<li><p>b</p><p>c</p></li></ul>", "* a\n\n* b\n\nc"),
            ("<ol>\n<li>a</li>\n<li>b</li>\n</ol>", "1. a\n2. b"),
            ("<ol start=\"7\"><li>a</li></ol>", "7. a"),
            ("<ol start=\"x\"><li>a</li></ol>", "1. a"),
            ("p<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>q", "p\n\n* a\n  * b\n* c\n\nq"),
            ("<ul><li></li><li> </li><li>a</li></ul>", "* a"),
            ("<ul><li><pre><code>x\n  y\n</code></pre></li></ul>", "* x\n  y"),
            ("<li>a</li>", "* a"),
        ];
        for (html, text) in cases {
            assert_eq!(text_of(html).as_deref(), Ok(text), "{html:?}");
        }
    }

    #[test]
    fn code_keeps_its_white_space_but_no_run_of_blank_lines() {
        let cases = [
            (
                "<p>a</p>\n<pre><code>  int x;\n    y &lt; 3\n</code></pre>\n<p>b</p>",
                "a\n\n  int x;\n    y < 3\n\nb",
            ),
            ("<pre>a\n\nb\n\n\n  \n\tc  d\n\n\n</pre>", "a\n\nb\n\n\tc  d"),
            ("<pre>\n\n  a\r\nb</pre>", "  a\nb"),
            ("<pre>a <b>b</b> c</pre>", "a b c"),
        ];
        for (html, text) in cases {
            assert_eq!(text_of(html).as_deref(), Ok(text), "{html:?}");
        }
    }

    #[test]
    fn a_table_has_a_line_for_each_row() {
        let html = "<p>x</p><table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n\
                    <tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>y";
        assert_eq!(text_of(html).as_deref(), Ok("x\n\na\tb\n1\t2\n\ny"));
    }

    #[test]
    fn markup_that_is_nested_too_deep_is_refused() {
        assert!(text_of(&"<div>".repeat(100_000)).is_err());
    }
}
