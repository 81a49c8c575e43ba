//! Finds the root files of a paper: those that TeX is called with.
//!
//! A `00README` decides, as arXiv does. Otherwise the root is a file that no other file inputs, and
//! that contains a document; of several, the one with the longest text. Figures, supplements,
//! responses to referees and templates are roots only if nothing else is.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::compiled;
use super::files::Files;
use super::inputs::document_start;
use super::lexer::Percents;
use super::readme::{Usage, is_readme, usages};
use crate::arxiv::paths::normal_path;

/// Number of roots whose texts are compared.
pub(super) const MAX_COMPARED: usize = 4;
/// A file with the name of a supplement is the root if it has this many times the letters of every
/// other root.
pub(super) const DEMOTION: usize = 8;

/// Number of files that all files of a paper are found to input, directly or through others. After
/// that, a file is taken to input none.
const MAX_REACHED: usize = 1 << 20;

/// A command that inputs another file, by its name or by a folder and a name.
static INPUT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\\(?:input|include|subfile|subfileinclude|InputIfFileExists)\s*\{([^{}]*)\}|\\input\s+([^\s\\{}%]+)|\\(?:sub)?(?:import|includefrom|inputfrom)\*?\s*\{([^{}]*)\}\s*\{([^{}]*)\}",
    )
});
static CLASS: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"(?m)^[^%\n]*?\\document(?:class|style)\s*(?:\[[^\]]*\])?\s*\{\s*([^}\s]*)\s*\}")
});
/// What only the root file of a paper in plain TeX contains.
static PLAIN: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?m)^[^%\n]*?\\(?:bye\b|magnification\b|documentstyle\b|input\s+(?:amstex|harvmac|phyzzx|lanlmac|eplain)\b|end\s*$)",
    )
});

/// The root files of a paper.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// Each of them is a part of the paper.
    All(Vec<usize>),
    /// The one with the longest text is the paper.
    Longest(Vec<Candidate>),
}

/// A file that can be the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) number: usize,
    /// Whether its name or its class is that of something else than a paper.
    pub(super) is_demoted: bool,
}

/// Finds the root files.
pub(super) fn roots(files: &Files, is_tex: &dyn Fn(&str) -> bool) -> Roots {
    let (named, ignored) = readme(files);
    if !named.is_empty() {
        return Roots::All(named);
    }
    let graph = Graph::of(files);
    let eligible = |number: &usize| {
        let path = &files.all[*number].path;
        !ignored.contains(number) && !path.starts_with("anc/") && !is_readme(path)
    };
    let tops: Vec<usize> =
        (0..files.all.len()).filter(eligible).filter(|it| graph.is_top(*it)).collect();
    let documents: Vec<bool> = files.all.iter().map(|file| is_document(&file.text)).collect();
    let with_document: Vec<usize> = tops
        .iter()
        .copied()
        .filter(|top| {
            let mut found = graph.reached[*top].iter().filter(|it| documents[**it]).peekable();
            // Of a circle of files, those with a document are the roots.
            found.peek().is_some()
                && (documents[*top] || found.all(|it| !graph.reached[*it].contains(top)))
        })
        .collect();
    if with_document.is_empty() {
        let tex: Vec<usize> =
            tops.iter().copied().filter(|it| is_tex(&files.all[*it].path)).collect();
        let plain: Vec<usize> =
            tops.iter().copied().filter(|it| PLAIN.is_match(&files.all[*it].text)).collect();
        return Roots::All(if plain.is_empty() { tex } else { plain });
    }
    let classes: Vec<_> = files.all.iter().map(|file| class_of(&file.text)).collect();
    let mut candidates: Vec<Candidate> = with_document
        .iter()
        .map(|number| {
            let reached = &graph.reached[*number];
            let class = reached.iter().find_map(|it| classes[*it].as_deref());
            let is_demoted =
                is_side_name(&files.all[*number].path) || class.is_some_and(is_side_class);
            Candidate { number: *number, is_demoted }
        })
        .collect();
    let size = |it: &Candidate| {
        graph.reached[it.number].iter().map(|file| files.all[*file].text.len()).sum::<usize>()
    };
    candidates.sort_by_cached_key(|it| (it.is_demoted, std::cmp::Reverse(size(it)), it.number));
    // Both kinds are compared.
    let demoted = candidates.iter().filter(|it| it.is_demoted).take(1).copied();
    let demoted: Vec<_> = demoted.collect();
    candidates.retain(|it| !it.is_demoted);
    candidates.truncate(MAX_COMPARED);
    candidates.extend(demoted);
    Roots::Longest(candidates)
}

