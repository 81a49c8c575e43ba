//! Length: bounds on a document's code points.
//!
//! CCNet's rule (300 before line dedup) belongs to its source; this one checks the final text.
//!
//! **Invariant:** both bounds are inclusive: a text exactly at one passes.

use serde::{Deserialize, Serialize};

use super::{DocumentView, Filter, FilterError, FilterSettings, Verdict, Workspace, verdict};

/// Bounds on the text's code points.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LengthSpec {
    min_chars: u64,
    max_chars: u64,
}

impl FilterSettings for LengthSpec {
    const NAME: &'static str = "length";
    const DEFAULTS: &'static str = r##"
# Length in code points. Off in both presets (CCNet's own rule of 300 is in its source).
[filters.length]
enabled = false
# length/too_few_chars, length/too_many_chars
min_chars = 200
max_chars = 10_000_000
"##;

    fn build(self) -> Result<Box<dyn Filter>, FilterError> {
        Ok(Box::new(Length::new(&self)))
    }
}

/// Drops what is too short or too long.
#[derive(Debug)]
pub(crate) struct Length {
    spec: LengthSpec,
}

impl Length {
    pub(crate) fn new(spec: &LengthSpec) -> Self {
        Self { spec: spec.clone() }
    }
}

impl Filter for Length {
    fn check(&self, view: &DocumentView<'_>, work: &mut Workspace) -> Verdict {
        let Self { spec } = self;
        let chars = view.chars as f64;
        let beyond =
            work.measurements.below(chars, spec.min_chars as f64, "length/too_few_chars").or_else(
                || work.measurements.above(chars, spec.max_chars as f64, "length/too_many_chars"),
            );
        verdict(beyond, work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::verdict;

    #[test]
    fn both_bounds_are_inclusive_and_count_code_points() {
        let filter = Length::new(&LengthSpec { min_chars: 3, max_chars: 5 });
        for (text, expected) in [
            ("éé", Verdict::Drop("length/too_few_chars")),
            ("ééé", Verdict::Keep),
            ("ééééé", Verdict::Keep),
            ("éééééé", Verdict::Drop("length/too_many_chars")),
        ] {
            assert_eq!(verdict(&filter, text), expected, "{text}");
        }
    }
}
