//! Parses what Project Gutenberg adds to a text: a header with fields, marks, and its licence.
//!
//! Marks start with `*** START OF` or `*** END OF` and name Project Gutenberg; a long title
//! continues them on the next lines. Texts of the 1990s end their header with `*END*THE SMALL
//! PRINT`, and the text itself with a line such as `End of The Project Gutenberg Etext of …`. If a
//! mark follows, such a line is only used shortly before it. A text without marks is not changed.
//! Of a file with several texts, the fields are those of the first.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::fields::{self, HEADER_BYTES, starts_with};

/// Number of last bytes in which a line such as `End of Project Gutenberg's …` ends the text. The
/// licence that follows has 20 KB.
const FOOTER_BYTES: usize = 28 << 10;
/// Number of bytes between such a line, which can name a long title, and the mark that follows it.
const CLOSING_BYTES: usize = 600;
/// Number of lines over which a mark can extend.
const MARK_LINES: usize = 4;
/// Number of notes on the making of a text that can follow its header.
const MAX_NOTES: usize = 4;
/// Number of lines of such a note.
const NOTE_LINES: usize = 8;

/// A book with the fields of its header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Book<'a> {
    /// The text, without header and licence if they are removed.
    pub(super) text: Cow<'a, str>,
    /// The title in the header.
    pub(super) title: Option<&'a str>,
    /// The release date in the header, as it is written there.
    pub(super) released: Option<&'a str>,
    /// The year of the printed book in the header.
    pub(super) published: Option<u64>,
    /// The number that Project Gutenberg gave the book.
    pub(super) number: Option<&'a str>,
    /// The ISO 639-1 code of the language, if it is one of the common ones.
    pub(super) language: Option<&'static str>,
}

/// Reads the header. If `cut` is set, the returned text is only the part between the marks.
pub(super) fn read(text: &str, cut: bool) -> Book<'_> {
    let parts = parts(text);
    let first = parts.first().copied().unwrap_or_default();
    let marks = marks(first);
    let head = marks.start.map_or("", |(start, _)| &text[..start]);
    let left = match parts.as_slice() {
        _ if !cut => Cow::Borrowed(text),
        [_] => Cow::Borrowed(marks.between(first)),
        parts => {
            let texts = parts.iter().map(|part| self::marks(part).between(part));
            Cow::Owned(texts.filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n\n"))
        }
    };
    Book {
        text: left,
        title: fields::value(head, &["Title:"]),
        released: fields::released(head),
        published: fields::published(head),
        number: fields::number(head),
        language: fields::value(head, &["Language:"]).and_then(fields::language_code),
    }
}

/// Returns the texts of a file: a text starts at a start mark, or at the end of the small print,
/// if the text before it has ended.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    let (mut at, mut has_ended) = (0, false);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        match mark(line, &text[start..]) {
            Some(Mark::End | Mark::Closing) => has_ended = true,
            Some(Mark::Start | Mark::SmallPrint) if has_ended => {
                parts.push(&text[from..start]);
                (from, has_ended) = (start, false);
            }
            Some(Mark::Start | Mark::SmallPrint) | None => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// The positions of the marks: start and end of the first one, and the start of the last one.
#[derive(Default)]
struct Marks {
    start: Option<(usize, usize)>,
    end: Option<usize>,
}

impl Marks {
    fn between<'a>(&self, text: &'a str) -> &'a str {
        let to = self.end.unwrap_or(text.len());
        let from = self.start.map_or(0, |(_, end)| end).min(to);
        let body =
            if self.start.is_some() { without_notes(&text[from..to]) } else { &text[from..to] };
        body.trim_matches(['\n', '\r'])
    }
}

/// What a line marks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Start,
    /// The end of the conditions that texts of the 1990s start with.
    SmallPrint,
    End,
    /// A line at the end of the text that is no mark in later texts.
    Closing,
}

/// Finds the marks in a text.
fn marks(text: &str) -> Marks {
    let mut marks = Marks::default();
    // The first closing line, and the first of those shortly before the current line.
    let mut closing = None;
    let mut recent: VecDeque<usize> = VecDeque::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let Some(mark) = mark(line, &text[start..]) else { continue };
        let in_header = start < HEADER_BYTES;
        match mark {
            Mark::Start => {
                // What follows is another book of the same file.
                (marks.end, closing) = (None, None);
                recent.clear();
                let is_later = |(_, end): (usize, usize)| !ends_small_print(&text[..end]);
                if in_header && !marks.start.is_some_and(is_later) {
                    marks.start = Some((start, start + mark_len(&text[start..])));
                }
            }
            Mark::SmallPrint if in_header => {
                marks.start = Some((start, start + mark_len(&text[start..])));
            }
            Mark::SmallPrint => {}
            Mark::End if marks.end.is_none() => {
                marks.end = Some(start);
                closing = recent.iter().copied().find(|at| start - at <= CLOSING_BYTES);
            }
            Mark::End => {}
            Mark::Closing if marks.end.is_none() => {
                recent.push_back(start);
                while recent.pop_front_if(|at| start - *at > CLOSING_BYTES).is_some() {}
                let in_footer = text.len() - start <= FOOTER_BYTES;
                closing = closing.or(Some(start).filter(|_| in_footer));
            }
            Mark::Closing => {}
        }
    }
    // A closing line belongs to a header or to a mark at the end.
    let has_mark = marks.start.is_some() || marks.end.is_some();
    let closing = closing.filter(|at| has_mark && marks.start.is_none_or(|(_, end)| *at >= end));
    marks.end = match (marks.end, closing) {
        (Some(end), Some(closing)) => Some(end.min(closing)),
        (end, closing) => end.or(closing),
    };
    marks
}

