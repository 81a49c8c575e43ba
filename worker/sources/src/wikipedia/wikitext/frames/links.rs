//! Handles square brackets: links to pages, files and categories, and to other sites.

use super::super::outline::SpanKind;
use super::{Frame, Kind, MAX_OPEN, Stripper, collapsed};

impl<'a> Stripper<'a> {
    /// Handles `|`, after which the words of a link start.
    pub(super) fn bar(&mut self) {
        if let Some(Frame { kind: Kind::Link { words, .. }, text, .. }) = self.frames.last_mut()
            && words.is_none()
        {
            text.push('|');
            *words = Some(text.len());
            self.at += 1;
            return;
        }
        self.keep(self.at + 1);
    }

    /// Handles `[`, which can open a link, a file, a category or an external link.
    pub(super) fn open_square(&mut self) {
        if self.page.as_bytes().get(self.at + 1) != Some(&b'[') {
            return self.external();
        }
        if let Some(after) = self.url_end(self.at + 2)
            && !self.frames.iter().any(|frame| matches!(frame.kind, Kind::External))
        {
            self.push("[");
            self.at += 1;
            return self.external_from(after);
        }
        let close = self.outline.link(self.at);
        let title = self.link_title(self.at + 2);
        let (Some(close), Some(title)) = (close, title) else { return self.keep(self.at + 2) };
        if self.frames.len() >= MAX_OPEN {
            return self.keep(self.at + 2);
        }
        let prefix_in = |prefixes: &[String]| prefix_of(title, prefixes);
        if prefix_in(&self.prefixes.files).is_some() {
            self.at = close + 2;
            return;
        }
        let category = prefix_in(&self.prefixes.categories);
        let is_other_language = || prefix_in(&self.prefixes.languages).is_some();
        if self.is_readable() && (category.is_some() || is_other_language()) {
            self.at = close + 2;
            return;
        }
        self.open(Kind::Link { words: None, category, end: close + 2 }, "[[");
        self.at += 2;
    }

    /// Returns the title of a link: the text up to its bar or its end, without brackets and on one
    /// line.
    fn link_title(&self, from: usize) -> Option<&'a str> {
        let bytes = self.page.as_bytes();
        let mut at = from;
        loop {
            if let Some(span) = self.outline.span(at) {
                let whole = match span.kind {
                    SpanKind::Template => self.names_a_template(span),
                    SpanKind::Argument => true,
                    SpanKind::Nothing => self.page[at..].starts_with("<!--"),
                    SpanKind::Verbatim(..) | SpanKind::Table | SpanKind::Variants => false,
                };
                if !whole {
                    return None;
                }
                at = span.end;
                continue;
            }
            match bytes.get(at)? {
                b'|' => return Some(&self.page[from..at]),
                b']' if bytes.get(at + 1) == Some(&b']') => return Some(&self.page[from..at]),
                b']' | b'[' | b'{' | b'}' | b'<' | b'>' | b'\n' => return None,
                _ => at += 1,
            }
        }
    }

    /// Handles `]`, which can close a link or an external link.
    pub(super) fn close_square(&mut self) {
        let double = self.page.as_bytes().get(self.at + 1) == Some(&b']');
        let fits = |kind: &Kind| {
            matches!(kind, Kind::External) || (double && matches!(kind, Kind::Link { .. }))
        };
        let Some(at) = self.nearest(fits) else {
            let length = if double { 2 } else { 1 };
            return self.keep(self.at + length);
        };
        self.turn_into_text_above(at);
        let Some(frame) = self.frames.pop() else { return };
        self.at += 1;
        if let Kind::Link { words, category, .. } = frame.kind {
            self.at += 1;
            let text = collapsed(&frame.text[words.unwrap_or(0)..]);
            if category.is_none() {
                // The colon of `[[:Category:A]]` only says that it is a link.
                let colon = if self.is_readable() && words.is_none() { ":" } else { "" };
                return self.push(text.strip_prefix(colon).unwrap_or(&text));
            }
            let prefix = prefix_of(&text, &self.prefixes.categories).unwrap_or(0);
            // The rest is interpreted as wikitext again, in which a sort key `*` marks a list.
            let name = text[prefix..].trim_start_matches(['#', '*', ';', ':']).to_owned();
            self.push(&name);
        } else {
            self.push(&collapsed(&frame.text));
        }
    }

    fn external(&mut self) {
        let nested = self.frames.iter().any(|frame| matches!(frame.kind, Kind::External));
        match self.url_end(self.at + 1).filter(|_| !nested && self.frames.len() < MAX_OPEN) {
            Some(after) => self.external_from(after),
            None => self.keep(self.at + 1),
        }
    }

    /// Opens an external link whose address ends at `after`.
    fn external_from(&mut self, after: usize) {
        let bytes = self.page.as_bytes();
        if bytes[after] == b']' {
            self.push_gap();
            self.at = after + 1;
            return;
        }
        let opener = &self.page[self.at..after];
        let blank = bytes[after] == b' ';
        let opener = if blank { format!("{opener} ") } else { opener.to_owned() };
        self.open(Kind::External, &opener);
        self.at = after + usize::from(blank);
    }

    /// Returns the end of the address at `from`, if it is allowed in brackets.
    pub(super) fn url_end(&mut self, from: usize) -> Option<usize> {
        let start = from + scheme_length(&self.page[from..])?;
        self.ends.address(self.page, &self.outline, start).filter(|end| *end > start)
    }
}

/// Returns the length of `prefix:` at the start of a title, if it is one of `prefixes`.
fn prefix_of(title: &str, prefixes: &[String]) -> Option<usize> {
    let colon = title.find(':')?;
    let prefix = title[..colon].to_lowercase();
    prefixes.contains(&prefix).then_some(colon + 1)
}

/// Returns the length of a scheme such as `http://` at the start of a text.
fn scheme_length(text: &str) -> Option<usize> {
    const NEED_SLASHES: [&str; 16] = [
        "ftp",
        "ftps",
        "git",
        "gopher",
        "http",
        "https",
        "irc",
        "ircs",
        "mms",
        "nntp",
        "redis",
        "sftp",
        "ssh",
        "svn",
        "telnet",
        "worldwind",
    ];
    const NEED_NONE: [&str; 11] =
        ["bitcoin", "geo", "magnet", "mailto", "news", "sip", "sips", "sms", "tel", "urn", "xmpp"];
    if text.starts_with("//") {
        return Some(2);
    }
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-');
    let length = text.bytes().take(10).take_while(|byte| fits(byte)).count();
    let rest = text[length..].strip_prefix(':')?;
    let scheme = text[..length].to_ascii_lowercase();
    let slashes = rest.starts_with("//");
    let known = NEED_NONE.contains(&scheme.as_str())
        || (slashes && NEED_SLASHES.contains(&scheme.as_str()));
    known.then_some(length + if slashes { 3 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_brackets_need_a_known_scheme() {
        assert_eq!(scheme_length("https://a"), Some(8));
        assert_eq!(scheme_length("//a"), Some(2));
        assert_eq!(scheme_length("mailto:a"), Some(7));
        assert_eq!(scheme_length("http:a"), None);
        assert_eq!(scheme_length("1] x"), None);
    }
}
