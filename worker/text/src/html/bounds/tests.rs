//! The markup is measured as the parser would build it.

use super::*;

/// Returns how deep the check finds the markup to be.
fn depth(html: &str) -> usize {
    (0..=64)
        .find(|&depth| check(html, &HtmlRules { depth, ..HtmlRules::default() }).is_ok())
        .unwrap_or(usize::MAX)
}

#[test]
fn implied_ends_do_not_count_as_nesting() {
    for (piece, expected) in [
        ("<p>a", 1),
        ("<li>a", 1),
        ("<dt>a<dd>b", 1),
        ("<br><img src=x><input>", 0),
        ("<p>a<p>b</p></p>", 1),
        ("<h1>a<h2>b", 1),
        ("<option>a", 1),
        ("<!-- <div> --><script>'<div>'</script><style><div></style>", 0),
        ("<svg><path/><g></g></svg>", 2),
        ("<div title='>'></div>", 1),
        ("<b>a</b><i>a</i>", 1),
        ("<font color=red>", 3),
        ("<a href=1>x<a href=2>y", 1),
    ] {
        assert_eq!(depth(&piece.repeat(100)), expected, "{piece}");
    }
    let rows = "<tr><td>a<td>b".repeat(100);
    assert_eq!(depth(&format!("<table>{rows}</table>")), 3);
}

#[test]
fn ends_that_the_parser_ignores_do_not_shrink_the_nesting() {
    for piece in ["<div><table><tr><td></div>", "<div></span>", "<ul><li>", "<p><div>", "<div/>"] {
        assert_eq!(depth(&piece.repeat(100)), usize::MAX, "{piece}");
    }
}

#[test]
fn comments_end_where_the_parser_ends_them() {
    for comment in ["<!-->", "<!--->", "<!-- a -- b --!>", "<!-- a --->", "<!x>", "<?x>"] {
        assert_eq!(depth(&format!("{comment}<div>")), 1, "{comment}");
    }
    assert_eq!(depth("<!-- <div>"), 0);
}

#[test]
fn attributes_are_counted_in_each_tag() {
    let limits = HtmlRules { attributes_per_tag: 3, ..HtmlRules::default() };
    let kinds = "<a b c='d e f>' g = \"h i\"><a b=c/d e=f g>";
    assert!(check(kinds, &limits).is_ok());
    assert_eq!(check("<a b c d e>", &limits), Err(Excess::Attributes { limit: 3 }));
}
