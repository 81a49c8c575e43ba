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
use thresher_job::Focus;

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

/// Further ones, which also name parts of some main texts.
const BESIDE_IN_PRECISION: [&str; 12] = [
    "banner",
    "byline",
    "comment",
    "footer",
    "navbar",
    "popup",
    "promo",
    "related",
    "sharing",
    "subscribe",
    "teaser",
    "toolbar",
];

/// The number of characters in paragraphs, by element.
pub(crate) struct Prose {
    focus: Focus,
    /// Those of the main text, which are outside of navigation and what stands beside.
    main: HashMap<NodeId, usize>,
    all: HashMap<NodeId, usize>,
    total: usize,
}

impl Prose {
    /// Measures the paragraphs below the body.
    pub(crate) fn measure(body: &NodeRef<'_>, focus: Focus) -> Self {
        let mut prose = Self { focus, main: HashMap::new(), all: HashMap::new(), total: 0 };
        let nodes: Vec<NodeRef<'_>> = body.descendants_it().collect();
        let mut asides = HashSet::new();
        for node in nodes.iter().filter(|node| node.is_element()) {
            let inside = node.parent().is_some_and(|parent| asides.contains(&parent.id));
            if inside || is_aside(node, focus) {
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
                && is_beside(&node, self.focus)
                && !node.descendants_it().any(|inner| inner.has_name("h1"))
            {
                node.remove_from_parent();
            }
        }
    }
}

/// Returns the end of the last line that is long, or ends like a sentence. Pages often end with
/// headings of lists and links whose content was left out.
pub(crate) fn end_of_prose(text: &str) -> usize {
    let is_prose = |line: &&str| {
        line.ends_with(ends_sentence) || line.chars().nth(PARAGRAPH_CHARS - 1).is_some()
    };
    let mut end = text.len();
    for line in text.rsplit('\n') {
        if is_prose(&line) {
            return end;
        }
        end = end.saturating_sub(line.len() + 1);
    }
    0
}

fn ends_sentence(c: char) -> bool {
    const ENDS: &str = ".!?…:;\"”“»)。！？」』）।؟።។။༎";
    ENDS.contains(c)
}

/// Returns the number of characters of a paragraph; 0 if it is short, or most of it is links.
fn paragraph_chars(paragraph: &NodeRef<'_>) -> usize {
    let chars = paragraph.normalized_char_count();
    let links = paragraph.descendants_it().filter(|node| node.has_name("a"));
    let linked: usize = links.map(|link| link.normalized_char_count()).sum();
    if chars < PARAGRAPH_CHARS || linked * 2 > chars { 0 } else { chars }
}

fn is_aside(node: &NodeRef<'_>, focus: Focus) -> bool {
    let name = node.node_name();
    let aside = name.is_some_and(|name| {
        matches!(&*name, "nav" | "aside" | "footer" | "header" | "form" | "noscript" | "dialog")
    });
    aside || node.has_attr("hidden") || is_beside(node, focus)
}

/// Returns whether the names of an element say that it is not main text.
fn is_beside(node: &NodeRef<'_>, focus: Focus) -> bool {
    let more: &[&str] = match focus {
        Focus::Precision => &BESIDE_IN_PRECISION,
        Focus::Balanced => &[],
        Focus::Recall => return false,
    };
    let names = [node.attr("class"), node.attr("id")];
    names.into_iter().flatten().any(|names| {
        let names = names.to_ascii_lowercase().replace('_', "-");
        // `has-sidebar` and `no-sidebar` describe the page around it.
        names.split_ascii_whitespace().any(|name| {
            let around = name.starts_with("has-") || name.starts_with("no-sidebar");
            !around && BESIDE.iter().chain(more).any(|beside| name.contains(beside))
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
        let prose = Prose::measure(&body, Focus::Balanced);
        assert_eq!(prose.total(), 5 * SENTENCE.trim().len());
        assert_eq!(prose.holder(&body).attr("id").as_deref(), Some("all"));
    }

    #[test]
    fn prose_ends_with_its_last_long_line_or_sentence() {
        let long = "a line of words without an end that is long";
        for (text, left) in [
            (format!("{long}\nMore"), long),
            ("A sentence.\nRead more\nTags".to_owned(), "A sentence."),
            ("短い文です。\n関連記事".to_owned(), "短い文です。"),
            ("A sentence.".to_owned(), "A sentence."),
            ("More\nTags".to_owned(), ""),
            (String::new(), ""),
        ] {
            assert_eq!(&text[..end_of_prose(&text)], left, "{text:?}");
        }
    }

    #[test]
    fn elements_beside_the_text_are_removed_unless_they_are_the_text() {
        let (text, long) = (SENTENCE.repeat(2), SENTENCE.repeat(9));
        for (focus, class, paragraph, stays) in [
            (Focus::Balanced, "related_posts", SENTENCE, false),
            (Focus::Balanced, "entry sharedaddy", "Share", false),
            (Focus::Balanced, "comment-list", text.as_str(), false),
            (Focus::Balanced, "has-sidebar", SENTENCE, true),
            (Focus::Balanced, "entry", SENTENCE, true),
            (Focus::Balanced, "newsletter", long.as_str(), true),
            (Focus::Balanced, "teaser", SENTENCE, true),
            (Focus::Precision, "teaser", SENTENCE, false),
            (Focus::Precision, "related_posts", SENTENCE, false),
            (Focus::Precision, "teaser", long.as_str(), true),
            (Focus::Recall, "related_posts", SENTENCE, true),
        ] {
            let html = format!("<p>{text}</p><div class='{class}'><p>{paragraph}</p></div>");
            let document = Document::from(html);
            let body = document.body().unwrap();
            Prose::measure(&body, focus).remove_beside(&document);
            assert_eq!(document.select("div").exists(), stays, "{focus:?} {class}");
        }
    }
}
