//! Inserts the files that a paper inputs, and ends files.
//!
//! **Invariant:** a file is not inserted into itself, and what is inserted again is bounded.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::lexer::{Percents, blank_len, group, name_group, unended_len};
use super::reader::{Frame, FrameSource, Reader};
use crate::arxiv::paths::normal_path;
use crate::arxiv::unusable::Unusable;

/// Files that are nested deeper are not inserted.
const MAX_NESTING: usize = 64;
/// Bytes of files that are inserted although they were inserted before.
const MAX_REPEATED_BYTES: usize = 1 << 20;

/// Endings of drawings that programs write as TeX; such files stay out of the text.
const DRAWINGS: [&str; 7] =
    [".pgf", ".pdf_tex", ".pdf_t", ".pdftex_t", ".pstex_t", ".eps_tex", ".svg_tex"];

/// Macro packages for plain TeX, and files that LaTeX makes itself: that they are not part of a
/// paper is no loss.
const KNOWN_ELSEWHERE: [&str; 38] = [
    "amssym",
    "amssym.def",
    "amssym.tex",
    "amstex",
    "btxmac",
    "color",
    "colordvi",
    "curves",
    "diagrams",
    "eplain",
    "epsf",
    "epsf.sty",
    "epsf.tex",
    "epsfx",
    "fontch",
    "glyphtounicode",
    "graphicx",
    "harvmac",
    "jnl",
    "jytex",
    "lanlmac",
    "miniltx",
    "mssymb",
    "pdfcolor",
    "phyzzx",
    "picmac",
    "pictex",
    "prepictex",
    "psfig",
    "psfig.sty",
    "pstricks",
    "rotate",
    "tables",
    "tcilatex",
    "xy",
    "xypic",
    "xypic.tex",
    "xyv2",
];
/// Endings of files that are no text of a paper, if TeX inputs them.
const NOT_TEXT: [&str; 10] =
    [".sty", ".cls", ".def", ".cfg", ".clo", ".bbl", ".ind", ".gls", ".aux", ".fd"];

/// Commands that input a file.
const INPUTS: [&str; 12] = [
    "@input",
    "InputIfFileExists",
    "import",
    "include",
    "includefrom",
    "input",
    "inputfrom",
    "subfile",
    "subfileinclude",
    "subimport",
    "subincludefrom",
    "subinputfrom",
];

/// Whether a file may be inserted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Insertion {
    Allowed,
    /// TeX would read it without an end.
    IntoItself,
    /// Files nest too deep, or too much was inserted again.
    OverLimit,
}

/// What an input command names.
struct Wanted<'t> {
    name: &'t str,
    /// The folder that `\import` names.
    folder: Option<&'t str>,
    /// The length of the arguments.
    len: usize,
}

