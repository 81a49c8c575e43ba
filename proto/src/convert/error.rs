//! The errors of messages that cannot be converted.

/// A message that no part of this version sends.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum MalformedMessage {
    /// A report, a lease or another message about a unit has none.
    #[error("a message about a unit does not name it")]
    MissingUnit,
    /// The stage of a unit is missing.
    #[error("a unit has no stage")]
    UnspecifiedStage,
    /// The stage is not one of those that this version knows.
    #[error("{0} is not the number of a stage")]
    UnknownStage(i32),
    /// A report has no outcome, or one that this version does not know.
    #[error("a report has no outcome that this version knows")]
    MissingOutcome,
    /// The kind of a failure is not one of those that this version knows.
    #[error("{0} is not the number of a kind of failure")]
    UnknownFailureClass(i32),
    /// A failure because of a damaged file does not name the unit that wrote the file.
    #[error("a failure because of a damaged file does not name the unit that wrote it")]
    MissingProducer,
    /// A counter is missing, or this version does not know it.
    #[error("a number of a result has no counter that this version knows")]
    UnknownCounter,
    /// A registration in the journal has no request.
    #[error("the registration of a worker has no request")]
    MissingRequest,
}
