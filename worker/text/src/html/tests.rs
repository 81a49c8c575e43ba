//! Real pages and hostile ones, from bytes to text.

mod hostile;

use std::io::Read;
use std::path::{Path, PathBuf};

use encoding_rs::{Encoding, SHIFT_JIS, UTF_8, WINDOWS_1251};

use super::*;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}

fn payload(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn page(content_type: &str, body: &[u8]) -> Result<Page, PageError> {
    page_text(
        &payload(content_type, body),
        "http://example.com/",
        &HtmlRules::default(),
        &Stop::default(),
    )
}

fn reason(body: &[u8]) -> &'static str {
    page("text/html; charset=utf-8", body).map_or_else(|error| error.reason(), |_| "none")
}

/// Compares with `NAME.txt`, or writes that file if THRESHER_BLESS is set. Review the change.
fn assert_golden(name: &str, page: &Page) {
    let path = testdata().join("html").join(name).with_extension("txt");
    let actual = format!("{}\n\n{}\n", page.title, page.text);
    if std::env::var_os("THRESHER_BLESS").is_some() {
        std::fs::write(&path, &actual).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(actual, golden, "{name}");
}

const PAGES: [(&str, &str); 6] = [
    ("apache-documenting.zh-cn.utf-8.html", "UTF-8"),
    ("apache-filter.ja.utf-8.html", "UTF-8"),
    ("apache-filter.ko.euc-kr.html", "EUC-KR"),
    ("apache-mod_env.tr.utf-8.html", "UTF-8"),
    ("apache-mpm.de.iso-8859-1.html", "windows-1252"),
    ("libreoffice-java.de.utf-8.html", "UTF-8"),
];

#[test]
fn real_pages_give_the_text_that_a_reader_approved() {
    for (name, charset) in PAGES {
        let html = std::fs::read(testdata().join("html").join(name)).unwrap();
        let page = page("text/html", &html).unwrap();
        assert_eq!((page.charset, page.charset_source), (charset, CharsetSource::Page), "{name}");
        assert_eq!(page.malformed_sequences, 0, "{name}");
        assert_golden(name, &page);
    }
}

#[test]
fn texts_around_a_block_that_is_left_out_are_not_one_word() {
    let prose =
        "This sentence is a part of the main text, and it has commas, as prose has. ".repeat(4);
    for container in ["article", "section", "main", "div", "blockquote", "center", "li", "details"]
    {
        for between in [
            "<div></div>",
            "<p> </p>",
            "<p><br></p>",
            "<h3></h3>",
            "<div class=\"ad\"><script>x()</script></div>",
            "<div class=byline>x</div>",
            "<aside>x</aside>",
            "<nav>x</nav>",
            "<form><input></form>",
            "<div><iframe></iframe></div>",
            "<table></table>",
        ] {
            let html = format!(
                "<body><p>{prose}</p><{container}><p>{prose}</p>it ends{between}Seconds begin\
                 <p>{prose}</p></{container}></body>"
            );
            let text = page("text/html; charset=utf-8", html.as_bytes()).unwrap().text;
            assert!(!text.contains("endsSeconds"), "{container} {between}: {text}");
        }
    }
}

#[test]
fn a_record_of_commoncrawl_gives_its_article() {
    let file = std::fs::File::open(testdata().join("cc/whirlwind.warc.gz")).unwrap();
    let mut warc = Vec::new();
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut warc).unwrap();
    let start = memchr::memmem::find(&warc, b"\r\n\r\nHTTP/1.1 200").unwrap() + 4;
    let payload = &warc[start..start + 74_581];
    let url = "https://an.wikipedia.org/wiki/Escopete";
    let page = page_text(payload, url, &HtmlRules::default(), &Stop::default()).unwrap();
    assert_eq!((page.charset, page.charset_source), ("UTF-8", CharsetSource::HttpHeader));
    assert_golden("whirlwind-escopete.an", &page);
}

/// Returns a page without its declarations, in another character set.
fn transcoded(name: &str, from: &'static Encoding, to: &'static Encoding) -> Vec<u8> {
    let html = std::fs::read(testdata().join("html").join(name)).unwrap();
    let text = from.decode(&html).0.replace("charset=UTF-8", "").replace("encoding=\"UTF-8\"", "");
    to.encode(&text).0.into_owned()
}

