//! URLs of pages without the parts that do not distinguish pages, as C4 compares them.

/// Removes the scheme, `www.`, tracking parameters, and slashes at the end.
pub fn normalise_url(url: &str) -> &str {
    let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.map_or(url, |rest| rest.strip_prefix("www.").unwrap_or(rest));
    let tails = ["?utm_", "?ref", "?feed"];
    let end = tails.iter().filter_map(|tail| rest.find(tail)).min().unwrap_or(rest.len());
    rest[..end].trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pages_have_equal_addresses() {
        let cases = [
            ("https://www.a.example/x/", "a.example/x"),
            ("http://a.example/x?utm_source=b", "a.example/x"),
            ("a.example/x/?ref=1?utm_x", "a.example/x"),
            ("http://a.example/?feed=rss", "a.example"),
            ("http://a.example/x?page=2", "a.example/x?page=2"),
            ("https://web.a.example", "web.a.example"),
            ("", ""),
        ];
        for (url, normal) in cases {
            assert_eq!(normalise_url(url), normal, "{url}");
        }
    }
}
