//! The reasons that a program gives: names, and not many, since each is a line of the report.

use std::collections::BTreeSet;

/// So many a program may have in one unit.
const MOST: usize = 256;
const MOST_BYTES: usize = 64;

/// Those that one run of a program has given.
#[derive(Default)]
pub struct Reasons {
    seen: BTreeSet<String>,
}

impl Reasons {
    /// Why a reason cannot be taken, if it cannot.
    pub fn check(&mut self, reason: &str) -> Result<(), String> {
        if self.seen.contains(reason) {
            return Ok(());
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if reason.is_empty() || reason.len() > MOST_BYTES || !reason.chars().all(fits) {
            return Err(format!(
                "a reason has 1 to {MOST_BYTES} letters, digits, `_`, `-` and `.`"
            ));
        }
        if self.seen.len() == MOST {
            return Err(format!(
                "it is the {}th reason of one unit\nhint: a reason is the name of a rule, the same \
                 for all documents that the rule drops",
                MOST + 1
            ));
        }
        self.seen.insert(reason.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_names_and_few() {
        let mut reasons = Reasons::default();
        for (reason, fits) in [
            ("too_old", true),
            ("a.b-c", true),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
            ("", false),
            ("too old", false),
            ("é", false),
            ("a\n", false),
        ] {
            assert_eq!(reasons.check(reason).is_ok(), fits, "{reason:?}");
        }
        for n in 3..MOST {
            assert_eq!(reasons.check(&format!("r{n}")), Ok(()));
        }
        assert_eq!(reasons.check("r3"), Ok(()));
        assert!(reasons.check("one_more").unwrap_err().contains("257th"));
    }
}
