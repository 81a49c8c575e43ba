//! Removes copyright headers of source files.
//!
//! There are two ways. RedPajama's looks only at the start of lines, and therefore also removes
//! includes, shebangs and headings. Ours removes from the comments at the top of the file the lines
//! that are a copyright notice or the text of a licence (`notice`), and a comment with nothing else
//! as a whole.
//!
//! **Invariant:** the result is the text without the removed parts, and otherwise unchanged.

use std::borrow::Cow;

use super::notice::licence_lines;

/// Removes the header as RedPajama did (data_prep/github/github_run_filter.py): the first block
/// comment of the file is removed if it contains `copyright`. From a file without block comments,
/// the first lines are removed up to the first that is neither empty nor starts with `//`, `#` or
/// `--`.
pub(super) fn cut_as_published(text: &str) -> Cow<'_, str> {
    if let Some((from, to)) = block_comment(text, "/*", "*/") {
        if !text[from..to].to_ascii_lowercase().contains("copyright") {
            return Cow::Borrowed(text);
        }
        return Cow::Owned([&text[..from], &text[to..]].concat());
    }
    let mut rest = text;
    loop {
        let line = rest.split('\n').next().unwrap_or_default();
        let skipped = line.is_empty() || ["//", "#", "--"].iter().any(|m| line.starts_with(m));
        if !skipped {
            return Cow::Borrowed(rest);
        }
        match rest.split_once('\n') {
            Some((_, after)) => rest = after,
            None => return Cow::Borrowed(""),
        }
    }
}

/// Removes the licence from the comments at the top of the file. A shebang and other lines that
/// must be first are kept; a byte order mark is not.
pub(super) fn cut(path: &str, text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (line_marker, block) = comments_of(path);
    let mut kept = String::new();
    let mut rest = text;
    // Lines that must come first, and blank ones, are kept.
    while let Some((line, after)) = first_line(rest) {
        if !line.trim().is_empty() && !must_be_first(line) {
            break;
        }
        kept.push_str(line);
        rest = after;
    }
    loop {
        let blank = rest.len() - rest.trim_start().len();
        let Some(end) = header_end(&rest[blank..], line_marker, block) else { break };
        let comment = &rest[blank..blank + end];
        let is_block = block.is_some_and(|(open, _)| comment.starts_with(open));
        match without_licence(comment, block.filter(|_| is_block)) {
            Cut::Nothing => break,
            Cut::All => rest = rest[blank + end..].trim_start_matches(['\n', '\r']),
            Cut::Part(left) => {
                kept.push_str(&left);
                rest = &rest[blank + end..];
                break;
            }
        }
    }
    kept.push_str(rest);
    kept
}

/// What is left of a comment without the licence in it.
enum Cut {
    Nothing,
    All,
    Part(String),
}

/// Removes the licence from a comment: a block with these marks, or a run of whole lines.
fn without_licence(comment: &str, block: Option<(&str, &str)>) -> Cut {
    let (open, close) = block.unwrap_or(("", ""));
    let inner = &comment[open.len()..comment.len() - close.len()];
    let lines: Vec<&str> = inner.split_inclusive('\n').collect();
    let removed = licence_lines(&lines);
    if !removed.contains(&true) {
        return Cut::Nothing;
    }
    let has_text = |line: &str| line.contains(char::is_alphanumeric);
    let is_kept = |(line, removed): (&&str, &bool)| !removed && has_text(line);
    if !lines.iter().zip(&removed).any(is_kept) {
        return Cut::All;
    }
    let mut left = open.to_owned();
    if let Some(first) =
        lines.first().filter(|first| block.is_some() && removed[0] && first.ends_with('\n'))
    {
        // The opening mark keeps a line of its own, as in `/**`.
        left.push_str(
            first.trim_end().split(char::is_alphanumeric).next().unwrap_or("").trim_end(),
        );
        left.push('\n');
    }
    let mut after_removed = removed[0];
    for (line, &removed) in lines.iter().zip(&removed) {
        // Of the blank lines around what is removed, those behind it go too.
        let goes = removed || (after_removed && !has_text(line) && line.ends_with('\n'));
        after_removed = goes;
        if !goes {
            left.push_str(line);
        }
    }
    left.push_str(close);
    Cut::Part(left)
}

