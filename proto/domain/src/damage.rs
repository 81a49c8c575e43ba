//! Which reasons of quarantined records mean that a part of an input cannot be read.
//!
//! Such a record counts once, however much of the input is missing, so the number of records does
//! not show the loss: the number of inputs does.

/// How the reasons end. `content_encoding_damaged` and `archive_file_damaged` are about one page or
/// one file of an archive, and are the exceptions.
const ENDS: [&str; 4] = ["_truncated", "_garbage", "_damaged", "_bomb"];
/// Reasons that have another ending.
const OTHERS: [&str; 4] = ["empty_input", "json_rest_unreadable", "no_page", "page_cut_off"];
const EXCEPTIONS: [&str; 2] = ["archive_file_damaged", "content_encoding_damaged"];

/// Returns whether a record that is quarantined for this reason is an input that ends early, or a
/// part of an input that is damaged.
pub fn is_of_input(reason: &str) -> bool {
    let named = ENDS.iter().any(|end| reason.ends_with(end)) && !reason.contains('/');
    (named && !EXCEPTIONS.contains(&reason)) || OTHERS.contains(&reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_of_an_input_is_distinct_from_that_of_a_record() {
        for (reason, expected) in [
            ("gzip_damaged", true),
            ("zstd_truncated", true),
            ("bzip2_garbage", true),
            ("empty_input", true),
            ("page_cut_off", true),
            ("json_truncated", true),
            ("posts_truncated", true),
            ("content_encoding_damaged", false),
            ("archive_file_damaged", false),
            ("invalid_json", false),
            ("content_length_wrong", false),
            ("mine/is_damaged", false),
        ] {
            assert_eq!(is_of_input(reason), expected, "{reason}");
        }
    }
}
