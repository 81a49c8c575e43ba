//! Finds the lines of a comment that are a copyright notice or the text of a licence.
//!
//! A comment at the top of a file often has both a notice and documentation, and documentation may
//! speak of licences. So a word is not enough: a line is a notice by its form (`Copyright (c) 2020
//! …`, `SPDX-License-Identifier: …`), and a paragraph is the text of a licence from its first line
//! with a phrase of licences to its end.
//!
//! **Invariant:** no line is removed in front of the first line of its paragraph that is a notice
//! or has a phrase.

/// Phrases of licences and of their notices, in lower case.
const PHRASES: &[&str] = &[
    "/license",
    "a copy of the license",
    "all rights reserved",
    "apache license",
    "apache.org/licenses",
    "bsd license",
    "bsd-style license",
    "called license",
    "copying file",
    "copyright file",
    "distributed under",
    "dual licensed",
    "dual-licensed",
    "file copying",
    "free software foundation",
    "general public license",
    "gnu.org/licenses",
    "governed by",
    "hereby disclaim",
    "in compliance with the license",
    "in no event shall",
    "is free software",
    "is hereby granted",
    "is provided \"as is\"",
    "is provided by the",
    "licence notice",
    "license agreement",
    "license file",
    "license information",
    "licensed to the",
    "licensed under",
    "limitations under the license",
    "merchantability",
    "mit licence",
    "mit license",
    "mozilla public license",
    "neither the name",
    "obtain one at",
    "opensource.org/licenses",
    "permission notice",
    "permission to use",
    "public domain",
    "redistribution and use",
    "redistributions in binary",
    "redistributions of source",
    "released under",
    "required by applicable law",
    "retain the above copyright",
    "see copying",
    "see license",
    "see the file license",
    "see the license",
    "shall be included in all",
    "subject to the",
    "terms of the",
    "terms of use",
    "the above copyright",
    "the software is provided",
    "this software is provided",
    "top-level directory of this distribution",
    "under the license",
    "use of this source code",
    "warranties",
    "warranty",
    "you may not use this file",
    "you may obtain a copy",
];

/// Returns for each line whether it is part of a notice or of the text of a licence.
pub(super) fn licence_lines(lines: &[&str]) -> Vec<bool> {
    let mut removed = vec![false; lines.len()];
    let mut start = 0;
    while start < lines.len() {
        let is_blank = |line: &&str| words_of(line).is_empty();
        let length = lines[start..].iter().take_while(|line| !is_blank(line)).count();
        mark(&lines[start..start + length], &mut removed[start..start + length]);
        start += length.max(1);
    }
    removed
}

/// Marks the lines of one paragraph.
fn mark(lines: &[&str], removed: &mut [bool]) {
    let mut continues = false;
    for (index, line) in lines.iter().enumerate() {
        if has_phrase(line) {
            // The text of a licence extends to the end of the paragraph.
            removed[index..].fill(true);
            return;
        }
        let notice = is_notice(line);
        let words = words_of(line);
        let goes_on = words.starts_with(|c: char| c.is_lowercase() || c.is_ascii_digit());
        removed[index] = notice || (continues && goes_on);
        continues = removed[index];
    }
}

fn has_phrase(line: &str) -> bool {
    let lower = line.to_lowercase();
    PHRASES.iter().any(|phrase| lower.contains(phrase))
}

/// Returns whether a line is a notice by its form.
fn is_notice(line: &str) -> bool {
    let words = words_of(line);
    let lower = words.to_ascii_lowercase();
    let after =
        |mark: &str| lower.strip_prefix(mark).map(|rest| &words[words.len() - rest.len()..]);
    if ["spdx-", "license:", "licence:", "licenses:", "@license", "@licence", "@copyright"]
        .iter()
        .any(|mark| lower.starts_with(mark))
    {
        return true;
    }
    let word = after("copyright");
    if let Some(rest) = word.or_else(|| after("©")).or_else(|| after("(c)")) {
        let rest = rest.trim_start_matches([' ', ':', '\t', ',']);
        return (rest.is_empty() && word.is_some())
            || rest.starts_with(|c: char| matches!(c, '©' | '(' | '&') || c.is_ascii_digit())
            || rest.starts_with(|c: char| c.is_uppercase())
            || rest.to_ascii_lowercase().starts_with("by ");
    }
    // As in `foo.c - copyright (c) 2020 A`.
    lower.contains("copyright (c)")
        || lower.contains("copyright ©")
        || lower.contains("(c) copyright")
}

/// Returns the text of a line of a comment, without its marks.
fn words_of(line: &str) -> &str {
    line.trim_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '@' | '©' | '(' | ')')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_differ_from_documentation_by_their_form() {
        for line in [
            "Copyright A",
            " * Copyright (c) 2020 A",
            "# (c) 2019 B",
            "// SPDX-License-Identifier: MIT",
            "© 2020",
            "copyright",
            "@license MIT",
            "Copyright: 2020, A",
            "foo.c - Copyright (C) 1999 A",
        ] {
            assert_eq!(licence_lines(&[line]), [true], "{line}");
        }
        for line in [
            "Copyright headers are checked here.",
            "checks the license of each file",
            "Finds copyright notices",
            "License keys for the shop",
            "Reads the licences of crates and prints a table",
            "The licence server",
            "(c)",
            "",
        ] {
            assert_eq!(licence_lines(&[line]), [false], "{line}");
        }
    }

    #[test]
    fn a_paragraph_is_removed_from_its_first_phrase() {
        let lines = [
            " * foo.c - frobnicates",
            " * Copyright 2020 A,",
            " *   b and others",
            " * 用法 Use foo() first.",
            " *",
            " * Permission is hereby granted, free",
            " * to any person.",
            " *",
            " * Documentation.",
        ];
        let expected = [false, true, true, false, false, true, true, false, false];
        assert_eq!(licence_lines(&lines), expected);
    }
}