/// Returns the end of the comment at the start of `text`: a block, or a run of whole lines.
fn header_end(text: &str, line_marker: Option<&str>, block: Option<(&str, &str)>) -> Option<usize> {
    if let Some((open, close)) = block
        && text.starts_with(open)
    {
        let (from, to) = block_comment(text, open, close)?;
        // A comment with code after it on its last line is not a header.
        let alone = text[to..].split('\n').next().is_none_or(|rest| rest.trim().is_empty());
        return (from == 0 && alone).then_some(to);
    }
    let marker = line_marker?;
    let mut end = 0;
    while let Some((line, _)) = first_line(&text[end..]) {
        let comment = line.strip_prefix(marker);
        // `#!`, `#include` and `#define` are not comments.
        if !comment.is_some_and(|rest| !rest.starts_with(char::is_alphabetic) || marker != "#") {
            break;
        }
        end += line.len();
    }
    (end > 0).then_some(end)
}

/// Splits off the first line, with its line feed.
fn first_line(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    let end = text.find('\n').map_or(text.len(), |feed| feed + 1);
    Some(text.split_at(end))
}

/// Returns whether a line must stay the first of its file.
fn must_be_first(line: &str) -> bool {
    let coding = line.starts_with('#') && line.contains("coding") && line.contains("-*-");
    ["#!", "<?php", "<?xml", "@charset"].iter().any(|mark| line.starts_with(mark)) || coding
}

/// Returns the comment marks of a file with this name: of line comments, and of block comments.
fn comments_of(path: &str) -> (Option<&'static str>, Option<(&'static str, &'static str)>) {
    const BLOCK: Option<(&str, &str)> = Some(("/*", "*/"));
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or(name, |(_, ending)| ending);
    match ending {
        "c" | "h" | "C" | "H" | "cs" | "cpp" | "hpp" | "c++" | "h++" | "cc" | "hh" | "go"
        | "java" | "js" | "rs" | "scala" | "ts" | "tsx" | "m" | "php" | "php3" | "php4"
        | "php5" | "phps" | "phpt" => (Some("//"), BLOCK),
        "css" => (None, BLOCK),
        "sql" => (Some("--"), BLOCK),
        "lua" => (Some("--"), Some(("--[[", "]]"))),
        "hs" => (Some("--"), Some(("{-", "-}"))),
        "html" | "xml" => (None, Some(("<!--", "-->"))),
        "py" | "rb" | "sh" | "bash" | "zsh" | "command" | "pl" | "pm" | "perl" | "jl" | "cmake"
        | "dockerfile" | "Dockerfile" | "Makefile" | "smali" => (Some("#"), None),
        "ps1" | "psd1" | "psm1" => (Some("#"), Some(("<#", "#>"))),
        "tex" => (Some("%"), None),
        _ => (None, None),
    }
}