/// Returns the files that a `00README` names as roots, and those that it excludes.
fn readme(files: &Files) -> (Vec<usize>, BTreeSet<usize>) {
    let (mut named, mut ignored) = (Vec::new(), BTreeSet::new());
    for file in files.all.iter().filter(|file| is_readme(&file.path)) {
        for (name, usage) in usages(&file.path, &file.text) {
            let Some(number) = files.find(&name, &[""]) else { continue };
            match usage {
                Usage::TopLevel if !named.contains(&number) => named.push(number),
                Usage::TopLevel => {}
                Usage::Ignored => {
                    ignored.insert(number);
                }
            }
        }
    }
    (named, ignored)
}

/// Which files of a paper input which.
struct Graph {
    /// The files that each file inputs, directly or through others, and the file itself.
    reached: Vec<BTreeSet<usize>>,
    /// The files that input each file, and the file itself.
    reached_by: Vec<Vec<usize>>,
}

impl Graph {
    fn of(files: &Files) -> Self {
        let direct: Vec<BTreeSet<usize>> =
            (0..files.all.len()).map(|number| inputs_of(files, number)).collect();
        let mut left = MAX_REACHED;
        let reached: Vec<_> = (0..direct.len())
            .map(|start| {
                let (mut seen, mut waiting) = (BTreeSet::from([start]), vec![start]);
                while left > 0
                    && let Some(at) = waiting.pop()
                {
                    waiting.extend(direct[at].iter().copied().filter(|next| seen.insert(*next)));
                    left = left.saturating_sub(direct[at].len());
                }
                seen
            })
            .collect();
        let mut reached_by = vec![Vec::new(); direct.len()];
        for (start, reached) in reached.iter().enumerate() {
            reached.iter().for_each(|file| reached_by[*file].push(start));
        }
        Self { reached, reached_by }
    }

    /// Returns whether no file inputs this one, except those that it inputs itself.
    fn is_top(&self, number: usize) -> bool {
        self.reached_by[number].iter().all(|other| self.reached[number].contains(other))
    }
}

fn inputs_of(files: &Files, number: usize) -> BTreeSet<usize> {
    let file = &files.all[number];
    let own = files.folder(number);
    let mut percents = Percents::of(&file.text);
    let found = INPUT.captures_iter(&file.text).filter_map(|found| {
        if percents.are_before(found.get(0)?.start()) {
            return None;
        }
        let text = |group| found.get(group).map(|it| it.as_str());
        let (folder, name) = match (text(1).or_else(|| text(2)), text(3), text(4)) {
            (Some(name), ..) => (String::new(), name),
            (None, Some(folder), Some(name)) => (normal_path(folder), name),
            _ => return None,
        };
        let beside = normal_path(&format!("{own}/{folder}"));
        files.find(name, &[&folder, &beside, ""])
    });
    found.filter(|it| *it != number).collect()
}

/// Returns whether a file contains a document or the start of one.
fn is_document(text: &str) -> bool {
    document_start(text).is_some() || CLASS.is_match(text)
}

fn class_of(text: &str) -> Option<String> {
    CLASS.captures(text).map(|found| found[1].to_owned())
}

/// Returns whether documents of a class are parts, pictures, letters or slides.
fn is_side_class(class: &str) -> bool {
    matches!(class, "standalone" | "subfiles" | "letter" | "beamer" | "minimal" | "tikzposter")
}