/// Returns what a line marks; `rest` starts with the line.
fn mark(line: &str, rest: &str) -> Option<Mark> {
    let bare = line.trim_start_matches(['*', ' ']);
    if line.starts_with('*') {
        if starts_with(bare, "END")
            && starts_with(bare[3..].trim_start_matches(['*', ' ']), "THE SMALL PRINT")
        {
            return Some(Mark::SmallPrint);
        }
        let is_start = starts_with(bare, "START OF");
        if is_start || starts_with(bare, "END OF") {
            let named = rest[..mark_len(rest)].to_ascii_uppercase().contains("GUTENBERG");
            return named.then_some(if is_start { Mark::Start } else { Mark::End });
        }
        if starts_with(bare, "START: FULL LICENSE") {
            return Some(Mark::End);
        }
    }
    const CLOSINGS: [&str; 8] =
        ["End of ", "Ende ", "Fin de ", "Fin du ", "Fine ", "Einde ", "Slut ", "Fim "];
    let closes = CLOSINGS.iter().any(|closing| starts_with(bare, closing));
    let two_lines = || rest.lines().take(2).collect::<String>().to_ascii_uppercase();
    let names = || ["GUTENBERG", "ETEXT"].iter().any(|it| two_lines().contains(it));
    (closes && line.len() < 120 && names()).then_some(Mark::Closing)
}

/// Returns whether a text ends with the mark of the small print.
fn ends_small_print(text: &str) -> bool {
    let last = text.trim_end().lines().rev().take(2);
    last.into_iter().any(|line| line.to_ascii_uppercase().contains("THE SMALL PRINT"))
}

/// Returns the length of a mark: to the line with its closing stars, if that is one of the next.
fn mark_len(rest: &str) -> usize {
    let mut len = 0;
    for (number, line) in rest.split_inclusive('\n').take(MARK_LINES).enumerate() {
        len += line.len();
        let inner = if number == 0 { line.trim_start_matches(['*', ' ']) } else { line };
        if number > 0 && line.trim().is_empty() {
            break;
        }
        if inner.contains("***") || inner.trim_end().ends_with("*END*") {
            return len;
        }
    }
    rest.split_inclusive('\n').next().map_or(0, str::len)
}

/// Removes notes on who made the text, which follow the header.
fn without_notes(body: &str) -> &str {
    const NOTES: [&str; 14] = [
        "Produced by",
        "E-text prepared by",
        "Etext prepared by",
        "Text prepared by",
        "Prepared by",
        "This etext was p",
        "This e-text was p",
        "This etext is p",
        "This etext prepared by",
        "This eBook was produced by",
        "This ebook was prepared by",
        "Scanned by",
        "Transcribed from",
        "HTML version by",
    ];
    // A book can start with these words as well.
    const AMBIGUOUS: [&str; 3] = ["Produced by", "Prepared by", "Scanned by"];
    let mut rest = body.trim_start_matches(['\n', '\r', ' ']);
    for _ in 0..MAX_NOTES {
        let note = rest.trim_start_matches('[');
        let Some(known) = NOTES.iter().find(|known| starts_with(note, known)) else { break };
        let paragraph = rest.split_inclusive('\n').take_while(|line| !line.trim().is_empty());
        let lines: Vec<usize> = paragraph.take(NOTE_LINES + 1).map(str::len).collect();
        // Without an empty line after it, a note is one line.
        let count = if lines.len() > NOTE_LINES { 1 } else { lines.len() };
        let len: usize = lines[..count].iter().sum();
        let after = rest.len() - note.len() + known.len();
        if AMBIGUOUS.contains(known) && !names_producer(&rest[after..len]) {
            break;
        }
        rest = rest[len..].trim_start_matches(['\n', '\r', ' ']);
    }
    // The first line keeps its indentation.
    let from = body.len() - rest.len();
    let line = body[..from].rfind('\n').map_or(0, |feed| feed + 1);
    &body[line..]
}

