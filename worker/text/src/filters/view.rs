//! What the filters share about one document: its text, words and counts, found once.
//!
//! **Invariant:** a view's words and counts always belong to the view's text.

use super::text::count_chars;
use super::words::{Segmenter, Word};

/// A document as the filters see it.
#[derive(Debug, Clone, Copy)]
pub struct DocumentView<'a> {
    pub text: &'a str,
    /// Code points of the text.
    pub chars: u64,
    pub words: &'a [Word],
}

/// The buffers behind a view, kept from document to document.
#[derive(Debug, Default)]
pub(crate) struct ViewBuffers {
    segmenter: Segmenter,
    words: Vec<Word>,
}

impl ViewBuffers {
    pub(crate) fn view<'a>(&'a mut self, text: &'a str) -> DocumentView<'a> {
        self.segmenter.segment(text, &mut self.words);
        DocumentView { text, chars: count_chars(text), words: &self.words }
    }
}
