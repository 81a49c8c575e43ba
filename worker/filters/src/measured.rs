//! What rules measure in a document, so that a person can judge the thresholds.

use std::cell::RefCell;

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

/// What the rules measured in one document, each under the reason for which it drops documents, in
/// the order in which they were applied.
///
/// Rules add to it while they borrow other memory of the workspace, hence the cell.
#[derive(Debug, Default)]
pub(crate) struct Measurements {
    values: RefCell<Vec<(Reason, f64)>>,
}

impl Measurements {
    /// Forgets the document before.
    pub(crate) fn clear(&mut self) {
        self.values.get_mut().clear();
    }

    /// Returns the values so far.
    pub(crate) fn values(&mut self) -> &[(Reason, f64)] {
        self.values.get_mut()
    }

    /// Returns the reason if the value is above the threshold.
    pub(crate) fn above(&self, value: f64, threshold: f64, reason: Reason) -> Option<Beyond> {
        self.values.borrow_mut().push((reason, value));
        (value > threshold).then_some((reason, Measured { value, threshold }))
    }

    /// Returns the reason if the value is below the threshold.
    pub(crate) fn below(&self, value: f64, threshold: f64, reason: Reason) -> Option<Beyond> {
        self.values.borrow_mut().push((reason, value));
        (value < threshold).then_some((reason, Measured { value, threshold }))
    }
}
