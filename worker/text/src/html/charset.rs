//! The character set of a page: which one it is, what determined it, and the text it decodes to.
//!
//! Sources are used in this order: byte order mark, `charset` of the HTTP header, declaration in
//! the page's first bytes (`<meta>`, XML declaration), and last a detector that looks at the bytes
//! and the top-level domain. Bytes that are valid UTF-8 with other characters than ASCII are UTF-8
//! whatever is declared, because text in another charset is practically never valid UTF-8. A few
//! malformed sequences do not change that (`utf8`). If the header says ISO-8859-1, which servers
//! have as a default, or UTF-8 although the bytes are not, the declaration in the page is used if
//! the page is valid in it, except for a few malformed sequences. A declaration that many bytes
//! contradict gives way to the detector if the page is valid in what that finds (`misdeclared`).
//! Malformed sequences that remain are counted, so that a filter can decide.
//!
//! Invariant: decoding never fails; each malformed sequence becomes one U+FFFD.

mod misdeclared;
#[cfg(test)]
mod samples;
mod utf8;

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::undeclared;

/// What determined the character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CharsetSource {
    /// A byte order mark at the start of the page.
    ByteOrderMark,
    /// The `charset` of the HTTP header.
    HttpHeader,
    /// A declaration in the page.
    Page,
    /// The bytes, which are UTF-8 although something else is declared.
    Bytes,
    /// The detector, because nothing is declared or the bytes contradict it.
    Detector,
}

/// A decoded page.
#[derive(Debug)]
pub struct Decoded {
    /// The text.
    pub text: String,
    /// The name in the Encoding Standard, such as `windows-1251`.
    pub charset: &'static str,
    /// What determined it.
    pub source: CharsetSource,
    /// Number of sequences that are malformed in it.
    pub malformed_sequences: u64,
}

/// Decodes a page. `http_label` is the `charset` parameter of its `Content-Type`, if there is one.
pub fn decode(bytes: &[u8], http_label: Option<&str>, url: &str) -> Decoded {
    let (encoding, source, mark_bytes) = choose(bytes, http_label, url);
    let (text, malformed_sequences) = decode_as(encoding, &bytes[mark_bytes..]);
    let found = Decoded { text, charset: encoding.name(), source, malformed_sequences };
    if !matches!(source, CharsetSource::HttpHeader | CharsetSource::Page) {
        return found;
    }
    let domain = top_level_domain(url);
    match misdeclared::replacement(encoding, &found, bytes, domain.as_deref()) {
        None => found,
        Some((encoding, text, malformed_sequences)) => {
            let (charset, source) = (encoding.name(), CharsetSource::Detector);
            Decoded { text, charset, source, malformed_sequences }
        }
    }
}

fn choose(
    bytes: &[u8],
    http_label: Option<&str>,
    url: &str,
) -> (&'static Encoding, CharsetSource, usize) {
    if let Some((encoding, mark_bytes)) = Encoding::for_bom(bytes) {
        return (encoding, CharsetSource::ByteOrderMark, mark_bytes);
    }
    let header = http_label.and_then(by_label).map(|found| (found, CharsetSource::HttpHeader));
    let page = header.filter(|(found, _)| is_default(found, bytes)).and_then(|(found, _)| {
        let own = declared_in_page(bytes).filter(|own| *own != found)?;
        let (text, malformed) = decode_as(own, bytes);
        misdeclared::is_credible(&text, malformed).then_some((own, CharsetSource::Page))
    });
    let declared =
        page.or(header).or_else(|| Some((declared_in_page(bytes)?, CharsetSource::Page)));
    match declared {
        None => (detect(bytes, url), CharsetSource::Detector, 0),
        Some((encoding, _)) if encoding != UTF_8 && utf8::replaces(encoding, bytes) => {
            (UTF_8, CharsetSource::Bytes, 0)
        }
        Some((encoding, source)) => (encoding, source, 0),
    }
}