/// Returns the start and end of the first block comment that is closed, including its marks.
fn block_comment(text: &str, open: &str, close: &str) -> Option<(usize, usize)> {
    let from = text.find(open)?;
    let inside = from + open.len();
    let end = text[inside..].find(close)?;
    Some((from, inside + end + close.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_cut_as_published_with_the_defects() {
        let cases = [
            ("/* Copyright A */\nint a;", "\nint a;"),
            ("int a; /* COPYRIGHT */ int b;", "int a;  int b;"),
            // The first comment is not about copyright, so the second is kept too.
            ("/* a */\n/* copyright */\nx", "/* a */\n/* copyright */\nx"),
            // `/*/` does not close itself.
            ("/*/ copyright */x", "x"),
            ("/* copyright never closed", "/* copyright never closed"),
            // Without a block comment the first lines go, whatever they say.
            ("#!/bin/sh\n#include <a.h>\n\n// b\n-- c\nx\n# y", "x\n# y"),
            ("# Heading\ntext", "text"),
            (" # indented", " # indented"),
            ("#only\n", ""),
            ("#only", ""),
            ("", ""),
        ];
        for (text, left) in cases {
            assert_eq!(cut_as_published(text), left, "{text:?}");
        }
    }

    #[test]
    fn only_copyright_comments_at_the_top_are_cut() {
        let cases = [
            ("a.c", "/* Copyright A */\n#include <a.h>\n", "#include <a.h>\n"),
            ("a.c", "// Copyright A\n// more\n\n#include <a.h>\n", "#include <a.h>\n"),
            ("a.c", "// What it does\n#include <a.h>\n", "// What it does\n#include <a.h>\n"),
            ("a.c", "int a; /* copyright */\n", "int a; /* copyright */\n"),
            ("a.c", "/* copyright */ int a;\n", "/* copyright */ int a;\n"),
            ("a.c", "/* copyright never closed", "/* copyright never closed"),
            ("a.c", "#include <a.h>\n// Copyright\n", "#include <a.h>\n// Copyright\n"),
            ("a.c", "/* MIT License */\n\n// Copyright A\n\nint a;\n", "int a;\n"),
            ("a.sh", "#!/bin/sh\n# Copyright A\necho\n", "#!/bin/sh\necho\n"),
            (
                "a.py",
                "# -*- coding: utf-8 -*-\n# Licence: MIT\nx\n",
                "# -*- coding: utf-8 -*-\nx\n",
            ),
            ("README.md", "# Copyright\ntext", "# Copyright\ntext"),
            ("a.sql", "-- Copyright A\nselect 1", "select 1"),
            ("a.hs", "{- Copyright A -}\nmodule A", "module A"),
            ("a.html", "<!-- Copyright A -->\n<html>", "<html>"),
            ("Makefile", "# All rights reserved\nall:", "all:"),
            ("a.c", "", ""),
            ("a.c", "\u{feff}/* Copyright A */\nint a;\n", "int a;\n"),
            ("a.py", "\u{feff}# Copyright A\r\nx\r\n", "x\r\n"),
            ("a.sh", "\u{feff}#!/bin/sh\n# Copyright A\necho\n", "#!/bin/sh\necho\n"),
            ("a.py", "\u{feff}x = 1\n", "x = 1\n"),
        ];
        for (path, text, left) in cases {
            assert_eq!(cut(path, text), left, "{path} {text:?}");
        }
    }

    #[test]
    fn documentation_in_the_comment_of_a_licence_stays() {
        let cases = [
            (
                "a.c",
                "/*\n * Copyright 2020 A\n * All rights reserved.\n *\n * Frobs widgets.\n */\nx\n",
                "/*\n * Frobs widgets.\n */\nx\n",
            ),
            (
                "a.c",
                "/* a.c - frobs widgets\n * Copyright (C) 2020 A\n */\nint a;\n",
                "/* a.c - frobs widgets\n */\nint a;\n",
            ),
            (
                "a.java",
                "/** Copyright 2020 A\n *\n * Frobs.\n */\nclass A {}\n",
                "/**\n * Frobs.\n */\nclass A {}\n",
            ),
            (
                "a.py",
                "# Copyright 2020 A\n# Licensed under the MIT License\n#\n# Frobs.\nx\n",
                "# Frobs.\nx\n",
            ),
            ("a.rs", "// Copyright 2020 A\n//! Frobs.\n\nfn a() {}\n", "//! Frobs.\n\nfn a() {}\n"),
            // Documentation that speaks of licences is no header.
            (
                "a.go",
                "// Package license finds the licence of a file.\npackage license\n",
                "// Package license finds the licence of a file.\npackage license\n",
            ),
            (
                "a.c",
                "/* Checks copyright headers. */\nint a;\n",
                "/* Checks copyright headers. */\nint a;\n",
            ),
        ];
        for (path, text, left) in cases {
            assert_eq!(cut(path, text), left, "{path} {text:?}");
        }
    }
}
