//! Prepares a tree for the library, which wraps the text of a `div` in paragraphs and knows only
//! some of the inline elements.
//!
//! An inline element that it does not know ends a paragraph, so that `<div>un<u>believ</u>able`
//! would become three. By the HTML Standard every element without a style is inline except those of
//! its section "Rendering", also one of a name that nobody knows. Such elements become `span`s
//! here, unless they contain a block. A block without text, or one that is left out, disappears
//! from between two texts, which would then be one word: such texts become paragraphs. So does text
//! that stands directly in the body, also because the parser moved it out of a table: the library
//! ignores it otherwise.

use std::collections::HashSet;

use dom_query::{Document, NodeId, NodeRef};

use super::lines::Role;

/// Replaces inline elements that the library does not know, and wraps bare text of the body.
pub(crate) fn prepare(document: &Document) {
    let Some(body) = document.body() else { return };
    let nodes: Vec<NodeRef<'_>> = body.descendants_it().collect();
    let mut with_blocks = HashSet::new();
    // Children come after their parents, so that this meets them first.
    for node in nodes.iter().rev() {
        let Some(name) = node.node_name() else { continue };
        let role = Role::of(&name);
        let is_inline = !with_blocks.contains(&node.id)
            && (matches!(role, Role::Inline | Role::Hidden) || &*name == "br");
        if !is_inline {
            with_blocks.extend(node.parent().map(|parent| parent.id));
        } else if role == Role::Inline && !is_known(node, &name) {
            node.rename("span");
        } else if matches!(&*name, "svg" | "canvas" | "map") {
            // A picture among words; what is in it is no text of the page.
            node.remove_children();
            node.rename("span");
        }
    }
    for node in nodes.iter().filter(|node| with_blocks.contains(&node.id)) {
        if has_block_between_texts(node, &with_blocks) {
            wrap_text(node, &with_blocks);
        }
    }
    if with_blocks.contains(&body.id) {
        wrap_text(&body, &with_blocks);
    }
}

/// Returns whether a block stands between two texts of an element.
fn has_block_between_texts(parent: &NodeRef<'_>, with_blocks: &HashSet<NodeId>) -> bool {
    let (mut after_text, mut after_block) = (false, false);
    for child in parent.children() {
        let name = child.node_name();
        let role = name.as_deref().map_or(Role::Inline, Role::of);
        let is_block = with_blocks.contains(&child.id)
            || matches!(role, Role::Block | Role::Preformatted)
            || name.as_deref() == Some("nav");
        if is_block {
            after_block = after_text;
        } else if role == Role::LineBreak {
            (after_text, after_block) = (false, false);
        } else if role == Role::Inline && !child.is_comment() && has_word(&child) {
            if after_block {
                return true;
            }
            after_text = true;
        }
    }
    false
}

/// Returns whether a text or an inline element has a character that is shown.
fn has_word(node: &NodeRef<'_>) -> bool {
    let mut texts = std::iter::once(*node).chain(node.descendants_it());
    texts.any(|node| node.is_nonempty_text())
}

/// Returns whether the library takes an inline element for a part of a paragraph.
fn is_known(node: &NodeRef<'_>, name: &str) -> bool {
    match name {
        // It looks into these, and finds nothing in an anchor without a text.
        "a" | "del" | "ins" => node.first_child().is_some(),
        "abbr" | "b" | "bdo" | "br" | "cite" | "code" | "data" | "dfn" | "em" | "i" | "img"
        | "kbd" | "label" | "mark" | "math" | "output" | "q" | "ruby" | "samp" | "small"
        | "span" | "strong" | "sub" | "sup" | "time" | "var" | "wbr" => true,
        // It renames these itself, and drops their attributes.
        "font" => true,
        _ => false,
    }
}