#[test]
fn the_text_is_the_same_in_every_character_set_of_the_page() {
    let name = "apache-filter.ja.utf-8.html";
    let utf_8 = transcoded(name, UTF_8, UTF_8);
    let expected = page("text/html; charset=utf-8", &utf_8).unwrap();
    let text = std::str::from_utf8(&utf_8).unwrap();
    let units = || text.encode_utf16();
    let little: Vec<u8> = [0xfeff].into_iter().chain(units()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    for (label, html, charset, source) in [
        ("", transcoded(name, UTF_8, SHIFT_JIS), "Shift_JIS", CharsetSource::Detector),
        ("", utf_8.clone(), "UTF-8", CharsetSource::Detector),
        ("", little, "UTF-16LE", CharsetSource::ByteOrderMark),
        ("; charset=utf-16be", big, "UTF-16BE", CharsetSource::HttpHeader),
    ] {
        let page = page(&format!("text/html{label}"), &html).unwrap();
        assert_eq!((page.charset, page.charset_source), (charset, source));
        assert_eq!((&page.title, &page.text), (&expected.title, &expected.text), "{charset}");
    }
}

#[test]
fn an_undeclared_windows_1251_page_is_read() {
    let sentence = "Съешь же ещё этих мягких французских булок, да выпей чаю. ";
    let html = format!("<title>Булки</title><p>{}</p>", sentence.repeat(10));
    let page = page("text/html", &WINDOWS_1251.encode(&html).0).unwrap();
    assert_eq!((page.title.as_str(), page.charset), ("Булки", "windows-1251"));
    assert_eq!(page.text, sentence.repeat(10).trim());
}

#[test]
fn a_page_without_an_article_gives_all_its_visible_text() {
    let html = "<body><nav><a href=/>Home</a></nav><h2>Shop</h2><ul><li>Nails<li>Glue</ul>\
        <p style='display: none'>secret</p><p hidden>secret</p><script>secret()</script>\
        <noscript>secret</noscript><table><tr><td>1<td>2</table>";
    let page = page("text/html", html.as_bytes()).unwrap();
    assert_eq!(page.text, "Shop\nNails\nGlue\n1\t2");

    // The library drops modal dialogs whatever they contain, and some pages have nothing else.
    let dialog = "<div role=dialog aria-modal=true><p>All that this page says.</p></div>";
    let html = format!("<p>Hello.</p>{}", dialog.repeat(20));
    let page = super::tests::page("text/html", html.as_bytes()).unwrap();
    assert_eq!(page.extraction, Extraction::WholePage);
    assert_eq!(page.text.lines().count(), 21);
}

#[test]
fn what_only_a_style_shows_has_a_sign_in_the_text() {
    for (markup, expected) in [
        ("about 10<sup>6</sup> stars", "about 10^6 stars"),
        ("10<sup> -6 </sup>m", "10^ -6 m"),
        ("10<sup>\u{2212}6</sup>", "10^\u{2212}6"),
        ("101<sub>2</sub> is 5", "101_2 is 5"),
        ("x<sup>2</sup>, H<sub>2</sub>O", "x2, H2O"),
        ("the 4<sup>th</sup> of 10 <sup>6</sup>", "the 4th of 10 6"),
        ("in 1990<sup><a href=x>[1]</a></sup>", "in 1990[1]"),
        ("He said <q>yes</q>.", "He said \"yes\"."),
        ("<q>a <q>b</q></q> <q></q>", "\"a \"b\"\""),
    ] {
        let found = page("text/html; charset=utf-8", format!("<p>{markup}</p>").as_bytes());
        assert_eq!(found.unwrap().text, expected, "{markup}");
        let article =
            format!("<article><h1>A</h1><p>{}</p><p>{markup}</p></article>", "words, ".repeat(80));
        let found = page("text/html; charset=utf-8", article.as_bytes()).unwrap();
        assert!(found.text.ends_with(expected), "{markup}: {}", found.text);
    }
}

#[test]
fn plain_text_in_utf_8_with_a_bad_byte_is_utf_8() {
    let text = "Съешь же ещё этих мягких французских булок, да выпей чаю.";
    for bytes in [[text.as_bytes(), b" \xff"].concat(), text.as_bytes()[..text.len() - 2].to_vec()]
    {
        for content_type in ["text/plain", "text/plain; charset=iso-8859-1", "text/html"] {
            let found = page(content_type, &bytes).unwrap();
            assert_eq!((found.charset, found.malformed_sequences), ("UTF-8", 1), "{content_type}");
        }
    }
}

#[test]
fn a_page_that_a_proxy_changed_is_read() {
    let payload = b"HTTP/1.1 203 Non-Authoritative\r\nContent-Type: text/html\r\n\r\n<p>text</p>";
    let read = page_text(payload, "http://a/", &HtmlRules::default(), &Stop::default());
    assert_eq!(read.unwrap().text, "text");
}

#[test]
fn plain_text_keeps_its_lines() {
    let page = page("text/plain", "\u{feff}one\r\n\r\n\r\n  two \r\n".as_bytes()).unwrap();
    assert_eq!((page.text.as_str(), page.extraction), ("one\n\n  two", Extraction::PlainText));
}

#[test]
fn what_is_not_a_page_has_a_reason() {
    let limits = HtmlRules::default();
    for (payload, expected) in [
        (b"HTTP/1.1 404 Not Found\r\n\r\n<p>x".to_vec(), "http_status"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "http_malformed"),
        (payload("application/pdf", b"%PDF"), "content_type"),
        (payload("text/html", b"%PDF-1.3"), "content_type"),
        (payload("text/html\r\nContent-Encoding: br", &[0xff; 9]), "content_encoding_damaged"),
        (payload("text/html\r\nContent-Encoding: x", b"y"), "content_encoding_unsupported"),
        (payload("text/html", &vec![b' '; 5 << 20]), "html_too_large"),
        (payload("text/html", &vec![b' '; 9 << 20]), "body_too_large"),
        (payload("text/html", b"<p> <img src=x>"), "html_no_text"),
        (payload("text/html", b""), "html_no_text"),
    ] {
        let error = page_text(&payload, "", &limits, &Stop::default()).unwrap_err();
        assert_eq!(error.reason(), expected, "{error}");
    }
}

#[test]
fn a_panic_inside_the_library_costs_one_page() {
    let error = caught::<()>(|| panic!("at {}", "home")).unwrap_err();
    assert_eq!(error, PageError::Panicked { message: "at home".to_owned() });
    assert_eq!(error.reason(), "html_panicked");
}

#[test]
fn bombs_are_refused_on_a_small_stack() {
    let many = |piece: &str, times| piece.repeat(times).into_bytes();
    let numbered = |piece: fn(usize) -> String| (0..2000).map(piece).collect::<String>();
    let attributes: String = (0..2000).map(|n| format!(" a{n}=b")).collect();
    let formats = numbered(|n| format!("<b id={n}>"));
    let work = move || {
        for (html, expected) in [
            (many("<div>", 200_000), "html_too_deep"),
            (many("<div><table><tr><td></div>", 20_000), "html_too_deep"),
            (many("<p><div>", 100_000), "html_too_deep"),
            (many("<ul><li>", 100_000), "html_too_deep"),
            (many("<svg><g>", 100_000), "html_too_deep"),
            (many("<a><div>", 100_000), "html_too_deep"),
            (many("<i><p>x</i>", 10_000), "none"),
            ([formats.as_bytes(), &many("<p>x", 2000)].concat(), "html_too_deep"),
            ([&formats.as_bytes()[..3000], &many("<p>x", 90_000)].concat(), "html_too_complex"),
            (many("<br>", 300_000), "html_too_complex"),
            (format!("<p{attributes}>x").into_bytes(), "html_too_complex"),
        ] {
            let start = String::from_utf8_lossy(&html[..20]).into_owned();
            assert_eq!(reason(&html), expected, "{start}");
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn nesting_up_to_the_limit_is_read_on_a_small_stack() {
    let work = || {
        for (open, close) in [("<div>", "</div>"), ("<a><ins><del>", "</del></ins></a>")] {
            let levels = if open == "<div>" { 500 } else { 160 };
            let text = "A sentence with some words in it, and a comma. ".repeat(20);
            let html = format!("{}{text}{}", open.repeat(levels), close.repeat(levels));
            let page = page("text/html; charset=utf-8", html.as_bytes()).unwrap();
            assert_eq!(page.text, text.trim(), "{open}");
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_page_gives_the_same_text_twice() {
    // Every map of the library uses a new seed, so an order by hash would show here.
    for (name, _) in PAGES {
        let html = std::fs::read(testdata().join("html").join(name)).unwrap();
        assert_eq!(page("text/html", &html), page("text/html", &html), "{name}");
    }
}

/// Returns the text of a page, or the reason for which it has none.
fn with_focus(focus: Focus, html: &str) -> String {
    let rules = HtmlRules { focus, ..HtmlRules::default() };
    let payload = payload("text/html; charset=utf-8", html.as_bytes());
    let page = page_text(&payload, "http://example.com/", &rules, &Stop::default());
    page.map_or_else(|error| error.reason().to_owned(), |page| page.text)
}

#[test]
fn the_focus_decides_what_is_done_with_text_that_is_not_clearly_main_text() {
    let sentence = "This is a sentence of the article, which has a number of words, and commas. ";
    let article = format!("<p>{}</p>", sentence.repeat(4)).repeat(5);
    let beside = |class: &str, word: &str| {
        let text = format!("{word} is what a reader says here, in a sentence with commas. ");
        format!("<div class=\"{class}\"><p>{}</p><p>{}</p></div>", text.repeat(3), text.repeat(4))
    };
    let html = format!(
        "<body><div id=main><h1>Title</h1>{article}{}{}</div></body>",
        beside("comment-list", "Listed"),
        beside("comment-body", "Bodied"),
    );
    for (focus, listed, bodied) in [
        (Focus::Precision, false, false),
        (Focus::Balanced, false, true),
        (Focus::Recall, true, true),
    ] {
        let text = with_focus(focus, &html);
        assert!(text.contains("sentence of the article"), "{focus:?}: {text}");
        let found = (text.contains("Listed is"), text.contains("Bodied is"));
        assert_eq!(found, (listed, bodied), "{focus:?}: {text}");
    }
    let front = "<body><ul><li><a href=a>First</a> news<li><a href=b>Second</a> news</ul></body>";
    assert_eq!(with_focus(Focus::Precision, front), "html_no_text");
    for focus in [Focus::Balanced, Focus::Recall] {
        assert!(with_focus(focus, front).contains("Second news"), "{focus:?}");
    }
}
