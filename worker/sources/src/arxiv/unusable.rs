//! Why a paper that was read gives no text: what its rules say to `arxiv`, which drops or
//! quarantines it.

/// Why a paper gives no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("byte {at} of `{name}` is no UTF-8")]
    NotUtf8 { name: String, at: usize },
    #[error("the value of `{name}` is not ASCII")]
    MacroNotAscii { name: String },
    #[error("its text has more than {max_bytes} bytes")]
    TooLarge { max_bytes: usize },
}
