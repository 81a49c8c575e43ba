//! Words: where a text's tokens start and end, and what each is made of.
//!
//! The published rules count the tokens of a rule-based English tokeniser (spaCy's), in which
//! punctuation is a token of its own. The rules here are the part of it that decides counts:
//!
//! 1. White space separates *chunks*; it is never part of a word.
//! 2. From a chunk's two ends, marks are split off one character at a time: brackets, quotes,
//!    `, : ; ! ? _ # * &`, symbols and emoji; in front also `% = $ +`; behind also `'s`, a unit
//!    or currency after a digit, and contractions (`n't 'll 've 're 'd 'm`). A run of two or more
//!    dots is one token. A final dot is split off after a lower-case letter, digit or mark, or
//!    after two capitals, unless the chunk is a common abbreviation or an initial.
//! 3. What remains is one word if it reads like an address (`host.tld/…`, `a@b.org`). Otherwise
//!    it is cut at inner dot runs and symbols, and at hyphens, commas, `: < > = /` and sentence
//!    dots between letters: `well-known` is three tokens, `3.5`, `1,000` and `10:30` are one.
//! 4. What has a character of a script that is written without spaces is cut into the words of
//!    ICU's dictionaries (`unspaced`). The published rules do not know such words.
//!
//! Emoticons, `gonna` and apostrophe-less contractions (`dont`) are not split as spaCy does.
//!
//! **Invariant:** words are in order, disjoint, not empty, on character boundaries, and every
//! character that is not white space is in exactly one of them.

use unicode_general_category::{GeneralCategory, get_general_category};

use super::affixes::{Affixes, infix_len, is_address, is_whole};
use super::punctuation::{is_end_mark, is_space, is_symbol};
use super::script::{Census, Script};
use super::unspaced::UnspacedWords;

/// One token. Offsets are bytes in the text; a text is at most `MAX_TEXT_BYTES` long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
    /// Code points.
    pub chars: u32,
    traits: u8,
}

const LETTER: u8 = 1;
const NOT_ONLY_SYMBOLS: u8 = 2;
const ONLY_PUNCTUATION: u8 = 4;
const END_MARK: u8 = 8;
const UNSPACED: u8 = 16;
const SPACE_ENDS_PHRASE: u8 = 32;

impl Word {
    /// Returns whether the word has a letter of any script.
    pub fn has_letter(self) -> bool {
        self.traits & LETTER != 0
    }

    /// Returns whether the word is more than punctuation and symbols, as Gopher counts words.
    pub fn is_more_than_symbols(self) -> bool {
        self.traits & NOT_ONLY_SYMBOLS != 0
    }

    /// Returns whether the word is of a script that is written without spaces.
    pub(crate) fn is_unspaced(self) -> bool {
        self.traits & UNSPACED != 0
    }

    fn is_punctuation(self) -> bool {
        self.traits & ONLY_PUNCTUATION != 0
    }

    fn is_end_mark(self) -> bool {
        self.traits & END_MARK != 0
    }

    /// Returns whether the word is of a script in which white space ends a phrase and no mark ends
    /// a sentence.
    fn is_ended_by_space(self) -> bool {
        self.traits & SPACE_ENDS_PHRASE != 0
    }

    pub(crate) fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

/// Number of words that a phrase of Thai or Lao must have to be counted as a sentence.
const MIN_PHRASE_WORDS: u64 = 5;

/// Counts the sentences in a run of words: one starts at the first word, and at each word that
/// follows an end mark (and any punctuation after it). Abbreviations end none, as their dot is in
/// the word. This is spaCy's rule, which datatrove uses; C4's own code asks NLTK's trained Punkt
/// model, which knows more abbreviations and wants a capital or the like after the mark.
///
/// Thai and Lao have no end mark. There, white space after a phrase of some words ends it.
pub(crate) fn count_sentences(words: &[Word]) -> u64 {
    let mut sentences = u64::from(!words.is_empty());
    let mut ended = false;
    let mut phrase_words = 0;
    let mut phrase_end = None;
    for word in words {
        if word.is_end_mark() {
            ended = true;
            continue;
        }
        if phrase_end.is_some_and(|end| end < word.start) {
            ended |= phrase_words >= MIN_PHRASE_WORDS;
            phrase_words = 0;
        }
        if ended && !word.is_punctuation() {
            sentences += 1;
            ended = false;
            phrase_words = 0;
        }
        phrase_words += u64::from(word.has_letter());
        phrase_end = word.is_ended_by_space().then_some(word.end);
    }
    sentences
}

/// Finds words. It keeps its buffers between texts, so that it allocates only to grow them.
#[derive(Debug, Default)]
pub(crate) struct Segmenter {
    suffixes: Vec<(usize, usize)>,
    unspaced: UnspacedWords,
}

const SPACE: u8 = 1;
const DIGIT: u8 = 2;
const ASCII_LETTER: u8 = 4;
const MARK: u8 = 8;
const WIDE: u8 = 16;
const CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [MARK; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        if c >= 0x80 {
            table[byte] = WIDE;
        } else if c.is_ascii_digit() {
            table[byte] = DIGIT;
        } else if c.is_ascii_alphabetic() {
            table[byte] = ASCII_LETTER;
        } else if matches!(c, b'\t'..=b'\r' | 0x1c..=b' ') {
            table[byte] = SPACE;
        }
        byte += 1;
    }
    table
}

