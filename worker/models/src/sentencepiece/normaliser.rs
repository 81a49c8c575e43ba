//! SentencePiece's normal form of a text: characters are replaced by the model's map, and spaces
//! are squeezed and written as `▁`.

use super::charsmap::CharsMap;
use super::proto::NormaliserProto;
use super::tree::Tree;

const SPACE: &str = "\u{2581}";

pub(super) struct Normaliser {
    map: Option<CharsMap>,
    /// Symbols that the user defined, which stay unchanged.
    defined: Option<Tree>,
    add_dummy_prefix: bool,
    remove_extra_spaces: bool,
    space: &'static str,
    space_is_suffix: bool,
}

impl Normaliser {
    pub(super) fn new(
        spec: &NormaliserProto,
        space_is_suffix: bool,
        defined: &[&str],
    ) -> Result<Self, String> {
        let map = match spec.precompiled_charsmap() {
            [] => None,
            bytes => Some(CharsMap::new(bytes)?),
        };
        let words: Vec<(&[u8], u32)> = defined.iter().map(|word| (word.as_bytes(), 0)).collect();
        Ok(Self {
            map,
            defined: (!words.is_empty()).then(|| Tree::new(words)),
            add_dummy_prefix: spec.add_dummy_prefix(),
            remove_extra_spaces: spec.remove_extra_whitespaces(),
            space: if spec.escape_whitespaces() { SPACE } else { " " },
            space_is_suffix,
        })
    }

    /// Writes the normal form into `out`, after clearing it.
    pub(super) fn normalise(&self, text: &str, out: &mut String) {
        out.clear();
        let mut rest = text;
        if self.remove_extra_spaces {
            while let Some((" ", length)) = self.prefix(rest) {
                rest = &rest[length..];
            }
        }
        if rest.is_empty() {
            return;
        }
        if self.add_dummy_prefix && !self.space_is_suffix {
            out.push_str(self.space);
        }
        let mut after_space = self.remove_extra_spaces;
        while let Some((mut piece, length)) = self.prefix(rest) {
            if after_space {
                piece = piece.trim_start_matches(' ');
            }
            if !piece.is_empty() {
                self.push(piece, out);
                after_space = piece.ends_with(' ');
            }
            rest = &rest[length..];
            if !self.remove_extra_spaces {
                after_space = false;
            }
        }
        if self.remove_extra_spaces {
            out.truncate(out.trim_end_matches(self.space).len());
        }
        if self.add_dummy_prefix && self.space_is_suffix {
            out.push_str(self.space);
        }
    }

    fn push(&self, piece: &str, out: &mut String) {
        for c in piece.chars() {
            if c == ' ' { out.push_str(self.space) } else { out.push(c) }
        }
    }

    /// Returns the normal form of the next unit of `text`, and its length in bytes; `None` at the
    /// end.
    fn prefix<'a>(&'a self, text: &'a str) -> Option<(&'a str, usize)> {
        let first = text.chars().next()?;
        let bytes = text.as_bytes();
        let symbol = self.defined.as_ref().and_then(|tree| tree.longest(bytes));
        if let Some(symbol) = symbol.and_then(|length| text.get(..length)) {
            return Some((symbol, symbol.len()));
        }
        let found = self.map.as_ref().and_then(|map| map.longest(bytes));
        if let Some((length, replacement)) = found
            && text.is_char_boundary(length)
            && let Ok(replacement) = std::str::from_utf8(replacement)
        {
            return Some((replacement, length));
        }
        let length = first.len_utf8();
        Some((&text[..length], length))
    }
}
