//! Parses markup, and measures the work that its tree would make.
//!
//! Extraction walks the content of many elements once for each of their ancestors, and once more
//! for each link. So its time depends on the product of content and depth, which the number of
//! nodes does not bound: 4 MB of text in 500 elements took 14 CPU seconds. The work of a page is
//! counted in steps before it is done. A step is a fixed amount of content, never a time, so a page
//! is refused by every machine or by none.
//!
//! Invariant: markup that `bounds` refuses is never parsed, and a tree that needs more steps than a
//! page may have is never extracted.

use dom_query::{Document, NodeRef};
use html5ever::tendril::TendrilSink;
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};
use thresher_formats::stop::Stop;

use super::bounds::Excess;
use super::{HtmlRules, PageError};

/// Size of the pieces that the parser gets. Between two of them it can be stopped.
const PIECE_BYTES: usize = 4096;

/// Longest title that is used: titles are compared with every heading, so a huge one would be slow.
const MAX_TITLE_BYTES: usize = 2048;

/// Steps of an element, for each of its ancestors.
const ELEMENT_STEPS: u64 = 12;
/// Steps of a link, whose content is counted once more for each of its ancestors.
const LINK_STEPS: u64 = 120;
/// Steps of a text for each of its ancestors, in addition to one for every two bytes.
const TEXT_STEPS: u64 = 4;
/// Bytes that the search for the next character to escape passes in a step.
const SEARCH_BYTES: u64 = 128;

/// Parses markup. `spent` are the steps of `bounds`; returns them with the steps of the tree.
pub(crate) fn parse(
    html: &str,
    spent: u64,
    limits: &HtmlRules,
    stop: &Stop,
) -> Result<(Document, u64), PageError> {
    let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let options = ParseOpts { tree_builder, ..ParseOpts::default() };
    let mut parser = parse_document(Document::default(), options);
    let mut rest = html;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        rest = after;
        parser.process(piece.into());
        let document = &parser.tokenizer.sink.sink;
        // There can be one for every byte, and each attempt of the extraction copies them.
        document.errors.borrow_mut().clear();
        if document.tree.len() > limits.nodes {
            return Err(PageError::Bounds(Excess::Nodes { limit: limits.nodes }));
        }
        if stop.is_set() {
            return Err(PageError::Stopped);
        }
    }
    let document = parser.finish();
    document.errors.borrow_mut().clear();
    let steps = admit(&document, spent, limits).map_err(PageError::Bounds)?;
    Ok((document, steps))
}

/// Measures the real tree, which may differ from the estimate of `bounds`, and clears titles that
/// are too long. Returns the steps of the page.
fn admit(document: &Document, spent: u64, limits: &HtmlRules) -> Result<u64, Excess> {
    let (mut depth, mut nodes, mut steps) = (0, 0, spent);
    let mut oversized = Vec::new();
    let root = document.root();
    let mut node = root;
    'walk: loop {
        nodes += 1;
        if nodes > limits.nodes {
            return Err(Excess::Nodes { limit: limits.nodes });
        }
        steps += steps_of(&node, depth as u64);
        if steps > limits.steps {
            return Err(Excess::Steps { limit: limits.steps });
        }
        if is_oversized(&node) {
            oversized.push(node);
        }
        if let Some(child) = node.first_child() {
            depth += 1;
            // Document, root and body are above what `bounds` counts.
            if depth > limits.depth + 3 {
                return Err(Excess::Depth { limit: limits.depth });
            }
            node = child;
            continue;
        }
        loop {
            if node.id == root.id {
                break 'walk;
            }
            if let Some(sibling) = node.next_sibling() {
                node = sibling;
                break;
            }
            depth -= 1;
            let Some(parent) = node.parent() else { break 'walk };
            node = parent;
        }
    }
    for node in oversized {
        node.set_text("");
        node.remove_attr("content");
    }
    Ok(steps)
}

/// Returns the steps of a node below `ancestors` others.
fn steps_of(node: &NodeRef<'_>, ancestors: u64) -> u64 {
    if node.is_element() {
        let link = node.has_name("a");
        return ancestors * if link { LINK_STEPS } else { ELEMENT_STEPS };
    }
    if !node.is_text() {
        return ancestors;
    }
    let text = node.text();
    let bytes = text.len() as u64;
    // The serializer searches the rest of the text again after each of these characters.
    let escaped = memchr::memchr2_iter(b'&', 0xc2, text.as_bytes()).count() as u64;
    ancestors * (TEXT_STEPS + bytes / 2) + escaped * bytes / SEARCH_BYTES
}

fn is_oversized(node: &NodeRef<'_>) -> bool {
    let long = |content: &str| content.len() > MAX_TITLE_BYTES;
    (node.has_name("title") && long(&node.text()))
        || (node.has_name("meta") && node.attr("content").as_deref().is_some_and(long))
}
