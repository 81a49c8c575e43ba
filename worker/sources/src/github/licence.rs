//! Identifies the licence in a licence file by sentences that only this licence contains.
//!
//! Only the permissive licences that the recipe keeps are distinguished. Every other text has no
//! name here, including a text that also contains a copyleft licence.

/// Size in bytes of the largest file that is read as a licence.
pub(super) const MAX_BYTES: u64 = 256 << 10;

/// Returns whether a file with this name can contain the licence of its folder.
pub(super) fn is_licence_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    ["LICENSE", "LICENCE", "COPYING", "MIT-LICENSE"].iter().any(|word| upper.starts_with(word))
}

/// Returns the licence of a text by the name that BigQuery uses, or `None` if it is not known.
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
    fn licences_are_identified_by_their_own_sentences() {
        // The licence of this repository.
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
        assert_eq!(detect(&both), None, "a choice with copyleft is not a known licence");
    }

    #[test]
    fn licence_files_are_recognized_by_their_names() {
        for name in ["LICENSE", "license.txt", "LICENSE-MIT", "Copying", "LICENCE.md"] {
            assert!(is_licence_name(name), "{name}");
        }
        assert!(!is_licence_name("src") && !is_licence_name("my-license"));
    }
}
