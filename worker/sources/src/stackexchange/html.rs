//! Converts the HTML of a post to text. Code is unchanged, and list items start with a star.
//!
//! This follows RedPajama: the tags of lists are replaced before parsing, and nothing is inserted
//! between the texts of elements. Blank lines between paragraphs are those of the source.

use std::borrow::Cow;

use dom_query::{Document, NodeRef};

use thresher_text::html::HtmlLimits;

/// The tags of lists and their replacements.
const LIST_TAGS: [(&str, &str); 4] =
    [("<li>", "\n*"), ("</li>", ""), ("<ol>", "\n*"), ("</ol>", "")];

/// Returns the text of a post, or a message why its markup is not parsed.
pub(super) fn text_of(html: &str) -> Result<String, String> {
    let mut html = Cow::Borrowed(html);
    for (tag, sign) in LIST_TAGS {
        if html.contains(tag) {
            html = Cow::Owned(html.replace(tag, sign));
        }
    }
    if !html.contains(['<', '&']) {
        return Ok(html.into_owned());
    }
    thresher_text::html::check(&html, &HtmlLimits::default())
        .map_err(|excess| excess.to_string())?;
    let document = Document::from(html.as_ref());
    let mut text = String::with_capacity(html.len());
    for node in document.root().descendants_it().filter(NodeRef::is_text) {
        if !hidden(&node) {
            text.push_str(&node.text());
        }
    }
    Ok(text)
}

/// Returns whether a node belongs to a script, a style or a template, which are not text.
fn hidden(node: &NodeRef<'_>) -> bool {
    let parent = node.parent().and_then(|parent| parent.node_name());
    parent.is_some_and(|name| matches!(&*name, "script" | "style" | "template"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_newlines_are_kept_and_list_items_get_a_star() {
        let cases = [
            ("", ""),
            ("plain & simple", "plain & simple"),
            ("<p>a</p>\n\n<p>b &amp; c</p>\n", "a\n\nb & c\n"),
            ("<p>a</p><p>b</p>", "ab"),
            ("<ul>\n<li>a</li>\n<li>b</li>\n</ul>", "\n\n*a\n\n*b\n"),
            ("<ol>\n<li>a</li>\n</ol>", "\n*\n\n*a\n"),
            ("<ol start=\"2\"><li>a</li></ol>", "\n*a"),
            ("<pre><code>  int x;\n    y &lt; 3\n</code></pre>", "  int x;\n    y < 3\n"),
            ("Is <T> lost?", "Is  lost?"),
            ("a<br>b<!-- c --><script>d</script>", "ab"),
        ];
        for (html, text) in cases {
            assert_eq!(text_of(html).as_deref(), Ok(text), "{html:?}");
        }
    }

    #[test]
    fn markup_that_is_nested_too_deep_is_refused() {
        assert!(text_of(&"<div>".repeat(100_000)).is_err());
    }
}
