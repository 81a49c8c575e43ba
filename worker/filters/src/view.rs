//! The view of one document that the filters share: its text, words and counts, found once.
//!
//! **Invariant:** a view's words and counts always belong to the view's text.

use super::script::Script;
use super::text::count_chars;
use super::words::{Segmenter, Word};

/// A document that is passed to the filters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Document<'a> {
    /// Empty if the source gives none.
    pub url: &'a str,
    /// Empty if the source gives none.
    pub title: &'a str,
    /// The label of the language, if it was identified or the source gives it.
    pub language: Option<&'a str>,
    /// The text without its title.
    pub text: &'a str,
}

impl<'a> Document<'a> {
    /// Returns a document of which only the text is known.
    pub fn of_text(text: &'a str) -> Self {
        Self { text, ..Self::default() }
    }
}

/// A document as the filters see it.
#[derive(Debug, Clone, Copy)]
pub struct DocumentView<'a> {
    /// The address; empty if there is none.
    pub url: &'a str,
    /// The title; empty if there is none.
    pub title: &'a str,
    /// The label of the language, if it is known.
    pub language: Option<&'a str>,
    /// The text, as the filters before left it.
    pub text: &'a str,
    /// Code points of the text.
    pub chars: u64,
    /// The words of the text, in order.
    pub words: &'a [Word],
    /// The script of the text, if it is one that is written without spaces.
    pub script: Option<Script>,
}

/// The buffers behind a view, kept from document to document.
#[derive(Debug, Default)]
pub(crate) struct ViewBuffers {
    segmenter: Segmenter,
    words: Vec<Word>,
}

impl ViewBuffers {
    pub(crate) fn view<'a>(&'a mut self, document: Document<'a>) -> DocumentView<'a> {
        let Document { url, title, language, text } = document;
        self.segmenter.segment(text, &mut self.words);
        let script = self.segmenter.script(&self.words);
        let (chars, words) = (count_chars(text), &*self.words);
        DocumentView { url, title, language, text, chars, words, script }
    }
}