/// Returns whether the rest of a paragraph names people, or what such notes mention.
fn names_producer(paragraph: &str) -> bool {
    const MENTIONED: [&str; 12] = [
        "@",
        "http",
        "e-text",
        "ebook",
        "etext",
        "gutenberg",
        "html",
        "pgdp",
        "proofread",
        " team",
        "transcri",
        "volunteer",
    ];
    const BETWEEN_NAMES: [&str; 20] = [
        "a", "an", "and", "at", "by", "da", "de", "der", "di", "du", "for", "from", "in", "la",
        "of", "the", "van", "von", "with", "y",
    ];
    let lower = paragraph.to_lowercase();
    let in_name = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        !word.starts_with(char::is_lowercase) || BETWEEN_NAMES.contains(&word)
    };
    MENTIONED.iter().any(|it| lower.contains(it)) || paragraph.split_whitespace().all(in_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::expect_linear;

    /// Texts with what is left of each.
    const CASES: &[(&str, &str)] = &[
        ("just text\n", "just text"),
        ("h\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\nt\n", "t"),
        (
            "***START OF THE PROJECT GUTENBERG EBOOK X***\nt\n***END OF THE PROJECT GUTENBERG\nl",
            "t",
        ),
        ("t\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\nl\n", "t"),
        ("small\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN*Ver.04*END*\nt", "t"),
        // Marks over several lines.
        ("*** START OF THE PROJECT GUTENBERG EBOOK A\nLONG TITLE ***\n\nt", "t"),
        ("*** START OF THIS\r\nPROJECT GUTENBERG EBOOK X ***\r\nt", "t"),
        ("s\n*END THE SMALL PRINT! FOR ETEXTS*\nVer.04.29.93*END*\n\nt", "t"),
        ("*** START OF THE PROJECT GUTENBERG EBOOK X\n\nt\n***\nu", "t\n***\nu"),
        // The small print before, and inside, the marks of later texts.
        ("s\n*END*THE SMALL PRINT!*END*\na\n*** START OF THE PROJECT GUTENBERG EBOOK ***\nt", "t"),
        ("*** START OF THE PROJECT GUTENBERG EBOOK ***\ns\n*END*THE SMALL PRINT!*END*\nt", "t"),
        // Closing lines and notes.
        ("*END*THE SMALL PRINT!*END*\nt\n\nEnd of The Project Gutenberg Etext of X, by Y\n", "t\n"),
        (
            "*** START OF PROJECT GUTENBERG X ***\n\nProduced by A,\nB and C\n\n\n  t\n\nEnd of Project\n\
                 Gutenberg's X\n\n*** END OF THE PROJECT GUTENBERG X ***\nl",
            "  t\n",
        ),
        (
            "*** START OF PROJECT GUTENBERG X ***\n[E-text prepared by A]\n\nThis etext was produced by B\n\nt",
            "t",
        ),
        ("s\n*END*THE SMALL PRINT!*END*\nt\nEnd of this Etext of X\n", "t"),
        ("*** START OF PROJECT GUTENBERG X ***\nt\nFin du Projet Gutenberg de X\n", "t"),
        ("*** START OF PROJECT GUTENBERG X ***\nt\n*** START: FULL LICENSE ***\nl", "t"),
        // Several books in one file.
        (
            "*** START OF PROJECT GUTENBERG X ***\nt\n*** END OF PROJECT GUTENBERG X ***\nl\n\
                 *** START OF PROJECT GUTENBERG Y ***\nu\n*** END OF PROJECT GUTENBERG Y ***\nl",
            "t\n\nu",
        ),
        (
            "s\n*END*THE SMALL PRINT!*END*\nt\n\nEnd of The Project Gutenberg Etext of X\n\nh\n\
                 *END*THE SMALL PRINT!*END*\nu\n\nEnd of The Project Gutenberg Etext of Y\n",
            "t\n\nu",
        ),
        (
            "*** START OF PROJECT GUTENBERG X ***\nt\nEnd of Project Gutenberg's X\nh\n\
                 *** START OF PROJECT GUTENBERG Y ***\nu",
            "t\n\nu",
        ),
        // Lines of a book that look like marks.
        (
            "a\n*** START OF CHAPTER TWO ***\nb\n* * *\nc",
            "a\n*** START OF CHAPTER TWO ***\nb\n* * *\nc",
        ),
        ("Produced by A\n\nt", "Produced by A\n\nt"),
        (
            "t\nEnd of Project Gutenberg as we know it\nu",
            "t\nEnd of Project Gutenberg as we know it\nu",
        ),
        ("", ""),
    ];

    #[test]
    fn marks_are_cut_and_their_absence_changes_nothing() {
        for (text, left) in CASES {
            assert_eq!(read(text, true).text, left.trim_matches('\n'), "{text:?}");
            assert_eq!(read(text, false).text, *text);
        }
    }

    #[test]
    fn the_second_text_of_a_file_can_be_anywhere() {
        let start = "*** START OF PROJECT GUTENBERG X ***\n";
        let end = "*** END OF PROJECT GUTENBERG X ***\n";
        let long = "words of the book\n".repeat(4000);
        let licence = "licence\n".repeat(3000);
        let one = format!("Title: A\n{start}{long}{end}{licence}Title: B\n");
        let text = format!("{one}{start}{long}{end}{licence}");
        let book = read(&text, true);
        assert_eq!(book.title, Some("A"));
        assert_eq!(book.text, format!("{}\n\n{}", long.trim_end(), long.trim_end()));
    }

    #[test]
    fn a_closing_line_in_the_middle_of_a_book_does_not_end_it() {
        let long = "words of the book\n".repeat(2000);
        let text =
            format!("*** START OF PROJECT GUTENBERG X ***\nEnd of the Gutenberg era\n{long}");
        assert!(read(&text, true).text.len() > long.len());
    }

    #[test]
    fn a_closing_line_long_before_the_mark_does_not_end_the_text() {
        let start = "*** START OF THE PROJECT GUTENBERG EBOOK X ***\n";
        let end = "*** END OF THE PROJECT GUTENBERG EBOOK X ***\n";
        let closing = "End of Project Gutenberg's X, by Y\n";
        let more = "More of the story.\n".repeat(40);
        let licence = "licence\n".repeat(2000);
        for (body, left) in [
            (format!("t\n{closing}{more}"), format!("t\n{closing}{more}")),
            (format!("t\n{closing}{more}\n{closing}\n"), format!("t\n{closing}{more}\n")),
            (format!("t\n{closing}{closing}\n\n"), "t\n".to_owned()),
            (format!("t\n{closing}by someone with a\nlong name\n\n"), "t\n".to_owned()),
            (format!("t\n{more}"), format!("t\n{more}")),
        ] {
            let text = format!("{start}{body}{end}{licence}");
            assert_eq!(read(&text, true).text, left.trim_matches('\n'), "{body}");
            let after = format!("{start}{body}{end}{closing}");
            assert_eq!(read(&after, true).text, left.trim_matches('\n'), "{body}");
        }
    }

    #[test]
    fn only_notes_that_name_their_makers_are_removed() {
        let removed = [
            "Produced by David Widger",
            "Produced by Judith Boss and David Widger",
            "Produced by Juliet Sutherland, J. van der Berg and the Online\nDistributed \
             Proofreading Team at https://www.pgdp.net (This\nfile was produced from images)",
            "Produced by an anonymous Project Gutenberg volunteer.",
            "[Prepared by A. Haines, Halifax, Nova Scotia]",
            "Scanned by Charles Keller with OmniPage 1988",
            "Produced by Иван Петров",
        ];
        let kept = [
            "Produced by nature, the pearl is never alike.",
            "Produced by steam, the motion is even.",
            "Produced by Nature, the pearl is seldom of the same form twice.",
            "Prepared by long study, he went\nto sea.",
            "Scanned by the lighthouse, the water lay dark.",
        ];
        for note in removed {
            let text = format!("*** START OF PROJECT GUTENBERG X ***\n\n{note}\n\n\nt\n");
            assert_eq!(read(&text, true).text, "t", "{note}");
        }
        for prose in kept {
            let text = format!("*** START OF PROJECT GUTENBERG X ***\n\n{prose}\n\nt\n");
            assert_eq!(read(&text, true).text, format!("{prose}\n\nt"), "{prose}");
        }
    }

    #[test]
    fn a_field_is_read_from_the_header_alone() {
        let text = "Title: A\nLanguage: German\n*** START OF PROJECT GUTENBERG ***\nTitle: B\n";
        let book = read(text, true);
        assert_eq!((book.title, book.language, book.number), (Some("A"), Some("de"), None));
        assert_eq!(read("Title: B\n", true).title, None);
    }

    #[test]
    fn hostile_books_take_time_in_proportion_to_their_length() {
        let long = format!("*** START OF THE PROJECT GUTENBERG {}\n", "x ".repeat(1 << 16));
        let pieces = [
            "*** START OF GUTENBERG\n",
            "*** START OF",
            "*END*THE SMALL PRINT\n",
            "*** END OF GUTENBERG",
            "End of Gutenberg\n",
            "Produced by A\n\n",
            "[Scanned by",
            "***\n",
            "\r",
        ];
        for piece in pieces {
            for head in ["", "*** START OF GUTENBERG ***\n", &long] {
                let text = format!("{head}{}", piece.repeat((1 << 17) / piece.len()));
                expect_linear(&format!("{piece:?} after {} bytes", head.len()), || {
                    assert!(read(&text, true).text.len() <= text.len());
                });
            }
        }
    }
}