/// Wraps each run of text and inline elements that has a word in a paragraph.
fn wrap_text(parent: &NodeRef<'_>, with_blocks: &HashSet<NodeId>) {
    let mut run: Vec<NodeRef<'_>> = Vec::new();
    for child in parent.children() {
        let role = child.node_name().map_or(Role::Inline, |name| Role::of(&name));
        let is_inline = role == Role::Inline && !with_blocks.contains(&child.id);
        if is_inline && !child.is_comment() {
            run.push(child);
        } else {
            wrap(&mut run);
        }
    }
    wrap(&mut run);
}

fn wrap(run: &mut Vec<NodeRef<'_>>) {
    let run = std::mem::take(run);
    // Links and pictures without a text beside them are menus more often than sentences.
    if !run.iter().any(NodeRef::is_nonempty_text) {
        return;
    }
    let Some(first) = run.first() else { return };
    let paragraph = first.tree.new_element("p");
    first.insert_before(&paragraph);
    for node in run {
        paragraph.append_child(&node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(html: &str) -> String {
        let document = Document::from(html);
        prepare(&document);
        document.body().unwrap().inner_html().to_string()
    }

    #[test]
    fn unknown_inline_elements_become_spans_unless_they_hold_a_block() {
        for (html, expected) in [
            ("<div>un<u>believ</u>able</div>", "<div>un<span>believ</span>able</div>"),
            ("<div>a<x-y>b</x-y>c</div>", "<div>a<span>b</span>c</div>"),
            ("<div>a<a id=\"x\"></a>b</div>", "<div>a<span id=\"x\"></span>b</div>"),
            ("<div>a<a href=\"x\">b</a></div>", "<div>a<a href=\"x\">b</a></div>"),
            ("<div><x-y><p>b</p></x-y></div>", "<div><x-y><p>b</p></x-y></div>"),
            ("<div>a<s><tt>b</tt></s></div>", "<div>a<span><span>b</span></span></div>"),
            ("<div>a<em>b</em></div>", "<div>a<em>b</em></div>"),
            ("<div>a<map name=\"x\">b</map>c</div>", "<div>a<span name=\"x\"></span>c</div>"),
        ] {
            assert_eq!(prepared(html), expected, "{html}");
        }
    }

    #[test]
    fn texts_around_a_block_become_paragraphs() {
        for (html, expected) in [
            ("<article>a<div></div>b</article>", "<article><p>a</p><div></div><p>b</p></article>"),
            (
                "<section>a<p> </p><div>c</div><b>b</b></section>",
                "<section><p>a</p><p> </p><div>c</div><b>b</b></section>",
            ),
            (
                "<ul><li>a<nav>x</nav>b<p>c</p></li></ul>",
                "<ul><li><p>a</p><nav>x</nav><p>b</p><p>c</p></li></ul>",
            ),
            ("<center>a<br><div></div>b</center>", "<center>a<br><div></div>b</center>"),
            ("<article><div></div>b<p>c</p></article>", "<article><div></div>b<p>c</p></article>"),
            ("<div>a<script>x</script>b<p>c</p></div>", "<div>a<script>x</script>b<p>c</p></div>"),
            ("<div>a <p>c</p> <i> </i></div>", "<div>a <p>c</p> <i> </i></div>"),
        ] {
            assert_eq!(prepared(html), expected, "{html}");
        }
    }

    #[test]
    fn bare_text_beside_blocks_of_the_body_becomes_a_paragraph() {
        for (html, expected) in [
            ("a <u>b</u><div>c</div>", "<p>a <span>b</span></p><div>c</div>"),
            ("<div>c</div> a <br> b", "<div>c</div><p> a </p><br><p> b</p>"),
            ("<div>c</div> <a href=\"x\">b</a> ", "<div>c</div> <a href=\"x\">b</a> "),
            ("only text", "only text"),
        ] {
            assert_eq!(prepared(html), expected, "{html}");
        }
        let moved = prepared("<table>a<tr><td>b</table>");
        assert!(moved.starts_with("<p>a</p><table>"), "{moved}");
    }
}