impl Segmenter {
    /// Replaces `words` by the words of `text`.
    pub(crate) fn segment(&mut self, text: &str, words: &mut Vec<Word>) {
        words.clear();
        self.unspaced.census = Census::default();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            let mut seen = 0;
            while let Some(&byte) = bytes.get(at) {
                let class = CLASS[byte as usize];
                if class & (DIGIT | ASCII_LETTER) == 0 {
                    break;
                }
                seen |= class;
                at += 1;
            }
            let class = bytes.get(at).map_or(SPACE, |&byte| CLASS[byte as usize]);
            // Digits with letters may be a number with its unit.
            if class == SPACE && seen != DIGIT | ASCII_LETTER {
                if at > start {
                    words.push(plain_word(start, at, seen));
                }
                at += 1;
                continue;
            }
            let closes = bytes.get(at + 1).is_none_or(|&byte| CLASS[byte as usize] == SPACE);
            if closes && seen != DIGIT | ASCII_LETTER && is_plain_before_mark(text, start, at) {
                words.push(plain_word(start, at, seen));
                words.push(ascii_mark(at, bytes[at]));
                at += 2;
                continue;
            }
            at = self.segment_chunk(text, start, at, words);
        }
    }

    /// Returns the script of the text whose words were found last, if it is one without spaces.
    pub(crate) fn script(&self, words: &[Word]) -> Option<Script> {
        let census = &self.unspaced.census;
        if census.is_empty() {
            return None;
        }
        let (mut all, mut unspaced) = (0, 0);
        for word in words.iter().filter(|word| word.has_letter()) {
            all += 1;
            unspaced += u64::from(word.is_unspaced());
        }
        census.script(all, unspaced)
    }

    /// The chunk at `start` is more than ASCII letters and digits from `at` on; gives the place
    /// after it.
    fn segment_chunk(
        &mut self,
        text: &str,
        start: usize,
        mut at: usize,
        words: &mut Vec<Word>,
    ) -> usize {
        let bytes = text.as_bytes();
        let mut after = at;
        while let Some(&byte) = bytes.get(at) {
            let class = CLASS[byte as usize];
            after = at + 1;
            if class == SPACE {
                break;
            }
            if class == WIDE {
                let Some(c) = text[at..].chars().next() else { break };
                after = at + c.len_utf8();
                if is_space(c) {
                    break;
                }
            }
            at = after;
        }
        if at > start {
            self.split_chunk(text, start, at, words);
        }
        after.max(at)
    }

    fn split_chunk(&mut self, text: &str, start: usize, end: usize, words: &mut Vec<Word>) {
        let (mut start, mut end) = (start, end);
        self.suffixes.clear();
        while start < end && !is_whole(&text[start..end]) {
            let affixes = Affixes::of(&text[start..end]);
            if affixes.prefix_bytes > 0 {
                words.push(any_word(text, start, start + affixes.prefix_bytes));
                start += affixes.prefix_bytes;
            }
            if affixes.suffix_bytes > 0 {
                self.suffixes.push((end - affixes.suffix_bytes, end));
                end -= affixes.suffix_bytes;
            }
            if affixes.prefix_bytes + affixes.suffix_bytes == 0 {
                break;
            }
        }
        if start < end {
            split_core(text, start, end, &mut self.unspaced, words);
        }
        for &(start, end) in self.suffixes.iter().rev() {
            words.push(any_word(text, start, end));
        }
    }
}

/// Whether the letters or digits from `start` to `at` are a word, and the one byte behind them
/// another: the commonest chunk after the plain word. What it does not see takes the long way.
fn is_plain_before_mark(text: &str, start: usize, at: usize) -> bool {
    let bytes = text.as_bytes();
    match bytes[at] {
        b',' | b';' | b':' | b'!' | b'?' | b')' => at > start,
        // Only short or capitalised words are abbreviations; a final capital may be an initial.
        b'.' => at > start + 3 && bytes[start..at].iter().all(u8::is_ascii_lowercase),
        _ => false,
    }
}

