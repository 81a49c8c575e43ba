//! What libxml2 knows about elements: which are empty, which end others, and how strongly.

/// Returns whether an element has no content and no end tag.
pub(super) fn is_empty(name: &str) -> bool {
    const EMPTY: [&str; 13] = [
        "area", "base", "basefont", "br", "col", "frame", "hr", "img", "input", "isindex", "link",
        "meta", "param",
    ];
    EMPTY.binary_search(&name).is_ok()
}

/// Returns the priority of an end tag. It only closes elements of the same or a lower priority.
pub(super) fn priority(name: &str) -> u8 {
    match name {
        "div" => 150,
        "td" | "th" => 160,
        "tr" => 170,
        "thead" | "tbody" | "tfoot" => 180,
        "table" => 190,
        "head" | "body" => 200,
        "html" => 220,
        _ => 100,
    }
}

/// Returns whether the start tag `new` ends the open element `old`.
pub(super) fn ends(old: &str, new: &str) -> bool {
    let enders: &[&str] = match old {
        "a" => &["a", "fieldset", "table", "td", "th"],
        "address" => &["dd", "dl", "dt", "form", "li", "ul"],
        "b" | "i" => &["center", "p", "td", "th"],
        "big" | "s" | "small" | "strike" | "tt" => &["p"],
        "caption" | "col" => &["col", "colgroup", "tbody", "tfoot", "thead", "tr"],
        "colgroup" => &["colgroup", "tbody", "tfoot", "thead", "tr"],
        "dd" => &["dt"],
        "dir" | "menu" => &["dd", "dl", "dt", "form", "ul"],
        "dl" => &["form", "li"],
        "dt" => &["dd", "dl"],
        "font" => &["center", "td", "th"],
        "form" | "hr" => &["form"],
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => &["fieldset", "form", "li", "p", "table"],
        "head" => HEAD_ENDERS,
        "legend" => &["fieldset"],
        "li" => &["li"],
        "link" | "style" | "title" => &["body", "frameset"],
        "listing" | "pre" | "xmp" => &["dd", "dl", "dt", "fieldset", "form", "li", "table", "ul"],
        "ol" => &["form", "ul"],
        "option" => &["optgroup", "option"],
        "p" => PARAGRAPH_ENDERS,
        "script" => &["noscript"],
        "span" => &["td", "th"],
        "tbody" | "thead" => &["tbody", "tfoot"],
        "td" | "th" => &["tbody", "td", "tfoot", "th", "tr"],
        "tfoot" => &["tbody"],
        "tr" => &["tbody", "tfoot", "tr"],
        "u" => &["p", "td", "th"],
        "ul" => &["address", "form", "menu", "ol", "pre"],
        _ => &[],
    };
    enders.binary_search(&new).is_ok()
}

#[rustfmt::skip]
const HEAD_ENDERS: &[&str] = &[
    "a", "abbr", "acronym", "address", "b", "bdo", "big", "blockquote", "body", "br", "center",
    "cite", "code", "dd", "dfn", "dir", "div", "dl", "dt", "em", "fieldset", "font", "form",
    "frameset", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "iframe", "img", "kbd", "li",
    "listing", "map", "menu", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strike",
    "strong", "sub", "sup", "table", "tt", "u", "ul", "var", "xmp",
];

#[rustfmt::skip]
const PARAGRAPH_ENDERS: &[&str] = &[
    "address", "blockquote", "body", "caption", "center", "col", "colgroup", "dd", "dir", "div",
    "dl", "dt", "fieldset", "form", "frameset", "h1", "h2", "h3", "h4", "h5", "h6", "head", "hr",
    "li", "listing", "menu", "ol", "p", "pre", "table", "tbody", "td", "tfoot", "th", "title",
    "tr", "ul", "xmp",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_tags_end_the_elements_that_cannot_contain_them() {
        assert!(HEAD_ENDERS.is_sorted() && PARAGRAPH_ENDERS.is_sorted());
        for (old, new) in [("p", "p"), ("p", "xmp"), ("li", "li"), ("td", "tr"), ("head", "a")] {
            assert!(ends(old, new), "{new} in {old}");
        }
        for (old, new) in [("p", "span"), ("tr", "td"), ("div", "p"), ("x", "x"), ("dd", "dd")] {
            assert!(!ends(old, new), "{new} in {old}");
        }
        assert!(["area", "br", "hr", "img", "param"].iter().all(|name| is_empty(name)));
        assert!(!["p", "embed", "wbr", ""].iter().any(|name| is_empty(name)));
    }
}
