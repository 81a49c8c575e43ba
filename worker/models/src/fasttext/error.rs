//! Why a model file is refused, with the file's name and the offset.

/// The number that every model file starts with.
pub(super) const MAGIC: i32 = 793_712_314;

/// Why a model file was refused.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened.
    #[error("cannot open fastText model `{name}`")]
    Open {
        /// The file.
        name: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file cannot be read to its end.
    #[error("cannot read fastText model `{name}` at byte {offset}")]
    Read {
        /// The file.
        name: String,
        /// Where reading stopped.
        offset: u64,
        /// What the system says.
        source: std::io::Error,
    },
    /// A model of fastText's first releases, which had no magic number.
    #[error(
        "fastText model `{name}` is in the old format without magic number\n\
         hint: train it anew, or convert it with a fastText release from 0.1 on"
    )]
    OldFormat {
        /// The file.
        name: String,
    },
    /// Not a fastText model at all.
    #[error("`{name}` is no fastText model: it begins with `{magic:#010x}`, not `{MAGIC:#010x}`")]
    NotAModel {
        /// The file.
        name: String,
        /// Its first four bytes as a little-endian number.
        magic: i32,
    },
    /// A model of a kind that is not for prediction.
    #[error("fastText model `{name}` is unsupervised, it has no labels to predict")]
    Unsupervised {
        /// The file.
        name: String,
    },
    /// A field that contradicts the format or the rest of the file.
    #[error("malformed fastText model `{name}` at byte {offset}: {what}")]
    Malformed {
        /// The file.
        name: String,
        /// The offset after the field in question.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}
