//! The errors of the rules that turn a paper into a text. The slice drops or quarantines such a
//! paper.

/// The reason why a paper that was read has no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("byte {at} of `{name}` is no UTF-8")]
    NotUtf8 { name: String, at: usize },
    #[error("the value of `{name}` is not ASCII")]
    MacroNotAscii { name: String },
    #[error("its text has more than {max_bytes} bytes")]
    TooLarge { max_bytes: usize },
    #[error("it defines too many macros for its size")]
    TooManyMacros,
    #[error("the macro `\\{name}` contains itself more than once, so that its text has no end")]
    Endless { name: String },
}