/// Returns whether the name of a file is that of something that accompanies a paper.
fn is_side_name(path: &str) -> bool {
    const WORDS: [&str; 28] = [
        "appendix",
        "cover",
        "coverletter",
        "diff",
        "example",
        "fig",
        "figs",
        "figure",
        "figures",
        "latexdiff",
        "poster",
        "rebuttal",
        "referee",
        "referees",
        "reply",
        "response",
        "responses",
        "sample",
        "si",
        "slides",
        "sm",
        "sup",
        "supmat",
        "supp",
        "suppl",
        "supplement",
        "template",
        "tikz",
    ];
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for sign in stem.chars() {
        let is_new = !sign.is_alphabetic() || was_lower && sign.is_uppercase();
        was_lower = sign.is_lowercase();
        if is_new {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| sign.is_alphabetic()) {
            word.extend(sign.to_lowercase());
        }
    }
    let is_side = |word: &String| {
        WORDS.binary_search(&word.as_str()).is_ok()
            || word.starts_with("supplement")
            || word.starts_with("supporting")
    };
    words.iter().any(is_side)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let bytes: Vec<_> = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
            .collect();
        let files = Files::of(&bytes);
        let numbers = match roots(&files, &|path| path.ends_with(".tex")) {
            Roots::All(all) => all,
            Roots::Longest(candidates) => candidates.iter().map(|it| it.number).collect(),
        };
        numbers.iter().map(|number| files.all[*number].path.clone()).collect()
    }

    #[test]
    fn roots_are_found_by_what_inputs_what() {
        const DOC: &str = "\\documentclass{article}\\begin{document}";
        let with = |more: &str| format!("{DOC}{more}");
        let (main, more, commented) = (with("\\input{a}"), with("xx"), with("%\\input{a}"));
        type Case<'f> = (Vec<(&'f str, &'f str)>, Vec<&'f str>);
        let cases: Vec<Case<'_>> = vec![
            (vec![("a.tex", "x"), ("main.tex", &main)], vec!["main.tex"]),
            // A cycle, and a class in a file that is input.
            (vec![("a.tex", "\\input main "), ("main.tex", &main)], vec!["main.tex"]),
            (
                vec![("p.tex", "\\documentclass{x}"), ("q.tex", "\\input{p}\\begin{document}")],
                vec!["q.tex"],
            ),
            (vec![("o.tex", "\\def\\x{1}\\input{main}"), ("main.tex", DOC)], vec!["o.tex"]),
            // An input in a comment is none.
            (vec![("a.tex", DOC), ("b.tex", &commented)], vec!["b.tex", "a.tex"]),
            (vec![("supp.tex", &more), ("b.tex", DOC)], vec!["b.tex", "supp.tex"]),
            (
                vec![("f.tex", "\\documentclass[tikz]{standalone}"), ("b.tex", DOC)],
                vec!["b.tex", "f.tex"],
            ),
            (vec![("anc/a.tex", DOC), ("b.tex", DOC)], vec!["b.tex"]),
            (vec![("paper", DOC), ("notes.txt", "x")], vec!["paper"]),
            (vec![("a.tex", "x\\bye"), ("b.tex", "macros")], vec!["a.tex"]),
            (vec![("a.tex", "x"), ("b.tex", "y"), ("c.txt", "z")], vec!["a.tex", "b.tex"]),
            (
                vec![("00README.XXX", "b.tex toplevelfile"), ("a.tex", &main), ("b.tex", DOC)],
                vec!["b.tex"],
            ),
            (
                vec![("00README.XXX", "a.tex ignore"), ("a.tex", &more), ("b.tex", DOC)],
                vec!["b.tex"],
            ),
        ];
        for (files, expected) in cases {
            assert_eq!(found(&files), expected, "{files:?}");
        }
    }

    #[test]
    fn names_of_supplements_are_recognised_by_their_words() {
        let side = [
            "SupplementalMaterial.tex",
            "a_response.tex",
            "ms-supp.tex",
            "paper_SM.tex",
            "SI.tex",
            "supporting_information.tex",
            "fig1.tex",
            "x/CoverLetter.tex",
            "example_paper.tex",
        ];
        for name in side {
            assert!(is_side_name(name), "{name}");
        }
        let papers = ["main.tex", "responsive.tex", "letter.tex", "basis.tex", "figuring.tex", "x"];
        for name in papers {
            assert!(!is_side_name(name), "{name}");
        }
    }
}
