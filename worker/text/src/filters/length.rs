//! Length: bounds on a document's code points.
//!
//! CCNet's rule (300 before line dedup) is its source's own; this one judges the final text.
//!
//! **Invariant:** both bounds are inclusive: a text exactly at one passes.

use thresher_job::filters::LengthSpec;

use super::{DocumentView, Filter, Verdict, Workspace};

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
    fn name(&self) -> &'static str {
        "length"
    }

    fn check(&self, view: &DocumentView<'_>, _work: &mut Workspace) -> Verdict {
        if view.chars < self.spec.min_chars {
            return Verdict::Drop("length/too_few_chars");
        }
        if view.chars > self.spec.max_chars {
            return Verdict::Drop("length/too_many_chars");
        }
        Verdict::Keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::tests::verdict;

    #[test]
    fn both_bounds_are_inclusive_and_count_code_points() {
        let filter = Length::new(&LengthSpec { enabled: true, min_chars: 3, max_chars: 5 });
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
