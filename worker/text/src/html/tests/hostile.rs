//! Pages that are made to take long: each is refused by its steps, or needs few of them. A step is
//! an amount of content, so these tests measure work without a clock.

use super::*;

/// Nested elements with one paragraph in each, as often as fits into `bytes`.
fn stairs(open: &str, close: &str, depth: usize, bytes: usize) -> String {
    let stair = open.repeat(depth) + &close.repeat(depth);
    stair.repeat(bytes / stair.len())
}

fn filled(piece: &str, bytes: usize) -> String {
    piece.repeat(bytes / piece.len())
}

fn inside(depth: usize, piece: &str, bytes: usize) -> String {
    "<div>".repeat(depth) + &filled(piece, bytes)
}

const MARKUP: usize = 4_000_000;

/// Kinds of pages whose work is a product of two of their sizes.
fn costly() -> Vec<(&'static str, String)> {
    let words = "some words, in a text, that is long enough to be counted by the library ";
    let link = format!("<a href=x>{words}</a> ");
    vec![
        ("text below many elements", inside(500, words, MARKUP)),
        ("paragraphs below many elements", inside(500, &format!("<p>{words}"), MARKUP)),
        ("links below many elements", inside(400, &link, MARKUP)),
        ("links on every level", stairs(&format!("<div>{link}<p>b"), "</div>", 480, MARKUP)),
        ("lists on every level", stairs(&format!("<ul>{words}"), "</ul>", 480, MARKUP)),
        ("text in many formatting elements", "<span>".repeat(500) + &filled(words, MARKUP)),
        ("ends that move elements", "<b>".repeat(3) + &inside(480, "</b><b>", MARKUP / 4)),
        ("ends that match nothing", "<span>".repeat(500) + &filled("</i>", MARKUP)),
        ("a text of ampersands", filled("&amp;", MARKUP)),
        ("a text of references that do not exist", filled("&nothing;", MARKUP)),
        ("a text of no-break spaces", filled("a\u{a0}", MARKUP)),
    ]
}

#[test]
fn a_page_that_takes_too_much_work_is_refused() {
    for (kind, html) in costly() {
        assert_eq!(reason(html.as_bytes()), "html_too_much_work", "{kind}");
    }
}

#[test]
fn small_pages_of_the_same_kinds_are_read() {
    for (kind, html) in costly() {
        let small: String = html.chars().take(20_000).collect();
        let (limit, found) = (HtmlRules::default().steps, page("text/html", small.as_bytes()));
        match found {
            Ok(page) => assert!(page.steps < limit / 4, "{kind}: {}", page.steps),
            Err(error) => assert_eq!(error, PageError::NoText, "{kind}"),
        }
    }
}

#[test]
fn flat_pages_need_few_steps() {
    for (piece, most) in [
        ("word ", 2_500_000),
        ("<p>A sentence, with some words in it, and a few more.</p>", 7_500_000),
        (
            "<p>A <b>sentence</b> with <a href=x>a link</a> in it, and many more words, so that there are not too many elements.</p>",
            20_000_000,
        ),
        ("<ul><li>A sentence with some words in it, and some more in it</ul>", 10_000_000),
        (
            "<tr><td>A sentence with some words in it<td>and a few more words here, and there",
            10_000_000,
        ),
        ("&lt;", 2_500_000),
        ("\0", 2_500_000),
        ("<", 2_500_000),
    ] {
        let html = format!("<table>{}", filled(piece, MARKUP / 4));
        match page("text/html", html.as_bytes()) {
            Ok(page) => assert!(page.steps < most, "{piece}: {}", page.steps),
            Err(error) => assert_eq!(error.reason(), "html_no_text", "{piece}"),
        }
    }
}

#[test]
fn the_steps_of_a_page_follow_from_its_bytes() {
    for (name, _) in PAGES {
        let html = std::fs::read(testdata().join("html").join(name)).unwrap();
        let steps = page("text/html", &html).unwrap().steps;
        assert_eq!(page("text/html", &html).unwrap().steps, steps);
        let limited = |steps| {
            let limits = HtmlRules { steps, ..HtmlRules::default() };
            page_text(&payload("text/html", &html), "", &limits, &Stop::default())
        };
        assert_eq!(limited(steps).unwrap().steps, steps, "{name}");
        assert_eq!(limited(steps - 1).unwrap_err().reason(), "html_too_much_work", "{name}");
    }
}

#[test]
fn the_pieces_of_the_parser_do_not_show() {
    // A text that no piece of the parser may cut: references, line ends, tags and characters.
    let unit = "a&amp;b\r\n<p title='x>y'>é&notin;\u{1f600}</p>&#x41;<!-- c -->";
    for shift in 0..unit.len() {
        let html = format!("{}<pre>{}</pre>", " ".repeat(shift), unit.repeat(300));
        let text = page("text/html; charset=utf-8", html.as_bytes()).unwrap().text;
        assert_eq!(text.matches("a&b").count(), 300, "{shift}");
        assert_eq!(text.matches("é∉\u{1f600}").count(), 300, "{shift}");
        assert_eq!(text.matches('A').count(), 300, "{shift}");
        assert!(!text.contains(['<', '\r', ';']), "{shift}");
    }
}

#[test]
fn a_page_is_left_when_its_unit_is_asked_to_stop() {
    let stop = Stop::default();
    stop.set();
    let payload = payload("text/html", "<p>text ".repeat(1000).as_bytes());
    let stopped = page_text(&payload, "", &HtmlRules::default(), &stop);
    assert_eq!(stopped.unwrap_err(), PageError::Stopped);
}
