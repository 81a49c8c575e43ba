//! Finds the paragraphs of a page, and what stands around them.
//!
//! The library scores blocks by their surroundings and can choose one column of many. So the
//! paragraphs of the whole page are measured first, and a choice that has few of them is compared
//! with the smallest element that has nearly all of them. Elements whose names say that they hold
//! something else (related pages, forms for comments, boxes about authors) are removed before,
//! because sites put them between the paragraphs.
//!
//! Invariant: an element with far more paragraphs than the rest of the page is not removed,
//! whatever its name.

use std::collections::{HashMap, HashSet};

use dom_query::{Document, NodeId, NodeRef};

/// Length in characters of a paragraph that counts.
const PARAGRAPH_CHARS: usize = 40;
/// An element with more than this many times the paragraphs of the main text is not removed for its
/// name. Comments are often longer than what they are about.
const REMOVED_TIMES: usize = 4;

/// Parts of names that pages use for content beside the main text. `_` in a name is `-` here.
const BESIDE: [&str; 33] = [
    "add-to-any",
    "addtoany",
    "akismet",
    "author-bio",
    "author-box",
    "about-author",
    "author-info",
    "breadcrumb",
    "comment-form",
    "comment-list",
    "comment-respond",
    "commentlist",
    "comments-area",
    "cookie",
    "disqus",
    "newsletter",
    "no-print",
    "noprint",
    "pagination",
    "post-navigation",
    "recommended",
    "related-article",
    "related-content",
    "related-link",
    "related-news",
    "related-post",
    "related-stor",
    "relatedposts",
    "share-button",
    "sharedaddy",
    "sidebar",
    "social-share",
    "tag-cloud",
];

/// The number of characters in paragraphs, by element.
pub(crate) struct Prose {
    /// Those of the main text, which are outside of navigation and what stands beside.
    main: HashMap<NodeId, usize>,
    all: HashMap<NodeId, usize>,
    total: usize,
}

impl Prose {
    /// Measures the paragraphs below the body.
    pub(crate) fn measure(body: &NodeRef<'_>) -> Self {
        let mut prose = Self { main: HashMap::new(), all: HashMap::new(), total: 0 };
        let nodes: Vec<NodeRef<'_>> = body.descendants_it().collect();
        let mut asides = HashSet::new();
        for node in nodes.iter().filter(|node| node.is_element()) {
            let inside = node.parent().is_some_and(|parent| asides.contains(&parent.id));
            if inside || is_aside(node) {
                asides.insert(node.id);
            }
            if !node.has_name("p") {
                continue;
            }
            let chars = paragraph_chars(node);
            prose.all.insert(node.id, chars);
            if !asides.contains(&node.id) {
                prose.main.insert(node.id, chars);
                prose.total += chars;
            }
        }
        // Children come after their parents, so that their sums are whole here.
        for node in nodes.iter().rev() {
            let Some(parent) = node.parent() else { continue };
            for sums in [&mut prose.main, &mut prose.all] {
                if let Some(&chars) = sums.get(&node.id) {
                    *sums.entry(parent.id).or_default() += chars;
                }
            }
        }
        prose
    }

    /// Returns the number of characters in the paragraphs of the main text.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Returns the smallest element with nearly all paragraphs.
    pub(crate) fn holder<'d>(&self, body: &NodeRef<'d>) -> NodeRef<'d> {
        let mut holder = *body;
        let chars = |node: &NodeRef<'_>| self.main.get(&node.id).copied().unwrap_or_default();
        let most = |node: &NodeRef<'_>| chars(node) * 10 >= self.total * 9;
        while let Some(child) = holder.element_children().into_iter().find(|child| most(child)) {
            if child.has_name("p") {
                break;
            }
            holder = child;
        }
        holder
    }

    /// Removes the elements beside the main text.
    pub(crate) fn remove_beside(&self, document: &Document) {
        let Some(body) = document.body() else { return };
        let nodes: Vec<NodeRef<'_>> = body.descendants_it().collect();
        for node in nodes {
            let chars = self.all.get(&node.id).copied().unwrap_or_default();
            if node.is_element()
                && chars <= self.total * REMOVED_TIMES
                && is_beside(&node)
                && !node.descendants_it().any(|inner| inner.has_name("h1"))
            {
                node.remove_from_parent();
            }
        }
    }
}

/// Returns the number of characters of a paragraph; 0 if it is short, or most of it is links.
fn paragraph_chars(paragraph: &NodeRef<'_>) -> usize {
    let chars = paragraph.normalized_char_count();
    let links = paragraph.descendants_it().filter(|node| node.has_name("a"));
    let linked: usize = links.map(|link| link.normalized_char_count()).sum();
    if chars < PARAGRAPH_CHARS || linked * 2 > chars { 0 } else { chars }
}

fn is_aside(node: &NodeRef<'_>) -> bool {
    let name = node.node_name();
    let aside = name.is_some_and(|name| {
        matches!(&*name, "nav" | "aside" | "footer" | "header" | "form" | "noscript" | "dialog")
    });
    aside || node.has_attr("hidden") || is_beside(node)
}

/// Returns whether the names of an element say that it is not main text.
fn is_beside(node: &NodeRef<'_>) -> bool {
    let names = [node.attr("class"), node.attr("id")];
    names.into_iter().flatten().any(|names| {
        let names = names.to_ascii_lowercase().replace('_', "-");
        // `has-sidebar` and `no-sidebar` describe the page around it.
        names.split_ascii_whitespace().any(|name| {
            let around = name.starts_with("has-") || name.starts_with("no-sidebar");
            !around && BESIDE.iter().any(|beside| name.contains(beside))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENTENCE: &str = "A sentence with some words in it, which is long enough. ";

    #[test]
    fn the_smallest_element_with_nearly_all_paragraphs_is_found() {
        let column = format!("<div><p>{SENTENCE}</p></div>").repeat(5);
        let html = format!(
            "<div id=page><div id=menu><p>Home</p></div><div id=all>{column}</div>\
             <footer><p>{SENTENCE}</p></footer></div>"
        );
        let document = Document::from(html);
        let body = document.body().unwrap();
        let prose = Prose::measure(&body);
        assert_eq!(prose.total(), 5 * SENTENCE.trim().len());
        assert_eq!(prose.holder(&body).attr("id").as_deref(), Some("all"));
    }

    #[test]
    fn elements_beside_the_text_are_removed_unless_they_are_the_text() {
        let (text, long) = (SENTENCE.repeat(2), SENTENCE.repeat(9));
        for (class, paragraph, stays) in [
            ("related_posts", SENTENCE, false),
            ("entry sharedaddy", "Share", false),
            ("comment-list", text.as_str(), false),
            ("has-sidebar", SENTENCE, true),
            ("entry", SENTENCE, true),
            ("newsletter", long.as_str(), true),
        ] {
            let html = format!("<p>{text}</p><div class='{class}'><p>{paragraph}</p></div>");
            let document = Document::from(html);
            Prose::measure(&document.body().unwrap()).remove_beside(&document);
            assert_eq!(document.select("div").exists(), stays, "{class}");
        }
    }
}