impl Reader<'_> {
    /// Handles a command that inputs a file; returns `false` for other commands. `at` is the
    /// position of its arguments.
    pub(super) fn input(&mut self, name: &str, after: &str, at: usize) -> Result<bool, Unusable> {
        let Some(wanted) = self.wanted(name, after) else { return Ok(false) };
        let path = self.expand_name(wanted.name.trim().trim_matches('"').trim());
        let lower = path.to_lowercase();
        if DRAWINGS.iter().any(|ending| lower.ends_with(ending)) {
            return Ok(false);
        }
        self.set_at(at + wanted.len);
        let folder = match wanted.folder {
            Some(folder) if name.starts_with("sub") => {
                normal_path(&format!("{}/{}", self.own_folder(), self.expand_name(folder)))
            }
            Some(folder) => normal_path(&self.expand_name(folder)),
            None => self.import_folder().to_owned(),
        };
        let own = self.own_folder().to_owned();
        let Some(number) = self.files.find(&path, &[&folder, "", &own]) else {
            let known = KNOWN_ELSEWHERE.contains(&lower.as_str())
                || NOT_TEXT.iter().any(|ending| lower.ends_with(ending))
                || name == "InputIfFileExists";
            if !known && !path.is_empty() {
                self.paper.missing.insert(path);
            }
            self.close_gap(&after[wanted.len..]);
            return Ok(true);
        };
        let folder = match (name, wanted.folder) {
            ("subfile" | "subfileinclude", _) => self.files.folder(number).to_owned(),
            _ => folder,
        };
        match self.may_insert(number) {
            Insertion::Allowed => {
                self.push_file(number, folder);
                return Ok(true);
            }
            Insertion::OverLimit => self.paper.omitted += 1,
            Insertion::IntoItself => {}
        }
        self.close_gap(&after[wanted.len..]);
        Ok(true)
    }

    /// Reads the arguments of a command, as long as the work for those without an end is bounded.
    fn wanted<'t>(&mut self, name: &str, after: &'t str) -> Option<Wanted<'t>> {
        if INPUTS.binary_search(&name).is_err() || self.budget.is_searched() {
            return None;
        }
        let found = wanted(name, after);
        // The others have no argument but names.
        if found.is_none() && name == "InputIfFileExists" {
            self.budget.search(unended_len(after, '{'));
        }
        found
    }

    fn may_insert(&mut self, number: usize) -> Insertion {
        let is_open = |frame: &Frame| match frame.source {
            FrameSource::File { number: open, .. } => open == number,
            FrameSource::Macro { .. } => false,
        };
        if self.frames.iter().any(is_open) {
            return Insertion::IntoItself;
        }
        if self.files_open() >= MAX_NESTING {
            return Insertion::OverLimit;
        }
        if !self.used.contains(&number) {
            return Insertion::Allowed;
        }
        self.repeated_bytes += self.files.all[number].text.len() + 64;
        if self.repeated_bytes <= MAX_REPEATED_BYTES {
            Insertion::Allowed
        } else {
            Insertion::OverLimit
        }
    }

    fn files_open(&self) -> usize {
        let is_file = |frame: &&Frame| matches!(frame.source, FrameSource::File { .. });
        self.frames.iter().filter(is_file).count()
    }

    /// Continues with a file. The preamble of a file that is a document of its own is skipped if
    /// the document has started.
    pub(super) fn push_file(&mut self, number: usize, folder: String) {
        self.used.insert(number);
        let text = Rc::clone(&self.files.all[number].text);
        let start = self.paper.document.and_then(|_| document_start(&text)).unwrap_or(0);
        let source = FrameSource::File { number, folder };
        self.frames.push(Frame { text, at: start, source, unended: BTreeSet::new() });
    }

    /// Ends the current file. With `ends_document`, that ends the paper if it is the root file.
    pub(super) fn end_file(&mut self, ends_document: bool) {
        let is_file = |frame: &Frame| matches!(frame.source, FrameSource::File { .. });
        let Some(file) = self.frames.iter().rposition(is_file) else { return };
        self.frames.truncate(file + 1);
        self.set_at(self.frames[file].text.len());
        self.paper.ends |= ends_document && file == 0;
    }

    /// Returns the folder in which the files of the current file are searched first.
    fn import_folder(&self) -> &str {
        self.frames
            .iter()
            .rev()
            .find_map(|frame| match &frame.source {
                FrameSource::File { folder, .. } => Some(folder.as_str()),
                FrameSource::Macro { .. } => None,
            })
            .unwrap_or_default()
    }

    /// Returns the folder of the current file.
    fn own_folder(&self) -> &str {
        self.frames
            .iter()
            .rev()
            .find_map(|frame| match &frame.source {
                FrameSource::File { number, .. } => Some(self.files.folder(*number)),
                FrameSource::Macro { .. } => None,
            })
            .unwrap_or_default()
    }
}

/// Reads the arguments of a command that inputs a file.
fn wanted<'t>(command: &str, after: &'t str) -> Option<Wanted<'t>> {
    match command {
        "input" | "@input" => {
            if let Some(found) = name_group(after) {
                return Some(Wanted { name: found.inner, folder: None, len: found.len });
            }
            let start = blank_len(after);
            let rest = &after[start..];
            let (skip, name) = match rest.strip_prefix('"') {
                Some(quoted) => (2, &quoted[..quoted.find(['"', '\n'])?]),
                None => {
                    let ends = |c: char| c.is_whitespace() || matches!(c, '\\' | '{' | '}' | '%');
                    (0, &rest[..rest.find(ends).unwrap_or(rest.len())])
                }
            };
            let len = start + skip + name.len();
            (!name.is_empty() && start > 0 || skip > 0).then_some(Wanted {
                name,
                folder: None,
                len,
            })
        }
        "include" | "subfile" | "subfileinclude" => {
            let found = name_group(after)?;
            Some(Wanted { name: found.inner, folder: None, len: found.len })
        }
        "InputIfFileExists" => {
            let name = name_group(after)?;
            let found = group(&after[name.len..])?;
            let missing = group(&after[name.len + found.len..])?;
            let len = name.len + found.len + missing.len;
            Some(Wanted { name: name.inner, folder: None, len })
        }
        "import" | "subimport" | "includefrom" | "subincludefrom" | "inputfrom"
        | "subinputfrom" => {
            let star = usize::from(after.starts_with('*'));
            let folder = name_group(&after[star..])?;
            let name = name_group(&after[star + folder.len..])?;
            let len = star + folder.len + name.len;
            Some(Wanted { name: name.inner, folder: Some(folder.inner), len })
        }
        _ => None,
    }
}

/// Returns the position after `\begin{document}` outside of comments.
pub(super) fn document_start(text: &str) -> Option<usize> {
    const BEGIN: &str = "\\begin{document}";
    let mut percents = Percents::of(text);
    let found = text.match_indices(BEGIN).find(|(at, _)| !percents.are_before(*at));
    found.map(|(at, _)| at + BEGIN.len())
}