/// Returns whether the charset of an HTTP header is the default of a server, or not that of the
/// bytes, so that a declaration in the page is more credible.
fn is_default(header: &'static Encoding, bytes: &[u8]) -> bool {
    header == WINDOWS_1252 || (header == UTF_8 && utf8::is_contradicted(bytes))
}

/// Returns the encoding of a label. Charsets that are unsafe to decode (`replacement`) count as
/// unknown.
fn by_label(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label_no_replacement(label.trim_matches(['"', '\'', ' ']).as_bytes())
}

fn decode_as(encoding: &'static Encoding, bytes: &[u8]) -> (String, u64) {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2 + 16);
    let mut rest = bytes;
    let mut malformed = 0;
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(rest, &mut text, true);
        rest = &rest[read..];
        match result {
            DecoderResult::InputEmpty => return (text, malformed),
            DecoderResult::OutputFull => text.reserve(rest.len() * 3 + 16),
            DecoderResult::Malformed(..) => {
                malformed += 1;
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }
}

/// Number of bytes of the page in which a declaration is searched. Browsers must read 1,024 bytes
/// and read more in practice; pages with long comments at the top are common.
const DECLARATION_BYTES: usize = 4096;

/// Finds a declaration by the Encoding Standard's prescan, or in the XML declaration that many HTML
/// pages have.
fn declared_in_page(bytes: &[u8]) -> Option<&'static Encoding> {
    let window = &bytes[..bytes.len().min(DECLARATION_BYTES)];
    let label = xml_declaration(window).or_else(|| meta_declaration(window))?;
    let encoding = by_label(&label)?;
    // The declaration was read as ASCII, so the page cannot have the encoding that it claims here.
    if encoding == UTF_16LE || encoding == UTF_16BE {
        return Some(UTF_8);
    }
    Some(if encoding.name() == "x-user-defined" { WINDOWS_1252 } else { encoding })
}

fn xml_declaration(window: &[u8]) -> Option<String> {
    let start = window.trim_ascii_start();
    if !start.starts_with(b"<?xml") {
        return None;
    }
    let declaration = &start[..memchr::memchr(b'>', start)?];
    let after = &declaration[memchr::memmem::find(declaration, b"encoding")? + 8..];
    let value = after.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, value) = value.split_first()?;
    let end = memchr::memchr(*quote, value)?;
    (*quote == b'"' || *quote == b'\'').then(|| lossy(&value[..end]))
}

fn meta_declaration(window: &[u8]) -> Option<String> {
    let mut rest = window;
    while let Some(start) = memchr::memchr(b'<', rest) {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix(b"!--") {
            rest = &comment[memchr::memmem::find(comment, b"-->")?..];
        } else if rest.len() > 5
            && rest[..4].eq_ignore_ascii_case(b"meta")
            && (rest[4].is_ascii_whitespace() || rest[4] == b'/')
        {
            let (attributes, after) = attributes(&rest[4..]);
            if let Some(label) = label_of_meta(&attributes) {
                return Some(label);
            }
            rest = after;
        }
    }
    None
}

type Attribute = (String, String);

fn label_of_meta(attributes: &[Attribute]) -> Option<String> {
    let value = |name: &str| {
        attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    };
    if let Some(label) = value("charset") {
        return Some(label.to_owned());
    }
    let pragma = value("http-equiv").is_some_and(|kind| kind.eq_ignore_ascii_case("content-type"));
    if pragma { value("content").and_then(charset_parameter).map(str::to_owned) } else { None }
}

