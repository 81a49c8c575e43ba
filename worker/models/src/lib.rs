//! Models that score or label text, each with a reader of its file format.
//!
//! | module | model |
//! |---|---|
//! | [`fasttext`] | fastText's supervised models, plain and quantised: inference |
//! | [`train`] | fastText's supervised models: training |
//! | [`classifier`] | a binary quality classifier on top of [`fasttext`] |
//! | [`kenlm`] | KenLM's n-gram language models, ARPA and binary |
//! | [`sentencepiece`] | SentencePiece's unigram models |
//! | [`tokens`] | tokenizers of Hugging Face, for counting tokens |
//!
//! **Invariant:** a score has the same bits on every machine: sums have one order, and `exp` and
//! `log` come from `libm` instead of the platform's C library.

pub mod classifier;
pub mod fasttext;
pub mod kenlm;
mod model_file;
pub mod sentencepiece;
pub mod tokens;
pub mod train;
