//! Tests of the recipe's rules with tables of cases, for both presets, and of BigQuery's rows.

use super::*;
use crate::testing::{Seen, job, read_bytes, read_with};

fn row(path: &str, content: &str) -> Vec<u8> {
    let row = json!({
        "id": "ab12", "size": "3", "content": content, "binary": false, "copies": "1",
        "repo_name": "a/b", "ref": "refs/heads/master", "path": path, "mode": "33188",
        "symlink_target": null, "license": "apache-2.0",
        "language": [{"name": "C", "bytes": "3"}],
    });
    let mut line = serde_json::to_vec(&row).unwrap();
    line.push(b'\n');
    line
}

/// Returns the text of a file by a preset, or the reason for which it is dropped.
fn outcome_of(preset: &str, path: &str, content: &str) -> String {
    let seen = read_with(&Github, &job("github", preset, ""), "x.json", &row(path, content));
    assert_eq!(seen.len(), 1);
    seen[0].outcome()
}

#[test]
fn each_rule_holds_on_both_sides_of_its_threshold_in_both_presets() {
    let wide = |chars: usize| "a".repeat(chars);
    let mean = |chars: usize| (wide(chars) + "\n").repeat(3);
    let mixed = |letters: usize, marks: usize| wide(letters) + &"+".repeat(marks);
    let cases = [
        ("a.c", "x = 1".to_owned(), None),
        ("a.c", String::new(), Some("github/empty")),
        ("a.txt", "text".to_owned(), Some("github/ending")),
        // The end of the name is compared, with case.
        ("myDockerfile", "FROM a".to_owned(), None),
        ("a.PY", "x = 1".to_owned(), Some("github/ending")),
        ("a.C", "x = 1".to_owned(), None),
        ("key.crt", "abc".to_owned(), Some("github/no_code")),
        ("LICENSE", "abc".to_owned(), Some("github/no_code")),
        ("sub/LICENSE", "abc".to_owned(), Some("github/ending")),
        ("a.c", wide(1000) + &"\na".repeat(30), None),
        ("a.c", wide(1001) + &"\na".repeat(30), Some("github/long_line")),
        // The line feed counts: 99 characters and a line feed give a mean of 100.
        ("a.c", mean(99), None),
        ("a.c", mean(100), Some("github/long_mean_line")),
        ("a.c", mixed(25, 75), None),
        ("a.c", mixed(24, 76), Some("github/few_alphanumeric")),
    ];
    for preset in ["thresher", "redpajama-v1"] {
        for (path, content, dropped) in &cases {
            let expected = dropped.unwrap_or(content);
            assert_eq!(outcome_of(preset, path, content), expected, "{preset}: {path}");
        }
    }
}

#[test]
fn each_published_ending_is_kept_in_both_presets() {
    let endings = ".asm .bat .cmd .c .h .cs .cpp .hpp .c++ .h++ .cc .hh .C .H .cmake .css \
        .dockerfile .f90 .f .f03 .f08 .f77 .f95 .for .fpp .go .hs .html .java .js .jl .lua .md \
        .markdown .php .php3 .php4 .php5 .phps .phpt .pl .pm .pod .perl .ps1 .psd1 .psm1 .py .rb \
        .rs .sql .scala .sh .bash .command .zsh .ts .tsx .tex .vb Dockerfile Makefile .xml .rst .m \
        .smali";
    let endings: Vec<&str> = endings.split_ascii_whitespace().collect();
    assert_eq!(endings.len(), 66);
    for preset in ["thresher", "redpajama-v1"] {
        for ending in &endings {
            assert_eq!(outcome_of(preset, &format!("dir/a{ending}"), "x = 1"), "x = 1", "{ending}");
            let other = format!("dir/a{ending}_");
            assert_eq!(outcome_of(preset, &other, "x = 1"), "github/ending", "{other}");
        }
    }
}

#[test]
fn letters_per_token_are_checked_on_both_sides_of_the_threshold() {
    let spec = job("github", "thresher", "").github;
    // Letters are those of Python: `é` and `文`, but not `1`, `_` or a combining accent.
    for (text, tokens, dropped) in [
        ("abc", 2, false),
        ("ab1_", 2, true),
        ("é文x", 2, false),
        ("e\u{301}", 1, true),
        ("", 0, false),
    ] {
        let reason = dropped.then_some("github/few_letters_per_token");
        assert_eq!(few_letters(&spec, text, Some(tokens)), reason, "{text:?}");
        assert_eq!(few_letters(&spec, text, None), None, "without a tokenizer");
    }
    let none = job("github", "thresher", "[github]\nmin_letters_per_token = 0.0\n").github;
    assert_eq!(few_letters(&none, "1", Some(1)), None);
}