/// Returns the `charset` in `text/html; charset=…`, as tolerant as the Encoding Standard.
pub fn charset_parameter(content_type: &str) -> Option<&str> {
    let lower = content_type.to_ascii_lowercase();
    let mut from = 0;
    loop {
        let found = from + lower.get(from..)?.find("charset")? + "charset".len();
        let after = content_type[found..].trim_start();
        let Some(value) = after.strip_prefix('=') else {
            from = found;
            continue;
        };
        let value = value.trim_start();
        let quoted = value.strip_prefix('"').map(|rest| (rest, '"'));
        let quoted = quoted.or_else(|| value.strip_prefix('\'').map(|rest| (rest, '\'')));
        return match quoted {
            Some((rest, quote)) => rest.split_once(quote).map(|(label, _)| label),
            None => value.split([';', ' ', '\t', ',']).next().filter(|label| !label.is_empty()),
        };
    }
}

/// Reads the attributes of one tag, with names in lower case, and returns also what follows the
/// tag.
fn attributes(tag: &[u8]) -> (Vec<Attribute>, &[u8]) {
    let mut found = Vec::new();
    let mut rest = tag;
    loop {
        rest = skip_while(rest, |byte| byte.is_ascii_whitespace() || byte == b'/');
        match rest.first() {
            None => return (found, rest),
            Some(b'>') => return (found, &rest[1..]),
            Some(_) => {}
        }
        // A name may start with `=`; reading one byte first also ensures progress.
        let after = skip_while(&rest[1..], |byte| {
            !(byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>' | b'='))
        });
        let name = lossy(&rest[..rest.len() - after.len()]).to_ascii_lowercase();
        rest = skip_while(after, |byte| byte.is_ascii_whitespace());
        let Some(value) = rest.strip_prefix(b"=") else {
            found.push((name, String::new()));
            continue;
        };
        let value = skip_while(value, |byte| byte.is_ascii_whitespace());
        let (value, after) = match value.first() {
            Some(&quote @ (b'"' | b'\'')) => {
                let value = &value[1..];
                match memchr::memchr(quote, value) {
                    Some(end) => (&value[..end], &value[end + 1..]),
                    None => return (found, &[]),
                }
            }
            Some(_) | None => {
                let after = skip_while(value, |b| !(b.is_ascii_whitespace() || b == b'>'));
                (&value[..value.len() - after.len()], after)
            }
        };
        found.push((name, lossy(value)));
        rest = after;
    }
}

fn skip_while(bytes: &[u8], mut skip: impl FnMut(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|&byte| !skip(byte)).unwrap_or(bytes.len());
    &bytes[end..]
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn detect(bytes: &[u8], url: &str) -> &'static Encoding {
    // Markup in UTF-16 without a mark has a zero beside its first character; the detector does not
    // know UTF-16.
    match bytes {
        [b'<', 0, _, 0, ..] => return UTF_16LE,
        [0, b'<', 0, _, ..] => return UTF_16BE,
        _ => {}
    }
    // The detector rules an encoding out at its first malformed sequence.
    if utf8::is_undeclared(bytes) {
        return UTF_8;
    }
    undeclared::guess(bytes, top_level_domain(url).as_deref())
}

/// Returns the last label of the host in lower-case ASCII, or `None` for IP addresses and non-ASCII
/// letters, which the detector does not accept.
fn top_level_domain(url: &str) -> Option<String> {
    let after_scheme = url.split_once("://")?.1;
    let authority = after_scheme.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?.trim_end_matches('.');
    let label = host.rsplit('.').next()?.to_ascii_lowercase();
    let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let number = label.bytes().all(|byte| byte.is_ascii_digit());
    (plain && !number).then_some(label)
}

#[cfg(test)]
mod tests {
    use encoding_rs::{SHIFT_JIS, WINDOWS_1251};

    use super::*;

    const RUSSIAN: &str = "Съешь же ещё этих мягких французских булок, да выпей чаю.";
    const JAPANESE: &str = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";

    fn outcome(bytes: &[u8], http: Option<&str>) -> (&'static str, CharsetSource) {
        let decoded = decode(bytes, http, "http://example.com/");
        (decoded.charset, decoded.source)
    }

    #[test]
    fn a_byte_order_mark_beats_every_declaration() {
        let page = b"\xef\xbb\xbf<meta charset=shift_jis>x";
        assert_eq!(outcome(page, Some("koi8-r")), ("UTF-8", CharsetSource::ByteOrderMark));
        for (mark, text) in [(&b"\xff\xfe"[..], &b"\x10\x04"[..]), (b"\xfe\xff", b"\x04\x10")] {
            let decoded = decode(&[mark, text].concat(), Some("utf-8"), "");
            assert_eq!((decoded.text.as_str(), decoded.malformed_sequences), ("А", 0));
        }
    }

    #[test]
    fn the_http_header_beats_the_page_and_an_unknown_label_does_not() {
        let page = b"<meta charset=windows-1251>\xcf";
        assert_eq!(outcome(page, Some("KOI8-R")), ("KOI8-R", CharsetSource::HttpHeader));
        assert_eq!(outcome(page, Some("klingon")), ("windows-1251", CharsetSource::Page));
        assert_eq!(outcome(page, Some("iso-2022-kr")), ("windows-1251", CharsetSource::Page));
    }

    #[test]
    fn the_page_beats_a_default_of_a_server_if_all_of_it_is_valid() {
        for (label, text) in
            [("windows-1251", RUSSIAN), ("koi8-r", RUSSIAN), ("shift_jis", JAPANESE)]
        {
            let head = format!("<meta charset={label}>");
            let encoding = by_label(label).unwrap();
            let page = [head.as_bytes(), &encoding.encode(text).0].concat();
            for header in ["utf-8", "iso-8859-1", "windows-1252"] {
                let expected = (encoding.name(), CharsetSource::Page);
                assert_eq!(outcome(&page, Some(header)), expected, "{label} {header}");
            }
            assert_eq!(outcome(&page, Some("iso-8859-2")).0, "ISO-8859-2");
        }
        let page = b"<meta charset=shift_jis>caf\xe9, d\xff";
        for (header, charset) in [("utf-8", "UTF-8"), ("iso-8859-1", "windows-1252")] {
            assert_eq!(outcome(page, Some(header)), (charset, CharsetSource::HttpHeader));
        }
    }

    #[test]
    fn valid_utf_8_is_utf_8_whatever_is_declared() {
        let latin = "Größe: 5 €, déjà vu";
        let (utf_8, bytes) = ("UTF-8", CharsetSource::Bytes);
        for (text, declared, charset, source) in [
            (RUSSIAN, "windows-1251", utf_8, bytes),
            (RUSSIAN, "iso-8859-1", utf_8, bytes),
            (latin, "iso-8859-1", utf_8, bytes),
            (JAPANESE, "shift_jis", utf_8, bytes),
            (JAPANESE, "utf-8", utf_8, CharsetSource::HttpHeader),
            ("plain", "koi8-r", "KOI8-R", CharsetSource::HttpHeader),
        ] {
            assert_eq!(outcome(text.as_bytes(), Some(declared)), (charset, source), "{text}");
            let page = format!("<meta charset={declared}>{text}");
            let source = if source == bytes { bytes } else { CharsetSource::Page };
            assert_eq!(outcome(page.as_bytes(), None), (charset, source), "{page}");
        }
        let cut = &JAPANESE.as_bytes()[..JAPANESE.len() - 1];
        let decoded = decode(cut, Some("euc-jp"), "");
        assert_eq!((decoded.charset, decoded.malformed_sequences), (utf_8, 1));
    }

    #[test]
    fn text_that_is_valid_utf_8_by_chance_keeps_its_declaration() {
        // In UTF-8 these bytes are `ģд`.
        let (bytes, _, _) = encoding_rs::GBK.encode("模写");
        assert_eq!(outcome(&bytes, Some("gbk")), ("GBK", CharsetSource::HttpHeader));
        let one_bad = [RUSSIAN.as_bytes(), b"\xff"].concat();
        assert_eq!(outcome(&one_bad, Some("koi8-r")).0, "UTF-8");
    }

    #[test]
    fn declarations_in_the_page_are_found_in_every_form() {
        let padding = format!("<!-- {} <meta charset=gbk> -->", "x".repeat(1500));
        for head in [
            "<meta charset=windows-1251>",
            "<META\n CHARSET = 'Windows-1251' />",
            "<meta name=a content=b><meta http-equiv=Content-Type \
             content=\"text/html; charset=windows-1251\">",
            "<meta content='text/html;charset=\"cp1251\"' http-equiv='content-type'/>",
            "<?xml version='1.0' encoding='windows-1251'?><html>",
            &format!("{padding}<meta charset=windows-1251>"),
        ] {
            let source = outcome(head.as_bytes(), None);
            assert_eq!(source, ("windows-1251", CharsetSource::Page), "{head}");
        }
    }

    #[test]
    fn a_utf_16_declaration_that_could_be_read_means_utf_8() {
        assert_eq!(outcome(b"<meta charset=utf-16>", None), ("UTF-8", CharsetSource::Page));
    }

    #[test]
    fn invalid_declarations_are_ignored() {
        for head in
            ["<metal charset=gbk>", "<meta charset=\"gbk", "<meta name=x content='charset=gbk'>"]
        {
            assert_eq!(outcome(head.as_bytes(), None).1, CharsetSource::Detector, "{head}");
        }
    }

    #[test]
    fn undeclared_text_is_detected() {
        let russian = WINDOWS_1251.encode(RUSSIAN).0;
        let japanese = SHIFT_JIS.encode(JAPANESE).0;
        for (bytes, url, charset, text) in [
            (&russian[..], "https://a.example.ru:80/x", "windows-1251", RUSSIAN),
            (&japanese[..], "http://user@example.jp?q", "Shift_JIS", JAPANESE),
            (RUSSIAN.as_bytes(), "http://example.com", "UTF-8", RUSSIAN),
        ] {
            let decoded = decode(bytes, None, url);
            assert_eq!((decoded.charset, decoded.text.as_str()), (charset, text));
            assert_eq!((decoded.source, decoded.malformed_sequences), (CharsetSource::Detector, 0));
        }
    }

    #[test]
    fn utf_16_markup_without_a_mark_is_recognised() {
        let little: Vec<u8> = "<p>ж".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "<p>ж".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&little, None, "").text, "<p>ж");
        assert_eq!(decode(&big, None, "").text, "<p>ж");
    }

    #[test]
    fn malformed_sequences_are_replaced_and_counted() {
        let decoded = decode(b"a\xffb\xe3\x81c\xf0", Some("utf-8"), "");
        let text = "a\u{fffd}b\u{fffd}c\u{fffd}";
        assert_eq!((decoded.text.as_str(), decoded.malformed_sequences), (text, 3));
        let long = decode(&[0xff; 100_000], Some("utf-8"), "");
        assert_eq!((long.text.len(), long.malformed_sequences), (300_000, 100_000));
    }

    #[test]
    fn strange_urls_give_no_domain() {
        for url in ["", "x", "http://", "http://1.2.3.4/", "http://[::1]/", "http://пример.рф/"]
        {
            assert_eq!(top_level_domain(url), None, "{url}");
        }
        assert_eq!(top_level_domain("HTTP://WWW.Example.JP./a").as_deref(), Some("jp"));
    }

    #[test]
    fn the_charset_parameter_is_found_as_in_the_standard() {
        for (value, label) in [
            ("text/html; charset=utf-8", Some("utf-8")),
            ("text/html;CHARSET= \"Big5\" ; x", Some("Big5")),
            ("text/html; charset charset=gbk;q", Some("gbk")),
            ("text/html; charset=\"gbk", None),
            ("text/html; charset=", None),
            ("text/html", None),
        ] {
            assert_eq!(charset_parameter(value), label, "{value}");
        }
    }
}
