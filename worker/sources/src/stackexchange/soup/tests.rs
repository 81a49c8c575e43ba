//! Compares with what BeautifulSoup 4.12.2 with lxml 4.9.2 returned.

use super::*;
use crate::testing::expect_linear;

#[test]
fn five_hundred_broken_markups_have_the_text_that_the_originals_return() {
    let rows = include_str!("../../../../testdata/stackexchange/soup.jsonl");
    let mut compared = 0;
    for row in rows.lines() {
        let (html, text): (String, String) = serde_json::from_str(row).unwrap();
        assert_eq!(text_of_post(&html), Ok(text), "{html:?}");
        compared += 1;
    }
    assert_eq!(compared, 500);
}

#[test]
fn a_text_node_of_white_space_is_one_newline_or_one_space_unless_it_is_preformatted() {
    let cases = [
        ("<p>a</p>\n\n<p>b</p>\n", "a\nb\n"),
        ("<b>a</b> \t <b>b</b>", "a b"),
        ("<blockquote>\n  <p>b</p>\n</blockquote>\n", "\nb\n\n"),
        ("<p>a</p>\n\nb", "a\n\nb"),
        ("<pre>\n\n  x</pre>\n\n", "\n\n  x\n"),
        ("<pre><b>\n\n</b></pre>", "\n\n"),
        ("<textarea> \n </textarea>x", " \n x"),
        ("<p>\u{a0}\u{a0}</p>", "\u{a0}\u{a0}"),
        ("b<ol>\n<li>a</li>\n</ol>", "b\n*\n\n*a\n"),
        ("\n <li>a</li>", "*a"),
    ];
    for (html, text) in cases {
        assert_eq!(text_of_post(html).as_deref(), Ok(text), "{html:?}");
    }
}

#[test]
fn markup_in_a_title_does_not_swallow_the_body() {
    let cases = [
        ("the <iframe> tag <p>b</p>", "the  tag b"),
        ("the <title> tag <p>b</p>", "the  tag b"),
        ("the <plaintext> tag <p>b</p>", "the  tag b"),
        ("the <script> tag <p>b</p>", "the "),
        ("see </html> there <p>b</p>", "see  there "),
        ("Vec<T> &flat; &lt;T&gt;", "Vec &flat; <T>"),
        ("a <? b ?> c", "a  b ?> c"),
        ("", ""),
    ];
    for (html, text) in cases {
        assert_eq!(text_of_post(html).as_deref(), Ok(text), "{html:?}");
    }
}

#[test]
fn markup_that_is_nested_too_deep_is_refused() {
    assert!(text_of_post(&"<b>".repeat(MAX_OPEN - 3)).is_ok());
    assert!(text_of_post(&"<b>".repeat(MAX_OPEN + 1)).is_err());
}

#[test]
fn a_megabyte_of_broken_markup_is_read_without_a_panic() {
    let pieces =
        ["<!--", "<!---->", "<!----!>", "<a \"", "</", "<?", "&#", "&", "<script>", "<b a='"];
    let more = ["</b>", "<p>", "é<", "<table><b></div>", "\u{0}", "</ ", "<? ", "\u{0}a", "<!x"];
    for piece in pieces.iter().chain(&more) {
        for end in ["", ">", "-->", "<b>"] {
            let html = piece.repeat((1 << 20) / piece.len()) + end;
            expect_linear(&format!("{piece:?} and {end:?}"), || {
                let text = text_of_post(&html).unwrap_or_default();
                assert!(text.len() <= html.len(), "{piece}");
            });
        }
    }
}
