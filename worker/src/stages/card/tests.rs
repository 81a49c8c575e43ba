//! Tests of the files that are made from a manifest.

use super::*;

#[test]
fn thousands_have_commas() {
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(count(number), text);
    }
}
