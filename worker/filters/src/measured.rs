//! What a rule measured in a document that it drops, so that a person can judge the threshold.

use super::Reason;

/// A value, and the threshold that it is beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The value of the document.
    pub value: f64,
    /// The threshold of the rule.
    pub threshold: f64,
}

/// A reason with what was measured.
pub(crate) type Beyond = (Reason, Measured);

/// Returns the reason if the value is above the threshold.
pub(crate) fn above(value: f64, threshold: f64, reason: Reason) -> Option<Beyond> {
    (value > threshold).then_some((reason, Measured { value, threshold }))
}

/// Returns the reason if the value is below the threshold.
pub(crate) fn below(value: f64, threshold: f64, reason: Reason) -> Option<Beyond> {
    (value < threshold).then_some((reason, Measured { value, threshold }))
}
