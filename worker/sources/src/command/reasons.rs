//! Checks the reasons of a program. They must be names, and few, because each is a line of the
//! report.

use std::collections::BTreeSet;

/// Number of different reasons that a program may use in one unit.
const MOST: usize = 256;
/// Length in bytes of the longest reason.
const MOST_BYTES: usize = 64;

/// The reasons that one run of a program has used.
#[derive(Default)]
pub struct Reasons {
    seen: BTreeSet<String>,
}

impl Reasons {
    /// Adds a reason; returns an error message if it is not valid or is one too many.
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
