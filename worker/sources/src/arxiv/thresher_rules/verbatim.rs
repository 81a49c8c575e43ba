//! Text that is printed as it is, and environments that are not printed at all.

use std::rc::Rc;

use super::lexer::{
    Group, delimited, line_len, name_group, raw_group, short_option, unended_raw_len,
};
use super::reader::Reader;
use crate::arxiv::unusable::Unusable;

/// Environments whose content is printed as it is, without comments and commands.
const VERBATIM: [&str; 26] = [
    "BVerbatim",
    "LVerbatim",
    "Scode",
    "SaveVerbatim",
    "Sinput",
    "Soutput",
    "Verbatim",
    "Verbatim*",
    "alltt",
    "asy",
    "code",
    "lstlisting",
    "lstlisting*",
    "luacode",
    "luacode*",
    "minted",
    "pyconsole",
    "pyglist",
    "pyin",
    "spverbatim",
    "tcblisting",
    "tcboutputlisting",
    "verbatim",
    "verbatim*",
    "verbatimtab",
    "verbatimwrite",
];
/// Environments whose content is not part of the text.
const EXCLUDED: [&str; 4] = ["comment", "filecontents", "filecontents*", "verbatimout"];

impl Reader<'_> {
    /// Handles `\begin`, whose backslash is at `at`.
    pub(super) fn begin_environment(
        &mut self,
        text: &str,
        at: usize,
        after_at: usize,
    ) -> Result<(), Unusable> {
        let Some(found) = name_group(&text[after_at..]) else { return self.emit("\\begin") };
        let name = found.inner.trim();
        let inside = after_at + found.len;
        if name == "document" {
            self.set_at(inside);
            if self.paper.document.is_none() {
                self.emit(&text[at..inside])?;
                self.paper.document = Some(self.paper.text.len());
            }
            return Ok(());
        }
        let is_verbatim = VERBATIM.binary_search(&name).is_ok() || self.verbatim.contains(name);
        let is_excluded = EXCLUDED.contains(&name) || self.excluded.contains(name);
        if !is_verbatim && !is_excluded {
            return self.emit("\\begin");
        }
        let end = format!("\\end{{{name}}}");
        let Some(len) = self.environment_len(name, &text[inside..], &end) else {
            return self.emit("\\begin");
        };
        let end_at = inside + len + end.len();
        self.set_at(end_at);
        if is_excluded {
            self.close_gap(&text[end_at..]);
            return Ok(());
        }
        self.emit(&text[at..end_at])
    }

    /// Returns the length of the content of an environment, if its end is there.
    fn environment_len(&mut self, name: &str, content: &str, end: &str) -> Option<usize> {
        let frame = self.frames.last_mut()?;
        if frame.unended.contains(name) {
            return None;
        }
        let found = content.find(end);
        if found.is_none() {
            frame.unended.insert(name.to_owned());
        }
        found
    }

    /// Handles `\end`. The end of the document ends its file, as does `\end` of plain TeX.
    pub(super) fn end_environment(&mut self, after: &str) -> Result<(), Unusable> {
        match name_group(after) {
            Some(found) if found.inner.trim() == "document" => self.end_file(true),
            None if self.paper.document.is_none() && !after.trim_start().starts_with('{') => {
                self.end_file(true);
            }
            _ => return self.emit("\\end"),
        }
        Ok(())
    }

    /// Reads an argument that is taken as it is, as long as the work is bounded.
    pub(super) fn raw<'t>(&mut self, text: &'t str) -> Option<Group<'t>> {
        self.bounded(text, raw_group, unended_raw_len)
    }

    fn bounded<'t>(
        &mut self,
        text: &'t str,
        read: fn(&'t str) -> Option<Group<'t>>,
        unended: impl Fn(&str) -> usize,
    ) -> Option<Group<'t>> {
        if self.budget.is_searched() {
            return None;
        }
        let found = read(text);
        if found.is_none() {
            self.budget.search(unended(text));
        }
        found
    }

    /// Handles `\verb` and similar commands, whose backslash is at `at`.
    pub(super) fn inline(&mut self, name: &str, text: &str, at: usize) -> Result<(), Unusable> {
        let start = at + 1 + name.len();
        let mut from = start;
        if text[from..].starts_with('*') {
            from += 1;
        }
        if name != "verb" {
            from += short_option(&text[from..]).map_or(0, |found| found.len);
        }
        if name == "mintinline" {
            from += name_group(&text[from..]).map_or(0, |found| found.len);
        }
        let rest = &text[from..];
        let braced = name != "verb" && rest.starts_with('{');
        let found = if braced { self.raw(rest) } else { self.bounded(rest, delimited, line_len) };
        let end = found.map_or(start, |found| from + found.len);
        self.set_at(end);
        let raw: Rc<str> = text[at..end].into();
        self.emit(&raw)
    }
}