fn split_core(
    text: &str,
    start: usize,
    end: usize,
    unspaced: &mut UnspacedWords,
    words: &mut Vec<Word>,
) {
    let core = &text[start..end];
    if core.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        words.push(any_word(text, start, end));
        return;
    }
    if is_whole(core) || is_address(core) {
        push_piece(text, start, end, unspaced, words);
        return;
    }
    let mut piece = start;
    let mut before = None;
    let mut at = start;
    while let Some(c) = text[at..end].chars().next() {
        let cut = before.map_or(0, |before| infix_len(before, &text[at..end]));
        if cut > 0 {
            push_piece(text, piece, at, unspaced, words);
            words.push(any_word(text, at, at + cut));
            at += cut;
            piece = at;
            before = text[..at].chars().next_back();
        } else {
            before = Some(c);
            at += c.len_utf8();
        }
    }
    push_piece(text, piece, end, unspaced, words);
}

/// Adds one word, or its parts if it has a character of a script without spaces.
fn push_piece(
    text: &str,
    start: usize,
    end: usize,
    unspaced: &mut UnspacedWords,
    words: &mut Vec<Word>,
) {
    let piece = &text[start..end];
    if piece.is_empty() {
        return;
    }
    if piece.is_ascii() || !piece.chars().any(|c| Script::of_char(c).is_some()) {
        words.push(any_word(text, start, end));
        return;
    }
    unspaced.each(piece, |from, to, script| {
        let mut word = any_word(text, start + from, start + to);
        word.traits |= match script {
            None => 0,
            Some(Script::Thai | Script::Lao) => UNSPACED | SPACE_ENDS_PHRASE,
            Some(
                Script::Chinese
                | Script::Japanese
                | Script::Khmer
                | Script::Burmese
                | Script::Tibetan,
            ) => UNSPACED,
        };
        words.push(word);
    });
}

fn plain_word(start: usize, end: usize, seen: u8) -> Word {
    let letter = if seen & ASCII_LETTER != 0 { LETTER } else { 0 };
    let traits = NOT_ONLY_SYMBOLS | letter;
    Word { start: offset(start), end: offset(end), chars: offset(end - start), traits }
}

fn ascii_mark(at: usize, mark: u8) -> Word {
    let is_end_mark = if matches!(mark, b'.' | b'?' | b'!') { END_MARK } else { 0 };
    let traits = if is_ascii_math(char::from(mark)) { 0 } else { ONLY_PUNCTUATION | is_end_mark };
    Word { start: offset(at), end: offset(at + 1), chars: 1, traits }
}

/// ASCII symbols that Unicode does not call punctuation.
fn is_ascii_math(c: char) -> bool {
    matches!(c, '$' | '+' | '<'..='>' | '^' | '`' | '|' | '~')
}

fn any_word(text: &str, start: usize, end: usize) -> Word {
    if end - start == 1 && text.as_bytes()[start].is_ascii_punctuation() {
        return ascii_mark(start, text.as_bytes()[start]);
    }
    let mut traits = ONLY_PUNCTUATION;
    let mut chars = 0;
    for c in text[start..end].chars() {
        chars += 1;
        if c.is_ascii_alphanumeric() {
            traits |= NOT_ONLY_SYMBOLS | if c.is_ascii_alphabetic() { LETTER } else { 0 };
            traits &= !ONLY_PUNCTUATION;
            continue;
        }
        if !is_symbol(c) {
            traits |= NOT_ONLY_SYMBOLS;
        }
        let category = if c.is_ascii() { None } else { Some(get_general_category(c)) };
        if category.is_some_and(is_letter) {
            traits |= LETTER;
        }
        let punctuation = category.map_or(!is_ascii_math(c), is_punctuation);
        if !punctuation {
            traits &= !ONLY_PUNCTUATION;
        }
        if chars == 1 && (is_end_mark(c) || is_shad(c)) {
            traits |= END_MARK;
        }
    }
    if chars > 1 {
        traits &= !END_MARK;
    }
    Word { start: offset(start), end: offset(end), chars, traits }
}

/// Returns whether a character ends a phrase or sentence of Tibetan. The published list of end
/// marks has none of these.
fn is_shad(c: char) -> bool {
    matches!(c, '\u{f0d}'..='\u{f12}')
}

fn is_letter(category: GeneralCategory) -> bool {
    use GeneralCategory as G;
    matches!(
        category,
        G::UppercaseLetter
            | G::LowercaseLetter
            | G::TitlecaseLetter
            | G::ModifierLetter
            | G::OtherLetter
    )
}

fn is_punctuation(category: GeneralCategory) -> bool {
    use GeneralCategory as G;
    matches!(
        category,
        G::ConnectorPunctuation
            | G::DashPunctuation
            | G::OpenPunctuation
            | G::ClosePunctuation
            | G::InitialPunctuation
            | G::FinalPunctuation
            | G::OtherPunctuation
    )
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a view refuses texts above MAX_TEXT_BYTES")
}
