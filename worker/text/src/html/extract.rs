//! Extracts the text of parsed markup: the main content if there is one, else the whole page.
//!
//! `dom_smoothie` (Readability) finds the main content. Its own rendering loses line structure, so
//! its tree is walked here. Pages with little or no main content (front pages, lists, forms,
//! one-liners) yield all their visible text except navigation.
//!
//! Invariant: a tree is extracted only after `tree` has measured it.

use dom_query::{Document, NodeRef};
use dom_smoothie::{Config, Readability, ReadabilityError, TextMode};
use thresher_formats::stop::Stop;
use thresher_job::Focus;

use super::bounds::{self, Excess};
use super::lines::{LineWriter, Role};
use super::prose::{self, Prose};
use super::{HtmlRules, PageError, phrasing, tree};

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
    /// The steps that the page needed.
    pub(crate) steps: u64,
}

pub(crate) fn plain_text(text: &str) -> Content {
    let mut writer = LineWriter::default();
    writer.open(Role::Preformatted);
    for line in text.lines() {
        writer.text(line);
        writer.text("\n");
    }
    writer.close(Role::Preformatted);
    let (title, text) = (String::new(), writer.finish());
    Content { title, text, extraction: Extraction::PlainText, steps: 0 }
}

pub(crate) fn main_text(html: &str, limits: &HtmlRules, stop: &Stop) -> Result<Content, PageError> {
    let mut found = chosen_text(html, limits, stop)?;
    if limits.focus == Focus::Precision {
        found.text.truncate(prose::end_of_prose(&found.text));
        if found.text.chars().count() < limits.article_chars {
            found.text.clear();
        }
    }
    Ok(found)
}

/// Returns the main content, or what is taken in its place.
fn chosen_text(html: &str, limits: &HtmlRules, stop: &Stop) -> Result<Content, PageError> {
    let spent = bounds::check(html, limits).map_err(PageError::Bounds)?;
    let (document, steps) = tree::parse(html, spent, limits, stop)?;
    phrasing::prepare(&document);
    let prose = document.body().map(|body| Prose::measure(&body, limits.focus));
    if let Some(prose) = &prose {
        prose.remove_beside(&document);
    }
    let mut page = readability(document, limits);
    let (title, article) = match page.parse() {
        Ok(article) => (one_line(&article.title), text_below(&page.doc, ARTICLE)),
        Err(ReadabilityError::GrabFailed | ReadabilityError::BadDocumentURL) => {
            (one_line(&page.get_article_title()), String::new())
        }
        Err(ReadabilityError::TooManyElements(_, limit)) => {
            return Err(PageError::Bounds(Excess::Nodes { limit }));
        }
    };
    let main = Content { title, text: article, extraction: Extraction::MainContent, steps };
    let article_chars = main.text.chars().count();
    let (part, of) = least_part(limits.focus);
    let has_most = prose.is_none_or(|prose| article_chars * of >= prose.total() * part);
    let is_enough = article_chars >= limits.article_chars || limits.focus == Focus::Precision;
    if has_most && is_enough {
        return Ok(main);
    }
    // Extraction changed the tree, so the page is parsed again.
    let (document, _) = tree::parse(html, spent, limits, stop)?;
    if !has_most {
        return Ok(Content { text: second_look(&document, limits.focus), ..main });
    }
    let whole = text_below(&document, "body");
    if article_chars * 2 > whole.chars().count() {
        return Ok(main);
    }
    Ok(Content { text: whole, extraction: Extraction::WholePage, ..main })
}

/// Returns the part of the characters of the page's paragraphs that the main content must have at
/// least, as a fraction.
fn least_part(focus: Focus) -> (usize, usize) {
    match focus {
        Focus::Precision | Focus::Balanced => (1, 2),
        Focus::Recall => (9, 10),
    }
}

/// Returns the text of the smallest element that has nearly all paragraphs.
fn second_look(document: &Document, focus: Focus) -> String {
    phrasing::prepare(document);
    let Some(body) = document.body() else { return String::new() };
    let prose = Prose::measure(&body, focus);
    prose.remove_beside(document);
    text_of(prose.holder(&body))
}

/// Selector of the element under which the library puts the main content.
const ARTICLE: &str = "#readability-page-1";

fn readability(document: Document, limits: &HtmlRules) -> Readability {
    let config = Config {
        max_elements_to_parse: limits.elements,
        disable_json_ld: true,
        text_mode: TextMode::Raw,
        ..Config::default()
    };
    Readability { doc: document, doc_url: None, config }
}

/// Returns the visible text below the first element that matches.
fn text_below(document: &Document, selector: &str) -> String {
    let selection = document.select_single(selector);
    selection.nodes().first().map_or_else(String::new, |root| text_of(*root))
}

/// Returns the visible text of an element.
fn text_of(root: NodeRef<'_>) -> String {
    let mut writer = LineWriter::default();
    let role_of = |tag: Option<&str>| tag.map_or(Role::Inline, Role::of);
    let mut node = root;
    loop {
        let mut below = None;
        if node.is_text() {
            writer.text(&node.text());
        } else {
            let name = node.node_name();
            let mut role = role_of(name.as_deref());
            if node.has_attr("hidden") || is_invisible(node.attr("style").as_deref()) {
                role = Role::Hidden;
            }
            writer.open(role);
            below = if role == Role::Hidden { None } else { node.first_child() };
            if below.is_some() {
                writer.text(mark_before(&node, name.as_deref(), writer.ends_with_digit()));
            }
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
            let name = node.node_name();
            if name.as_deref() == Some("q") {
                writer.text("\"");
            }
            writer.close(role_of(name.as_deref()));
        }
    }
}

/// Returns what a browser shows by a style and text has to show by a sign: quotation marks, and
/// digits above or below others, such as the exponent of `10^6`.
fn mark_before(node: &NodeRef<'_>, name: Option<&str>, after_digit: bool) -> &'static str {
    let is_number = || {
        let text = node.text();
        let digits = text.trim().trim_start_matches(['-', '+', '\u{2212}']);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    match name {
        Some("q") => "\"",
        Some("sup") if after_digit && is_number() => "^",
        Some("sub") if after_digit && is_number() => "_",
        _ => "",
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
