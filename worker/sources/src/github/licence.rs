//! Which licence a file of an archive's root grants, told by the sentences that only it has.
//!
//! Only the permissive licences that the recipe keeps are told apart; everything else, texts that
//! also hold a copyleft licence included, has no name here.

/// Longer files are no licences.
pub(super) const MAX_BYTES: u64 = 256 << 10;

/// Whether a file of this name may hold the licence of what lies beside it.
pub(super) fn is_licence_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    ["LICENSE", "LICENCE", "COPYING", "MIT-LICENSE"].iter().any(|word| upper.starts_with(word))
}

/// The licence of a text, as BigQuery names it.
pub(super) fn detect(text: &str) -> Option<&'static str> {
    let plain: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let plain = plain.join(" ");
    let has = |sentence: &str| plain.contains(sentence);
    if has("gnu general public license") || has("gnu lesser general public license") {
        return None;
    }
    if has("apache license") && has("version 2.0") {
        return Some("apache-2.0");
    }
    if has("permission is hereby granted, free of charge, to any person obtaining a copy") {
        return Some("mit");
    }
    if has("redistribution and use in source and binary forms") {
        let third = has("neither the name") || has("may not be used to endorse or promote");
        return Some(if third { "bsd-3-clause" } else { "bsd-2-clause" });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_told_by_their_own_sentences() {
        // The repository's own, whole.
        assert_eq!(detect(include_str!("../../../../LICENSE")), Some("apache-2.0"));
        let mit = "MIT License\n\nPermission is hereby granted, free of charge, to\nany person \
                   obtaining a copy of this software";
        let bsd = "Redistribution and use in source and binary forms, with or without";
        let third = format!("{bsd}\nNeither the name of the copyright holder");
        let cases = [
            (mit, Some("mit")),
            (bsd, Some("bsd-2-clause")),
            (&third, Some("bsd-3-clause")),
            ("GNU GENERAL PUBLIC LICENSE", None),
            ("Permission to use, copy, modify, and/or distribute", None),
            ("", None),
        ];
        for (text, licence) in cases {
            assert_eq!(detect(text), licence, "{text}");
        }
        let both = format!("{mit}\nor the GNU General Public License");
        assert_eq!(detect(&both), None, "a choice with copyleft is nothing that this tells apart");
    }

    #[test]
    fn names_of_licence_files() {
        for name in ["LICENSE", "license.txt", "LICENSE-MIT", "Copying", "LICENCE.md"] {
            assert!(is_licence_name(name), "{name}");
        }
        assert!(!is_licence_name("src") && !is_licence_name("my-license"));
    }
}