#[test]
fn files_dropped_by_a_rule_are_compared_as_published_or_not_at_all() {
    for (preset, compared) in [("thresher", false), ("redpajama-v1", true)] {
        let seen = read_with(&Github, &job("github", preset, ""), "x.json", &row("a.txt", "text"));
        let is_page = matches!(&seen[0], Seen::Page { key, .. } if *key == md5_hex("text"));
        assert_eq!((is_page, seen[0].outcome()), (compared, "github/ending".to_owned()));
        // A file that is dropped by licence or name is not compared either.
        for (path, licence) in [("LICENSE", "mit"), ("a.crt", "mit"), ("a.py", "gpl-3.0")] {
            let line = String::from_utf8(row(path, "text")).unwrap();
            let line = line.replace("apache-2.0", licence).into_bytes();
            let seen = read_with(&Github, &job("github", preset, ""), "x.json", &line);
            assert!(matches!(&seen[0], Seen::Dropped { .. }), "{path}: {seen:?}");
        }
    }
}

#[test]
fn headers_are_cut_as_published_or_with_care() {
    let shell = "#!/bin/sh\n# Copyright A\necho hello\n";
    assert_eq!(outcome_of("redpajama-v1", "a.sh", shell), "echo hello\n");
    assert_eq!(outcome_of("thresher", "a.sh", shell), "#!/bin/sh\necho hello\n");
    let heading = "# Heading\nand text\n";
    assert_eq!(outcome_of("redpajama-v1", "a.md", heading), "and text\n");
    assert_eq!(outcome_of("thresher", "a.md", heading), heading);
    assert_eq!(outcome_of("redpajama-v1", "a.c", "/* copyright */"), "github/empty");
}

#[test]
fn the_licence_of_the_row_decides() {
    for (licence, kept) in
        [("mit", true), ("MIT", true), ("bsd-3-clause", true), ("gpl-3.0", false), ("", false)]
    {
        let line = String::from_utf8(row("a.c", "x = 1")).unwrap().replace("apache-2.0", licence);
        let seen = read_bytes(&Github, "github", "x.json", line.as_bytes());
        assert_eq!(seen[0].outcome() == "x = 1", kept, "{licence}");
        assert!(kept || seen[0].outcome() == "github/licence");
    }
}

#[test]
fn a_row_keeps_its_columns_and_gets_what_was_measured() {
    let content = "/* (c) */\nint a;\n";
    let seen = read_bytes(&Github, "github", "x.json", &row("src/a.c", content));
    let Seen::Page { id, url, title, key, licence, meta, .. } = &seen[0] else {
        panic!("{seen:?}")
    };
    assert_eq!((id.as_str(), title.as_str()), ("ab12", "src/a.c"));
    assert_eq!(url, "https://github.com/a/b/blob/master/src/a.c");
    assert_eq!(licence.as_deref(), Some("apache-2.0"));
    // The hash is that of md5sum.
    assert_eq!(key, &md5_hex(content));
    assert_eq!(md5_hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
    let expected = json!({
        "id": "ab12", "size": "3", "binary": false, "copies": "1", "repo_name": "a/b",
        "ref": "refs/heads/master", "path": "src/a.c", "mode": "33188", "symlink_target": null,
        "license": "apache-2.0", "language": [{"name": "C", "bytes": "3"}],
        "content_hash": key, "timestamp": "", "source": "github", "line_count": 2,
        "max_line_length": 9, "avg_line_length": 8.5, "alnum_prop": 5.0 / 17.0,
    });
    assert_eq!(json!(meta), expected);
    // The keys have the order in which RedPajama published them.
    let keys: Vec<&str> = meta.keys().map(String::as_str).collect();
    let published = "content_hash timestamp source line_count max_line_length avg_line_length \
        alnum_prop id size binary copies repo_name ref path mode symlink_target license language";
    assert_eq!(keys.join(" "), published.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
}

#[test]
fn rows_without_content_or_path_are_reported() {
    let input = b"{\"path\":\"a.c\",\"content\":null,\"license\":\"mit\"}\n{\"content\":\"x\"}\n";
    let seen = read_bytes(&Github, "github", "x.json", input);
    let outcomes: Vec<String> = seen.iter().map(Seen::outcome).collect();
    assert_eq!(outcomes, ["github/no_content", "invalid_json"]);
}

#[test]
fn pointers_to_large_files_are_no_code_except_as_published() {
    let oid = "0".repeat(64);
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n");
    assert_eq!(outcome_of("thresher", "model.py", &pointer), "github/lfs_pointer");
    assert_eq!(outcome_of("redpajama-v1", "model.py", &pointer), pointer);
    let about = "# version https://git-lfs.github.com/spec/v1\nwords\n";
    assert_eq!(outcome_of("thresher", "lfs.md", about), about);
}
