//! Extracts the text of parsed markup: the main content if there is one, else the whole page.
//!
//! `dom_smoothie` (Readability) finds the main content. Its own rendering loses line structure, so
//! its tree is walked here. Pages with little or no main content (front pages, lists, forms,
//! one-liners) yield all their visible text except navigation.
//!
//! Invariant: markup that `bounds` refuses is never parsed, and the tree is measured again before
//! any slow processing.

use dom_smoothie::{Config, Readability, ReadabilityError, TextMode};

use super::bounds::{self, Excess};
use super::lines::{LineWriter, Role};
use super::{HtmlLimits, PageError};

/// Which part of the page the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extraction {
    /// The main content, without navigation and the like.
    MainContent,
    /// All visible text of the page except navigation.
    WholePage,
    /// The text of a page that is not HTML.
    PlainText,
}

pub(crate) struct Content {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) extraction: Extraction,
}

pub(crate) fn plain_text(text: &str) -> Content {
    let mut writer = LineWriter::default();
    writer.open(Role::Preformatted);
    for line in text.lines() {
        writer.text(line);
        writer.text("\n");
    }
    writer.close(Role::Preformatted);
    Content { title: String::new(), text: writer.finish(), extraction: Extraction::PlainText }
}

pub(crate) fn main_text(html: &str, limits: &HtmlLimits) -> Result<Content, PageError> {
    bounds::check(html, limits).map_err(PageError::Bounds)?;
    let mut page = parse(html, limits)?;
    let (title, article) = match page.parse() {
        Ok(article) => (one_line(&article.title), text_below(&page, ARTICLE)),
        Err(ReadabilityError::GrabFailed | ReadabilityError::BadDocumentURL) => {
            (one_line(&page.get_article_title()), String::new())
        }
        Err(ReadabilityError::TooManyElements(_, limit)) => {
            return Err(PageError::Bounds(Excess::Nodes { limit }));
        }
    };
    let article_chars = article.chars().count();
    if article_chars >= limits.article_chars {
        return Ok(Content { title, text: article, extraction: Extraction::MainContent });
    }
    // Extraction changed the tree, so the page is parsed again; such pages are short.
    let whole = text_below(&parse(html, limits)?, "body");
    if article_chars * 2 > whole.chars().count() {
        return Ok(Content { title, text: article, extraction: Extraction::MainContent });
    }
    Ok(Content { title, text: whole, extraction: Extraction::WholePage })
}

/// Selector of the element under which the library puts the main content.
const ARTICLE: &str = "#readability-page-1";

/// Longest title that is used: titles are compared with every heading, so a huge one would be slow.
const MAX_TITLE_BYTES: usize = 2048;

fn parse(html: &str, limits: &HtmlLimits) -> Result<Readability, PageError> {
    let mut page = Readability::from(html);
    page.config = Config {
        max_elements_to_parse: limits.elements,
        disable_json_ld: true,
        text_mode: TextMode::Raw,
        ..Config::default()
    };
    admit(&page, limits).map_err(PageError::Bounds)?;
    Ok(page)
}

/// Measures the real tree, which may differ from the estimate of `bounds`, and clears titles that
/// are too long.
fn admit(page: &Readability, limits: &HtmlLimits) -> Result<(), Excess> {
    let (mut depth, mut nodes) = (0, 0);
    let mut oversized = Vec::new();
    let root = page.doc.root();
    let mut node = root;
    'walk: loop {
        nodes += 1;
        if nodes > limits.nodes {
            return Err(Excess::Nodes { limit: limits.nodes });
        }
        let title = node.has_name("title") && node.text().len() > MAX_TITLE_BYTES;
        let long = |content: &str| content.len() > MAX_TITLE_BYTES;
        if title || (node.has_name("meta") && node.attr("content").as_deref().is_some_and(long)) {
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
    Ok(())
}

/// Returns the visible text below the first element that matches.
fn text_below(page: &Readability, selector: &str) -> String {
    let mut writer = LineWriter::default();
    let selection = page.doc.select_single(selector);
    let Some(root) = selection.nodes().first() else { return String::new() };
    let role_of = |tag: Option<&str>| tag.map_or(Role::Inline, Role::of);
    let mut node = *root;
    loop {
        let mut below = None;
        if node.is_text() {
            writer.text(&node.text());
        } else {
            let mut role = role_of(node.node_name().as_deref());
            if node.has_attr("hidden") || is_invisible(node.attr("style").as_deref()) {
                role = Role::Hidden;
            }
            writer.open(role);
            below = if role == Role::Hidden { None } else { node.first_child() };
            if below.is_none() {
                writer.close(role);
            }
        }
        if let Some(child) = below {
            node = child;
            continue;
        }
        loop {
            if node.id == root.id {
                return writer.finish();
            }
            if let Some(sibling) = node.next_sibling() {
                node = sibling;
                break;
            }
            let Some(parent) = node.parent() else { return writer.finish() };
            node = parent;
            writer.close(role_of(node.node_name().as_deref()));
        }
    }
}

fn is_invisible(style: Option<&str>) -> bool {
    let Some(style) = style else { return false };
    style.split(';').filter_map(|rule| rule.split_once(':')).any(|(property, value)| {
        let (property, value) = (property.trim(), value.trim());
        let is = |name: &str, hides: &str| {
            property.eq_ignore_ascii_case(name)
                && value.get(..hides.len()).is_some_and(|start| start.eq_ignore_ascii_case(hides))
        };
        is("display", "none") || is("visibility", "hidden")
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
